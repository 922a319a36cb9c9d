"""The search for the highest rate that meets an SLO: on servers that are a formula."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.measure.capacity import HIGHEST_RPS, Outcome, search
from bench.measure.rate_trials import judge
from clients.expectation import parse_expectation


@settings(deadline=None, max_examples=100)
@given(st.floats(2, 100_000), st.floats(1, 200_000))
def test_a_sharp_limit_is_found_from_wherever_the_search_begins(limit: float, start: float) -> None:
    found = search(lambda rate: Outcome.MET if rate <= limit else Outcome.FAILED, start, 5)
    assert found.limited_by == "server"
    assert found.rate_rps == pytest.approx(limit, rel=0.02)
    assert found.low_rps is not None
    assert found.high_rps is not None
    assert found.low_rps <= limit * 1.001
    assert found.high_rps >= limit * 0.999


def test_the_interval_holds_a_blurred_limit_about_as_often_as_it_says() -> None:
    """A trial fails with a chance that rises from 0 to 1 around 1,000 req/s, by some 5%."""
    held = 0
    for seed in range(200):
        rng = random.Random(seed)

        def trial(rate: float, rng: random.Random = rng) -> Outcome:
            return Outcome.MET if rate * math.exp(rng.gauss(0, 0.05)) < 1_000 else Outcome.FAILED

        found = search(trial, 300, 5)
        assert found.low_rps is not None
        assert found.high_rps is not None
        held += found.low_rps <= 1_000 <= found.high_rps
    assert held >= 180


def test_a_server_that_never_meets_it_has_no_capacity() -> None:
    found = search(lambda rate: Outcome.FAILED, 100, 5)
    assert (found.rate_rps, found.limited_by) == (None, "server")


def test_where_the_generator_gives_up_the_rate_is_a_lower_bound() -> None:
    found = search(lambda rate: Outcome.MET if rate < 900 else Outcome.GENERATOR, 100, 5)
    assert found.limited_by == "generator"
    assert found.rate_rps is not None
    assert 600 <= found.rate_rps < 900
    assert found.high_rps is None


def test_a_generator_that_fails_once_is_asked_again() -> None:
    failed: set[float] = set()

    def trial(rate: float) -> Outcome:
        if rate not in failed:
            failed.add(rate)
            return Outcome.GENERATOR
        return Outcome.MET if rate <= 500 else Outcome.FAILED

    assert search(trial, 100, 3).limited_by == "server"


def test_a_server_without_a_limit_ends_at_the_highest_rate() -> None:
    found = search(lambda rate: Outcome.MET, 1_000, 1)
    assert found.rate_rps is not None
    assert found.rate_rps <= HIGHEST_RPS * 1.2


# What a trial shows


def answer(**fields: object) -> dict[str, object]:
    times = dict.fromkeys(("mean", "p50", "p90", "p95", "p99", "p999", "max"), 30.0)
    return {
        "response_time_ms": times, "at_least": [], "throughput_rps": 1000.0, "offered_rps": 1005.0,
        "errors": {"reset": 0}, "completions": 2000, "generator_at_fault": False,
        "invalid_reasons": [],
    } | fields  # fmt: skip


SLO = [parse_expectation("p99<50ms"), parse_expectation("errors<0.1%")]


def test_a_trial_meets_fails_or_says_nothing_of_the_server() -> None:
    assert judge(answer(), SLO) == (Outcome.MET, "")
    slow = dict.fromkeys(("mean", "p50", "p90", "p95", "p99", "p999", "max"), 80.0)
    assert judge(answer(response_time_ms=slow), SLO)[0] is Outcome.FAILED
    assert judge(answer(throughput_rps=900.0), SLO) == (Outcome.FAILED, "saturated at 900 req/s")
    assert judge(answer(errors={"reset": 9}), SLO)[0] is Outcome.FAILED
    late = answer(response_time_ms=slow, generator_at_fault=True, invalid_reasons=["late"])
    assert judge(late, SLO) == (Outcome.GENERATOR, "late")
    assert judge(answer(generator_at_fault=True), SLO)[0] is Outcome.MET
