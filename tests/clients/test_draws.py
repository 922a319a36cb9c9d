"""Draws that are a function of seed and position, and the distributions made of them."""

import statistics

import pytest
from scipy.stats import kstest

from clients.draws import parse_distribution, uniform


@pytest.mark.parametrize("seed", [0, 1, 2**40, -3])
def test_draws_are_uniform(seed: int) -> None:
    draws = [uniform(seed, position) for position in range(20_000)]
    assert kstest(draws, "uniform").pvalue > 0.01
    assert 0 <= min(draws) < max(draws) < 1


def test_neighbours_and_neighbouring_seeds_are_not_alike() -> None:
    draws = [uniform(1, position) for position in range(5_000)]
    others = [uniform(2, position) for position in range(5_000)]
    assert abs(statistics.correlation(draws, others)) < 0.05
    assert abs(statistics.correlation(draws[1:], draws[:-1])) < 0.05


def draws_of(text: str, count: int = 20_000) -> list[float]:
    quantile = parse_distribution(text).quantile
    return [quantile(uniform(6, position)) for position in range(count)]


def test_exponential_uniform_and_lognormal_are_what_they_are_called() -> None:
    assert kstest(draws_of("~exp(20ms)"), "expon", args=(0, 0.02)).pvalue > 0.01
    assert kstest(draws_of("~uniform(10ms,30ms)"), "uniform", args=(0.01, 0.02)).pvalue > 0.01
    assert kstest(draws_of("~lognormal(20ms,0.5)"), "lognorm", args=(0.5, 0, 0.02)).pvalue > 0.01


@pytest.mark.parametrize(
    "text",
    ["exp(20ms)", "~exp(20)", "~exp()", "~exp(20ms,1ms)", "~uniform(30ms,10ms)", "~gauss(1ms)",
     "~lognormal(20ms,x)", "~lognormal(20ms,12)", "~", ""],
)  # fmt: skip
def test_what_is_no_distribution_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"distribution|time"):
        parse_distribution(text)
