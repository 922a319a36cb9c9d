"""The model against whole runs: what it may see, how errors are counted, and how it is shown."""

from __future__ import annotations

import json

import pytest
from synthetic import CLOSE, KEEP_ALIVE, invalid, write_run

from bench.analyse.frames import trials_frame
from bench.analyse.prediction import (
    as_verdict,
    errors_by,
    errors_of,
    model_of_run,
    worst,
)
from bench.present import predictions
from bench.present.charts import draw_figures
from bench.present.report import write_report
from bench.present.style import styles
from bench.store import read_run

GRID = KEEP_ALIVE | {"connections": [1, 16, 128, 256], "delays_s": [0.0, 0.005, 0.02, 0.05]}
TARGETS = ("threaded", "asyncio", "uvloop", "trio")


def modelled(folder, **options):
    options = {"grids": [GRID], "old": False, "rounds": 3, "noise": 0.005} | options
    run = read_run(write_run(folder, **options))
    return model_of_run(run, trials_frame(run))


def of(found, target, work, connections):
    (one,) = (
        each
        for each in found.cells
        if (each.cell["target"], each.cell["work"], each.cell["connections"])
        == (target, work, connections)
    )
    return one


def test_it_predicts_runs_whose_truth_is_not_its_own(tmp_path):
    """The truth has no queue: min(N / (d + s), 1 / s). Of 4 x 4 cells 2 x 3 are fitted."""
    found = modelled(tmp_path)
    assert [each.target for each in found.parameters] == list(TARGETS)
    assert len(found.cells) == 4 * 4 * 4
    assert len(found.held_out) == 4 * (4 * 4 - 2 * 3)
    errors = errors_of(found.held_out)
    assert errors.throughput_median < 0.03
    assert errors.throughput_p90 < 0.12
    assert errors.response_median < 0.03
    assert not of(found, "asyncio", "/delay=50ms", 128).is_calibration
    assert of(found, "asyncio", "/", 128).is_calibration


def test_a_pool_of_workers_and_one_at_a_time_are_predicted(tmp_path):
    grids = [
        GRID | {"targets": ["thread-pool", "asyncio-threads"], "pairs": []},
        CLOSE | {"targets": ["blocking", "prefork"], "pairs": [], "connections": [1, 16, 64]},
    ]
    found = modelled(tmp_path, grids=grids)
    assert of(found, "thread-pool", "/delay=50ms", 256).predicted.limited_by == "workers"
    assert of(found, "blocking", "/delay=50ms", 64).predicted.limited_by == "workers"
    one_at_a_time = [cell for cell in found.held_out if cell.cell["connection"] == "close"]
    assert errors_of(one_at_a_time).throughput_p90 < 0.1


def test_what_it_predicts_does_not_touch_what_it_is_fitted_to(tmp_path):
    """Every held-out cell ten times as fast: the parameters stay, all errors are large."""
    before = modelled(tmp_path / "before")

    def change(trial):
        is_seen = trial["delay_s"] <= 0.005 and trial["connections"] <= 128
        return trial if is_seen else trial | {"throughput_rps": 10 * trial["throughput_rps"]}

    after = modelled(tmp_path / "after", change=change)
    assert after.parameters == before.parameters
    assert min(-cell.throughput_error for cell in after.held_out) > 0.8


def test_connections_that_were_added_where_the_answer_changes_are_held_out(tmp_path):
    def change(trial):
        return trial | {"connections": 45} if trial["connections"] == 16 else trial

    found = modelled(tmp_path, change=change)
    assert {c.cell["connections"] for c in found.cells if c.is_calibration} == {1, 128}
    assert not of(found, "trio", "/", 45).is_calibration


def test_invalid_slices_are_neither_fitted_nor_predicted(tmp_path):
    def change(trial):
        lost = trial["target"] == "trio" and trial["connections"] in (16, 256)
        return invalid(trial, "busy") if lost else trial

    found = modelled(tmp_path, change=change)
    counts = {c.cell["connections"] for c in found.cells if c.cell["target"] == "trio"}
    assert counts == {1, 128}


def test_a_response_time_that_is_a_lower_bound_has_no_error(tmp_path):
    def change(trial):
        return trial | {"latency_at_least": trial["connections"] == 256}

    found = modelled(tmp_path, change=change)
    assert of(found, "uvloop", "/delay=50ms", 256).response_error is None
    assert of(found, "uvloop", "/delay=50ms", 128).response_error is not None


