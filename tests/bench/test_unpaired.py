"""Ratios of runs that share nothing: what is found, what is not, and how often chance is called."""

import random

import pytest
import synthetic
from synthetic import CLOSE, KEEP_ALIVE, invalid, write_run

from bench.analyse.frames import trials_frame
from bench.analyse.unpaired import (
    as_cell,
    cell_ratios,
    compared_cells,
    one_direction,
    own_cells,
)
from bench.store import read_run

SMALL = CLOSE | {"delays_s": [0.05], "connections": [16]}
GRID = CLOSE | {"delays_s": [0.0, 0.05], "connections": [16, 128]}
PAIRS = 200


def run_at(folder, place, **more):
    name = more.pop("name", place)
    return write_run(folder / place, name=name, grids=[more.pop("grid", GRID)], **more)


def frame(folder):
    return trials_frame(read_run(folder))


def ratios(first, second, **more):
    return {
        (ratio.metric, ratio.cell["target"], ratio.cell["work"], ratio.cell["connections"]): ratio
        for ratio in cell_ratios(frame(first), frame(second), **more)
    }


def test_a_faster_second_run_has_ratios_above_one_where_cpu_is_the_limit(tmp_path):
    first = run_at(tmp_path, "a", rounds=6)
    second = run_at(tmp_path, "b", rounds=6, seed=2, speed=1.3)
    found = ratios(first, second)
    assert len(found) == 2 * 3 * 2 * 2  # metrics, targets, delays, connections
    saturated = found["throughput", "uvloop", "/", 128]
    assert saturated.call == "beyond drift"
    assert saturated.higher
    assert saturated.interval.low < 1.3 < saturated.interval.high
    assert saturated.values[1] / saturated.values[0] == pytest.approx(saturated.interval.estimate)
    assert saturated.rounds == (6, 6)
    waiting = found["throughput", "uvloop", "/delay=50ms", 16]
    assert waiting.interval.estimate < 1.05  # bound by N / d, however fast the server


def test_how_much_is_allowed_for_drift_decides_what_lies_beyond_it(tmp_path):
    first = run_at(tmp_path, "a", rounds=6)
    second = run_at(tmp_path, "b", rounds=6, seed=2, speed=1.3)
    cell = ("throughput", "uvloop", "/", 128)
    calls = {share: ratios(first, second, drift=share)[cell].call for share in (0, 0.15, 0.5)}
    assert calls == {0: "beyond drift", 0.15: "beyond drift", 0.5: "within drift"}


def test_a_machine_that_was_slower_by_a_tenth_makes_no_difference_beyond_drift(tmp_path):
    first = run_at(tmp_path, "a", rounds=8)
    second = run_at(tmp_path, "b", rounds=8, seed=2, speed=0.9)
    throughput = [r for r in ratios(first, second).values() if r.metric == "throughput"]
    assert {ratio.call for ratio in throughput} == {"within drift"}
    assert one_direction(throughput)
    assert not one_direction([r for r in throughput if r.cell["target"] == "uvloop"])


def test_targets_that_went_different_ways_are_not_the_machine(tmp_path):
    first = run_at(tmp_path, "a", rounds=8)
    second = run_at(
        tmp_path,
        "b",
        rounds=8,
        seed=2,
        change=lambda t: faster(t, 1.5 if t["target"] == "uvloop" else 0.6),
    )
    found = [r for r in ratios(first, second).values() if r.metric == "throughput"]
    apart = {(r.cell["target"], r.higher) for r in found if r.call == "beyond drift"}
    assert apart == {("uvloop", True), ("threaded", False), ("blocking", False)}
    assert not one_direction(found)


def faster(trial, factor):
    return trial | {"throughput_rps": trial["throughput_rps"] * factor}


def test_runs_are_not_paired_even_if_their_rounds_have_the_same_numbers(tmp_path):
    """Noise that both runs share round by round would cancel in pairs; here it must widen."""
    first = run_at(tmp_path, "a", rounds=4, noise=0.2)
    second = run_at(tmp_path, "b", rounds=4, noise=0.2, speed=1.1)
    ratio = ratios(first, second)["throughput", "uvloop", "/", 16]
    assert ratio.interval.estimate == pytest.approx(1.1)
    assert not ratio.apart
    assert ratio.interval.high > 1.2


