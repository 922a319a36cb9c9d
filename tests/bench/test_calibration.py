"""Which cells a model is fitted to, and that fitting finds the parameters that made the cells."""

from __future__ import annotations

from dataclasses import replace

import pytest
from model_vectors import LOOP, POOL, PREFORK

from bench.analyse.calibration import Measured, fit, is_calibration, load_of
from bench.analyse.model import Load, Parameters, cpu_rates, predict
from bench.measure.plan import points_of
from bench.measure.profile_file import load_profile

TARGET = {"name": "asyncio", "family": "async", "workers": 1, "workers_are": "processes"}


def point(work="/", delay_s=0.0, connections=1, **more):
    return {
        "work": work,
        "delay_s": delay_s,
        "connection": "keep-alive",
        "connections": connections,
        "workers": None,
        "units": None,
        "server_cores": 1,
        **more,
    }


def grid(counts=(1, 16, 64, 256, 512)):
    works = {"/": 0.0, "/delay=1ms": 0.001, "/delay=20ms": 0.02, "/spin=500us": 0.0}
    works |= {"/delay=1ms/spin=100us": 0.001, "/hold=1ms": 0.001, "/block=1ms": 0.001}
    return [point(work, delay_s, n) for work, delay_s in works.items() for n in counts]


def test_the_rule_takes_what_does_not_wait_and_the_shortest_delay_up_to_half_the_connections():
    points = grid()
    chosen = {(p["work"], p["connections"]) for p in points if is_calibration(p, points)}
    assert chosen == {
        (work, n) for work in ("/", "/delay=1ms", "/spin=500us") for n in (1, 16, 64, 256)
    }


def test_where_workers_are_an_axis_the_first_is_fitted():
    points = [point(connections=n, workers=w) for n in (1, 8) for w in (2, 4)]
    assert [is_calibration(p, points) for p in points] == [True, False, False, False]


def test_the_full_profile_holds_out_twice_the_connections_and_works_that_wait_and_compute():
    profile = load_profile("full")
    points = {}
    for each in profile.grids:
        for p in points_of(each):
            for target in each.targets:
                plain = point(p.work, p.delay_s, p.connections, connection=p.connection)
                points.setdefault((target, p.connection), []).append(plain)
    held_out, largest = [], {}
    for key, mine in points.items():
        seen = [p for p in mine if is_calibration(p, mine)]
        largest[key] = max(p["connections"] for p in seen)
        held_out += [(key, p) for p in mine if p not in seen]
    assert len(held_out) >= 40
    assert any(p["connections"] == 2 * largest[key] for key, p in held_out)
    assert sum("spin" in p["work"] and p["delay_s"] > 0 for _, p in held_out) >= 20
    assert {p["delay_s"] for _, p in held_out} >= {0.005, 0.02, 0.05, 0.2}


def test_what_a_point_asks_is_told_apart():
    asked = load_of(
        point("/delay=5ms/hold=2ms/block=1ms/spin=500us/hash=100us", 0.008, 8, units=4, workers=2)
    )
    assert asked == Load(
        connections=8,
        delay_s=pytest.approx(0.005),
        waits=2,
        cpu_s=pytest.approx(0.0006),
        block_s=0.001,
        blocks=1,
        hold_s=0.002,
        workers=2,
        units=4,
    )


def cells_of(truth: Parameters) -> list[Measured]:
    """What a target with these parameters would show in the calibration cells of the grid."""
    points = grid()
    return [_cell(truth, p) for p in points if is_calibration(p, points)]


def _cell(truth: Parameters, where: dict) -> Measured:
    load = load_of(where)
    rate = predict(truth, load).throughput_rps
    cpu_s = 1 / cpu_rates(truth, load)[-1]
    return Measured(where, rate, cpu_s, min(rate * cpu_s, 1.0))


def test_fitting_finds_the_parameters_that_made_the_cells():
    fitted = fit(TARGET, cells_of(LOOP))
    assert fitted is not None
    assert (fitted.calibrated_to, fitted.is_loop, fitted.places) == (256, True, None)
    for (n, expected), (m, found) in zip(LOOP.demand_s, fitted.demand_s, strict=True):
        assert (m, found) == (n, pytest.approx(expected))
    assert fitted.cpu_factor == pytest.approx(1.04, rel=1e-3)
    assert dict(fitted.wait_cpu_s)[256] == pytest.approx(12e-6, rel=0.02)
    late = dict(fitted.late_s)
    assert late[1000] == pytest.approx(0.27e-3, rel=0.01)
    assert late[16000] == pytest.approx(0.8e-3, rel=0.05)


def test_what_was_fitted_predicts_cells_that_it_has_not_seen():
    fitted = fit(TARGET, cells_of(LOOP))
    for where in grid():
        if not {"hold", "block"} & {s.partition("=")[0] for s in where["work"].split("/")}:
            expected = predict(LOOP, load_of(where)).throughput_rps
            assert predict(fitted, load_of(where)).throughput_rps == pytest.approx(
                expected, rel=0.03
            )


def test_places_are_known_and_not_fitted():
    pool = TARGET | {"name": "thread-pool", "family": "sync"}
    pool |= {"workers": 64, "workers_are": "threads"}
    fitted = fit(pool, cells_of(POOL))
    assert (fitted.workers, fitted.places, fitted.is_loop) == (64, 1, False)
    prefork = TARGET | {"name": "prefork", "workers": 8, "serves_one_at_a_time": True}
    two_cores = [replace(c, point=c.point | {"server_cores": 2}) for c in cells_of(PREFORK)]
    fitted = fit(prefork, two_cores)
    assert (fitted.workers, fitted.places, fitted.lanes) == (8, 1, 2)
    stack = TARGET | {"name": "gunicorn-gthread", "family": "sync", "threads": 64}
    assert fit(stack, cells_of(POOL)).places == 64


def test_without_a_cell_that_asks_for_nothing_there_is_no_model():
    cells = [cell for cell in cells_of(LOOP) if cell.point["work"] != "/"]
    assert fit(TARGET, cells) is None


def test_a_target_of_which_no_cpu_time_is_known_is_fitted_by_its_throughput_alone():
    cells = [replace(cell, cpu_s=None, utilisation=0.0) for cell in cells_of(LOOP)]
    fitted = fit(TARGET, cells)
    assert fitted.wait_cpu_s == ()
    saturated = load_of(point("/delay=1ms", 0.001, 256))
    assert predict(fitted, saturated).throughput_rps == pytest.approx(
        predict(LOOP, saturated).throughput_rps, rel=1e-3
    )
