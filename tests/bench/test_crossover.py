"""Where a line crosses 1: on lines of which the crossing is known."""

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analyse.crossover import Line, _monotone, crossover

COUNTS = (1, 4, 16, 64, 256, 1024)


def line(
    at: float, slope: float, sd: float, seed: int, counts: tuple[int, ...] = COUNTS, rounds: int = 6
) -> Line:
    """Log-ratios that rise with the logarithm of the connections, through 0 at a number of them."""
    rng = random.Random(seed)
    return {
        count: {n: slope * math.log(count / at) + rng.gauss(0, sd) for n in range(rounds)}
        for count in counts
    }


def of(ratios: dict[float, list[float]]) -> Line:
    return {count: dict(enumerate(values)) for count, values in ratios.items()}


@pytest.mark.parametrize("slope", [0.2, -0.2])
@pytest.mark.parametrize("at", [3.0, 20.0, 500.0])
def test_the_crossing_of_a_line_is_found(at: float, slope: float) -> None:
    found = crossover(line(at, slope, 0.0, 1))
    assert found.at == pytest.approx(at, rel=1e-6)
    assert found.rising == (slope > 0)
    assert found.certain


def test_its_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """More, with lines that are not straight, by `make bench-statistics`."""
    held = known = 0
    for seed in range(400):
        found = crossover(line(37.0, 0.15, 0.05, seed))
        if found.low is not None and found.high is not None:
            known += 1
            held += found.low <= 37.0 <= found.high
    assert known > 380
    assert 0.92 <= held / known <= 0.985


def test_what_all_points_of_a_round_share_does_not_make_the_interval_narrower() -> None:
    """Four fresh processes at each count are four draws of luck, and the same ones at all counts.

    All noise is the round's own, so it does not average out between two counts, as it would if
    each had rounds of its own.
    """
    shared, means = [-0.05, 0.05, -0.03, 0.03], {1: -0.4, 8: -0.2, 64: 0.0, 512: 0.2}
    together = {c: {n: s + m for n, s in enumerate(shared)} for c, m in means.items()}
    apart = {c: {n + 10 * c: v for n, v in rounds.items()} for c, rounds in together.items()}
    middle = math.log(math.sqrt(8 * 64) / 64) / math.log(8) * 0.2
    wide, narrow = (crossover(each, level=middle) for each in (together, apart))
    assert wide.low is not None
    assert narrow.low is not None
    assert wide.low < narrow.low < math.sqrt(8 * 64)


def test_an_interval_leaves_room_for_a_curve_where_neighbours_show_that_there_is_one() -> None:
    """Level up to 16, level from 128 on: nobody knows where between them it rises."""
    plateaus = of({1: [-0.2] * 3, 16: [-0.2] * 3, 128: [0.2] * 3, 512: [0.2] * 3})
    straight = of({c: [0.1 * math.log(c / 45)] * 3 for c in (1, 16, 128, 512)})
    rough, even = crossover(plateaus), crossover(straight)
    assert rough.low is not None
    assert rough.high is not None
    assert 16 < rough.low < 40
    assert 50 < rough.high < 128
    assert (even.low, even.high) == pytest.approx((45, 45))


def test_an_end_is_open_where_the_crossing_may_lie_beyond_what_was_measured() -> None:
    found = crossover(of({1: [-0.3, -0.31, -0.29], 8: [-0.2, -0.21, -0.19], 64: [0.3, -0.2, 0.1]}))
    assert found.at is not None
    assert found.low is not None
    assert found.high is None
    assert not found.certain


def test_no_crossing_says_on_which_side_all_lies() -> None:
    above = crossover(of({1: [0.1, 0.11, 0.12], 8: [0.2, 0.21, 0.22]}))
    assert (above.at, above.low, above.high, above.side) == (None, None, None, "above")
    assert not above.possible
    below = crossover(of({1: [-0.1, 0.04, -0.12], 8: [-0.2, -0.21, -0.22]}))
    assert (below.at, below.side, below.possible) == (None, "below", True)


def test_a_noisy_point_on_the_wrong_side_does_not_make_a_second_crossing() -> None:
    """Without a monotone fit the line would cross at 4, back, and again at 64."""
    rough = {1: [-0.3] * 4, 4: [0.02, -0.4, 0.5, 0.0], 16: [-0.1] * 4, 64: [0.3] * 4}
    found = crossover(of(rough))
    assert found.at is not None
    assert 16 < found.at < 64


def test_another_level_is_crossed_elsewhere() -> None:
    found = crossover(line(10.0, 0.2, 0.0, 1), level=math.log(1.05))
    assert found.at == pytest.approx(10.0 * math.exp(math.log(1.05) / 0.2))


def test_one_number_of_connections_has_no_crossover() -> None:
    with pytest.raises(ValueError, match="two numbers of connections"):
        crossover(of({1: [0.1, 0.1], 8: [0.2]}))


def test_two_rounds_count_only_where_nothing_better_is_known() -> None:
    three = {1: [-0.1, -0.11, -0.12], 64: [0.1, 0.11, 0.12]}
    assert crossover(of(three | {8: [0.5, 0.9]})) == crossover(of(three))
    assert crossover(of({1: [-0.1, -0.11], 64: [0.1, 0.11]})).at is not None


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 10)), min_size=1, max_size=8), st.booleans()
)
def test_the_fit_is_monotone_and_keeps_the_weighted_mean(
    points: list[tuple[float, float]], rising: bool
) -> None:
    values, weights = [v for v, _ in points], [w for _, w in points]
    fit = _monotone(values, weights, rising=rising)
    ordered = fit if rising else fit[::-1]
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(ordered))
    assert math.fsum(f * w for f, w in zip(fit, weights, strict=True)) == pytest.approx(
        math.fsum(v * w for v, w in points), abs=1e-6
    )
