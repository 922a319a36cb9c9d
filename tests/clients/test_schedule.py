"""The starts of a closed loop are spread evenly over one delay."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.schedule import spread_starts


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
