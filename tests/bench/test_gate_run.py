"""The gate on real commands: faster, slower, broken, absent."""

import re
import shlex
import sys

import odd_server
import pytest
from harness import ROOT, processes_below

from bench.cli import main

SHORT = {"--pairs": "2", "--couples": "1", "--window": "50ms", "--connections": "8"}


def serving(model: str) -> str:
    return (
        f"{shlex.quote(sys.executable)} -m servers {model} --spin-rounds-per-us 10 --port {{port}}"
    )


def odd(*flags: str) -> str:
    return shlex.join([*odd_server.COMMAND, "--port", "{port}", *flags])


def gate(capfd: pytest.CaptureFixture[str], base: str, head: str, **more: str) -> tuple[int, str]:
    """The gate's exit code and what it printed, stdout and stderr together."""
    options = SHORT | {f"--{name}": value for name, value in more.items()}
    words = [word for pair in options.items() for word in pair]
    code = main(["gate", "--base", base, "--head", head, *words])
    assert processes_below() == []
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return code, out + err


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_the_same_against_itself_is_never_called_slower(capfd: pytest.CaptureFixture[str]) -> None:
    """Two pairs are few: inconclusive (3) as a rule, a pass (0) by luck."""
    code, said = gate(capfd, serving("uvloop"), serving("uvloop"), path="/delay=2ms")
    assert code in (0, 3)
    outcome = {0: "pass", 3: "inconclusive"}[code]
    assert f"{outcome} (/delay=2ms, 8 connections, 2 process pairs)\n" in said
    ratio = r"throughput: head / base \d\.\d{3} \[\d\.\d{3}, "
    too_few = r"throughput: measured in [01] process pairs, at least 2 are needed"
    # On a busy machine a slice can be invalid, and its pair is missing.
    assert re.search(ratio if code == 0 else f"{ratio}|{too_few}", said)
    assert "pair 1 of 2 measured, " in said
    assert "pair 2 of 2 measured, 0 s left" in said


def test_a_gross_slowdown_is_a_regression(capfd: pytest.CaptureFixture[str]) -> None:
    """8 connections x 2 ms: 4,000 a second at most; one at a time: 500. An eighth."""
    code, said = gate(capfd, serving("uvloop"), serving("blocking"), path="/delay=2ms", pairs="3")
    assert code == 1, said
    assert "regression (/delay=2ms, 8 connections, 3 process pairs)\n" in said
    assert "slower by more than 5%" in said


def test_a_gross_gain_is_none(capfd: pytest.CaptureFixture[str]) -> None:
    code, said = gate(capfd, serving("blocking"), serving("uvloop"), path="/delay=2ms", pairs="3")
    assert code == 0, said
    assert "not slower by more than 5%" in said


def test_a_head_that_fails_requests_is_a_regression_whatever_its_speed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.measure.foreign.FAILING_S", 0.1)
    code, said = gate(capfd, odd(), odd("--status", "500"), path="/")
    assert code == 1, said
    assert re.search(r"head failed \d+ of \d+ requests, base did not", said)


def test_a_base_that_fails_requests_ends_the_gate_with_the_first_pair(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.measure.foreign.FAILING_S", 0.1)
    code, said = gate(capfd, odd("--status", "500"), odd(), path="/", pairs="1000")
    assert code == 2, said
    assert re.search(r"^crossover gate: base failed \d+ of \d+ requests; make base answer", said)


@pytest.mark.parametrize("side", ["base", "head"])
def test_a_side_that_does_not_start_is_told_with_its_output(
    capfd: pytest.CaptureFixture[str], side: str
) -> None:
    sides = {"base": odd(), "head": odd(), side: odd("--nonsense")}
    code, said = gate(capfd, **sides, path="/")
    assert code == 2
    assert f"crossover gate: {side}: ended with exit code 2; its last output:\n" in said
    assert "unrecognized arguments: --nonsense" in said


def test_a_head_that_dies_under_load_is_a_regression(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers the probe and some more, and dies on the 100th request, in each pair."""
    monkeypatch.setattr("bench.gate.measure.WINDOW_LIMIT_S", 0.3)
    code, said = gate(capfd, odd(), odd("--dies-on", "/", "--dies-after", "100"), path="/")
    assert code == 1, said
    assert re.search(r"head failed \d+ of \d+ requests, base did not", said)
