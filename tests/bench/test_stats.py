"""Intervals against known answers and by simulation; the verdict rule as a table."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.stats import (
    Interval,
    decide,
    difference_interval,
    difference_p,
    discoveries,
    mean_interval,
    p_value,
    quantile_interval,
)


def test_student_t_interval_of_a_small_sample_by_hand():
    """1, 2, 3: mean 2, s = 1, t(2, 97.5%) = 4.30265, so 2 +- 4.30265 / sqrt(3) = 2.48414."""
    interval = mean_interval([1, 2, 3])
    assert interval.estimate == 2
    assert interval.high == pytest.approx(2 + 2.48414, abs=1e-5)
    assert interval.low == pytest.approx(2 - 2.48414, abs=1e-5)


def test_welch_interval_by_hand():
    """Means 2 and 6; s^2/n = 1/3 and 4/3; df = (5/3)^2 / (1/18 + 16/18) = 2.9412; t = 3.2184."""
    interval = difference_interval([1, 2, 3], [4, 6, 8])
    assert interval.estimate == 4
    assert interval.high - 4 == pytest.approx(3.2184 * math.sqrt(5 / 3), abs=1e-3)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_the_p_value_of_a_difference_agrees_with_its_interval(confidence):
    """The ends of the interval are those differences that have a p-value of 1 - confidence."""
    first, second = [1.0, 2.0, 3.0], [4.0, 6.0, 8.0]
    half = difference_interval(first, second, confidence).high - 4
    assert difference_p(first, [x - 4 + half for x in second]) == pytest.approx(1 - confidence)
    beyond = difference_p(first, [x - 4 - 0.7 - half for x in second], 0.7)
    assert beyond == pytest.approx(1 - confidence)


def test_no_difference_is_seen_within_the_margin_or_in_one_value():
    assert difference_p([1.0, 1.1], [1.4, 1.5], 0.5) == 1
    assert difference_p([1.0], [9.0, 9.1]) == 1
    assert difference_p([1.0, 1.0], [3.0, 3.0], 1.9) == 0


def test_a_truth_at_the_margin_is_called_beyond_it_in_no_more_than_five_percent():
    """2,000 pairs of 5 and 8 values whose means differ by just the margin."""
    generator = np.random.default_rng(7)
    called = 0
    for _ in range(2000):
        first, second = generator.normal(0, 1, 5), generator.normal(0.8, 2, 8)
        called += difference_p(first, second, 0.8) <= 0.05
    assert called / 2000 < 0.06


def test_fewer_than_two_values_give_no_ends():
    assert mean_interval([0.3]) == Interval(0.3, -math.inf, math.inf, 1)
    assert difference_interval([0.3], [0.4, 0.5]).high == math.inf
    assert mean_interval([0.0]).exp() == Interval(1.0, 0.0, math.inf, 1)


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])
    with pytest.raises(ValueError, match="either side"):
        difference_interval([1.0], [])


def test_equal_values_give_a_point():
    assert mean_interval([0.5, 0.5]) == Interval(0.5, 0.5, 0.5, 2)
    assert difference_interval([1.0, 1.0], [3.0, 3.0]) == Interval(2.0, 2.0, 2.0, 2)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=30))
def test_the_ratio_the_other_way_round_has_the_inverse_interval(logs):
    forth = mean_interval(logs).exp().inverse()
    back = mean_interval([-x for x in logs]).exp()
    assert forth.estimate == pytest.approx(back.estimate)
    assert forth.low == pytest.approx(back.low)
    assert forth.high == pytest.approx(back.high)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.96, 1.04, "equal"),  # inside [0.952, 1.05]
        (1.01, 1.05, "equal"),  # equal comes first, though it excludes 1
        (1 / 1.05, 1.05, "equal"),  # the ends belong to it
        (1.01, 1.06, "A"),
        (0.80, 0.99, "B"),
        (0.94, 1.02, "undecided"),
        (0.99, 1.20, "undecided"),
        (1.00, 1.20, "undecided"),  # 1 itself is not excluded
        (2.00, math.inf, "A"),  # only known to be at least
        (0.99, math.inf, "undecided"),
        (0.00, 0.90, "B"),
    ],
)
def test_equal_first_then_a_or_b_else_undecided(low, high, verdict):
    interval = Interval(1.0, low, high, 6)
    mirrored = {"A": "B", "B": "A"}.get(verdict, verdict)
    assert decide(interval, 0.05) == verdict
    assert decide(interval, 0.05, lower_is_better=True) == mirrored
    assert decide(Interval(1.0, low, high, 1), 0.05) == "undecided"


@pytest.mark.parametrize("rounds", [5, 6, 10, 20])
def test_95_percent_intervals_cover_the_truth_with_round_effects_and_heavy_tails(rounds):
    """4,000 runs of a true ln ratio of 0.1: the standard error of the coverage is 0.35%.

    Each round has an effect of its own that both slices share (it cancels), one that they do not
    (layout luck), and slices with Student-t noise of 3 degrees of freedom.
    """
    generator = np.random.default_rng(7)
    covered = 0
    for _ in range(4000):
        shared = generator.normal(0, 0.2, rounds)
        a = (
            0.1
            + shared
            + generator.normal(0, 0.02, rounds)
            + 0.02 * generator.standard_t(3, rounds)
        )
        b = shared + generator.normal(0, 0.02, rounds) + 0.02 * generator.standard_t(3, rounds)
        interval = mean_interval(a - b)
        covered += interval.low <= 0.1 <= interval.high
    assert 0.93 < covered / 4000 < 0.97


def test_welch_covers_with_unequal_samples_and_noise():
    generator = np.random.default_rng(8)
    covered = 0
    for _ in range(3000):
        interval = difference_interval(generator.normal(0, 1, 6), generator.normal(0.5, 3, 10))
        covered += interval.low <= 0.5 <= interval.high
    assert 0.93 < covered / 3000 < 0.97


def test_p_is_that_of_students_test_and_agrees_with_the_interval():
    """1, 2, 3: t = 2 / (1 / sqrt(3)) = 3.4641 with 2 degrees of freedom, p = 0.07418."""
    assert p_value([1, 2, 3]) == pytest.approx(0.07418, abs=1e-5)
    assert (p_value([0.0, 0.0]), p_value([0.1, 0.1]), p_value([0.1])) == (1.0, 0.0, None)
    just = [1.0, 2.0, 3.0, 1.1]
    p = p_value(just)
    assert mean_interval(just, 1 - p).low == pytest.approx(0, abs=1e-9)


def test_discoveries_by_benjamini_and_hochbergs_own_example():
    """Their 15 p-values of 1995: at 5% the first four are discoveries, Bonferroni has three."""
    theirs = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
        0.5719, 0.6528, 0.7590, 1.0,
    ]  # fmt: skip
    assert discoveries(theirs, 0.05) == [True] * 4 + [False] * 11
    assert discoveries(theirs[::-1], 0.05) == [False] * 11 + [True] * 4
    assert discoveries([0.04, 0.05], 0.05) == [True, True], "a later one carries those before it"
    assert discoveries([], 0.05) == []


def test_the_interval_of_a_median_by_order_statistics():
    """Of 6 values all lie on one side with 2 / 64 = 3.1%; of 5 with 6.2%, too much for 95%.

    Of 20, up to 5 lie below the median with 2.07%: the 6th and the 15th hold it.
    """
    assert quantile_interval([4, 2, 6, 1, 5, 3], 0.5) == (1, 6)
    assert quantile_interval([4, 2, 1, 5, 3], 0.5) == (None, None)
    assert quantile_interval(range(1, 21), 0.5) == (6, 15)
    assert quantile_interval([], 0.5) == (None, None)


def test_lower_bounds_open_the_high_end_only_where_they_reach_it():
    values = list(range(1, 21))
    assert quantile_interval(values, 0.5, at_least=[False] * 15 + [True] * 5) == (6, 15)
    assert quantile_interval(values, 0.5, at_least=[False] * 14 + [True] * 6) == (6, None)
    assert quantile_interval(values, 0.5, at_least=[True] + [False] * 19) == (6, 16)


@pytest.mark.parametrize(("n", "share"), [(10, 0.5), (20, 0.5), (500, 0.99)])
def test_intervals_of_quantiles_cover_at_least_as_often_as_they_say(n, share):
    generator = np.random.default_rng(9)
    truth, covered = -math.log(1 - share), 0
    for sample in generator.exponential(size=(2000, n)):
        low, high = quantile_interval(list(sample), share)
        covered += (low is None or low <= truth) and (high is None or truth <= high)
    assert covered / 2000 > 0.94
