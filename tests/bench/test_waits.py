"""Delivered delay: who is late by how much and who wakes too early, in figure, table and words."""

import json

import pytest
from synthetic import KEEP_ALIVE, write_run, write_waits

from bench.errors import UserError
from bench.present import waits as shown
from bench.present.charts import draw_figures
from bench.present.report import write_report
from bench.present.style import styles
from bench.store import read_run, read_waits

TARGETS = ["threaded", "selectors", "uvloop", "trio"]
GRID = KEEP_ALIVE | {"targets": TARGETS, "connections": [16], "pairs": [], "delays_s": [0.0]}


@pytest.fixture
def waits(tmp_path):
    write_run(tmp_path, grids=[GRID], rounds=1, old=False)
    write_waits(tmp_path, TARGETS)
    return read_waits(read_run(tmp_path))


def test_words_name_the_worst_of_each_load_and_whoever_woke_too_early(waits):
    idle, loaded, early = shown.words(waits).sentences
    assert idle.startswith("A wait of 20 ms, idle: medians are 60.0 to 3,600 us late;")
    assert "the worst is trio, p50 3,600 us, p99 14,400 us, most 72,000 us late" in idle
    assert "over 40,000 waits" in loaded
    assert early == "Woke too early: selectors by up to 900 us."


def test_nobody_too_early_is_said_too(waits):
    on_time = [wait for wait in waits if wait["target"] != "selectors"]
    assert shown.words(on_time).sentences[-1] == "No wait ended before its time."


def test_the_table_has_every_target_idle_and_loaded(waits):
    rows = shown.rows(waits)
    assert len(rows) == 2 * len(TARGETS)
    assert rows[2][:6] == ["selectors", "20 ms", "idle", "1", "500", "-900"]
    assert all(len(row) == len(shown.TABLE) for row in rows)


def test_the_figure_has_both_loads_and_marks_what_is_too_early(waits, tmp_path):
    (chart,) = draw_figures(tmp_path, shown.drawings(waits, styles(TARGETS)))
    for words in (*TARGETS, "idle: 1 connection", "loaded: 256 connections", "woke too early"):
        assert words in chart.svg
    assert ">-1 ms<" in chart.svg.replace("\u2212", "-")  # the axis reaches to what is too early


def test_a_target_that_recorded_nothing_is_a_row_of_dashes_and_in_no_figure(waits, tmp_path):
    silent = [wait | {"samples": 0, "oversleep_us": None} for wait in waits]
    assert shown.rows(silent)[0][4:6] == ["0", "-"]
    assert list(shown.drawings(silent, styles(TARGETS))) == []
    assert shown.words(silent).sentences == []


def test_the_report_has_the_section_only_where_it_was_measured(waits, tmp_path):
    write_report(tmp_path)
    assert '<section id="waits">' in (tmp_path / "report.html").read_text()
    (tmp_path / "waits.jsonl").unlink()
    write_report(tmp_path)
    assert '<section id="waits">' not in (tmp_path / "report.html").read_text()


def test_a_corrupted_file_is_told_in_one_line(waits, tmp_path):
    line = json.dumps(waits[0] | {"oversleep_us": {"min": 1}})
    (tmp_path / "waits.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match=r"waits\.jsonl line 1 lacks oversleep_us\.p1"):
        write_report(tmp_path)
