"""A run that goes on after it was killed, one that is repeated, and two at once."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from harness import CROSSOVER, ROOT, TINY_TOML, crossover, lines_of, tiny_toml, wait_for

from bench.errors import UserError
from bench.measure.lock import only_run
from bench.measure.profile_file import load_profile
from bench.measure.repeat import differences, profile_of
from bench.store import RunWriter, read_run

THREE_ROUNDS = tiny_toml(3)


def profile_in(folder: Path, text: str = THREE_ROUNDS) -> Path:
    path = folder / "three.toml"
    path.write_text(text)
    return path


def killed(folder: Path, slices: int) -> Path:
    """A run that was killed by SIGKILL after so many slices."""
    out = folder / "run"
    words = ["run", "--profile", str(profile_in(folder)), "--out", str(out)]
    process = subprocess.Popen([*CROSSOVER, *words], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(lines_of(out / "trials.jsonl")) >= slices, "no slice was saved", 60)
    finally:
        process.kill()
        process.wait()
    return out


def test_a_killed_run_goes_on_and_is_as_complete_as_if_it_never_was(tmp_path: Path) -> None:
    out = killed(tmp_path, 5)
    before = (out / "trials.jsonl").read_bytes().rpartition(b"\n")[0]
    with (out / "trials.jsonl").open("ab") as trials:
        trials.write(b'{"torn')
    done = crossover("run", "--resume", "--out", out)
    assert done.returncode == 0, done.stderr
    run = read_run(out)
    assert (run.info["state"], run.torn) == ("complete", False)
    assert len(run.info["resumed"]) == 1
    assert (out / "trials.jsonl").read_bytes().startswith(before), "nothing measured is lost"
    orders = [trial["order"] for trial in run.trials]
    assert orders == sorted(set(orders))
    whole: Counter[tuple[int, int]] = Counter(
        (trial["round"], trial["connections"]) for trial in run.trials
    )
    rounds = Counter(point for (_, point), targets in whole.items() if targets == 2)
    assert rounds[1] == rounds[4] == 3, "three rounds of either point, both targets in each"


def test_a_complete_run_is_not_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert (
        crossover("run", "--profile", profile_in(tmp_path, TINY_TOML), "--out", out).returncode == 0
    )
    done = crossover("run", "--resume", "--out", out)
    assert done.returncode == 2
    assert "is complete: there is nothing to go on with" in done.stderr


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (("machine", "kernel"), "1.2.3", "machine.kernel was '1.2.3' and is"),
        (("packages", "trio"), "0.1", "packages.trio was '0.1' and is"),
        (("python", "version"), "2.7.18", "python.version was '2.7.18' and is"),
        (("server_cores",), [77], "server_cores.1 was 77 and is"),
        (("git", "commit"), "abc", "git.commit was 'abc' and is"),
    ],
)
def test_a_run_from_elsewhere_or_of_other_versions_is_refused_with_the_reason(
    tmp_path: Path, key: tuple[str, ...], value: Any, words: str
) -> None:
    out = tmp_path / "run"
    crossover("run", "--profile", profile_in(tmp_path, TINY_TOML), "--out", out)
    file = out / "run.json"
    info = json.loads(file.read_text())
    info["state"], place = "interrupted", info
    for name in key[:-1]:
        place = place[name]
    place[key[-1]] = value
    file.write_text(json.dumps(info))
    done = crossover("run", "--resume", "--out", out)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_is_repeated_from_its_file_with_its_plan_and_seed(tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    crossover("run", "--profile", profile_in(tmp_path, TINY_TOML), "--out", first, "--seed", "7")
    done = crossover("run", "--from", first / "run.json", "--out", again)
    assert done.returncode == 0, done.stderr
    one, two = read_run(first), read_run(again)
    for key in ("config", "seed", "spin_rounds_per_us", "hash_rounds_per_us", "profile", "title"):
        assert one.info[key] == two.info[key], key
    cells = [
        [(t["target"], t["connections"], t["order"]) for t in run.trials] for run in (one, two)
    ]
    assert cells[0] == cells[1]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--resume", "--from", "x"], "give one of them"),
        (["--resume", "--models", "trio"], "--resume measures what that run did"),
        (["--from", "x", "--rounds", "3"], "--from measures what that run did"),
        (["--resume", "--out", "/nowhere"], "/nowhere: no such run"),
        (["--from", "/nowhere/run.json"], "/nowhere: no such run"),
    ],
)
def test_wrong_use_is_told(words: list[str], what: str) -> None:
    done = crossover("run", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert what in done.stderr


def test_a_plan_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    for name in ("quick", "models", "stacks", "smoke"):
        profile = load_profile(name)
        info = {"profile": profile.name, "title": profile.title, "config": profile.config()}
        assert profile_of(json.loads(json.dumps(info))) == profile


def test_a_file_without_a_plan_is_told() -> None:
    with pytest.raises(UserError, match="does not hold a plan that can be repeated"):
        profile_of({"profile": "p", "title": "t", "config": {}})


def test_load_and_frequency_are_no_differences() -> None:
    then = {"machine": {"load_average": [1, 2, 3], "cpu": {"frequency_mhz": 1000, "model": "a"}}}
    now = {"machine": {"load_average": [9, 9, 9], "cpu": {"frequency_mhz": 2000, "model": "b"}}}
    assert differences(then, now) == ["machine.cpu.model was 'a' and is 'b'"]


def test_half_a_line_is_taken_away_before_more_is_written(tmp_path: Path) -> None:
    info = {"name": "r", "config": {}, "targets": [], "state": "running"}
    RunWriter.create(tmp_path / "r", info)
    (tmp_path / "r" / "trials.jsonl").write_text('{"half')
    RunWriter.reopen(read_run(tmp_path / "r"))
    assert (tmp_path / "r" / "trials.jsonl").read_text() == ""


# Two at once


def test_a_second_run_at_the_same_time_is_refused_and_says_whose_it_is(tmp_path: Path) -> None:
    with only_run():
        done = crossover("run", "--profile", "smoke", "--out", tmp_path / "r")
    assert done.returncode == 2
    assert f"another run is measuring here (process {os.getpid()})" in done.stderr
    assert not (tmp_path / "r").exists()


def test_the_lock_ends_with_its_holder_however_that_ends() -> None:
    script = (
        "from bench.measure.lock import only_run\n"
        "with only_run():\n    print('held', flush=True)\n    input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=f"process {holder.pid}"), only_run():
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with only_run():
        pass