def test_lower_bounds_and_dead_servers_give_no_ratio(tmp_path):
    first = run_at(tmp_path, "a", rounds=2)
    died = run_at(
        tmp_path,
        "b",
        rounds=2,
        change=lambda t: invalid(t, "died") if t["target"] == "uvloop" else t,
    )
    found = ratios(first, died)
    owing = found["p99", "blocking", "/delay=50ms", 128]
    assert (owing.call, owing.interval, owing.reasons) == ("unknown", None, (None, None))
    dead = found["throughput", "uvloop", "/", 16]
    assert (dead.call, dead.interval, dead.reasons) == ("unknown", None, (None, "died"))
    assert dead.rounds == (2, 0)
    assert dead.values[1] is None
    assert found["throughput", "blocking", "/delay=50ms", 128].interval


def test_cells_of_one_run_are_kept_apart_from_those_that_are_compared(tmp_path):
    wide = frame(run_at(tmp_path, "a", rounds=2))
    narrow = frame(run_at(tmp_path, "b", rounds=2, grid=SMALL | {"connections": [16, 7]}))
    alone = [as_cell(key) for key in own_cells(narrow, wide)]
    assert {cell["connections"] for cell in alone} == {7}
    assert len(own_cells(wide, narrow)) == 3 * (2 * 2 - 1)
    assert len(compared_cells([wide, narrow])) == 3


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """The frames of 200 pairs of runs of one truth: 5 rounds of 6 cells, so 12 ratios each."""
    folder = tmp_path_factory.mktemp("alike")
    grid = KEEP_ALIVE | {"delays_s": [0.0], "connections": [16, 128]}
    grid["targets"] = ["threaded", "uvloop", "trio"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "_histogram", lambda *_: "")
        return [
            [
                frame(run_at(folder, place, rounds=5, seed=seed, noise=0.04, grid=grid))
                for place, seed in (("a", 2 * number), ("b", 2 * number + 1))
            ]
            for number in range(PAIRS)
        ]


def test_runs_that_differ_by_noise_alone_are_not_called_different(alike):
    """A rate of 5% of false calls is, where nothing differs, one of 5% of pairs with any call.

    Of 200 that are 10, and 18 or more come up in 1.5% of such simulations (binomial). If each
    ratio's own interval decided, some ratio would be called in many more.
    """
    found = [cell_ratios(*pair) for pair in alike]
    assert not any(ratio.call == "beyond drift" for ratios in found for ratio in ratios)
    called = sum(any(ratio.apart for ratio in ratios) for ratios in found)
    alone = sum(any(_leaves_out_1(ratio.interval) for ratio in ratios) for ratios in found)
    assert (called, alone) == (6, 42)


def _leaves_out_1(interval):
    return not interval.low <= 1 <= interval.high


def test_a_machine_that_drifts_within_what_is_allowed_is_not_called(alike):
    """The second run's machine is up to 15% faster or slower: no server differs beyond that."""
    generator = random.Random(4)
    calls = []
    for first, second in alike:
        factor = 1.15 ** generator.uniform(-1, 1)
        drifted = second.assign(throughput_rps=second["throughput_rps"] * factor)
        calls.append({ratio.call for ratio in cell_ratios(first, drifted)})
    assert sum("beyond drift" in found for found in calls) == 0
    assert sum("within drift" in found for found in calls) > PAIRS / 3


POOLS = SMALL | {"targets": ["thread-pool", "uvloop"], "pairs": []}


def test_no_number_of_workers_is_the_targets_own(tmp_path):
    """An old run says 1 for everybody: true of uvloop, but not of thread-pool with its 64."""
    old = run_at(tmp_path, "a", rounds=2, grid=POOLS)
    new = run_at(tmp_path, "b", rounds=2, grid=POOLS, old=False)
    assert {target for _, target, _, _ in ratios(old, new)} == {"uvloop"}
    assert {target for _, target, _, _ in ratios(new, new)} == {"thread-pool", "uvloop"}
