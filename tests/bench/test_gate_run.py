"""The gate on real commands: faster, slower, broken, absent; and all that it leaves behind."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import odd_server
import pytest
from harness import ROOT, processes_below

from bench.cli import main
from bench.gate.orders import line_of
from bench.measure.process import Process
from tests.conftest import complaints

SHORT = {
    "--pairs": "3",
    "--budget": "1s",
    "--connections": "8",
    "--path": "/",
    "--metrics": "throughput,cpu",
}


def serving(model: str) -> str:
    return (
        f"{shlex.quote(sys.executable)} -m servers {model} --spin-rounds-per-us 10 --port {{port}}"
    )


def odd(*flags: str) -> str:
    return shlex.join([*odd_server.COMMAND, "--port", "{port}", *flags])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "gate"


def gate(
    capfd: pytest.CaptureFixture[str], out: Path, base: str, head: str, **more: Any
) -> tuple[int, str]:
    """The gate's exit code and what it printed, stdout and stderr together."""
    options = SHORT | {f"--{name}": str(value) for name, value in more.items()}
    words = [word for pair in options.items() for word in pair if word]
    code = main(["gate", "--base", base, "--head", head, *words, "--out", str(out)])
    assert processes_below() == []
    said, err = capfd.readouterr()
    assert "Traceback" not in err
    return code, said + err


def forgiving(answer: dict[str, Any], place: dict[str, Any]) -> dict[str, Any]:
    """The line of a slice, valid though other tests beside it have disturbed it."""
    line = line_of(answer, place)
    return line | {"valid": not complaints(line), "generator_at_fault": False}


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("bench.measure.foreign.FAILING_S", 0.1)
    monkeypatch.setattr("bench.gate.measure.line_of", forgiving)


def slices_in(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "slices.jsonl").read_text().splitlines()]


def test_the_same_against_itself_is_never_called_slower(
    capfd: pytest.CaptureFixture[str], out: Path
) -> None:
    """Three short pairs are few: inconclusive (3) as a rule, a pass (0) by luck."""
    code, said = gate(capfd, out, serving("uvloop"), serving("uvloop"), path="/delay=2ms")
    assert code in (0, 3)
    assert "note: base and head are the same files: this measures nothing but noise" in said
    assert re.search(r"^throughput, /delay=2ms at 8 connections +\S+ +\S+", said, re.MULTILINE)
    assert "pair 3 of 3 measured, " in said


