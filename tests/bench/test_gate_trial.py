"""The trial of the gate: it counts right, its proof can fail, and CI lets nothing through but 3."""

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.gate.decide import decide
from bench.gate.rule import Rule
from bench.gate.slices import samples_of
from bench.trials import gate as trial
from bench.trials import gate_subjects
from bench.trials.false_alarms import Rate, pairs_of, resampled
from bench.trials.gate_subjects import subject

WORK = "/ at 8 connections"


def held(outcome: str, **more: Any) -> dict[str, Any]:
    return {"outcome": outcome, "elapsed_s": 150.0, **more}


def test_none_in_forty_bounds_the_rate_at_7_per_cent() -> None:
    """1 - 0.05^(1/40) = 7.2%; and all of three leave nothing out: the bound is 1."""
    assert Rate(0, 40).upper == pytest.approx(0.0722, abs=1e-4)
    assert Rate(0, 300).upper == pytest.approx(3 / 300, rel=0.01)  # the rule of three
    assert Rate(3, 3).upper == 1.0
    assert Rate(3, 3).lower == pytest.approx(0.05 ** (1 / 3))
    assert Rate(0, 5).lower == 0.0


def test_the_counts_are_those_of_the_lines() -> None:
    findings = [{"metric": "p99", "ratio": 2.0}, {"metric": "cpu", "ratio": None}]
    lines = [
        held("pass", findings=findings),
        held("pass", elapsed_s=171.0),
        held("inconclusive"),
        {"outcome": "error"},
    ]
    assert trial.summary("aa", lines) == (
        "aa: 3 gates: 2 pass, 0 regression, 1 inconclusive; regression: 0 of 3 (at most 63.2%, "
        "95% confidence); longest 171 s; head / base: p99 2.000; 1 could not be held"
    )
    assert "pass: 2 of 3 (at most 98.3%" in trial.summary("tail", lines)


@pytest.mark.parametrize(
    ("kind", "line", "wrong"),
    [
        ("aa", held("pass"), False),
        ("aa", held("inconclusive"), False),
        ("aa", held("regression"), True),
        ("tail", held("regression"), False),
        ("tail", held("pass"), True),
        ("cpu", held("regression", elapsed_s=181.0), True),
        ("cpu", {"outcome": "error"}, True),
    ],
)
def test_what_must_not_be(kind: str, line: dict[str, Any], wrong: bool) -> None:
    assert trial.is_wrong(kind, line) == wrong


@pytest.mark.parametrize(("code", "passed_on"), [(0, 0), (1, 1), (2, 2), (3, 0), (130, 130)])
def test_only_inconclusive_is_let_through(code: int, passed_on: int) -> None:
    assert trial.tolerant(code) == passed_on


def test_every_gate_of_equal_sides_would_end_as_it_did_under_the_rule_of_today() -> None:
    """The rule has changed since the first were held; its slices are kept."""
    gates = trial.read_lines(trial.FOLDER / "gate-aa.jsonl")
    slices: dict[int, list[dict[str, Any]]] = {}
    for line in trial.read_lines(trial.FOLDER / "gate-aa-slices.jsonl"):
        slices.setdefault(line["seed"], []).append(line)
    for gate in gates:
        metrics = {name: tuple(found) for name, found in gate["pair_ratios"].items()}
        again = decide(samples_of(slices[gate["seed"]], metrics))
        assert (gate["seed"], again.outcome) == (gate["seed"], gate["outcome"])


class FakeSubject:
    """A subject whose gates end as told, one after the other."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)

    def gate(self, *_: str) -> tuple[int, str]:
        return self.codes.pop(0), "said"


@pytest.mark.parametrize(
    ("codes", "proved"),
    [((1,), 0), ((3, 1), 0), ((0,), 1), ((2,), 1), ((3, 3, 3), 1), ((3, 0), 1)],
)
def test_the_proof_fails_unless_the_slowdown_is_caught(
    codes: tuple[int, ...], proved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeSubject(*codes)
    monkeypatch.setattr(trial, "subject", lambda *_: fake)
    assert trial.prove("1s") == proved
    assert fake.codes == []


def test_without_a_parent_commit_there_is_nothing_to_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    monkeypatch.setattr(trial, "CHECKOUT", tmp_path)
    assert trial.gate_parent("1s", ("asyncio",)) == 0
    assert "there is no parent commit here" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "differs"),
    [
        ("aa", "+# The same program."),
        ("cpu", "+            for _ in range(500):"),
        ("gross", "+            for _ in range(500):"),
        ("tail", "await trio.sleep(step.seconds + (0.002 if next(TURN) % 50 == 0 else 0.0))"),
    ],
)
def test_what_a_head_is(
    kind: str, differs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_subjects, "loop_worth", lambda share: (100.0, 500))
    made = subject(tmp_path, kind)
    command = ["git", "-C", str(made.folder), "diff", "base", "head"]
    diff = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert differs in diff
    compile((made.folder / gate_subjects.DRIVER).read_text(), "driver", "exec")


def recorded(*ratios: float | None) -> dict[str, Any]:
    return {"pair_ratios": {WORK: {"cpu": list(ratios), "p99": [1.0, *ratios[1:]]}}}


def test_whole_pairs_are_drawn_with_all_their_metrics() -> None:
    pairs = pairs_of([recorded(1.0, 1.1), recorded(None, 0.9)])
    assert [sorted(metric for _, metric in pair) for pair in pairs] == [
        ["cpu", "p99"],
        ["cpu", "p99"],
        ["p99"],
        ["cpu", "p99"],
    ]


def test_resampling_equal_sides_raises_hardly_any_alarm_and_slow_ones_are_symmetric() -> None:
    """Pairs around 1 by 1% pass; ones that all are 10% off give no alarm once signs are flipped."""
    dice = random.Random(3)
    gates = [recorded(*(1 + dice.gauss(0, 0.01) for _ in range(12))) for _ in range(5)]
    rates = resampled(pairs_of(gates), 100, 16, Rule(), random.Random(1))
    assert rates["regression"].events <= 2
    assert rates["pass"].events >= 90
    slow = resampled(pairs_of([recorded(*[1.1] * 12)]), 100, 16, Rule(), random.Random(1))
    assert slow["regression"].events <= 4  # all signs alike in ten draws: 2 of 1,024


def test_resampling_without_enough_pairs_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "gate-aa.jsonl"
    file.write_text(json.dumps({"outcome": "pass", **recorded(1.0)}) + "\n")
    with pytest.raises(trial.UserError, match="holds 1 pairs: hold some gates of equal sides"):
        trial.resample(file, 10)


def test_a_loop_of_twice_the_time_has_about_twice_the_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a round beyond the 256th costs three times as much: 256 + 3 x 1,744 for 2,000."""

    def repeat(loop: str, number: int, repeat: int) -> list[float]:
        rounds = int(loop.partition("range(")[2].partition(")")[0])
        cost = min(rounds, 256) + 3 * max(0, rounds - 256)
        return [number * cost * 10e-9] * repeat

    monkeypatch.setattr(gate_subjects.timeit, "repeat", repeat)
    asked_us = (256 + 3 * 1744) * 10e-3
    assert gate_subjects.rounds_for(asked_us) == pytest.approx(2000, rel=0.01)
