"""Rounds of which the truth is known, and unlike what the intervals assume.

Student's interval assumes normal rounds that know nothing of each other. Here rounds have effects
of their own, the machine drifts within a run, tails are heavy, slices are sometimes held up, and
one side is noisier than the other. The lines of which crossovers are sought are smooth, have a
kink or a plateau; none is straight between two numbers of connections by construction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Curve = Callable[[float], float]

# Slices between a round's slices of a pair and the next round's; how alike neighbours are.
SLICES_APART = 40
ALIKE = 0.95


def round_effects(rng: np.random.Generator, runs: int, rounds: int, sd: float) -> np.ndarray:
    """Fresh processes are luck of their own, and so is each slice; all normal."""
    return _luck(rng, runs, rounds, sd) + sd * 0.8 * rng.normal(size=(runs, rounds))


def drift(rng: np.random.Generator, runs: int, rounds: int, sd: float) -> np.ndarray:
    """The machine's speed wanders from slice to slice, a first-order autoregression.

    Either side of a pair may come first.
    """
    speed, out = rng.normal(size=runs), np.empty((runs, rounds))
    for number in range(rounds):
        first = _later(rng, speed, SLICES_APART)
        speed = _later(rng, first, 1)
        out[:, number] = (first - speed) * rng.choice([-1, 1], runs)
    return _luck(rng, runs, rounds, sd) + 2 * sd * out


def heavy_tails(rng: np.random.Generator, runs: int, rounds: int, sd: float) -> np.ndarray:
    """Student-t noise with three degrees of freedom on top of the luck of processes."""
    return _luck(rng, runs, rounds, sd) + sd * 0.8 * rng.standard_t(3, (runs, rounds))


def held_up(rng: np.random.Generator, runs: int, rounds: int, sd: float) -> np.ndarray:
    """One slice in seven is held up, by a log-normal time: a mixture, on either side."""

    def side() -> np.ndarray:
        held = rng.random((runs, rounds)) < 1 / 7
        by: np.ndarray = held * rng.lognormal(0, 0.7, (runs, rounds))
        return by

    slices: np.ndarray = 0.8 * sd * rng.normal(size=(runs, rounds))
    delays: np.ndarray = 1.5 * sd * (side() - side())
    noise: np.ndarray = _luck(rng, runs, rounds, sd) + slices + delays
    return noise


def unequal(rng: np.random.Generator, runs: int, rounds: int, sd: float) -> np.ndarray:
    """One side is four times as noisy as the other, and each run has its own level of noise."""
    level = rng.lognormal(0, 0.5, (runs, 1))
    one, other = rng.normal(size=(2, runs, rounds))
    noise: np.ndarray = sd * level * (one + 0.25 * other)
    return noise


NOISES = {
    "round effects": round_effects,
    "drift within a run": drift,
    "heavy tails (t3)": heavy_tails,
    "held up now and then": held_up,
    "unequal variances": unequal,
}


def _luck(rng: np.random.Generator, runs: int, rounds: int, sd: float) -> np.ndarray:
    """What fresh processes of both sides give to the log-ratio of a round."""
    return sd * 0.6 * rng.normal(size=(runs, rounds))


def _later(rng: np.random.Generator, speed: np.ndarray, slices: int) -> np.ndarray:
    kept = ALIKE**slices
    later: np.ndarray = kept * speed + math.sqrt(1 - kept**2) * rng.normal(size=speed.size)
    return later


def smooth(rng: np.random.Generator) -> Curve:
    """An S from one level to another."""
    low, high, place = _low(rng), _high(rng), _place(rng)
    width = rng.uniform(0.5, 1.5)
    return lambda x: low + (high - low) / (1 + math.exp(-(x - place) / width))


def growing(rng: np.random.Generator) -> Curve:
    """Level at first, then more and more, as what a thread costs."""
    low, place = _low(rng), _place(rng)
    width, slope = rng.uniform(0.4, 1.2), rng.uniform(0.05, 0.2)
    return lambda x: float(low + slope * width * np.logaddexp(0, (x - place) / width))


def kinked(rng: np.random.Generator) -> Curve:
    """Two straight pieces that meet anywhere."""
    low, place = _low(rng), _place(rng)
    before, after = rng.uniform(0, 0.06), rng.uniform(0.06, 0.3)
    return lambda x: low + (before if x < place else after) * (x - place)


def plateau(rng: np.random.Generator) -> Curve:
    """Level, a short rise, level again."""
    low, high, place = _low(rng), _high(rng), _place(rng)
    width = rng.uniform(0.7, 2.5)
    return lambda x: low + (high - low) * min(max((x - place) / width, 0.0), 1.0)


CURVES = {"smooth": smooth, "growing": growing, "kinked": kinked, "plateau": plateau}


def turned(rng: np.random.Generator, curve: Curve) -> Curve:
    """The curve, or the same upside down."""
    sign = rng.choice([-1.0, 1.0])
    return lambda x: float(sign * curve(x))


def crossing_of(curve: Curve, first: float, last: float, level: float) -> float | None:
    """The number of connections between two at which a monotone curve crosses a level."""
    low, high = math.log(first), math.log(last)
    if (curve(low) - level) * (curve(high) - level) >= 0:
        return None
    for _ in range(50):
        middle = (low + high) / 2
        same = (curve(middle) - level) * (curve(low) - level) > 0
        low, high = (middle, high) if same else (low, middle)
    return math.exp((low + high) / 2)


def _low(rng: np.random.Generator) -> float:
    return -math.exp(rng.uniform(math.log(0.02), math.log(0.25)))


def _high(rng: np.random.Generator) -> float:
    return math.exp(rng.uniform(math.log(0.02), math.log(0.35)))


def _place(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.5, 5.5))


@dataclass
class Machine:
    """Measures a curve: log-ratios by number of connections and round, with noise.

    A fifth of the variance of a round is luck that all its points share, since they have the same
    processes. Every point has a level of noise of its own; half of the slices have heavy tails.
    """

    rng: np.random.Generator
    curve: Curve
    sd: float
    _levels: dict[int, float] = field(default_factory=dict)
    _luck: dict[int, float] = field(default_factory=dict)

    def log_ratio(self, connections: int, number: int) -> float:
        """What a round of so many connections gives."""
        level = self._levels.setdefault(connections, self.sd * self.rng.lognormal(0, 0.4))
        luck = self._luck.setdefault(number, self.rng.normal())
        heavy = self.rng.random() < 0.5
        own = self.rng.standard_t(3) / math.sqrt(3) if heavy else self.rng.normal()
        noise = level * (math.sqrt(0.2) * luck + math.sqrt(0.8) * own)
        return self.curve(math.log(connections)) + float(noise)