@pytest.mark.parametrize("in_turns", [False, True])
def test_everything_measured_is_kept(
    capfd: pytest.CaptureFixture[str],
    out: Path,
    in_turns: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Three pairs or more; in each, couples of both sides in both regimes."""
    (tmp_path / "crossover.toml").write_text(f"[gate]\nin_turns = {str(in_turns).lower()}\n")
    monkeypatch.chdir(tmp_path)
    metrics = "throughput,cpu,p50,p99"
    code, _ = gate(capfd, out, odd(), odd(), path="/delay=1ms", metrics=metrics)
    assert code in (0, 1, 3)
    content = json.loads((out / "gate.json").read_text())
    lines = slices_in(out)
    assert content["state"] == "complete"
    assert content["in_turns"] is in_turns
    assert content["slices"] == len(lines)
    assert {line["pair"] for line in lines} == set(range(content["pairs"]))
    for regime in ("closed", "open"):
        sides = [(line["pair"], line["side"]) for line in lines if line["regime"] == regime]
        assert set(sides) >= {(pair, side) for pair in range(3) for side in ("base", "head")}
    opened = [line for line in lines if line["regime"] == "open"]
    closed = [
        line["throughput_rps"]
        for line in lines
        if (line["regime"], line["side"], line["pair"]) == ("closed", "base", 0)
    ]
    (rate,) = content["offered_rps"].values()
    assert 0 < rate <= max(closed) / 2
    # Evenly spaced arrivals: as many as fit into the window, to a few.
    assert opened[0]["offered_rps"] == pytest.approx(rate, rel=0.1)
    assert len(content["pair_ratios"]["/delay=1ms at 8 connections"]["p99"]) == content["pairs"]
    assert (out / ".gitignore").read_text() == "*\n"


def test_a_gross_slowdown_is_a_regression_and_a_gain_is_none(
    capfd: pytest.CaptureFixture[str], out: Path
) -> None:
    """8 connections x 2 ms or 40 ms: 4,000 a second at most, or 200. Five pairs are no trend."""
    fast, slow = odd("--work-delay", "2ms"), odd("--work-delay", "40ms")
    code, said = gate(capfd, out, fast, slow, path="/work", metrics="throughput", pairs=5)
    assert code == 1, said
    assert "slower beyond chance, and the estimate beyond 2.0%" in said
    swapped = out.with_name("swapped")
    code, said = gate(capfd, swapped, slow, fast, path="/work", metrics="throughput", pairs=5)
    assert code == 0, said


def test_a_head_that_fails_requests_is_a_regression_whatever_its_speed(
    capfd: pytest.CaptureFixture[str], out: Path
) -> None:
    code, said = gate(capfd, out, odd(), odd("--status", "500"), pairs="900")
    assert code == 1, said
    assert re.search(r"head failed \d+ of \d+ requests \(\d+ status\), base did not", said)
    assert "pair 2" not in said  # nothing can change that


@pytest.mark.parametrize("in_turns", [False, True])
def test_a_head_that_leaves_a_few_requests_unanswered_has_failed(
    capfd: pytest.CaptureFixture[str],
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_turns: bool,
) -> None:
    """However fast it answers the others: one in 50 is never answered."""
    settings = f'request_timeout = "500ms"\nin_turns = {str(in_turns).lower()}'
    (tmp_path / "crossover.toml").write_text(f"[gate]\n{settings}\n")
    monkeypatch.chdir(tmp_path)
    head = odd("--hangs-every", "50", "--work-delay", "1ms")
    base = odd("--work-delay", "5ms")
    code, said = gate(capfd, out, base, head, path="/work", pairs="900")
    assert code == 1, said
    assert re.search(r"head failed \d+ of \d+ requests \(\d+ timeout\), base did not", said)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--body", ""], "/work: head's replies have no body, base's have one"),
        (["--work-status", "302"], r"head failed \d+ of \d+ requests \(\d+ status\)"),
    ],
)
def test_a_head_that_is_fast_because_it_does_nothing_has_failed(
    capfd: pytest.CaptureFixture[str], out: Path, words: list[str], complaint: str
) -> None:
    base = odd("--work-delay", "5ms")
    code, said = gate(capfd, out, base, odd(*words), path="/work", pairs="900")
    assert code == 1, said
    assert re.search(complaint, said)
    assert "pair 2" not in said


def test_replies_of_another_length_are_told(capfd: pytest.CaptureFixture[str], out: Path) -> None:
    code, said = gate(capfd, out, odd(), odd("--body", "longer"))
    assert code in (0, 1, 3)
    assert "note: /: head's replies have 6 bytes of body, base's 3: do they do the same" in said


def test_a_base_that_fails_requests_ends_the_gate_with_the_first_pair(
    capfd: pytest.CaptureFixture[str], out: Path
) -> None:
    code, said = gate(capfd, out, odd("--status", "500"), odd(), pairs="900")
    assert code == 2, said
    assert re.search(r"crossover gate: base failed \d+ of \d+ requests.*; make base answer", said)
    content = json.loads((out / "gate.json").read_text())
    assert content["state"] == "failed"
    assert content["error"].startswith("base failed")


@pytest.mark.parametrize("side", ["base", "head"])
def test_a_side_that_does_not_start_is_told_with_its_output(
    capfd: pytest.CaptureFixture[str], out: Path, side: str
) -> None:
    sides = {"base": odd(), "head": odd(), side: odd("--nonsense")}
    code, said = gate(capfd, out, **sides)
    assert code == 2
    assert f"crossover gate: {side}: ended with exit code 2; its last output:\n" in said
    assert "unrecognized arguments: --nonsense" in said


def test_a_server_that_ends_with_a_good_exit_code_has_not_started(
    capfd: pytest.CaptureFixture[str], out: Path
) -> None:
    """A shell that swallows the exit code of a server makes no server of it."""
    swallowed = "sh -c 'echo cannot bind {port}; false || true'"
    code, said = gate(capfd, out, odd(), swallowed)
    assert code == 2
    assert "head: ended with exit code 0; its last output:\n  cannot bind" in said


def test_a_head_that_dies_under_load_is_a_regression(
    capfd: pytest.CaptureFixture[str], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers the probe and some more, and dies on the 100th request, in each pair."""
    monkeypatch.setattr("bench.gate.orders.WINDOW_LIMIT_S", 0.3)
    code, said = gate(capfd, out, odd(), odd("--dies-on", "/", "--dies-after", "100"))
    assert code == 1, said
    assert re.search(r"head failed \d+ of \d+ requests|head answered nothing in", said)


def test_the_files_that_a_ci_reads(
    capfd: pytest.CaptureFixture[str],
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    names = {"markdown": "gate.md", "junit": "gate.xml", "json": "gate.json", "figure": "gate.svg"}
    files = {name: tmp_path / "new" / file for name, file in names.items()}
    fast, slow = odd("--work-delay", "2ms"), odd("--work-delay", "40ms")
    code, said = gate(capfd, out, fast, slow, path="/work", metrics="throughput", pairs=5, **files)
    assert code == 1, said
    content = json.loads(files["json"].read_text())
    assert content["decision"]["exit_code"] == 1
    comment = files["markdown"].read_text()
    assert "Performance gate: regression" in comment
    assert "| throughput, /work at 8 connections | 0." in comment
    assert summary.read_text().startswith("before\n")
    assert comment in summary.read_text()
    suite = ElementTree.parse(files["junit"]).getroot()[0]
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("1", "0", "0")
    assert "head against base, pair by pair" in files["figure"].read_text()


def test_a_gate_that_measured_nothing_is_an_error_in_every_report(
    capfd: pytest.CaptureFixture[str],
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report, comment, content = (tmp_path / name for name in ("gate.xml", "gate.md", "gate.json"))
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    files = {"junit": report, "markdown": comment, "json": content}
    code, _ = gate(capfd, out, odd(), "false {port}", **files)
    assert code == 2
    for told in (comment, summary):
        assert told.read_text().startswith("### ⚠️ Performance gate: error\n")
        assert "head: ended with exit code 1" in told.read_text()
    assert "head: ended with exit code 1" in json.loads(content.read_text())["error"]
    suite = ElementTree.parse(report).getroot()[0]
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
    assert "head: ended with exit code 1" in str(suite[0][0].get("message"))


def test_a_folder_with_a_gate_in_it_is_not_written_over(
    capfd: pytest.CaptureFixture[str], out: Path
) -> None:
    out.mkdir()
    (out / "gate.json").write_text("{}")
    code, said = gate(capfd, out, odd(), odd())
    assert code == 2
    assert f"{out} holds a gate already: choose another --out" in said


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--micro", "--model", "asyncio"], "--micro gates benchmarks"),
        (["--micro-json", "x.json"], "give --micro too"),
        (["--markdown", "/proc/nope/x.md"], "choose another file for --markdown"),
        (["--json", "."], "--json . is a folder"),
        (["--junit", "x", "--markdown", "./x"], "two of the files to write are the same"),
    ],
)
def test_what_could_not_end_well_is_refused_before_anything_is_measured(
    capfd: pytest.CaptureFixture[str], out: Path, words: list[str], complaint: str
) -> None:
    assert main(["gate", "--base", "HEAD", *words, "--out", str(out)]) == 2
    assert complaint in capfd.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("method", ["__init__", "kill"])
def test_a_signal_while_a_side_is_started_or_ended_leaves_nothing(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """A server that lives on would write what it compiles into the folder that is removed."""
    whole = getattr(Process, method)

    def interrupted(process: Process, *words: Any, **options: Any) -> Any:
        if method == "kill" and process.name == "base":
            signal.raise_signal(signal.SIGTERM)
        answer = whole(process, *words, **options)
        if method == "__init__" and process.name == "head":
            signal.raise_signal(signal.SIGTERM)
        return answer

    monkeypatch.setattr(Process, method, interrupted)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    words = [word for pair in SHORT.items() for word in pair]
    sides = ["--base", serving("asyncio"), "--head", serving("asyncio")]
    assert main(["gate", *sides, *words, "--out", str(out)]) == 130
    assert processes_below() == []
    assert list(tmp_path.glob("crossover-gate-*")) == []


def test_a_signal_ends_it_as_ctrl_c_does(out: Path, tmp_path: Path) -> None:
    """SIGTERM is what a CI sends that cancels a job."""
    words = [word for pair in SHORT.items() for word in pair]
    sides = ["--base", serving("asyncio"), "--head", serving("asyncio")]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "gate", *sides, *words, "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    slices = out / "slices.jsonl"
    while not (slices.exists() and slices.stat().st_size) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"what was measured is in {out}" in said
    assert json.loads((out / "gate.json").read_text())["state"] == "interrupted"
    assert list(tmp_path.glob("crossover-gate-*")) == []
