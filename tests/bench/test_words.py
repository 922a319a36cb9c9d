"""The verdict in words: what is said, in which order, and what is never said."""

import re
from dataclasses import replace

import pytest
from synthetic import CLOSE, KEEP_ALIVE, invalid, write_run

from bench.analyse.verdicts import Comparison, comparisons, summary
from bench.present.report import write_report
from bench.present.units import (
    count_text,
    delay_text,
    factor_text,
    interval_text,
    list_text,
    number_text,
    tick_text,
)
from bench.present.words import advantage_text, as_text, verdict_words
from bench.store import Run, read_run

GRID = {
    "connection": "keep-alive",
    "targets": ["uvloop", "threaded"],
    "delays_s": [0.05],
    "connections": [1, 16, 128, 1024],
    "pairs": [["uvloop", "threaded"]],
}
BASE = Comparison(
    work="/delay=50ms",
    delay_s=0.05,
    connection="keep-alive",
    connections=1,
    workers=1,
    units=None,
    server_cores=1,
    a="uvloop",
    b="threaded",
    metric="throughput",
    ratio=1.0,
    low=0.98,
    high=1.02,
    rounds=6,
    verdict="equal",
    label="equal",
    reason=None,
    at_least=False,
)
OUTCOMES = {
    "A": {"ratio": 2.1, "low": 1.9, "high": 2.3},
    "B": {"ratio": 0.5, "low": 0.4, "high": 0.8},
    "equal": {},
    "undecided": {"low": 0.9, "high": 1.1, "reason": "wide"},
    "invalid": {"ratio": None, "low": None, "high": None, "reason": "threaded: died"},
}


def row(*verdicts, **more):
    """Comparisons at 1, 16, 128 and 1,024 connections with these verdicts."""
    return [
        replace(BASE, connections=n, verdict=verdict, **(OUTCOMES[verdict] | more))
        for n, verdict in zip((1, 16, 128, 1024), verdicts, strict=False)
    ]


def said(compared, **info):
    targets = [{"name": "uvloop", "family": "async"}, {"name": "threaded", "family": "sync"}]
    config = {"grids": [GRID], "confidence": 0.95, "margin": 0.05}
    known = {"name": "r", "state": "complete", "targets": targets, "config": config}
    run = Run(None, known | info, [], torn=False)
    return as_text(verdict_words(run, compared, summary(run, compared)))


@pytest.mark.parametrize(
    ("verdicts", "sentence"),
    [
        (
            ("equal", "equal", "A", "A"),
            "At 50 ms: uvloop beats threaded from 128 connections on: 2.10x [1.90, 2.30] at 128,"
            " 2.10x [1.90, 2.30] at 1,024; equal at 1 and 16 connections"
            " (all intervals within [0.98, 1.02]).",
        ),
        (
            ("A", "A", "A", "A"),
            "uvloop beats threaded at every number of connections measured (1 to 1,024)",
        ),
        (("B", "B", "B", "A"), "threaded beats uvloop up to 128 connections: 2.00x [1.25, 2.50]"),
        (("A", "equal", "equal", "equal"), "uvloop beats threaded at 1 connection: 2.10x"),
        (("A", "equal", "A", "equal"), "uvloop beats threaded at 1 and 128 connections"),
        (("A", "equal", "A", "A"), "uvloop beats threaded at 1, 128 and 1,024 connections"),
        (("equal", "undecided"), "undecided at 16 connections (interval [0.90, 1.10])"),
        (("equal", "invalid"), "not judged at 16 connections (threaded: died)"),
    ],
)
def test_a_delay_is_told_in_one_sentence(verdicts, sentence):
    assert sentence in said(row(*verdicts))


def test_works_of_one_delay_are_told_apart_by_their_paths():
    text = said([*row("A", "A"), *row("B", "B", work="/block=50ms")])
    assert "At 50 ms: uvloop beats threaded" in text
    assert "At 50 ms (/block=50ms): threaded beats uvloop" in text


def test_settings_are_named_where_they_differ_or_are_not_plain():
    own, one, four = (row("A", "A", workers=n) for n in (None, 1, 4))
    assert "At 50 ms: " in said(own)
    assert "At 50 ms: " in said(one)  # an old run: 1 everywhere
    both = said([*own, *one])
    assert "At 50 ms: " in both
    assert "At 50 ms, 1 worker: " in both
    assert "At 50 ms, 4 workers: " in said(four)
    assert "At 50 ms, 8 units: " in said(row("A", units=8))
    cores = said([*row("A"), *row("B", server_cores=2)])
    assert "At 50 ms, 1 server core: " in cores
    assert "At 50 ms, 2 server cores: " in cores


def test_from_n_on_is_never_said_across_a_gap():
    assert "connections on" not in said(row("A", "A", "equal", "A"))


