"""Each reason to disbelieve a measurement, just inside and just outside its threshold."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.verdict import (
    ERROR_KINDS,
    Figures,
    generator_at_fault,
    invalid_reasons,
    jain_index,
    little_ratio,
    starved,
)

SOUND = Figures(
    completions=640,
    completions_wanted=640,
    errors=dict.fromkeys(ERROR_KINDS, 0),
    client_cpu_utilisation=0.4,
    upstream_cpu_utilisation=None,
    bound_ratio=0.99,
    little_ratio=1.0,
    connections=64,
    connections_unserved=0,
    serves_one_at_a_time=False,
    latency_at_least=False,
)

ACCEPTED: dict[str, dict[str, Any]] = {
    "a sound measurement": {},
    "exactly as many completions as wanted": {"completions": 10, "completions_wanted": 10},
    "busy 90%": {"client_cpu_utilisation": 0.90},
    "busy unknown": {"client_cpu_utilisation": None},
    "busy 90% with the upstream": {
        "client_cpu_utilisation": 0.5,
        "upstream_cpu_utilisation": 0.4,
    },
    "2% above the bound": {"bound_ratio": 1.02},
    "no bound, as nothing waits": {"bound_ratio": None},
    "Little's law 5% low": {"little_ratio": 0.95},
    "Little's law 5% high": {"little_ratio": 1.05},
    "Little's law without a mean": {"little_ratio": None},
    "Little's law low where latency is a lower bound": {
        "little_ratio": 0.5,
        "latency_at_least": True,
    },
    "late by a millisecond": {"own_lateness_p99_ms": 1.0},
    "late by a twentieth of what a reply takes": {
        "own_lateness_p99_ms": 2.5,
        "response_p50_ms": 50.0,
    },
    "a quarter of the window without a core": {"client_waited_for_cpu": 0.25},
    "99% of the arrivals sent": {"is_open": True, "scheduled": 1000, "sent": 990},
    "few sent in a closed loop, which has no schedule": {"scheduled": 0, "sent": 0},
    "Jain's index of 0.8": {"fairness_jain": 0.8},
    "an open loop that uses its connections as it likes": {
        "is_open": True,
        "fairness_jain": 0.1,
        "connections_unserved": 60,
    },
    "one at a time, and unfair": {"fairness_jain": 0.02, "serves_one_at_a_time": True},
    "unserved connections of a server that serves one at a time": {
        "connections_unserved": 63,
        "serves_one_at_a_time": True,
    },
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no completions": ({"completions": 0}, "no request completed in the measured window"),
    "one completion too few": (
        {"completions": 639},
        "only 639 of the 640 completions wanted came before the time limit of the slice",
    ),
    "one error": ({"errors": {**SOUND.errors, "status": 1}}, "errors: 1 status"),
    "errors of two classes": (
        {"errors": {**SOUND.errors, "body": 3, "reset": 2}},
        "errors: 2 reset, 3 body",
    ),
    "busy 91%": (
        {"client_cpu_utilisation": 0.91},
        "the generator was busy 91% of the window (limit 90%)",
    ),
    "busy 91% with the upstream": (
        {"client_cpu_utilisation": 0.5, "upstream_cpu_utilisation": 0.41},
        "generator and upstream were busy 91% of the window (limit 90%)",
    ),
    "2.1% above the bound": (
        {"bound_ratio": 1.021},
        "throughput is 1.021 times the physical bound connections / delay (limit 1.02): "
        "the target does not wait as asked",
    ),
    "Little's law 5.1% low": (
        {"little_ratio": 0.949},
        "Little's law is off: throughput x response time is 0.949 times the mean in flight "
        "(limits 1 +- 0.05): the window was not steady",
    ),
    "Little's law 5.1% high": ({"little_ratio": 1.051}, "Little's law is off: "),
    "Little's law high where latency is a lower bound": (
        {"little_ratio": 1.051, "latency_at_least": True},
        "Little's law is off: ",
    ),
    "late by more": (
        {"own_lateness_p99_ms": 1.01, "response_p50_ms": 20.0},
        "the generator was late: p99 1.01 ms though a connection was free (limit 1.00 ms)",
    ),
    "late by more than a twentieth": (
        {"own_lateness_p99_ms": 2.6, "response_p50_ms": 50.0},
        "the generator was late: p99 2.60 ms though a connection was free (limit 2.50 ms)",
    ),
    "more than a quarter without a core": (
        {"client_waited_for_cpu": 0.26},
        "the generator waited for a core 26% of the window (limit 25%)",
    ),
    "98.9% of the arrivals sent": (
        {"is_open": True, "scheduled": 1000, "sent": 989},
        "only 989 of the 1000 arrivals that the schedule has in the window were sent in it",
    ),
    "Jain's index below 0.8": (
        {"fairness_jain": 0.79, "connections_starved": 5},
        "the connections were served unequally: Jain's index is 0.79 (limit 0.8), 5 of 64 got",
    ),
    "one connection unserved": (
        {"connections_unserved": 1},
        "1 of 64 connections were served nothing",
    ),
}


@pytest.mark.parametrize("change", ACCEPTED.values(), ids=ACCEPTED)
def test_valid(change: dict[str, Any]) -> None:
    assert invalid_reasons(replace(SOUND, **change)) == []


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED)
def test_invalid_for_one_reason_in_words(change: dict[str, Any], words: str) -> None:
    (reason,) = invalid_reasons(replace(SOUND, **change))
    assert reason.startswith(words)


def test_all_reasons_are_given_not_only_the_first() -> None:
    bad = replace(SOUND, completions=0, bound_ratio=2.0, connections_unserved=64)
    assert len(invalid_reasons(bad)) == 3


def test_little_ratio_is_one_when_throughput_times_time_is_the_number_in_flight() -> None:
    """619 req/s x 103.4 ms = 64 in flight."""
    assert little_ratio(619.0, 0.1034, 64.0) == pytest.approx(1.0, rel=1e-3)
    assert little_ratio(512.0, 0.1034, 64.0) == pytest.approx(0.827, rel=1e-3)


def test_little_ratio_is_none_where_it_cannot_be_formed() -> None:
    assert little_ratio(0.0, None, 64.0) is None
    assert little_ratio(10.0, 0.1, 0.0) is None


def test_jain_index_of_known_shares() -> None:
    assert jain_index([7, 7, 7, 7]) == 1.0
    assert jain_index([28, 0, 0, 0]) == 0.25
    assert jain_index([1, 3]) == 16 / 20
    assert jain_index([0, 0]) is None
    assert jain_index([]) is None


def test_starved_are_those_with_less_than_a_tenth_of_an_equal_share() -> None:
    assert starved([100, 100, 0, 9, 100, 7]) == [2]
    assert starved([100, 100, 0, 5, 100, 7]) == [2, 3]
    assert starved([5, 5, 5]) == []
    assert starved([0, 0]) == []
    assert starved([]) == []


def test_only_lateness_business_and_a_lost_core_are_the_generators_fault() -> None:
    for change, ours in (
        ({"own_lateness_p99_ms": 5.0}, True),
        ({"client_cpu_utilisation": 0.95}, True),
        ({"client_waited_for_cpu": 0.5}, True),
        ({"completions": 0, "connections_unserved": 9, "bound_ratio": 2.0}, False),
        ({"is_open": True, "scheduled": 1000, "sent": 10}, False),
    ):
        assert generator_at_fault(replace(SOUND, **change)) == ours


@settings(deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=50).filter(any))
def test_jain_index_is_between_one_in_n_and_one(shares: list[int]) -> None:
    index = jain_index(shares)
    assert index is not None
    assert 1 / len(shares) - 1e-12 <= index <= 1 + 1e-12
