"""Frames: one row per slice, one per cell, invalid slices counted and never averaged in."""

import math

import pytest
from hdrh.histogram import HdrHistogram
from synthetic import KEEP_ALIVE, invalid, write_run

from bench.analyse.frames import (
    cells_frame,
    percentile_curve,
    round_means,
    trials_frame,
    why_invalid,
)
from bench.store import read_run

GRID = KEEP_ALIVE | {"delays_s": [0.0, 0.05], "connections": [1, 1024]}


def frames(folder, change=lambda trial: trial, rounds=4):
    trials = trials_frame(read_run(write_run(folder, grids=[GRID], rounds=rounds, change=change)))
    return trials, cells_frame(trials)


def cell(cells, target, work, connections):
    chosen = (cells["target"] == target) & (cells["work"] == work)
    return cells[chosen & (cells["connections"] == connections)].iloc[0]


def test_a_row_per_slice_and_a_row_per_cell(tmp_path):
    trials, cells = frames(tmp_path)
    assert len(trials) == 4 * 2 * 2 * 4  # rounds x delays x connections x targets
    assert len(cells) == 2 * 2 * 4
    assert set(cells["slices"]) == {4}
    assert cell(cells, "trio", "/", 1)["family"] == "async"
    assert math.isnan(cell(cells, "trio", "/", 1)["bound_ratio"])  # no bound without a delay


def test_throughput_of_a_cell_is_the_geometric_mean_over_rounds(tmp_path):
    rates = [100.0, 200.0, 400.0, 800.0]
    _, cells = frames(tmp_path, lambda t: t | {"throughput_rps": rates[t["round"]]})
    row = cells.iloc[0]
    assert row["throughput_rps"] == pytest.approx(200 * math.sqrt(2))  # (100*200*400*800) ** 1/4
    assert row["throughput_low_rps"] < 100 < 800 < row["throughput_high_rps"]


def test_a_percentile_of_a_cell_is_the_median_over_its_slices(tmp_path):
    p99 = [1.0, 2.0, 4.0, 1000.0]
    _, cells = frames(tmp_path, lambda t: t | {"response_time_ms": {"p99": p99[t["round"]]}})
    assert set(cells["response_time_p99_ms"]) == {3.0}  # (2 + 4) / 2, whatever the outlier
    assert cells["response_time_p50_ms"].isna().all()


def test_invalid_slices_count_and_enter_no_number(tmp_path):
    def change(trial):
        if trial["target"] == "trio" and trial["round"] < 2:
            return trial | {
                "valid": False,
                "invalid_reasons": ["too late", "busy"][: 1 + trial["round"]],
                "throughput_rps": 1e12,
            }
        return trial

    trials, cells = frames(tmp_path, change)
    row = cell(cells, "trio", "/", 1)
    assert (row["slices"], row["invalid"], row["rounds"]) == (4, 2, 2)
    assert row["reasons"] == {"too late": 2, "busy": 1}
    assert row["throughput_rps"] < 1e5
    assert why_invalid(trials)["busy"] == 4  # one round, four points


def test_a_cell_whose_server_always_died_has_no_numbers(tmp_path):
    def change(trial):
        return invalid(trial, "died") if trial["target"] == "trio" else trial

    _, cells = frames(tmp_path, change)
    row = cell(cells, "trio", "/", 1024)
    assert row["invalid"] == row["slices"] == 4
    assert math.isnan(row["throughput_rps"])
    assert math.isnan(row["response_time_p99_ms"])


def test_slices_of_one_round_count_once(tmp_path):
    trials, _ = frames(tmp_path, lambda t: t | {"round": t["round"] // 2, "throughput_rps": 50.0})
    one = trials[(trials["target"] == "trio") & (trials["work"] == "/")]
    means = round_means(one[one["connections"] == 1], "throughput_rps")
    assert means.tolist() == pytest.approx([math.log(50)] * 2)


def histogram(values_ms):
    filled = HdrHistogram(1, 60_000_000_000, 3)
    for value in values_ms:
        filled.record_value(int(value * 1e6))
    return filled.encode().decode()


def test_percentile_curves_agree_with_hdrhistogram():
    text = histogram(n / 7 for n in range(1, 1001))
    wanted = [50, 90, 99, 99.9]
    known = HdrHistogram.decode(text)
    expected = [known.get_value_at_percentile(p) / 1e6 for p in wanted]
    assert percentile_curve([text], wanted) == pytest.approx(expected)


def test_curves_are_medians_over_slices_and_stop_where_a_slice_is_too_small():
    slices = [histogram([n] * 200) for n in (1, 5, 9)]
    curve = percentile_curve([*slices, histogram([])], [50, 99, 99.9])
    assert curve[:2] == pytest.approx([5, 5], rel=1e-3)
    assert math.isnan(curve[2])  # 99.9 of 200 requests is unknown
    assert percentile_curve([histogram([])], [50]) == []


def test_a_percentile_of_a_cell_has_an_interval_by_order_statistics(tmp_path):
    """Of six slices the least and the greatest; one that is only a bound leaves the end open."""

    def change(trial):
        trial["response_time_ms"] = trial["response_time_ms"] | {"p99": 10.0 + trial["round"]}
        trial["latency_at_least"] = trial["target"] == "threaded" and trial["round"] == 5
        return trial

    _, cells = frames(tmp_path, change, rounds=6)
    known = cells[cells["target"] == "uvloop"].iloc[0]
    assert known["response_time_p99_low_ms"] == 10
    assert known["response_time_p99_high_ms"] == 15
    bounded = cells[cells["target"] == "threaded"].iloc[0]
    assert bounded["response_time_p99_low_ms"] == 10
    assert math.isnan(bounded["response_time_p99_high_ms"])
