"""The plan: every cell once a round, neighbours together, an order that the seed alone decides."""

import os
import random
import subprocess
import sys
from itertools import groupby

import pytest
from harness import MODELS, ROOT, grid, tiny
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.plan import Cell, Point, burst_order, cells_by_point, round_order
from bench.measure.profile import Grid, Profile, work_of
from bench.measure.profile_file import load_profile
from bench.measure.selection import override

QUICK = load_profile("quick")

some_targets = st.lists(st.sampled_from(sorted(MODELS)), min_size=1, unique=True)
some_delays_s = st.lists(st.sampled_from([0.0, 0.001, 0.05]), min_size=1, unique=True)
some_connections = st.lists(st.sampled_from([1, 16, 1024]), min_size=1, unique=True)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    connection = draw(st.sampled_from(["keep-alive", "close"]))
    names, delays_s, counts = draw(some_targets), draw(some_delays_s), draw(some_connections)
    return grid(*names, connection=connection, delays_s=delays_s, connections=counts)


profiles = st.builds(
    lambda grids, seed: tiny(*grids, seed=seed),
    st.lists(grids(), min_size=1, max_size=3),
    st.integers(0, 2**32),
)


def cells_of(each: Grid) -> set[tuple[str, str, float, int]]:
    return {
        (target, each.connection, delay_s, count)
        for target in each.targets
        for delay_s in each.delays_s
        for count in each.connections
    }


def key(cell: Cell) -> tuple[str, str, float, int]:
    return cell.target, cell.point.connection, cell.point.delay_s, cell.point.connections


@given(profiles, st.integers(0, 100))
def test_every_cell_comes_once_in_a_round(profile: Profile, index: int) -> None:
    """Also where grids overlap: measured twice, a cell would count double."""
    order = [key(cell) for cell in round_order(profile, index)]
    assert len(order) == len(set(order))
    assert set(order) == set().union(*(cells_of(each) for each in profile.grids))


@given(profiles, st.integers(0, 100))
def test_the_targets_of_a_point_follow_each_other(profile: Profile, index: int) -> None:
    points = [point for point, _ in groupby(round_order(profile, index), lambda c: c.point)]
    assert len(points) == len(set(points)) == len(cells_by_point(profile))


def test_the_same_seed_and_round_give_the_same_order_in_any_process() -> None:
    script = (
        "from bench.measure.plan import round_order;"
        "from bench.measure.profile_file import load_profile;"
        "print(round_order(load_profile('quick'), 3))"
    )
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(round_order(QUICK, 3)), done.stderr


def test_other_rounds_and_other_seeds_give_other_orders() -> None:
    """Of 75 cells in 21 points: that two orders agree by chance is out of the question."""
    orders = [round_order(QUICK, index) for index in range(6)]
    orders.append(round_order(override(QUICK, MODELS, seed=2), 0))
    assert len({tuple(order) for order in orders}) == 7
    assert len({order[0].point for order in orders}) > 1
    assert {len(order) for order in orders} == {3 * (4 * 4 + 3 * 3)}


def test_every_target_is_first_at_its_point_about_equally_often() -> None:
    """400 rounds of 2 targets: 200 times each, within 5 standard deviations of 10."""
    profile = tiny(grid("threaded", "uvloop"))
    first = [round_order(profile, index)[0].target for index in range(400)]
    assert abs(first.count("uvloop") - 200) <= 50


@pytest.mark.parametrize(
    ("delay_s", "work"),
    [
        (0.0, "/"),
        (0.005, "/delay=5ms"),
        (0.00025, "/delay=250us"),
        (0.0015, "/delay=1500us"),
        (0.003, "/delay=3ms"),
        (60.0, "/delay=60000ms"),
    ],
)
def test_the_path_asks_for_the_delay(delay_s: float, work: str) -> None:
    assert work_of(delay_s) == work


@given(st.integers(0, 60_000_000))
def test_the_path_holds_every_microsecond(microseconds: int) -> None:
    work = work_of(microseconds / 1e6)
    amount = work.removeprefix("/delay=").removeprefix("/") or "0us"
    scale = 1000 if amount.endswith("ms") else 1
    assert int(amount.rstrip("mus")) * scale == microseconds


def test_a_cell_names_itself_by_the_keys_of_a_trials_line() -> None:
    cell = Cell(Point("/delay=5ms", 0.005, "close", 16), "uvloop")
    assert cell.keys() == {
        "target": "uvloop",
        "work": "/delay=5ms",
        "delay_s": 0.005,
        "connection": "close",
        "connections": 16,
        "workers": None,
        "units": None,
        "server_cores": 1,
    }


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(0, 99))
def test_bursts_take_turns(bursts: list[int], seed: int) -> None:
    """Each slice has its bursts; between two of one slice each busier or equal one has a turn."""
    order = burst_order(bursts, random.Random(seed))
    assert sorted(order) == sorted(i for i, count in enumerate(bursts) for _ in range(count))
    most = max(bursts)
    last_turn = order[-len(bursts) :]
    assert sorted(last_turn) == list(range(len(bursts))), "the last turn is everybody's"
    assert [order.count(i) for i in range(len(bursts))] == bursts
    assert len(order) <= most * len(bursts)


def test_the_same_seed_gives_the_same_turns() -> None:
    first, second = (burst_order([5, 5, 1], random.Random("1/0/3")) for _ in range(2))
    assert first == second
