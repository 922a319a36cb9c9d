"""How a trial of pairs ends: a missed target fails it, unless it is only to inform."""

import pytest

from bench.trials.pairs import exit_code, parser_of, verdict_line


@pytest.mark.parametrize(
    ("missed", "informative", "expected"),
    [(False, False, 0), (True, False, 1), (False, True, 0), (True, True, 0)],
)
def test_only_a_missed_target_that_counts_fails(
    missed: bool, informative: bool, expected: int
) -> None:
    assert exit_code(missed=missed, informative=informative) == expected


def test_an_informative_trial_says_that_a_miss_is_not_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exit_code(missed=True, informative=True)
    assert "a missed target is told and not counted" in capsys.readouterr().out
    exit_code(missed=False, informative=True)
    assert capsys.readouterr().out == ""


def test_a_trial_counts_its_targets_unless_it_is_told_otherwise() -> None:
    parser = parser_of("bench.trials.any", None)
    assert not parser.parse_args([]).informative
    assert parser.parse_args(["--informative", "--pairs", "3"]).pairs == 3


@pytest.mark.parametrize(
    ("ratios", "at_most", "met"),
    [([1.0, 2.0, 3.0], True, True), ([1.0, 2.1, 3.0], True, False), ([1.0, 2.0], False, False)],
)
def test_the_median_is_held_against_the_target(
    ratios: list[float], at_most: bool, met: bool
) -> None:
    """Target 2.0: medians 2.0 and 2.1 against a ceiling, 1.5 against a floor."""
    line, outcome = verdict_line("what", ratios, 2.0, at_most=at_most)
    assert outcome is met
    assert line.endswith("met" if met else "MISSED")
