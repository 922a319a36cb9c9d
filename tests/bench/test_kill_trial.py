"""The kill trial: it passes on a real run, and it can fail."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bench.trials.kill import Outcome, read_slices, summarise

# A harness that starts its server without a supervisor: the server survives it.
CARELESS = """
    import subprocess, sys, time
    server = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); time.sleep(60)"
    subprocess.Popen([sys.executable, "-c", server], start_new_session=True)
    time.sleep(60)
"""

# Becomes the subreaper that the trial is, in a process of its own.
TRIAL = """
    import sys
    from pathlib import Path
    from bench.measure import supervisor
    from bench.trials import kill
    kill.GONE_WITHIN_S = 0.2
    supervisor.prctl(supervisor.PR_SET_CHILD_SUBREAPER, 1)
    outcome = kill.kill_once([sys.executable, "-c", sys.argv[1]], Path(sys.argv[2]), 1.0)
    print(outcome)
    print("left below:", kill.alive_below())
    sys.exit(kill.summarise([outcome]))
"""


def trial(harness: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(TRIAL), textwrap.dedent(harness), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_real_run_that_is_killed_leaves_nothing() -> None:
    command = [sys.executable, "-m", "bench.trials.kill", "--times", "1", "--latest", "6"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all gone after" in done.stdout
    assert "0 left something behind" in done.stdout


def test_a_server_that_survives_its_harness_is_found_and_then_killed(tmp_path: Path) -> None:
    done = trial(CARELESS, tmp_path)
    assert done.returncode == 1, done.stderr
    assert "2 processes and 1 listening ports; FAILED: process " in done.stdout
    assert " still listens" in done.stdout
    assert "left below: []" in done.stdout


def test_a_run_that_ends_before_it_is_killed_is_no_success(tmp_path: Path) -> None:
    done = trial("raise SystemExit('no such profile')", tmp_path)
    assert done.returncode == 1
    assert "the run ended by itself (1): no such profile" in done.stderr


@pytest.mark.parametrize(
    ("text", "slices", "unreadable"),
    [
        ("", 0, ()),
        ('{"a": 1}\n{"a": 2}\n', 2, ()),
        ('{"a": 1}\n{"a":', 1, ()),  # torn: the kill came in the middle of a line
        ('{"a": \n{"a": 2}\n', 1, ("trials.jsonl line 1 is unreadable",)),
        ("[]\n", 0, ("trials.jsonl line 1 is unreadable",)),
    ],
)
def test_only_a_torn_last_line_is_forgiven(
    tmp_path: Path, text: str, slices: int, unreadable: tuple[str, ...]
) -> None:
    trials = tmp_path / "trials.jsonl"
    trials.write_text(text)
    assert read_slices(trials) == (slices, unreadable)
    assert read_slices(tmp_path / "none") == (0, ())


def test_no_kill_at_all_is_no_success() -> None:
    assert summarise([]) == 1
    assert summarise([Outcome(3, 1, 0.1, 5, ())]) == 0
    assert summarise([Outcome(3, 1, 2.1, 5, ("process 1 is left",))]) == 1
