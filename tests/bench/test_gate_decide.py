"""The gate's decision on log-ratios of pairs that are known, and its error rates in simulation."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.gate.decide import (
    SLOWER_SIGN,
    Sample,
    decide,
    drift,
    is_precise,
    judge,
    standard_error,
)
from bench.gate.rule import PROMISES, Rule

# Ten pairs that spread by 0.1%, without a trend.
NOISE = [0.001 * x for x in (1, -1, -1, 1, 1, -1, -1, 1, 1, -1)]
WIDE = [0.3, -0.3, -0.25, 0.25, 0.2, -0.2, 0.28, -0.28, 0.3, -0.3]


def sample(slowdown: float = 0.0, metric: str = "throughput", noise: list[float] = NOISE) -> Sample:
    """Ten pairs whose head is so much slower, as a share."""
    ratios = [SLOWER_SIGN[metric] * (math.log1p(slowdown) + x) for x in noise]
    return Sample("/", metric, tuple(ratios), couples=len(noise))


@pytest.mark.parametrize("metric", ["throughput", "cpu", "p50", "p99"])
@pytest.mark.parametrize(
    ("slowdown", "outcome", "exit_code"),
    [
        (0.0, "pass", 0),
        (-0.3, "pass", 0),
        # Beyond chance, and not beyond the margin of 2%.
        (0.015, "pass", 0),
        (0.025, "regression", 1),
        (0.5, "regression", 1),
    ],
)
def test_outcomes(metric: str, slowdown: float, outcome: str, exit_code: int) -> None:
    decision = decide([sample(slowdown, metric)])
    assert (decision.outcome, decision.exit_code) == (outcome, exit_code), decision.reasons
    assert decision.reasons


def test_beyond_the_margin_but_not_beyond_chance_is_no_regression() -> None:
    """Mean 3%, s = 26%: the standard error is 8%."""
    decision = decide([sample(0.03, noise=WIDE)])
    assert (decision.outcome, decision.exit_code) == ("inconclusive", 3)
    assert "too noisy: standard error 8." in decision.reasons[0]


def test_however_noisy_a_head_that_is_far_faster_passes() -> None:
    """Ten times as fast, known to 8%."""
    assert decide([sample(-0.9, noise=WIDE)]).exit_code == 0
    assert decide([sample(9.0, noise=WIDE)]).exit_code == 1


def test_one_metric_decides_for_all() -> None:
    """Any regression is one; a pass needs every metric; the rest is inconclusive."""
    slow, fine, noisy = sample(0.1), sample(0.0, "p99"), sample(0.0, "p50", WIDE)
    assert decide([slow, fine, noisy]).outcome == "regression"
    assert decide([fine, noisy]).outcome == "inconclusive"
    assert decide([fine]).outcome == "pass"


def test_the_interval_is_students_t_at_the_level_of_the_test() -> None:
    """Logs 0.00, 0.01, 0.02: mean 0.01, s 0.01; error 0.01 / sqrt(3); t(0.991, 2) = 7.3526."""
    finding = judge(Sample("/", "cpu", (0.0, 0.02, 0.01), 3), Rule(), tests=1)
    half = 7.3526 * 0.01 / math.sqrt(3)
    assert finding.ratio == pytest.approx(math.exp(0.01))
    assert finding.low == pytest.approx(math.exp(0.01 - half), rel=1e-4)
    assert finding.high == pytest.approx(math.exp(0.01 + half), rel=1e-4)
    assert finding.error == pytest.approx(0.01 / math.sqrt(3))
    # t = 0.01 / (0.01 / sqrt(3)) = 1.732 at two degrees of freedom: 0.1127 above it.
    assert finding.p == pytest.approx(0.1127, abs=1e-4)


def test_all_metrics_share_the_rate_of_false_alarms() -> None:
    one, four = (judge(sample(noise=WIDE), Rule(), tests=tests) for tests in (1, 4))
    assert one.low is not None
    assert four.low is not None
    assert four.low < one.low


def test_the_largest_standard_error_is_what_the_promise_needs() -> None:
    """5%, ten pairs, four metrics: log 1.05 / (t(1 - 0.9% / 4, 9) + t(0.9, 9)), 3.758 + 1.383."""
    assert Rule().error_limit("throughput", 10, 4) == pytest.approx(
        math.log(1.05) / (3.758 + 1.383), rel=1e-3
    )
    assert Rule().error_limit("throughput", 1, 4) == 0.0


def test_a_pass_needs_the_promised_slowdown_excluded() -> None:
    """The error is 0.9%, the estimate 2.9%: t is 3.2, the upper bound 2.9 + 2.8 x 0.9 > 4.9%."""
    noise = [0.009 * math.sqrt(10) * x * math.sqrt(9 / 10) for x in (1, -1) * 5]
    finding = judge(sample(0.029, noise=noise), Rule(), tests=4)
    assert finding.error == pytest.approx(0.009, rel=1e-6)
    assert (finding.outcome, "neither shown nor excluded" in finding.reason) == (
        "inconclusive",
        True,
    )


def test_swapped_sides_turn_a_regression_into_a_pass() -> None:
    slow = sample(0.2)
    swapped = Sample("/", "throughput", tuple(-r for r in slow.ratios), 10)
    assert decide([slow]).exit_code == 1
    assert decide([swapped]).exit_code == 0


def test_failed_requests_are_a_regression_however_fast_head_is() -> None:
    decision = decide([sample(-0.5)], failures=["head failed 1 of 4750 requests, base did not"])
    assert (decision.outcome, decision.exit_code) == ("regression", 1)
    assert decision.reasons == ("head failed 1 of 4750 requests, base did not",)
    assert decide([], failures=["head failed"]).exit_code == 1


@pytest.mark.parametrize("samples", [[], [Sample("/", "cpu", (), couples=0)]])
def test_nothing_measured_is_an_error_and_never_a_pass(samples: list[Sample]) -> None:
    with pytest.raises(UserError, match="nothing was measured"):
        decide(samples)


def test_couples_without_one_that_is_good_pass_nothing() -> None:
    empty = Sample("/", "cpu", (), couples=20, bad=20, why_bad=("errors: 3 body",))
    decision = decide([empty])
    assert decision.outcome == "inconclusive"
    assert "only 0 of 20 couples of slices are good (errors: 3 body)" in decision.reasons[0]


def test_too_many_bad_slices_are_inconclusive_and_say_whose_fault_it_was() -> None:
    late = Sample("/", "cpu", tuple(NOISE), 20, bad=16, generator=9, why_bad=("it was late",))
    reason = decide([late]).reasons[0]
    assert "the generator was the limit: only 4 of 20 couples of slices are good" in reason
    assert "(it was late)" in reason
    quarter = Sample("/", "cpu", tuple(NOISE), 20, bad=15, generator=9)
    assert decide([quarter]).outcome == "pass"


def test_two_pairs_decide_nothing() -> None:
    decision = decide([Sample("/", "cpu", (0.5, 0.5), couples=2)])
    assert decision.outcome == "inconclusive"
    assert "measured in 2 process pairs, at least 3 are needed" in decision.reasons[0]


def conduct(pairs: int, head: int, base: int, *, bad: int = 10, of: int = 40) -> Sample:
    """Couples of slices in so many pairs, all equal; `head` and `base` count pairs that are worse.

    A pair that is worse has one couple in which that side could not be measured.
    """
    ratios = tuple(NOISE[:pairs])
    return Sample(
        "/", "p99", ratios, of, pairs=10, bad=bad, base_bad=base, head_bad=head,
        base_worse=base, head_worse=head, why_bad=("unserved",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sample", "outcome", "word"),
    [
        # One in 1,024 by chance, as often as is allowed; then nine of ten.
        (conduct(10, 10, 0), "regression", "in 10 of 40 couples of slices head could not be"),
        (conduct(10, 9, 1), "inconclusive", "but head is hard to measure: in 9 of 40 couples"),
        (conduct(10, 3, 0), "inconclusive", "in 3 of 40 couples of slices head"),
        (conduct(10, 2, 0), "pass", "not slower"),
        (conduct(10, 6, 6), "pass", "not slower"),
        (conduct(10, 0, 10), "pass", "not slower"),
        # Seven pairs of ten without any couple: equal where it could be measured.
        (conduct(3, 7, 0, bad=28), "inconclusive", "only 3 of 10 process pairs were measured"),
    ],
)
def test_head_that_is_measured_less_often_than_base_never_passes(
    sample: Sample, outcome: str, word: str
) -> None:
    decision = decide([sample])
    assert (decision.outcome, word in decision.reasons[0]) == (outcome, True), decision.reasons


@pytest.mark.parametrize(
    ("pairs", "base", "outcome"),
    [(3, 0, "regression"), (10, 0, "regression"), (2, 0, "inconclusive"), (3, 1, "inconclusive")],
)
def test_head_in_no_couple_and_base_in_all_is_a_regression(
    pairs: int, base: int, outcome: str
) -> None:
    """However few pairs: that is no chance."""
    couples = 2 * pairs
    never = Sample(
        "/", "cpu", (), couples, pairs=pairs, bad=couples, base_bad=base, head_bad=couples,
        head_worse=pairs, why_bad=("gone",),
    )  # fmt: skip
    assert [decide([never, sample()]).outcome, decide([never] * 12).outcome] == [outcome] * 2


def test_a_trend_over_the_gate_is_drift_and_decides_nothing() -> None:
    rising = [0.01 * n + 0.001 * (-1) ** n for n in range(10)]
    assert drift(NOISE, 0.01) is None
    finding = judge(Sample("/", "cpu", tuple(rising), 10), Rule(), tests=1)
    assert finding.outcome == "inconclusive"
    assert "the machine drifted: head / base went from 1.00" in finding.reason


@pytest.mark.parametrize(("metric", "sign"), [("cpu", 1), ("throughput", -1)])
def test_drift_is_no_way_out_for_a_head_that_is_slower_at_either_end(
    metric: str, sign: int
) -> None:
    rising = [sign * (math.log(2) + 0.004 * n + 0.0005 * (-1) ** n) for n in range(10)]
    assert drift(rising, 0.01)
    assert decide([Sample("/", metric, tuple(rising), 10)]).outcome == "regression"


def test_pairs_that_are_all_equal_decide() -> None:
    assert decide([Sample("/", "cpu", (0.0,) * 10, 10)]).outcome == "pass"
    assert decide([Sample("/", "cpu", (0.1,) * 10, 10)]).outcome == "regression"


@given(st.lists(st.floats(-0.7, 0.7), min_size=3, max_size=12))
def test_more_is_slower_for_cpu_and_faster_for_throughput(ratios: list[float]) -> None:
    """The same decision on any data, with the sign turned."""
    cpu, back = (
        decide([Sample("/", metric, tuple(sign * r for r in ratios), len(ratios))])
        for metric, sign in (("cpu", 1), ("throughput", -1))
    )
    assert cpu.outcome == back.outcome


@given(st.lists(st.floats(-0.7, 0.7), min_size=2, max_size=12), st.floats(-0.5, 0.5))
def test_extending_looks_at_the_standard_error_only(ratios: list[float], shift: float) -> None:
    """Whatever the estimate, the same spread gives the same answer, save rounding at the limit."""
    limit = Rule().error_limit("cpu", len(ratios), 4, Rule().power_wanted)
    if abs(standard_error(ratios) - limit) < 1e-9:
        return
    here, there = (
        Sample("/", "cpu", tuple(r + by for r in ratios), len(ratios)) for by in (0.0, shift)
    )
    assert is_precise(here, Rule(), 4) == is_precise(there, Rule(), 4)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"margin": 0.0}, "margin 0: give a share above 0, below 1: 0.02 for 2%"),
        ({"margins": {"p99": 2.0}}, "margin p99 2: give"),
        ({"level": 0.99}, "level 0.99"),
        ({"promises": {"cpu": 0.01}}, "promise for cpu 0.01: give more than its margin, 0.02"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(settings: dict[str, object], word: str) -> None:
    with pytest.raises(UserError, match=word):
        Rule(**settings)  # type: ignore[arg-type]


def test_a_wider_margin_promises_less() -> None:
    assert Rule().promise_of("p99") == pytest.approx(0.08)
    assert Rule(margin=0.05).promise_of("p99") == pytest.approx(0.20)
    assert Rule(margin=0.05, promises={"p99": 0.1}).promise_of("p99") == 0.1


# Whole gates, simulated: pairs come one by one, and the gate extends as it does in earnest.

METRICS = ("throughput", "cpu", "p50", "p99")


def simulated(slowdowns: dict[str, float], gates: int, spread: float = 0.4) -> dict[str, int]:
    """Outcomes of gates whose pairs spread by that share of the promise, with heavy tails."""
    dice, rule = random.Random(20), Rule()
    counts = {"pass": 0, "regression": 0, "inconclusive": 0}
    for _ in range(gates):
        ratios: dict[str, list[float]] = {metric: [] for metric in METRICS}
        samples: list[Sample] = []
        while len(ratios["cpu"]) < 16 and not (
            len(ratios["cpu"]) >= 10 and all(is_precise(each, rule, 4) for each in samples)
        ):
            for metric, pairs in ratios.items():
                # A t variable with 4 degrees of freedom, scaled to the spread.
                tail = dice.gauss(0, 1) / math.sqrt(dice.gammavariate(2, 2) / 4) / math.sqrt(2)
                slower = math.log1p(slowdowns.get(metric, 0.0))
                pairs.append(SLOWER_SIGN[metric] * slower + spread * PROMISES[metric] * tail)
            samples = [Sample("/", m, tuple(r), len(r)) for m, r in ratios.items()]
        counts[decide(samples, rule).outcome] += 1
    return counts


def test_an_equal_head_is_hardly_ever_called_slower() -> None:
    """At most 1% are promised: of 300, three, and 4 standard errors of 1.7 for the simulation."""
    for spread in (0.4, 1.5):
        assert simulated({}, 300, spread)["regression"] <= 3 + 4 * 1.7
    assert simulated({}, 100)["pass"] >= 90


@pytest.mark.parametrize("slowdowns", [{"throughput": 0.05, "cpu": 0.05}, {"p99": 0.08}])
def test_what_is_promised_is_found_and_never_passed(slowdowns: dict[str, float]) -> None:
    counts = simulated(slowdowns, 100)
    assert counts["pass"] <= 1
    assert counts["regression"] >= 90