def test_settings_are_whole_numbers_and_a_run_of_no_connections_is_passed_over(tmp_path):
    def change(trial):
        odd = {"connections": 0} if trial["connections"] == 16 else {}
        return trial | {"units": 4, "server_cores": 0} | odd

    found = modelled(tmp_path, change=change)
    assert {c.cell["connections"] for c in found.cells} == {1, 128, 256}
    assert type(found.cells[0].cell["units"]) is int
    assert found.parameters[0].lanes == 1


def test_a_target_without_cells_to_fit_is_named(tmp_path):
    found = modelled(tmp_path, grids=[GRID | {"delays_s": [0.005, 0.05]}])
    assert found.not_fitted == [(target, "keep-alive") for target in TARGETS]
    assert not found.cells
    assert predictions.words(found).sentences == []


def test_errors_are_order_statistics(tmp_path):
    """Of ten errors the 90th percentile is the ninth, the median the mean of the middle two."""
    found = modelled(tmp_path)
    ten = found.held_out[:10]
    ordered = sorted(abs(cell.throughput_error) for cell in ten)
    errors = errors_of(ten)
    assert errors.throughput_p90 == ordered[8]
    assert errors.throughput_median == pytest.approx((ordered[4] + ordered[5]) / 2)
    assert errors_of([]) is None
    assert abs(worst(ten, 1)[0].throughput_error) == ordered[-1]
    by_kind = errors_by(found.held_out, lambda cell: cell.kind)
    assert set(by_kind) == {"within", "beyond"}
    assert sum(each.cells for each in by_kind.values()) == len(found.held_out)


def test_the_verdict_has_parameters_errors_and_every_cell(tmp_path):
    found = modelled(tmp_path)
    block = json.loads(json.dumps(as_verdict(found), allow_nan=False))
    assert [each["target"] for each in block["parameters"]] == list(TARGETS)
    assert block["errors"]["all"]["cells"] == len(found.held_out)
    assert set(block["errors"]["by_target"]) == set(TARGETS)
    assert len(block["cells"]) == len(found.cells)
    cell = block["cells"][0]
    assert cell["limited_by"] in ("waiting", "CPU", "workers", "units")
    assert sum(cell["shares"].values()) == pytest.approx(1)
    assert {"predicted_rps", "measured_rps", "is_calibration", "extrapolated"} <= set(cell)


def test_words_and_tables_say_the_same_as_the_errors(tmp_path):
    found = modelled(tmp_path)
    errors = errors_of(found.held_out)
    text = " ".join(predictions.words(found).sentences)
    assert f"Fitted to 24 cells, a queueing model predicts the other {errors.cells}" in text
    assert f"median error of {100 * errors.throughput_median:.1f}%" in text
    rows = predictions.error_rows(found)
    assert [row[0] for row in rows] == [*TARGETS, "all"]
    assert all(len(row) == len(predictions.ERRORS_TABLE) for row in rows)
    cells = predictions.cell_rows(found)
    assert all(len(row) == len(predictions.CELLS_TABLE) for row in cells)
    assert sum(row[-1] == "fitted" for row in cells) == 24


def test_the_figure_has_a_mark_for_each_cell_that_was_not_seen(tmp_path):
    found = modelled(tmp_path)
    (chart,) = draw_figures(tmp_path / "charts", predictions.drawings(found, styles(TARGETS)))
    assert "40 cells" in chart.svg
    figure = predictions.figure(found.held_out, styles(TARGETS))
    marks = [line for line in figure.axes[0].get_lines() if line.get_marker() not in ("None", None)]
    assert len(marks) == len(found.held_out)


def test_the_report_shows_the_model_and_writes_it_down(tmp_path):
    write_run(tmp_path, grids=[GRID], old=False, rounds=3)
    report = write_report(tmp_path)
    assert any(section.title == "Can a model predict it?" for section in report.sections)
    page = report.page.read_text()
    assert 'id="model"' in page
    assert 'id="causes"' in page
    assert json.loads(report.verdicts.read_text())["model"]["parameters"]


def test_a_command_that_is_asked_the_same_everywhere_is_left_out(tmp_path):
    folder = write_run(tmp_path, grids=[GRID], old=False, rounds=2)
    info = json.loads((folder / "run.json").read_text())
    for target in info["targets"]:
        target["path"] = "/health" if target["name"] == "trio" else None
    (folder / "run.json").write_text(json.dumps(info))
    run = read_run(folder)
    found = model_of_run(run, trials_frame(run))
    assert [each.target for each in found.parameters] == ["threaded", "asyncio", "uvloop"]
