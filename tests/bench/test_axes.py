"""Workers, units and server cores as axes of a run: a server for each, its cores and its CPU."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import (
    Recorder,
    commands_below,
    foreign_target,
    grid,
    measure,
    odd_target,
    processes_below,
    real_target,
    tiny,
    wait_for,
)

from bench.measure.cores import available_cores, cores_here
from bench.measure.plan import Cell
from bench.measure.process import Process
from clients.cpu_clock import cpu_ns
from tests.conftest import complaints

BURNS = """
import os, time
for _ in range(2):
    if not os.fork():
        while True:
            pass
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert processes_below() == []


def test_every_setting_has_a_server_of_its_own_all_alive_at_once(tmp_path: Path) -> None:
    """2 x 2 settings of one target; a null number is told to nobody."""
    flags: list[set[str]] = []

    def look(cell: Cell) -> None:
        flags.append({" ".join(each.cmdline()[3:]) for each in commands_below("odd_server")})

    profile = tiny(grid("a", workers=[None, 1], units=[None, 8]))
    run = measure(tmp_path / "r", profile, [odd_target("a")], Recorder(look))
    assert flags == [{"", "--workers 1", "--units 8", "--workers 1 --units 8"}] * 4
    cells = {(trial["workers"], trial["units"]) for trial in run.trials}
    assert cells == {(None, None), (None, 8), (1, None), (1, 8)}
    assert not [each for trial in run.trials for each in complaints(trial)]


def test_points_that_differ_in_something_else_share_a_server(tmp_path: Path) -> None:
    counts: list[int] = []
    watcher = Recorder(lambda cell: counts.append(len(commands_below("odd_server"))))
    profile = tiny(grid("a", delays_s=[0.0, 0.001], connections=[1, 2]))
    measure(tmp_path / "r", profile, [odd_target("a")], watcher)
    assert counts == [1] * 4


@pytest.mark.skipif(len(available_cores()) < 2, reason="one core has but one way to be shared out")
def test_each_number_of_server_cores_is_pinned_and_marked_where_it_shares_one(
    tmp_path: Path,
) -> None:
    every = len(available_cores())
    pinned: set[tuple[int, ...]] = set()

    def look(cell: Cell) -> None:
        pinned.update(tuple(each.cpu_affinity()) for each in commands_below("odd_server"))

    targets = [odd_target("a"), foreign_target("b")]
    profile = tiny(grid("a", "b", server_cores=[1, every]))
    run = measure(tmp_path / "r", profile, targets, Recorder(look))
    assert pinned == {cores_here(1).server, cores_here(every).server}
    shared = {(trial["server_cores"], trial["shared_core"]) for trial in run.trials}
    assert shared == {(1, False), (every, True)}


def test_the_cpu_of_a_server_is_that_of_all_its_processes() -> None:
    """A parent that sleeps and two children that burn: it is the children that use some."""
    with Process("x", ["python3", "-c", BURNS]) as process:
        wait_for(lambda: len(process.pids()) == 3, "the children are not there")
        parent, *_ = process.pids()
        wait_for(lambda: cpu_ns(process.pids()) > cpu_ns([parent]) + 10**8, "no CPU is counted")
        process.kill()


def test_a_slice_counts_the_cpu_of_workers_as_well(tmp_path: Path) -> None:
    """Of two processes that share the port either may serve: both are watched, parent included."""
    profile = tiny(grid("uvloop", workers=[2], connections=[8]), window_s=0.1)
    run = measure(tmp_path / "r", profile, [real_target("uvloop")])
    (trial,) = run.trials
    assert complaints(trial) == []
    assert trial["workers"] == 2
    assert trial["server_cpu_us_per_request"] > 1
