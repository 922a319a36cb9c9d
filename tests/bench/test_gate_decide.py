"""The gate's decision: arithmetic on small tables, and its error rates by simulation."""

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.gate.decide import Couple, Pair, Rule, Slice, decide, log_ratio, slice_of_trial

THROUGHPUT = Rule(metrics=("throughput",))


def measured(throughput_rps: float = 1000.0, p99_ms: float | None = 20.0) -> Slice:
    return Slice(throughput_rps, p99_ms, requests=250, errors=0)


def pairs_of(throughput: Sequence[float], p99: Sequence[float] | None = None) -> list[Pair]:
    """Process pairs with these ratios head / base, each of two couples of slices."""
    tails = p99 or [1.0] * len(throughput)
    return [
        [Couple(measured(), measured(1000 * t, 20 * tail))] * 2
        for t, tail in zip(throughput, tails, strict=True)
    ]


# 0.1% apart, so that ten pairs give an interval of some 0.1% either side.
SAME = [1 + 0.001 * (-1) ** i for i in range(10)]
WIDE = [1.3, 0.7, 1.25, 0.75, 1.2, 0.8]


@pytest.mark.parametrize(
    ("throughput", "p99", "outcome", "exit_code"),
    [
        (SAME, SAME, "pass", 0),
        ([0.90 * x for x in SAME], SAME, "regression", 1),
        (SAME, [1.10 * x for x in SAME], "regression", 1),
        # Better is no regression, on either metric.
        ([1.5 * x for x in SAME], [0.5 * x for x in SAME], "pass", 0),
        # 3% slower, known to 0.1%: within the margin of 5%.
        ([0.97 * x for x in SAME], SAME, "pass", 0),
        # On the margin itself: neither shown nor excluded.
        ([x / 1.05 for x in SAME], SAME, "inconclusive", 3),
        (WIDE, [1.0] * 6, "inconclusive", 3),
        # One metric undecided: no pass; but a regression in the other stays one.
        (SAME[:6], WIDE, "inconclusive", 3),
        ([0.8 * x for x in SAME[:6]], WIDE, "regression", 1),
    ],
)
def test_outcomes(throughput: list[float], p99: list[float], outcome: str, exit_code: int) -> None:
    decision = decide(pairs_of(throughput, p99))
    assert (decision.outcome, decision.exit_code) == (outcome, exit_code)
    assert decision.reasons


def test_the_interval_is_students_t_one_sided() -> None:
    """Logs 0.00, 0.01, 0.02: mean 0.01, s 0.01, error 0.01 / sqrt(3); t(0.99, 2) = 6.965."""
    (finding,) = decide(pairs_of([math.exp(x) for x in (0.0, 0.01, 0.02)]), THROUGHPUT).findings
    half = 6.965 * 0.01 / math.sqrt(3)
    assert finding.ratio == pytest.approx(math.exp(0.01))
    assert finding.low == pytest.approx(math.exp(0.01 - half), rel=1e-4)
    assert finding.high == pytest.approx(math.exp(0.01 + half), rel=1e-4)
    assert finding.pairs == 3
    assert finding.reason == (
        "throughput: head / base 1.010 [0.970, 1.051] over 3 process pairs, "
        "not slower by more than 5%"
    )


def test_two_metrics_share_the_error_rate() -> None:
    one = decide(pairs_of(WIDE), THROUGHPUT).findings[0]
    two = decide(pairs_of(WIDE), Rule(metrics=("throughput", "p99"))).findings[0]
    assert one.low is not None
    assert two.low is not None
    assert two.low < one.low


def test_slices_of_a_pair_count_once() -> None:
    """A pair's ratio is the geometric mean of its couples: of 2 and 1/2 it is 1."""
    pair = [Couple(measured(1000), measured(2000)), Couple(measured(1000), measured(500))]
    assert log_ratio(pair, "throughput") == pytest.approx(0)
    few: list[Pair] = pairs_of(WIDE)
    many: list[Pair] = [list(pair) * 50 for pair in few]
    assert decide(many).findings[0].low == pytest.approx(decide(few).findings[0].low)


def test_swapped_sides_turn_a_regression_into_a_pass() -> None:
    slower = pairs_of([0.8 * x for x in SAME])
    swapped: list[Pair] = [[Couple(couple.head, couple.base) for couple in pair] for pair in slower]
    assert decide(slower).outcome == "regression"
    assert decide(swapped).outcome == "pass"


def test_errors_of_head_alone_are_a_regression_however_fast_it_is() -> None:
    pairs = pairs_of([2.0] * 10)
    pairs[3] = [Couple(measured(), Slice(2000, 10, requests=250, errors=1))]
    decision = decide(pairs)
    assert decision.outcome == "regression"
    # Nine pairs of two couples and one of one, 250 requests each.
    assert decision.reasons == ("head failed 1 of 4750 requests, base did not",)


def test_a_head_that_dies_now_and_then_never_passes() -> None:
    pairs = pairs_of(SAME)
    gone = Slice(None, None, 0, 0, valid=False, invalid_reasons=("the server died",))
    pairs[3] = [Couple(measured(), gone), Couple(measured(), measured())]
    decision = decide(pairs)
    assert decision.outcome == "regression"
    assert decision.reasons[0].startswith("head answered nothing in 1 of 20 slices (the server die")


