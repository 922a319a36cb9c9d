"""Where the rounds go: to intervals that are wide, whoever is ahead; and what stopping costs."""

import math
import random
import statistics
from collections.abc import Sequence

import pytest
from harness import grid, tiny
from scipy.stats import t as student_t

from bench.measure.adapt import Effort, effort_of, half_width
from bench.measure.plan import Point
from bench.measure.profile import Ladder

A, B, C = (Point(f"/delay={ms}ms", ms / 1e3, "keep-alive", 1) for ms in (1, 2, 3))
PAIR = ("a", "b")
PRECISION = 0.024


def effort(*points: Point, rounds_min: int = 3) -> Effort:
    return Effort(dict.fromkeys(points, (PAIR,)), PRECISION, 0.95, rounds_min)


def give(effort: Effort, point: Point, ratios: Sequence[float]) -> None:
    for ratio in ratios:
        effort.add(point, {"a": 1000.0 * ratio, "b": 1000.0})


def test_the_width_is_that_of_students_interval_of_the_mean_log_ratio() -> None:
    some = effort(A)
    give(some, A, [1.0, 1.1, 1.21])
    logs = [0.0, math.log(1.1), 2 * math.log(1.1)]
    expected = student_t.ppf(0.975, 2) * statistics.stdev(logs) / math.sqrt(3)
    assert some.half_width(A, PAIR) == pytest.approx(expected)
    assert half_width([], 0.95) == half_width([0.1], 0.95) == math.inf


def test_every_point_has_the_least_number_of_rounds() -> None:
    some = effort(A, B)
    give(some, A, [1.0, 1.0])
    give(some, B, [1.0, 1.0, 1.0])
    assert some.next_points({A: 1, B: 1}, 100) == [A]


def test_what_is_narrow_gets_no_more_and_what_is_wide_does() -> None:
    some = effort(A, B, C)
    give(some, A, [1.0, 1.001, 0.999, 1.0])
    give(some, B, [1.0, 1.3, 0.8, 1.1])
    give(some, C, [3.0, 3.002, 2.998, 3.0])
    assert some.next_points({A: 1, B: 1, C: 1}, 1e6) == [B]


def test_where_an_interval_lies_does_not_matter() -> None:
    """The same spread around 1 and around 3."""
    some = effort(A, B)
    give(some, A, [1.0, 1.05, 0.95])
    give(some, B, [3.0, 3.15, 2.85])
    assert some.rounds_left(A) == pytest.approx(some.rounds_left(B))


def test_narrow_by_the_luck_of_the_last_rounds_is_not_narrow_yet() -> None:
    logs = [0.0, 0.05, 0.024, 0.026, 0.025]
    assert half_width(logs, 0.95) < PRECISION < half_width(logs[:-2], 0.95)
    some = effort(A)
    give(some, A, [math.exp(x) for x in logs])
    assert some.rounds_left(A) >= 1
    give(some, A, [math.exp(0.025)] * 2)
    assert some.rounds_left(A) == 0


def test_a_point_of_which_no_round_can_be_used_gets_no_more() -> None:
    some = effort(A, B)
    for _ in range(3):
        some.add(A, {"a": None, "b": 1000.0})
    give(some, B, [1.0, 1.3, 0.8])
    assert some.next_points({A: 1, B: 1}, 1e6) == [B]


def test_little_time_goes_to_what_it_can_settle() -> None:
    some = effort(A, B)
    give(some, A, [1.0, 2.0, 0.5, 1.5] * 2)  # thousands of rounds away
    give(some, B, [1.0, 1.06, 0.96, 1.02] * 2)  # about as many again
    assert some.next_points({A: 1, B: 1}, 30) == [B]
    assert some.next_points({A: 9, B: 9}, 72) == [B], "none can be settled: B has its eight again"
    assert some.next_points({A: 1, B: 1}, 1) == [B], "and never nothing"


def test_a_point_that_had_few_rounds_is_in_whatever_it_seems_to_need() -> None:
    some = effort(A, B)
    give(some, A, [1.0, 2.0, 0.5])
    give(some, B, [1.0, 1.06, 0.96, 1.02] * 2)
    assert some.next_points({A: 1, B: 1}, 30) == [B, A]


def test_a_point_is_as_wide_as_the_widest_of_its_pairs() -> None:
    some = Effort({A: (PAIR, ("a", "c"))}, PRECISION, 0.95, 3)
    for c in (1000.0, 1300.0, 800.0):
        some.add(A, {"a": 1000.0, "b": 1000.0, "c": c})
    assert some.rounds_left(A) > 0


def test_nothing_is_left_when_all_is_settled() -> None:
    some = effort(A)
    give(some, A, [1.0, 1.0001, 1.0, 1.0])
    assert some.next_points({A: 1}, 1e6) == []


def test_three_rounds_that_agree_very_well_are_not_believed_to() -> None:
    some = effort(A)
    give(some, A, [1.0, 1.0001, 1.0])
    assert half_width([0.0, 0.0001, 0.0], 0.95) < PRECISION / 4
    assert some.next_points({A: 1}, 1e6) == [A]


def test_the_pairs_of_a_profile_are_its_declared_ones_and_the_steps_of_its_ladders() -> None:
    profile = tiny(
        grid("threaded", "asyncio", "uvloop", connections=[1, 4], pairs=[("uvloop", "threaded")]),
        ladders=(Ladder(("threaded", "asyncio", "uvloop"), ("model", "loop")),),
    )
    pairs = effort_of(profile).pairs
    assert len(pairs) == 2
    for declared in pairs.values():
        assert declared == (("uvloop", "threaded"), ("threaded", "asyncio"), ("asyncio", "uvloop"))


@pytest.mark.parametrize("sd", [0.002, 0.006, 0.01, 0.03, 0.05])
@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "heavy tails"])
def test_stopping_by_width_still_covers_the_truth(sd: float, heavy: bool) -> None:
    """95% intervals, 3 rounds at least and 40 at most: simulated, 93 to 97% hold it."""
    rng = random.Random(f"{sd} {heavy}")
    held = 0
    for _ in range(3_000):
        logs: list[float] = []
        some = effort(A)
        while len(logs) < 40 and (len(logs) < 3 or some.rounds_left(A) > 0):
            draw = rng.gauss(0, sd)
            if heavy:  # Student-t with 4 degrees of freedom, of about the same spread
                draw /= math.sqrt(sum(rng.gauss(0, 1) ** 2 for _ in range(4)) / 4) * math.sqrt(2)
            logs.append(draw)
            some.add(A, {"a": math.exp(draw), "b": 1.0})
        held += abs(statistics.fmean(logs)) <= half_width(logs, 0.95)
    assert 0.92 <= held / 3_000 <= 0.975
