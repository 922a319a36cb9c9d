"""What the interactive part of the report is given: columns of cells and comparisons, as JSON."""

import json
import math

import pandas as pd
import pytest
from synthetic import CLOSE, invalid, write_run

from bench.analyse.frames import cells_frame, trials_frame, with_limits
from bench.analyse.medians import cell_intervals
from bench.analyse.model import Parameters
from bench.analyse.verdicts import comparisons
from bench.present.explorer import PERCENTILES, as_json, explorer_data, metrics
from bench.present.style import styles
from bench.store import CELL_KEYS, read_run

GRID = CLOSE | {"delays_s": [0.0, 0.05], "connections": [16, 128]}
FITTED = Parameters("uvloop", "close", 1, 64, demand_s=((1.0, 0.0001234567891),))


def unlucky(trial):
    """Uvloop at 128 fails in the first round and in the second, in words that differ in numbers."""
    if trial["target"] == "uvloop" and trial["connections"] == 128 and trial["round"] < 2:
        return invalid(trial, f"{trial['round'] + 5} of 128 connections were served nothing")
    return trial


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return read_run(write_run(folder, grids=[GRID], rounds=7, change=unlucky))


@pytest.fixture(scope="module")
def frames(run):
    trials = trials_frame(run)
    return trials, with_limits(cells_frame(trials), run.info["targets"])


@pytest.fixture(scope="module")
def data(run, frames):
    targets = run.info["targets"]
    looks = styles([target["name"] for target in targets])
    compared = comparisons(run)
    return explorer_data(*frames, compared, targets, looks, 0.95, [FITTED])


def column(columns, name):
    found = columns[name]
    return found if isinstance(found, list) else [found["of"][at] for at in found["at"]]


def test_it_has_a_value_of_every_column_for_each_cell_and_each_comparison(data):
    assert {len(column(data["cells"], name)) for name in data["cells"]} == {3 * 2 * 2}
    # two pairs, two delays, two numbers of connections, two metrics
    assert {len(column(data["comparisons"], name)) for name in data["comparisons"]} == {16}


def test_text_is_kept_once(data):
    assert sorted(data["cells"]["target"]["of"]) == ["blocking", "threaded", "uvloop"]
    assert len(data["cells"]["connection"]["of"]) == 1


def test_figures_are_those_of_the_analysis_to_four_digits(data, frames):
    given = column(data["cells"], "throughput_rps")
    assert given == pytest.approx(list(frames[1]["throughput_rps"]), rel=5e-4)
    assert all(len(f"{value:.10g}".replace(".", "").strip("0")) <= 4 for value in given)


def test_every_metric_names_columns_that_are_there(data):
    for metric in metrics():
        assert {metric["column"], metric["low"], metric["high"]} <= set(data["cells"])


def test_medians_have_an_interval_over_rounds_that_contains_them(data):
    names = ("response_time_p99_ms_low", "response_time_p99_ms", "response_time_p99_ms_high")
    triples = list(zip(*(column(data["cells"], name) for name in names), strict=True))
    known = [each for each in triples if each[0] is not None]
    assert len(known) == 12 - 2  # five rounds are too few for one: uvloop at 128, two delays
    # blocking owes replies with 128 connections that wait, so there the high end is open
    assert [high for _, _, high in known].count(None) == 1
    assert all(low <= middle <= (high or math.inf) for low, middle, high in known)


def test_reasons_that_differ_in_numbers_are_one(data):
    reasons = [text for text in column(data["cells"], "reasons") if text]
    assert reasons == ["5 of 128 connections were served nothing (2x)"] * 2


def test_each_cell_has_a_curve_that_ends_where_nothing_is_known(data):
    curve = data["cells"]["curve"][0]
    assert len(curve) == len(PERCENTILES)
    assert curve[0] is not None
    assert curve[-1] is None  # p99.99 of 200 requests
    known = [value for value in curve if value is not None]
    assert known == sorted(known)


def test_works_are_in_reading_order_with_what_they_ask_of_the_model(data):
    assert [work["words"] for work in data["works"]] == ["0 ms", "50 ms"]
    assert data["works"][1]["load"]["delay_s"] == 0.05
    assert data["works"][1]["load"]["waits"] == 1
    assert "connections" not in data["works"][0]["load"]


def test_parameters_of_the_model_keep_six_digits(data):
    assert data["parameters"][0]["demand_s"] == [[1, 0.000123457]]
    assert data["parameters"][0]["places"] is None


def test_nothing_in_it_can_end_the_script_element_or_begin_markup(data):
    nasty = {**data, "targets": [{"name": "</script><script>alert('&')//<!--"}]}
    text = str(as_json(nasty))
    assert not set(text) & set("<>&")
    assert json.loads(text)["targets"] == nasty["targets"]


def test_it_is_json_without_nan(data):
    assert "NaN" not in as_json(data)
    with pytest.raises(ValueError, match="JSON"):
        as_json({"a": math.nan})


def test_intervals_are_by_order_statistics_and_open_where_bounds_are_in_the_way():
    slices = {"valid": True, "at_least": False, "round": range(6), "server_rss_mib": range(6)}
    cell = dict.fromkeys(CELL_KEYS, 1)
    trials = pd.DataFrame({**cell, **slices, "response_time_p99_ms": range(6)})
    columns = ["server_rss_mib", "response_time_p99_ms"]
    ends = cell_intervals(trials, columns).iloc[0]
    assert [ends[f"{name}_{end}"] for name in columns for end in ("low", "high")] == [0, 5, 0, 5]
    ends = cell_intervals(trials.assign(at_least=[True] + 5 * [False]), columns).iloc[0]
    assert ends["server_rss_mib_high"] == 5  # memory is what it is
    assert math.isnan(ends["response_time_p99_ms_high"])
    ends = cell_intervals(trials[:5], columns).iloc[0]  # five cannot: 2 x 1/32 is over 5%
    assert math.isnan(ends["server_rss_mib_low"])


def test_intervals_are_in_the_order_of_the_cells(frames):
    trials, cells = frames
    ends = cell_intervals(trials, ["server_rss_mib"])
    for key in ("target", "work", "connections"):
        assert list(ends[key]) == list(cells[key])