@pytest.mark.parametrize("head_errors", [0, 7])
def test_errors_of_base_make_the_comparison_impossible(head_errors: int) -> None:
    broken = Couple(Slice(900, 20, 250, errors=5), Slice(900, 20, 250, errors=head_errors))
    with pytest.raises(UserError, match="base failed 50 of 2500 requests"):
        decide([[broken]] * 10)


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [[]] * 10,
        [[Couple(Slice(None, None, 0, 0, False), measured())]] * 10,
        [[Couple(measured(), Slice(None, None, 0, 0, False))]] * 10,
        [[Couple(measured(), Slice(0.0, None, 0, 0))]] * 10,
    ],
)
def test_nothing_measured_is_an_error_and_never_a_pass(pairs: list[Pair]) -> None:
    with pytest.raises(UserError, match=r"nothing was measured of (base|head)"):
        decide(pairs)


def test_too_few_valid_slices_are_inconclusive_and_say_why() -> None:
    late = Slice(1000, 20, 250, 0, valid=False, invalid_reasons=("the generator was late",))
    heads = [late] * 6 + [measured()] * 4
    pairs: list[Pair] = [[Couple(measured(), head)] for head in heads]
    decision = decide(pairs)
    assert decision.outcome == "inconclusive"
    expected = ("only 4 of 10 couples of slices are valid", "the generator was late")
    assert decision.reasons == expected


def test_invalid_slices_are_never_averaged_in() -> None:
    half_speed = Slice(500, 20, 250, 0, valid=False)
    pairs: list[Pair] = [[*pair, Couple(measured(), half_speed)] for pair in pairs_of(SAME)]
    assert decide(pairs).outcome == "pass"


def test_one_pair_decides_nothing() -> None:
    decision = decide(pairs_of([0.5]))
    assert decision.outcome == "inconclusive"
    assert "throughput: measured in 1 process pairs, at least 2 are needed" in decision.reasons


def test_a_p99_that_is_not_measured_leaves_the_gate_open() -> None:
    pairs: list[Pair] = [[Couple(measured(p99_ms=None), measured(p99_ms=None))]] * 10
    assert decide(pairs).outcome == "inconclusive"
    assert decide(pairs, THROUGHPUT).outcome == "pass"


def test_a_trials_line_becomes_a_slice() -> None:
    trial = {
        "throughput_rps": 2064.5,
        "response_time_ms": {"p50": 1.0, "p99": 12.5},
        "latency_at_least": False,
        "requests": 1290,
        "errors": {"connect": 1, "timeout": 0, "body": 2},
        "valid": True,
        "invalid_reasons": [],
    }
    assert slice_of_trial(trial) == Slice(2064.5, 12.5, 1290, 3)
    assert slice_of_trial({**trial, "latency_at_least": True}).p99_ms is None
    died = {"valid": False, "invalid_reasons": ["died"], "response_time_ms": None, "errors": None}
    assert slice_of_trial(died) == Slice(None, None, 0, 0, False, ("died",))


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"margin": 0.0}, "margin 0"),
        ({"confidence": 99.0}, "confidence 99"),
        ({"metrics": ()}, "metrics"),
        ({"metrics": ("speed",)}, "choose from throughput, p99"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(settings: dict[str, float], word: str) -> None:
    with pytest.raises(UserError, match=word):
        Rule(**settings)  # type: ignore[arg-type]


@given(st.lists(st.floats(0.5, 2.0), min_size=2, max_size=12))
def test_no_data_is_both_slower_and_faster(ratios: list[float]) -> None:
    there = decide(pairs_of(ratios), THROUGHPUT)
    back = decide(pairs_of([1 / ratio for ratio in ratios]), THROUGHPUT)
    assert not (there.outcome == back.outcome == "regression")
    assert there.exit_code in (0, 1, 3)


def outcomes(slowdown: float, simulations: int = 1500) -> dict[str, float]:
    """Shares of outcomes for 10 pairs whose log-ratios spread by 2%, with heavy tails."""
    dice = random.Random(20)
    counts = {"pass": 0, "regression": 0, "inconclusive": 0}
    for _ in range(simulations):
        # A t variable with 4 degrees of freedom, scaled to a standard deviation of 2%.
        noise = [
            0.02 / math.sqrt(2) * dice.gauss(0, 1) / math.sqrt(dice.gammavariate(2, 2) / 4)
            for _ in range(10)
        ]
        counts[decide(pairs_of([math.exp(n) / slowdown for n in noise]), THROUGHPUT).outcome] += 1
    return {outcome: count / simulations for outcome, count in counts.items()}


def test_error_rates_hold_in_simulation() -> None:
    """At the margin both errors are at their worst: 1% each, plus 4 standard errors of 0.26%."""
    at_margin = outcomes(1.05)
    assert at_margin["regression"] <= 0.01 + 4 * 0.0026
    assert at_margin["pass"] <= 0.01 + 4 * 0.0026
    equal = outcomes(1.0)
    assert equal["regression"] == 0
    assert equal["pass"] > 0.95
    # Twice the margin: found nearly always, passed never.
    slow = outcomes(1.10)
    assert slow["regression"] > 0.9
    assert slow["pass"] == 0
