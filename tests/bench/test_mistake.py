"""The mistake: block against delay of one target, paired by round, in figure, table and words."""

import pytest
from synthetic import KEEP_ALIVE, invalid, write_run

from bench.analyse.mistake import losses_of
from bench.present import mistakes
from bench.present.charts import draw_figures
from bench.present.style import styles
from bench.store import read_run

GRID = KEEP_ALIVE | {
    "targets": ["threaded", "asyncio-threads", "uvloop", "trio"],
    "works": ["/delay=20ms", "/block=20ms", "/block=5ms", "/block=20ms/delay=1ms"],
    "connections": [1, 16],
    "pairs": [],
}


def losses(folder, change=lambda trial: trial, rounds=4):
    more = {"grids": [GRID], "old": False, "noise": 0.005}
    return losses_of(read_run(write_run(folder, rounds=rounds, change=change, **more)))


def of(found, target, connections):
    (one,) = (
        loss for loss in found if (loss.target, loss.point["connections"]) == (target, connections)
    )
    return one


def test_a_loop_loses_what_its_threads_would_not(tmp_path):
    found = losses(tmp_path)
    assert len(found) == 4 * 2  # targets x connections; 5 ms has no delay, the mix is no call
    uvloop = of(found, "uvloop", 16).finding
    assert uvloop.verdict == "B"
    assert uvloop.low < 1 / 16 < uvloop.high * 1.05  # one after another
    assert of(found, "uvloop", 1).finding.verdict == "equal"
    assert of(found, "threaded", 16).finding.verdict == "equal"
    assert of(found, "asyncio-threads", 16).finding.verdict == "equal"


def test_both_works_are_paired_within_each_round(tmp_path):
    """The machine halves its speed every round, yet block / delay is 1/8 in each."""

    def change(trial):
        return trial | {
            "throughput_rps": (80.0 if "delay" in trial["work"] else 10.0) / 2 ** trial["round"]
        }

    finding = of(losses(tmp_path, change), "trio", 16).finding
    assert (finding.ratio, finding.low, finding.high) == pytest.approx((1 / 8, 1 / 8, 1 / 8))


def test_throughputs_are_means_over_the_rounds_that_count(tmp_path):
    def change(trial):
        lost = trial["work"] == "/block=20ms" and trial["round"] == 0
        return invalid(trial, "busy") if lost else trial | {"throughput_rps": 7.0 + trial["round"]}

    loss = of(losses(tmp_path, change, rounds=3), "trio", 16)
    assert loss.finding.rounds == 2
    assert loss.delay_rps == pytest.approx((8 * 9) ** 0.5)


def test_invalid_points_are_shown_as_such(tmp_path):
    def change(trial):
        lost = trial["target"] == "trio" and trial["work"] == "/block=20ms"
        return invalid(trial, "trio: died") if lost else trial

    found = losses(tmp_path, change)
    row = next(row for row in mistakes.rows(found) if row[0] == "trio")
    assert row[-1] == "invalid: 0 of 4 rounds valid; /block=20ms: trio: died"
    assert "invalid: trio" in mistakes.words(found).sentences[0]
    (chart,) = draw_figures(tmp_path, mistakes.drawings(found, styles(GRID["targets"])))
    assert chart.svg.count(">invalid<") == 2


def test_words_and_figure_tell_who_loses_and_who_does_not(tmp_path):
    found = losses(tmp_path)
    (said,) = mistakes.words(found).sentences
    assert said.startswith(
        "At 20 ms, connection: keep-alive, 16 connections: block / delay is 0.06"
    )
    assert "(trio)" in said
    assert "(uvloop)" in said
    assert said.endswith("no loss, equal: asyncio-threads and threaded.")
    (chart,) = draw_figures(tmp_path, mistakes.drawings(found, styles(GRID["targets"])))
    assert chart.name == "block-20-ms-connection--keep-alive"
    for words in (*GRID["targets"], "16 connections", "block: a library call that blocks"):
        assert words in chart.svg
    assert all(len(row) == len(mistakes.TABLE) for row in mistakes.rows(found))