def test_an_advantage_is_above_one_whoever_has_it():
    less_is_better = replace(BASE, metric="p99", verdict="A", ratio=0.5, low=0.4, high=0.8)
    assert advantage_text(less_is_better) == "2.00x [1.25, 2.50]"
    assert advantage_text(row("B")[0]) == "2.00x [1.25, 2.50]"
    bound = replace(less_is_better, low=None, at_least=True)
    assert advantage_text(bound) == "at least 2.00x [1.25, ?]"


def test_limits_come_last_and_count_everything():
    text = said(row("A", "equal", "undecided"), state="interrupted", rounds_done=3)
    last = text[text.index("How far this reaches") :]
    assert "not complete (interrupted, 3 whole rounds)" in last
    assert "throughput: 2 of 3 comparisons decided, 1 undecided, 1 not measured." in last
    assert "of 3 intervals about 0.15 miss it" in last


def test_notes_and_a_shared_core_are_told():
    text = said(row("A"), notes=["The clock stepped."], shared_core=True)
    assert "The clock stepped." in text
    assert "shared a core" in text


def test_a_core_that_some_cells_share_is_told_with_their_number_of_cores(tmp_path):
    def change(trial):
        return trial | {"server_cores": 1 + trial["round"], "shared_core": trial["round"] == 1}

    run = read_run(write_run(tmp_path, rounds=2, grids=[GRID], change=change))
    text = as_text(verdict_words(run, [], summary(run, [])))
    assert "With 2 server cores server and generator shared a core, so each" in text


def test_cells_that_had_mostly_not_settled_are_named(tmp_path):
    def change(trial):
        late = trial["target"] == "threaded" and (trial["connections"] == 16 or trial["round"] == 1)
        return trial | {"settled": not late}

    run = read_run(write_run(tmp_path, rounds=3, grids=[GRID], change=change))
    text = as_text(verdict_words(run, [], summary(run, [])))
    (line,) = [line for line in text.splitlines() if "Still speeding up" in line]
    assert "threaded at" in line
    assert " x 16 (keep-alive)" in line
    assert "uvloop" not in line
    assert " x 1 (" not in line


def test_a_real_run_starts_with_its_first_pair_and_gives_no_ratio_without_an_interval(tmp_path):
    def change(trial):
        lost = trial["target"] == "trio" and trial["connections"] == 16
        return invalid(trial, "the server died") if lost else trial

    run = read_run(write_run(tmp_path, change=change))
    compared = comparisons(run)
    text = as_text(verdict_words(run, compared, summary(run, compared)))
    assert text.startswith("uvloop against threaded (async against sync), connection: keep-alive")
    ratios = re.findall(r"\d[\d.,]*x(?= )", text)
    assert len(ratios) > 10
    assert len(ratios) == len(re.findall(r"\d[\d.,]*x \[", text))
    assert "trio: the server died" in text
    assert "users" not in text


def test_one_round_is_told_as_such(tmp_path):
    run = read_run(write_run(tmp_path, rounds=1, grids=[KEEP_ALIVE]))
    compared = comparisons(run)
    text = as_text(verdict_words(run, compared, summary(run, compared)))
    assert "one round gives no interval" in text
    assert "beats" not in text


def test_numbers_as_text():
    assert [delay_text(d) for d in (0, 0.0005, 0.005, 0.2, 1.5)] == [
        "0 ms",
        "500 us",
        "5 ms",
        "200 ms",
        "1.5 s",
    ]
    assert [factor_text(r) for r in (None, 0.004567, 0.5, 2.1, 33.64, 2740.6)] == [
        "?",
        "0.0046",
        "0.50",
        "2.10",
        "33.6",
        "2,741",
    ]
    assert [number_text(x) for x in (None, float("nan"), 0, 1234567, 0.01234)] == [
        "-",
        "-",
        "0",
        "1,234,567",
        "0.0123",
    ]
    assert [tick_text(x) for x in (0, 0.5, 1, 20000)] == ["0", "0.5", "1", "20,000"]
    assert interval_text(None, 1.5) == "[?, 1.50]"
    assert list_text(["1", "2", "3"]) == "1, 2 and 3"
    assert count_text(1024) == "1,024"


def test_the_last_output_of_a_server_is_not_part_of_a_sentence(tmp_path):
    died = "uvloop: ended with signal SIGKILL; its last output:\n  ready at port 5\n  bye"
    run = write_run(
        tmp_path,
        grids=[CLOSE],
        rounds=2,
        change=lambda t: invalid(t, died) if t["target"] == "uvloop" else t,
    )
    text = as_text(write_report(run).sections)
    assert "(0 of 2 rounds valid; uvloop: ended with signal SIGKILL)" in text
    assert "bye" not in text
