"""From slices to the ratios of pairs: what counts, what is left out, and who failed."""

import math
from typing import Any

import pytest

from bench.errors import UserError
from bench.gate.slices import failures_of, pair_ratio, pair_ratios_of, sample_of, samples_of

WORK = "/ at 8 connections"


def line(pair: int, couple: int, side: str, regime: str = "closed", **more: Any) -> dict[str, Any]:
    return {
        "pair": pair,
        "couple": couple,
        "side": side,
        "regime": regime,
        "workload": WORK,
        "throughput_rps": 1000.0,
        "server_cpu_us_per_request": 100.0,
        "response_time_ms": {"p50": 20.0, "p99": 25.0},
        "at_least": [],
        "requests": 250,
        "served": 250,
        "errors": {"connect": 0, "body": 0},
        "valid": True,
        "invalid_reasons": [],
        "generator_at_fault": False,
        **more,
    }


def couple(pair: int, number: int = 0, regime: str = "closed", **head: Any) -> list[dict[str, Any]]:
    sides = [line(pair, number, "base", regime), line(pair, number, "head", regime, **head)]
    return sides if pair % 2 else sides[::-1]


def bad(reason: str, *, generator: bool = False) -> dict[str, Any]:
    return {"valid": False, "invalid_reasons": [reason], "generator_at_fault": generator}


def test_slices_of_a_pair_count_once() -> None:
    """A pair's ratio is the geometric mean of its couples: of 2 and 1/2 it is 1."""
    lines = couple(0, 0, throughput_rps=2000.0) + couple(0, 1, throughput_rps=500.0)
    lines += couple(1, 0, throughput_rps=2000.0)
    sample = sample_of(lines, WORK, "throughput")
    assert sample.ratios == pytest.approx((0.0, math.log(2)))
    assert (sample.couples, sample.bad) == (3, 0)
    assert pair_ratios_of(lines, {WORK: ("throughput",)}) == {
        WORK: {"throughput": pytest.approx([1.0, 2.0])}
    }


def test_each_metric_is_read_from_its_regime() -> None:
    lines = couple(0, server_cpu_us_per_request=110.0)
    lines += couple(0, 0, "open", response_time_ms={"p50": 21.0, "p99": 50.0})
    samples = {s.metric: s for s in samples_of(lines, {WORK: ("throughput", "cpu", "p50", "p99")})}
    ratios = {name: math.exp(sample.ratios[0]) for name, sample in samples.items()}
    assert ratios == pytest.approx({"throughput": 1.0, "cpu": 1.1, "p50": 1.05, "p99": 2.0})


def test_invalid_slices_are_never_averaged_in() -> None:
    lines = couple(0, throughput_rps=2000.0)
    lines += couple(0, 1, throughput_rps=500.0, **bad("the window was not steady"))
    sample = sample_of(lines, WORK, "throughput")
    assert sample.ratios == pytest.approx((math.log(2),))
    assert (sample.couples, sample.bad, sample.generator) == (2, 1, 0)
    assert sample.why_bad == ("the window was not steady",)


def test_a_bound_is_no_percentile() -> None:
    lines = couple(0, 0, "open", at_least=["p99", "max"])
    assert sample_of(lines, WORK, "p99").ratios == ()
    assert sample_of(lines, WORK, "p50").ratios == (0.0,)


def test_half_a_couple_is_none() -> None:
    assert sample_of([line(0, 0, "base")], WORK, "cpu").couples == 0
    assert pair_ratio([], "cpu") is None


def blamed(lines: list[dict[str, Any]], metric: str = "cpu") -> tuple[int, ...]:
    """Couples that base, and head, spoilt; pairs in which base, and head, spoilt more."""
    found = sample_of(lines, WORK, metric)
    return found.base_bad, found.head_bad, found.base_worse, found.head_worse


def test_whose_fault_a_bad_couple_was() -> None:
    by_generator = couple(0, **bad("late", generator=True))
    assert sample_of(by_generator, WORK, "cpu").generator == 1
    assert blamed(by_generator) == (0, 0, 0, 0)
    assert blamed(couple(0, **bad("unserved"))) == (0, 1, 0, 1)
    two_of_three = couple(0, **bad("x")) + couple(0, 1, **bad("x")) + couple(0, 2)
    assert blamed(two_of_three) == (0, 2, 0, 1)
    assert blamed(couple(0, **bad("x")) + couple(0, 1)) == (0, 1, 0, 1)
    both = [line | bad("x") for line in couple(0)]
    assert blamed(both + couple(0, 1, **bad("x"))) == (1, 2, 0, 1)
    base = [line | (bad("x") if line["side"] == "base" else {}) for line in couple(1)]
    assert blamed(both + base) == (2, 1, 1, 0)


def test_cpu_of_processes_that_come_and_go_is_nobodys_fault() -> None:
    lines = couple(0, processes_changed=True)
    assert sample_of(lines, WORK, "throughput").ratios == (0.0,)
    found = sample_of(lines, WORK, "cpu")
    assert (found.ratios, found.bad) == ((), 1)
    assert found.why_bad == ("processes came or went, whose CPU is not known",)
    assert blamed(lines) == (0, 0, 0, 0)


@pytest.mark.parametrize(("arrivals", "usable"), [(99, False), (100, True)])
def test_p99_needs_a_hundred_arrivals(arrivals: int, usable: bool) -> None:
    lines = couple(0, 0, "open", scheduled=arrivals)
    assert bool(sample_of(lines, WORK, "p99").ratios) is usable
    assert sample_of(lines, WORK, "p50").ratios == (0.0,)
    assert blamed(lines, "p99") == (0, 0, 0, 0)


def test_head_failing_requests_is_told_with_what_failed() -> None:
    lines = couple(0) + couple(1, errors={"connect": 0, "body": 2})
    assert failures_of(lines) == ["head failed 2 of 500 requests (2 body), base did not"]


def test_head_that_dies_now_and_then_has_failed() -> None:
    gone = {"served": 0, "errors": {}, **bad("head: ended with signal SIGKILL")}
    assert failures_of(couple(0) + couple(1, **gone)) == [
        "head answered nothing in 1 of 2 slices (head: ended with signal SIGKILL), base did not"
    ]


def test_a_slice_that_the_generator_lost_is_no_failure_of_head() -> None:
    lost = {"served": 0, "errors": {}, **bad("generator: lost", generator=True)}
    assert failures_of(couple(0) + couple(1, **lost)) == []


@pytest.mark.parametrize("errors", [0, 7])
def test_errors_of_base_make_the_comparison_impossible(errors: int) -> None:
    lines = [line(0, 0, "base", errors={"status": 5}), line(0, 0, "head", errors={"body": errors})]
    with pytest.raises(UserError, match=r"base failed 5 of 250 requests \(5 status\); make base"):
        failures_of(lines)


@pytest.mark.parametrize(
    ("lines", "side"),
    [
        ([], "base"),
        ([line(0, 0, "base")], "head"),
        (couple(0, served=0, errors={}), "head"),
        (couple(0, served=0, errors={}, **bad("lost", generator=True)), "head"),
        ([line(0, 0, "base", served=0), line(0, 0, "head")], "base"),
    ],
)
def test_nothing_measured_is_an_error(lines: list[dict[str, Any]], side: str) -> None:
    with pytest.raises(UserError, match=f"nothing was measured of {side}"):
        failures_of(lines)
