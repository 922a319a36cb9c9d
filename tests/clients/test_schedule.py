"""When requests are meant to start: exactly where the formula says, for every shard."""

import math
from itertools import islice, pairwise, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from clients.schedule import Schedule, spread_starts

unhurried = settings(deadline=None, max_examples=60)
SECOND_NS = 1_000_000_000


def first(schedule: Schedule, count: int, shard: int = 0, shards: int = 1) -> list[int]:
    return list(islice(schedule.offsets_ns(shard, shards), count))


def before(schedule: Schedule, until_s: float) -> list[int]:
    return list(takewhile(lambda at: at < until_s * SECOND_NS, schedule.offsets_ns()))


def constant(rate_rps: float) -> Schedule:
    return Schedule(((rate_rps, math.inf),))


def poisson(rate_rps: float, seed: int = 0) -> Schedule:
    return Schedule(((rate_rps, math.inf),), "poisson", seed)


# Open loop


def test_constant_arrivals_are_evenly_spaced_from_zero() -> None:
    assert first(constant(1_000), 4) == [0, 1_000_000, 2_000_000, 3_000_000]


def test_constant_arrivals_do_not_drift() -> None:
    """1/3000 s is no whole number of ns; the 3,000,000th arrival is still at 1,000 s."""
    (last,) = islice(constant(3_000).offsets_ns(), 3_000_000, 3_000_001)
    assert last == 1_000 * SECOND_NS


@unhurried
@given(
    st.lists(st.tuples(st.floats(1, 500), st.floats(0.05, 2)), min_size=1, max_size=4),
    st.sampled_from(["constant", "poisson"]),
    st.integers(1, 5),
)
def test_shards_share_out_exactly_the_arrivals_of_the_whole(
    steps: list[tuple[float, float]], arrivals: str, shards: int
) -> None:
    schedule = Schedule(tuple(steps), arrivals, seed=7)
    whole = first(schedule, 60)
    parts = [first(schedule, 60 // shards + 1, shard, shards) for shard in range(shards)]
    assert whole == sorted(whole)
    assert [parts[i % shards][i // shards] for i in range(60)] == whole


@unhurried
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 4)), min_size=1, max_size=5))
def test_a_step_of_a_constant_rate_neither_drops_an_arrival_nor_adds_one(
    steps: list[tuple[int, int]],
) -> None:
    schedule = Schedule(tuple((float(rate), float(lasts)) for rate, lasts in steps))
    until_s = sum(lasts for _, lasts in steps)
    assert len(before(schedule, until_s)) == sum(rate * lasts for rate, lasts in steps)


def test_the_rate_changes_where_the_step_says_and_the_last_one_lasts() -> None:
    schedule = Schedule(((10, 1.0), (100, 0.5)))
    assert len(before(schedule, 1.0)) == 10
    assert len(before(schedule, 1.5)) == 60
    assert len(before(schedule, 2.5)) == 160
    assert [schedule.rate_at(at_s) for at_s in (0.0, 0.99, 1.0, 1.49, 9.0)] == [
        10,
        10,
        100,
        100,
        100,
    ]


@pytest.mark.parametrize("seed", range(5))
def test_poisson_gaps_are_exponential(seed: int) -> None:
    """Kolmogorov-Smirnov on 20,000 gaps against Exp(1/1000 s); the seeds are fixed, so is p."""
    offsets = first(poisson(1_000, seed), 20_001)
    gaps_s = [(b - a) / 1e9 for a, b in pairwise(offsets)]
    assert kstest(gaps_s, "expon", args=(0, 1 / 1_000)).pvalue > 0.01


def test_poisson_arrivals_of_a_shard_are_spaced_as_every_nth() -> None:
    """Gaps of every third arrival are Erlang-3."""
    offsets = first(poisson(3_000), 10_001, 1, 3)
    gaps_s = [(b - a) / 1e9 for a, b in pairwise(offsets)]
    assert kstest(gaps_s, "gamma", args=(3, 0, 1 / 3_000)).pvalue > 0.01


def test_a_seed_always_gives_the_same_arrivals_and_another_gives_others() -> None:
    assert first(poisson(100, 3), 500) == first(poisson(100, 3), 500)
    assert first(poisson(100, 3), 500) != first(poisson(100, 4), 500)


def test_the_arrivals_of_seed_0_are_known_for_ever() -> None:
    """A run can be repeated with another version: these must never change."""
    assert first(poisson(1_000), 3) == [2_148_241, 2_713_045, 2_739_834]


@pytest.mark.parametrize(
    ("steps", "arrivals"),
    [
        ((), "constant"),
        (((0.0, 1.0),), "constant"),
        (((-5.0, 1.0),), "constant"),
        (((math.inf, 1.0),), "constant"),
        (((math.nan, 1.0),), "constant"),
        (((10.0, 0.0),), "constant"),
        (((10.0, 1.0),), "uniform"),
    ],
)
def test_what_is_no_schedule_is_refused(
    steps: tuple[tuple[float, float], ...], arrivals: str
) -> None:
    with pytest.raises(ValueError, match=r"schedule|arrivals"):
        Schedule(steps, arrivals)


# Closed loop


def test_four_connections_over_20_ms_start_5_ms_apart() -> None:
    assert spread_starts(4, 0.020) == [0, 5_000_000, 10_000_000, 15_000_000]


def test_without_a_delay_all_start_at_once() -> None:
    assert spread_starts(3, 0.0) == [0, 0, 0]


@settings(deadline=None)
@given(st.integers(1, 5_000), st.floats(0, 60))
def test_starts_are_within_the_delay_and_their_gaps_differ_by_a_nanosecond_at_most(
    connections: int, over_s: float
) -> None:
    starts = spread_starts(connections, over_s)
    assert len(starts) == connections
    assert starts[0] == 0
    over_ns = round(over_s * 1e9)
    gaps = [b - a for a, b in zip(starts, [*starts[1:], over_ns], strict=True)]
    assert min(gaps) >= 0
    assert max(gaps) - min(gaps) <= 1


def test_no_connections_and_negative_delays_are_refused() -> None:
    with pytest.raises(ValueError, match="connections must be at least 1, not 0"):
        spread_starts(0, 1.0)
    with pytest.raises(ValueError, match=r"the spread cannot be negative: -0\.1 s"):
        spread_starts(1, -0.1)
