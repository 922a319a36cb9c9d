"""What rounds say together where some of them are lower bounds."""

import math

from bench.analyse.finding import find
from bench.analyse.rounds import Round

LOGS = (0.20, 0.21, 0.19, 0.22, 0.18, 0.20, 0.21, 0.19, 0.20, 0.20)


def rounds(a_bounds=(), b_bounds=(), logs=LOGS):
    return [Round(log, (), i in a_bounds, i in b_bounds) for i, log in enumerate(logs)]


def found(given):
    return find(given, "throughput", "a", "b", 0.95, 0.05)


def test_a_few_lower_bounds_leave_both_ends_known():
    """Two of ten may be: at either end two are cut, whatever the two would have been."""
    finding = found(rounds(a_bounds={0, 3}))
    assert finding.verdict == "A"
    assert not finding.at_least
    assert finding.low < math.exp(0.20) < finding.high < math.exp(0.23)
    assert finding.p < 0.001
    higher = [*LOGS[:3], 5.0, *LOGS[4:]]
    assert found(rounds(a_bounds={0, 3}, logs=higher)).high == finding.high


def test_the_high_end_heeds_that_a_bound_may_hide_a_higher_ratio():
    """The lowest of all is a lower bound: it may be the highest."""
    plain, bounded = found(rounds()), found(rounds(a_bounds={4}))
    assert bounded.high > plain.high


def test_of_b_it_is_the_low_end():
    assert found(rounds(b_bounds={3})).low < found(rounds()).low
    assert found(rounds(b_bounds={3})).high is not None


def test_more_of_them_give_up_an_end():
    finding = found(rounds(a_bounds={0, 1, 2}))
    assert finding.at_least
    assert finding.high is None
    few = found(rounds(a_bounds={0}, logs=LOGS[:4]))
    assert few.high is None, "of four rounds none may be"


def test_where_it_is_not_clear_the_reason_is_the_interval():
    logs = [x - 0.2 + 0.1 * (-1) ** i for i, x in enumerate(LOGS)]
    finding = found(rounds(a_bounds={0}, logs=logs))
    assert (finding.verdict, finding.reason) == (
        "undecided",
        "the interval contains 1 and reaches beyond the margin",
    )
