"""Decompositions: steps multiply to the total, rounds count whole, undecided says so."""

import json
import math

import pytest
from synthetic import KEEP_ALIVE, invalid, write_run
from truth import LADDER, throughput_rps

from bench.analyse.ladder import as_verdict, ladders_of
from bench.errors import UserError
from bench.present import ladders as shown
from bench.present.charts import draw_figures
from bench.present.report import write_report
from bench.store import read_run

RUNGS = LADDER["rungs"]
GRID = KEEP_ALIVE | {
    "targets": RUNGS,
    "works": ["/", "/delay=20ms"],
    "connections": [16, 256],
    "pairs": [["uvicorn-uvloop", "gunicorn-gthread"]],
}


def run_of(folder, ladder=LADDER, **more):
    given = {"grids": [GRID], "rounds": 6, "old": False, "config": {"ladders": [ladder]}}
    return read_run(write_run(folder, **(given | more)))


def logs(steps):
    return [math.log(step.finding.ratio) for step in steps]


def test_steps_add_up_to_the_total_exactly_even_where_rounds_are_missing(tmp_path):
    def change(trial):
        lost = trial["target"] == "thread-pool" and trial["round"] == 2
        return invalid(trial, "thread-pool: died") if lost else trial

    found = ladders_of(run_of(tmp_path, change=change, noise=0.3))
    assert len(found) == 4  # 2 works x 2 numbers of connections
    for ladder in found:
        assert ladder.total.finding.rounds == 5
        assert math.fsum(logs(ladder.steps)) == pytest.approx(logs([ladder.total])[0], abs=1e-12)
        assert math.fsum(logs(ladder.parts)) == pytest.approx(logs([ladder.total])[0], abs=1e-12)


def test_a_lower_bound_is_no_rung(tmp_path):
    """What is only known to be at least so much cannot be split into parts."""

    def change(trial):
        if trial["target"] == "thread-pool" and trial["round"] == 2:
            reasons = ["the generator was busy 95% of the window (limit 90%)"]
            return trial | {"valid": False, "invalid_reasons": reasons}
        return trial

    for ladder in ladders_of(run_of(tmp_path, change=change)):
        assert ladder.total.finding.rounds == 5
        assert all(step.finding.rounds == 5 for step in ladder.steps)


def test_each_step_is_the_ratio_of_two_neighbours(tmp_path):
    found = {x.point["work"]: x for x in ladders_of(run_of(tmp_path, noise=1e-6))}["/"]
    for step, first, second in zip(found.steps, RUNGS, RUNGS[1:], strict=False):
        truth = throughput_rps(second, 0.0, 16) / throughput_rps(first, 0.0, 16)
        assert step.finding.ratio == pytest.approx(truth, rel=1e-3)
        assert (step.first, step.second) == (first, second)


def test_steps_of_one_name_are_summed_up_as_a_part(tmp_path):
    found = ladders_of(run_of(tmp_path))[0]
    assert [part.name for part in found.parts] == [
        "HTTP and framework code",
        "concurrency model",
        "event loop",
    ]
    http = found.steps[0].finding.ratio * found.steps[3].finding.ratio
    assert found.parts[0].finding.ratio == pytest.approx(http)
    low, high = found.parts[0].finding.low, found.parts[0].finding.high
    assert low < found.parts[0].finding.ratio < high


def test_shares_are_parts_of_the_log_of_a_total_that_is_decided(tmp_path):
    found = {(x.point["work"], x.point["connections"]): x for x in ladders_of(run_of(tmp_path))}
    decided = found["/", 16]
    assert decided.total.finding.verdict == "A"
    assert math.fsum(step.share for step in decided.steps) == pytest.approx(1)
    bound = found["/delay=20ms", 16]  # N / d, whoever serves
    assert bound.total.finding.verdict == "equal"
    assert {step.share for step in bound.steps} == {None}


def test_a_point_without_one_of_the_rungs_has_no_ladder(tmp_path):
    def change(trial):
        missing = trial["target"] == "asyncio-protocol" and trial["connections"] == 256
        return None if missing else trial

    found = ladders_of(run_of(tmp_path, change=change))
    assert {ladder.point["connections"] for ladder in found} == {16}


def test_too_few_whole_rounds_are_invalid_and_the_words_say_why(tmp_path):
    def change(trial):
        lost = trial["target"] == "thread-pool" and trial["round"] > 0
        return invalid(trial, "thread-pool: died") if lost else trial

    found = ladders_of(run_of(tmp_path, change=change))
    assert {ladder.total.finding.verdict for ladder in found} == {"invalid"}
    assert "1 of 6 rounds valid; thread-pool: died" in found[0].steps[0].finding.reason
    assert list(shown.drawings(found)) == []
    assert shown.words(found).sentences == [
        "gunicorn-gthread to uvicorn-uvloop (connection: keep-alive):"
        " of 4 points the whole difference is invalid at 4."
    ]
    assert "invalid: 1 of 6 rounds valid" in shown.rows(found)[0][-1]


def test_one_round_decides_nothing(tmp_path):
    found = ladders_of(run_of(tmp_path, rounds=1))
    assert {ladder.total.finding.verdict for ladder in found} == {"undecided"}
    assert len(draw_figures(tmp_path, shown.drawings(found))) == 1


def test_a_ladder_whose_steps_do_not_fit_is_refused_in_one_line(tmp_path):
    run = run_of(tmp_path, ladder=LADDER | {"steps": ["one"]}, rounds=1)
    with pytest.raises(UserError, match="5 rungs with 1 steps"):
        ladders_of(run)


def test_words_tell_the_largest_difference_and_what_it_is_made_of(tmp_path):
    found = ladders_of(run_of(tmp_path))
    first, rest = shown.words(found).sentences
    assert first.startswith(
        "gunicorn-gthread to uvicorn-uvloop (connection: keep-alive): the difference is largest at"
        " 20 ms and 256 connections, throughput "
    )
    assert "concurrency model" in first
    assert rest.endswith("of 4 points the whole difference is equal at 1.")


def test_the_table_has_steps_sums_and_totals(tmp_path):
    found = ladders_of(run_of(tmp_path))
    rows = shown.rows(found[:1])
    assert [row[3] for row in rows] == [*LADDER["steps"], "all HTTP and framework code", "total"]
    assert rows[-1][4:6] == ["gunicorn-gthread", "uvicorn-uvloop"]
    assert rows[-1][8] == "100%"
    assert all(len(row) == len(shown.TABLE) for row in rows)


def test_a_waterfall_has_every_step_and_its_numbers(tmp_path):
    found = ladders_of(run_of(tmp_path))
    (chart,) = draw_figures(tmp_path, shown.drawings(found))
    assert chart.name == "ladder-gunicorn-gthread-uvicorn-uvloop-keep-alive-delay"
    for words in ("event loop", "gunicorn-gthread to thread-pool", "20 ms, 256 connections"):
        assert words in chart.svg
    for row in shown.rows(found):
        if not row[3].startswith("all "):
            assert f"{row[6]} {row[7]}" in chart.svg


def test_verdicts_hold_the_ladders(tmp_path):
    run = run_of(tmp_path)
    write_report(tmp_path)
    stored = json.loads((tmp_path / "verdicts.json").read_text())["ladders"]
    assert stored == [as_verdict(found) for found in ladders_of(run)]
    assert stored[0]["work"] == "/"
    assert stored[0]["total"]["verdict"] == "faster"
    assert [step["name"] for step in stored[0]["steps"]] == LADDER["steps"]
    assert {"ratio", "low", "high", "share", "from", "to"} <= set(stored[0]["steps"][0])
