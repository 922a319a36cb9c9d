"""What the model predicts where the answer follows from the set-up; vectors for ports."""

from __future__ import annotations

import json
from dataclasses import replace

import model_vectors
import pytest
from model_vectors import GUNICORN, LOOP, POOL, PREFORK

from bench.analyse.curve import rising
from bench.analyse.model import (
    CAUSES,
    Load,
    Parameters,
    from_json,
    open_response_s,
    predict,
)

MS = 1e-3
PLAIN = Parameters("uvloop", "keep-alive", 1, 256, demand_s=((1.0, 100e-6), (256.0, 100e-6)))


def test_the_vectors_say_what_the_model_says() -> None:
    """For ports: `python tests/bench/model_vectors.py` writes them anew."""
    written = json.loads(model_vectors.FILE.read_text())
    said = json.loads(json.dumps(model_vectors.vectors()))
    assert len(written["vectors"]) == len(said["vectors"])
    for ours, theirs in zip(said["vectors"], written["vectors"], strict=True):
        assert theirs["parameters"] == ours["parameters"]
        for mine, other in zip(ours["cases"], theirs["cases"], strict=True):
            _same(mine, other)


def _same(mine: object, other: object) -> None:
    """Equal, numbers up to rounding of the machine that wrote them."""
    if isinstance(mine, dict):
        assert isinstance(other, dict)
        assert mine.keys() == other.keys()
        for key in mine:
            _same(mine[key], other[key])
    elif isinstance(mine, list):
        assert isinstance(other, list)
        assert len(mine) == len(other)
        for one, two in zip(mine, other, strict=True):
            _same(one, two)
    elif isinstance(mine, float):
        assert other == pytest.approx(mine, rel=1e-9, abs=1e-12)
    else:
        assert other == mine


@pytest.mark.parametrize("parameters", [LOOP, POOL, PREFORK, GUNICORN])
def test_parameters_survive_json(parameters: Parameters) -> None:
    assert from_json(json.loads(json.dumps(parameters.as_json()))) == parameters


def test_few_connections_that_wait_are_limited_by_waiting() -> None:
    """4 connections, 20 ms: 4 / 0.0201 s."""
    said = predict(PLAIN, Load(4, delay_s=20 * MS, waits=1))
    assert said.throughput_rps == pytest.approx(4 / 0.0201, rel=1e-3)
    assert said.limited_by == "waiting"
    assert said.reached > 0.99
    assert not said.extrapolated


def test_without_a_wait_a_target_gives_what_it_gave() -> None:
    said = predict(LOOP, Load(64))
    assert said.throughput_rps == pytest.approx(1 / 15.2e-6)
    assert said.limited_by == "CPU"


def test_many_connections_are_limited_by_the_cpu() -> None:
    said = predict(PLAIN, Load(256, delay_s=5 * MS, waits=1))
    assert said.throughput_rps == pytest.approx(10_000, rel=1e-3)
    assert said.response_s == pytest.approx(256 / 10_000, rel=1e-3)
    assert said.limited_by == "CPU"


def test_places_that_a_wait_takes_limit_a_pool() -> None:
    """64 threads that wait 20 ms give no more than 64 / 20 ms, half of 128 wait outside."""
    said = predict(replace(POOL, late_s=(), wait_cpu_s=()), Load(128, delay_s=20 * MS, waits=1))
    assert said.throughput_rps == pytest.approx(64 / 20.1e-3, rel=5e-3)
    assert said.limited_by == "workers"
    assert said.shares["workers"] == pytest.approx(0.5)


def test_a_pool_that_computes_is_limited_by_the_cpu_though_all_places_are_taken() -> None:
    said = predict(POOL, Load(128, cpu_s=1 * MS))
    assert said.limited_by == "CPU"
    assert said.throughput_rps == pytest.approx(1 / 1.02e-3, rel=0.01)


def test_processes_serve_one_at_a_time_each() -> None:
    one = predict(PREFORK, Load(64, delay_s=50 * MS, waits=1, workers=2))
    assert one.throughput_rps == pytest.approx(2 / 50.2e-3, rel=5e-3)
    assert one.limited_by == "workers"


def test_threads_of_every_process_are_places() -> None:
    said = predict(GUNICORN, Load(512, delay_s=200 * MS, waits=1, workers=2))
    assert said.throughput_rps == pytest.approx(128 / 200.3e-3, rel=5e-3)


def test_units_limit_what_holds_them() -> None:
    """Eight units of 10 ms: 800 a second, whatever else."""
    said = predict(PLAIN, Load(64, hold_s=10 * MS, waits=1, units=8))
    assert said.throughput_rps == pytest.approx(800, rel=1e-3)
    assert said.limited_by == "units"
    assert said.shares["units"] > 0.95


def test_a_wait_that_ends_late_keeps_its_unit_as_long() -> None:
    """10 ms, and 2 ms late where one unit ends 100 a second: 83 a second, whoever else waits."""
    late = replace(PLAIN, late_s=((100.0, 2 * MS), (6400.0, 8 * MS)))
    said = predict(late, Load(64, hold_s=10 * MS, waits=1))
    assert said.throughput_rps == pytest.approx(1 / 12e-3)
    assert said.shares["waiting"] == 0
    before = predict(late, Load(64, delay_s=10 * MS, hold_s=10 * MS, waits=2))
    assert before.throughput_rps == pytest.approx(1 / 12e-3, rel=1e-3)
    assert before.shares["waiting"] > 10 / 1000


