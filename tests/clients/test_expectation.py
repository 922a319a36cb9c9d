"""What is expected of a measurement, and what a measurement shows of it."""

from typing import Any

import pytest

from clients.expectation import parse_expectation

TIMES = {
    "mean": 20.5,
    "p50": 20.0,
    "p90": 22.0,
    "p95": 30.0,
    "p99": 49.0,
    "p999": 80.0,
    "max": 99.0,
}


def result(**fields: Any) -> dict[str, Any]:
    return {
        "response_time_ms": TIMES,
        "service_time_ms": {**TIMES, "p99": 25.0},
        "lateness_ms": None,
        "at_least": [],
        "throughput_rps": 1000.0,
        "errors": {"reset": 0, "status": 0},
        "completions": 1000,
    } | fields


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("p99<50ms", True), ("p99<49ms", False), ("p99<=49ms", True), ("p99 < 0.05s", True),
        ("p99<49000us", False), ("p50>=20ms", True), ("max==99ms", True), ("mean>21ms", False),
        ("service_p99<26ms", True), ("service_p99<25ms", False),
        ("throughput>999", True), ("throughput>=1000.5", False),
        ("errors==0", True), ("errors<0.1%", True),
    ],
)  # fmt: skip
def test_figures_are_held_against_the_limit_in_its_unit(text: str, holds: bool) -> None:
    assert (parse_expectation(text).failure(result()) is None) == holds


def test_errors_count_or_as_a_share_of_all_that_came_to_an_end() -> None:
    failed = result(errors={"reset": 3, "status": 7}, completions=990)
    assert parse_expectation("errors==0").failure(failed) == "errors==0: it is 10"
    assert parse_expectation("errors<1%").failure(failed) == "errors<1%: it is 1.000%"
    assert parse_expectation("errors<=1%").failure(failed) is None


def test_at_least_so_much_is_no_proof_of_less() -> None:
    bounded = result(at_least=["mean", "p99", "max"])
    assert "how much more is not known" in str(parse_expectation("p99<50ms").failure(bounded))
    assert parse_expectation("p50<50ms").failure(bounded) is None
    assert parse_expectation("p99>40ms").failure(bounded) is None
    assert "at least 49" in str(parse_expectation("p99<40ms").failure(bounded))


def test_what_was_not_measured_fails() -> None:
    assert "nothing was measured" in str(parse_expectation("lateness_p99<1ms").failure(result()))
    empty = result(response_time_ms=None, completions=0)
    assert "nothing was measured" in str(parse_expectation("p99<50ms").failure(empty))
    assert "nothing was measured" in str(parse_expectation("errors<1%").failure(empty))


@pytest.mark.parametrize(
    "text",
    ["", "p99", "p99<", "p99<50", "p99<50%", "p98<50ms", "throughput>5ms", "errors<5ms", "50ms>p99",
     "p99<-5ms", "p99<50ms,p50<20ms"],
)  # fmt: skip
def test_what_is_no_expectation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expect|unit"):
        parse_expectation(text)
