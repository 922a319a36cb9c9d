"""Where a line crosses 1: on lines of which the crossing is known."""

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analyse.crossover import _monotone, crossover

COUNTS = (1, 4, 16, 64, 256, 1024)


def line(
    at: float, slope: float, sd: float, seed: int, counts: tuple[int, ...] = COUNTS, rounds: int = 6
) -> dict[float, list[float]]:
    """Log-ratios that rise with the logarithm of the connections, through 0 at a number of them."""
    rng = random.Random(seed)
    return {
        count: [slope * math.log(count / at) + rng.gauss(0, sd) for _ in range(rounds)]
        for count in counts
    }


def generator() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.mark.parametrize("slope", [0.2, -0.2])
@pytest.mark.parametrize("at", [3.0, 20.0, 500.0])
def test_the_crossing_of_a_line_is_found(at: float, slope: float) -> None:
    found = crossover(line(at, slope, 0.0, 1), generator())
    assert found.at == pytest.approx(at, rel=1e-6)
    assert found.rising == (slope > 0)


def test_its_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = known = 0
    for seed in range(150):
        found = crossover(line(37.0, 0.15, 0.05, seed), np.random.default_rng(seed))
        if found.low is not None and found.high is not None:
            known += 1
            held += found.low <= 37.0 <= found.high
    assert known > 140
    assert held / known >= 0.85, "few rounds, drawn again: somewhat too narrow"


def test_no_crossing_says_on_which_side_all_lies() -> None:
    above = crossover({1: [0.1, 0.12], 8: [0.2, 0.22]}, generator())
    assert (above.at, above.low, above.high, above.side) == (None, None, None, "above")
    assert crossover({1: [-0.1, -0.12], 8: [-0.2, -0.22]}, generator()).side == "below"


def test_a_noisy_point_on_the_wrong_side_does_not_make_a_second_crossing() -> None:
    """Without a monotone fit the line would cross at 4, back, and again at 64."""
    rough = {1: [-0.3] * 4, 4: [0.02, -0.4, 0.5, 0.0], 16: [-0.1] * 4, 64: [0.3] * 4}
    found = crossover(rough, generator())
    assert found.at is not None
    assert 16 < found.at < 64


def test_another_level_is_crossed_elsewhere() -> None:
    found = crossover(line(10.0, 0.2, 0.0, 1), generator(), level=math.log(1.05))
    assert found.at == pytest.approx(10.0 * math.exp(math.log(1.05) / 0.2))


def test_one_number_of_connections_has_no_crossover() -> None:
    with pytest.raises(ValueError, match="two numbers of connections"):
        crossover({1: [0.1]}, generator())


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