def test_a_wait_of_nothing_is_none() -> None:
    assert predict(PLAIN, Load(4, waits=1)).throughput_rps == pytest.approx(10_000)


def test_enough_units_are_waits_like_others() -> None:
    held = predict(PLAIN, Load(16, hold_s=10 * MS, waits=1, units=16))
    waited = predict(PLAIN, Load(16, delay_s=10 * MS, waits=1))
    assert held.throughput_rps == pytest.approx(waited.throughput_rps)


def test_a_blocking_call_stops_a_loop_and_not_a_pool() -> None:
    load = Load(32, block_s=5 * MS, blocks=1)
    loop = replace(PLAIN, is_loop=True)
    assert predict(loop, load).throughput_rps == pytest.approx(1 / 5.1e-3)
    assert predict(POOL, load).throughput_rps > 5_000


def test_computing_is_added_to_the_demand_and_to_the_wait() -> None:
    """0.4 ms of CPU and 20 ms of waiting: at most 2,000 a second, 10 connections 10 / 20.5 ms."""
    load = Load(10, delay_s=20 * MS, waits=1, cpu_s=0.4 * MS)
    few = predict(PLAIN, load).throughput_rps
    assert 0.9 * 10 / 20.5e-3 < few < 10 / 20.5e-3
    many = predict(PLAIN, replace(load, connections=256)).throughput_rps
    assert many == pytest.approx(2_000, rel=1e-3)
    slower = replace(PLAIN, cpu_factor=1.5)
    assert predict(slower, replace(load, connections=256)).throughput_rps == pytest.approx(1 / 7e-4)


def test_two_cores_compute_twice_as_much() -> None:
    load = Load(64, cpu_s=2 * MS)
    one = predict(replace(PREFORK, lanes=1), load).throughput_rps
    assert predict(PREFORK, load).throughput_rps == pytest.approx(2 * one, rel=0.05)


def test_late_waits_lengthen_a_cycle_by_how_many_end_in_a_second() -> None:
    """16 waits of 16 ms: 1,000 a second, where waits are 1 ms late; 4 of them: 0.5 ms and less."""
    late = replace(PLAIN, late_s=((250.0, 0.5 * MS), (1000.0, 1.0 * MS)))
    assert predict(late, Load(16, delay_s=16 * MS, waits=1)).response_s == pytest.approx(
        17.1e-3, rel=1e-3
    )
    assert predict(late, Load(4, delay_s=16 * MS, waits=1)).response_s == pytest.approx(
        16.6e-3, rel=1e-3
    )


def test_demand_goes_on_as_between_the_last_two_numbers() -> None:
    """15 us at 64 and 17 us at 128: 2 us for every 64 more, 29 us at 512, and it is marked."""
    curve = ((1.0, 80.0), (64.0, 15.0), (128.0, 17.0))
    assert rising(curve, 512) == pytest.approx(29.0)
    assert rising(curve, 64) == pytest.approx(15.0)
    assert 15 < rising(curve, 8) < 80
    assert rising(((64.0, 17.0), (128.0, 15.0)), 512) == 15.0
    assert predict(PLAIN, Load(257)).extrapolated


@pytest.mark.parametrize("parameters", [LOOP, POOL, PREFORK, GUNICORN])
@pytest.mark.parametrize("load", model_vectors.LOADS)
def test_shares_add_up_and_no_bound_is_exceeded(parameters: Parameters, load: Load) -> None:
    said = predict(parameters, load)
    assert tuple(said.shares) == CAUSES
    assert sum(said.shares.values()) == pytest.approx(1)
    assert min(said.shares.values()) >= 0
    assert said.limited_by in CAUSES
    assert said.throughput_rps * said.response_s == pytest.approx(load.connections)
    waited_s = load.delay_s + load.hold_s
    assert waited_s == 0 or said.throughput_rps <= load.connections / waited_s


def test_open_load_waits_in_few_queues_at_a_low_rate_and_has_a_limit() -> None:
    load = Load(1, delay_s=5 * MS, waits=1)
    assert open_response_s(PLAIN, load, 10.0) == pytest.approx(5.1e-3, rel=1e-3)
    # M/M/1 with 0.1 ms each at half of its capacity: 0.2 ms.
    assert open_response_s(PLAIN, load, 5_000.0) == pytest.approx(5.2e-3)
    assert open_response_s(PLAIN, load, 10_000.0) is None


def test_open_load_waits_for_workers_and_units() -> None:
    pool = replace(POOL, late_s=(), wait_cpu_s=(), workers=2)
    low = open_response_s(pool, Load(1, delay_s=10 * MS, waits=1), 1.0)
    high = open_response_s(pool, Load(1, delay_s=10 * MS, waits=1), 150.0)
    assert low == pytest.approx(10.1e-3, rel=0.01)
    assert high is not None
    # Close to M/M/2 with a load of 1.5: 10 ms / (1 - 0.75^2).
    assert high == pytest.approx(10.1e-3 / (1 - 0.757**2), rel=0.03)
    assert open_response_s(pool, Load(1, delay_s=10 * MS, waits=1), 300.0) is None
    units = Load(1, hold_s=10 * MS, waits=1, units=1)
    assert open_response_s(PLAIN, units, 50.0) == pytest.approx(20.1e-3, rel=1e-3)
    assert open_response_s(PLAIN, units, 100.0) is None
