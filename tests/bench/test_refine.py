"""Points that are added where the answer changes, and the crossovers of a run."""

import math
from pathlib import Path

import pytest
from harness import grid, tiny
from synthetic import write_run

from bench.analyse.crossings import as_verdict, crossings_of
from bench.measure.adapt import Effort
from bench.measure.plan import Cell, Point, round_order
from bench.measure.refine import middle, refinements
from bench.present.crossings import crossings_section, drawings, rows
from bench.store import read_run

PAIR = ("async", "sync")


def point(connections: int) -> Point:
    return Point("/delay=5ms", 0.005, "keep-alive", connections)


def effort(ratios: dict[int, list[float]]) -> Effort:
    known = Effort(dict.fromkeys(map(point, ratios), (PAIR,)), 0.024, 0.95, 2)
    for connections, values in ratios.items():
        for ratio in values:
            known.add(point(connections), {"async": 1000 * ratio, "sync": 1000.0})
    return known


def added(ratios: dict[int, list[float]]) -> list[int]:
    return sorted(each.connections for each in refinements(effort(ratios)))


BEHIND, AHEAD, UNKNOWN = [0.8, 0.81, 0.8], [1.3, 1.31, 1.3], [0.7, 1.0, 1.4]


def test_the_middle_is_added_where_the_answer_changes() -> None:
    assert added({1: BEHIND, 16: BEHIND, 128: AHEAD, 512: AHEAD}) == [45]
    assert added({1: AHEAD, 16: BEHIND, 128: AHEAD}) == [4, 45]
    assert refinements(effort({16: BEHIND, 128: AHEAD})) == {point(45): (PAIR,)}


def test_nothing_is_added_where_it_does_not_or_where_nobody_can_tell() -> None:
    assert added({1: AHEAD, 128: AHEAD}) == []
    assert added({1: BEHIND, 16: UNKNOWN, 128: AHEAD}) == []
    assert added({45: BEHIND, 51: AHEAD}) == [], "within 15% of each other"


def test_middles_come_within_a_factor_of_each_other_and_end() -> None:
    low, high = 16, 128
    steps = 0
    while (between := middle(low, high)) is not None:
        low, high, steps = (between, high, steps + 1) if between < 50 else (low, between, steps + 1)
    assert steps <= 6
    assert high / low <= 1.15 or high - low == 1
    assert middle(1, 2) is None


def test_added_cells_are_measured_in_the_rounds_that_follow() -> None:
    profile = tiny(grid("threaded", "uvloop", connections=[1, 4]))
    more = [[Cell(point(2), "threaded"), Cell(point(2), "uvloop")]]
    order = round_order(profile, 3, more)
    assert len(order) == len(round_order(profile, 3)) + 2
    assert {cell for cell in order if cell.point == point(2)} == set(more[0])


GRID = {
    "connection": "keep-alive",
    "targets": ["uvloop", "threaded"],
    "delays_s": [0.05],
    "connections": [1, 16, 128, 1024],
    "pairs": [["uvloop", "threaded"]],
}


def test_the_crossovers_of_a_run_are_told_with_their_interval(tmp_path: Path) -> None:
    """A server of threads that loses from somewhere between 16 and 128 connections on."""

    def ratio_of(trial: dict[str, object]) -> dict[str, object]:
        if trial["target"] == "uvloop":
            count = float(str(trial["connections"]))
            trial["throughput_rps"] = 1000.0 * math.exp(0.2 * math.log(count / 40))
        else:
            trial["throughput_rps"] = 1000.0
        return trial

    run = read_run(write_run(tmp_path / "r", grids=[GRID], change=ratio_of))
    (crossing,) = crossings_of(run)
    assert crossing.found.at == pytest.approx(40, rel=1e-6)
    assert as_verdict(crossing)["connections_measured"] == [1, 16, 128, 1024]
    section = crossings_section([crossing])
    assert section.sentences == [
        "At 50 ms: uvloop overtakes threaded at about 40 connections [40, 40],"
        " by 1.05x at about 51 [51, 51]."
    ]
    assert rows([crossing])[0][3:] == ("31 [31, 31]", "40 [40, 40]", "51 [51, 51]")
    levels = {round(each["ratio"], 3): each["at"] for each in as_verdict(crossing)["levels"]}
    assert levels == pytest.approx({0.952: 31.3, 1.0: 40, 1.05: 51.1}, rel=0.01)
    (drawing,) = drawings([crossing])
    assert drawing.draw().axes[0].get_yticklabels()[0].get_text() == "50 ms"


def test_a_run_without_a_crossing_says_nothing_of_one(tmp_path: Path) -> None:
    def alike(trial: dict[str, object]) -> dict[str, object]:
        trial["throughput_rps"] = 1100.0 if trial["target"] == "uvloop" else 1000.0
        return trial

    run = read_run(write_run(tmp_path / "r", grids=[GRID], change=alike))
    (crossing,) = crossings_of(run)
    assert (crossing.found.at, crossing.found.side) == (None, "above")
    assert crossings_section([crossing]).sentences == []
    assert rows([crossing])[0][3:] == ("none up to 1,024 (above)",) * 3
    assert drawings([crossing]) == []


def test_a_crossover_that_is_not_certain_is_in_the_table_and_not_in_the_words(
    tmp_path: Path,
) -> None:
    """Rounds that scatter by a half around a line that hardly rises."""

    def noisy(trial: dict[str, object]) -> dict[str, object]:
        behind = trial["target"] == "uvloop" and trial["connections"] == 1
        luck = math.sin(1.7 * int(str(trial["order"]))) / 2
        trial["throughput_rps"] = 1000.0 * math.exp(luck - (0.05 if behind else 0.0))
        return trial

    run = read_run(write_run(tmp_path / "r", grids=[GRID], change=noisy))
    (crossing,) = crossings_of(run)
    assert not crossing.found.certain
    assert crossing.found.low is None or crossing.found.high is None
    assert crossings_section([crossing]).sentences == []
