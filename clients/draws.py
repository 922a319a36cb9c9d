"""Numbers that look random and are a function of a seed and a position. Pure.

The n-th draw needs none of those before it, so that shards of one load draw what the whole would.
SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15


def uniform(seed: int, position: int) -> float:
    """The draw at a position of the seed's sequence: uniform, at least 0 and below 1."""
    z = (seed * 0xD1342543DE82EF95 + (position + 1) * _GAMMA) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) >> 11) * 2.0**-53


@dataclass(frozen=True, slots=True)
class Distribution:
    """Times in seconds: `quantile(u)` is below what a share u of them lies."""

    text: str
    quantile: Callable[[float], float]


def _exponential(mean_s: float) -> Callable[[float], float]:
    return lambda u: -mean_s * math.log(1.0 - u)


def _uniform(least_s: float, most_s: float) -> Callable[[float], float]:
    return lambda u: least_s + (most_s - least_s) * u


def _lognormal(median_s: float, sigma: float) -> Callable[[float], float]:
    normal = NormalDist()
    return lambda u: median_s * math.exp(sigma * normal.inv_cdf(max(u, 2.0**-54)))


_CALL = re.compile(r"~(\w+)\(([^()]*)\)")
_TIME = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s)")
_UNIT_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
KNOWN = "~exp(MEAN), ~uniform(LEAST,MOST), ~lognormal(MEDIAN,SIGMA)"


def parse_distribution(text: str) -> Distribution:
    """`~exp(20ms)`, `~uniform(10ms,30ms)` or `~lognormal(20ms,0.5)`.

    Raises ValueError for anything else.
    """
    match = _CALL.fullmatch(text)
    arguments = [part.strip() for part in match[2].split(",")] if match else []
    match match and match[1], arguments:
        case "exp", [mean]:
            return Distribution(text, _exponential(_time_s(mean)))
        case "uniform", [least, most] if _time_s(least) <= _time_s(most):
            return Distribution(text, _uniform(_time_s(least), _time_s(most)))
        case "lognormal", [median, sigma] if re.fullmatch(r"\d(\.\d+)?", sigma):
            return Distribution(text, _lognormal(_time_s(median), float(sigma)))
    raise ValueError(f"{text!r} is not a distribution: use {KNOWN}")


def _time_s(text: str) -> float:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time: use for example 20ms")
    return float(match[1]) * _UNIT_S[match[2]]
