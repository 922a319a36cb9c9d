"""Do the intervals hold what they say? Simulated runs of which the truth is known.

The noise is not what the methods assume (`bench.trials.truths`). Printed for each figure: its
value, the binomial interval of the simulation itself, and the target. A target is missed when all
of that interval lies outside of it.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import stats

from bench.analyse.crossover import Line, crossover
from bench.analyse.stats import (
    Interval,
    decide,
    discoveries,
    mean_interval,
    p_value,
    quantile_interval,
)
from bench.measure.adapt import Effort, half_width
from bench.measure.plan import Point
from bench.trials.lines import (
    CONFIDENCE,
    EFFORTS,
    GRIDS,
    PAIR,
    PRECISION,
    ROUNDS_MAX,
    ROUNDS_MIN,
)
from bench.trials.truths import CURVES, NOISES, Machine, crossing_of, turned

SIMULATIONS = 4000
COVERS = (0.93, 0.97)
ERRS = (0.0, 0.05)
MARGIN, FALSE_DISCOVERIES = 0.05, 0.05
ROUNDS = (5, 10, 20)
SPREADS = (0.005, 0.01, 0.02, 0.04)
NOISY = (0.01, 0.03, 0.1)


@dataclass(frozen=True)
class Figure:
    """A share of simulations, its binomial interval, and where it should lie; None: anywhere."""

    name: str
    hits: float
    of: int
    target: tuple[float, float] | None

    @property
    def share(self) -> float:
        """The figure itself."""
        return self.hits / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's at 95%; a sum of shares is taken as a number of hits."""
        low = stats.beta.ppf(0.025, self.hits, self.of - self.hits + 1) if self.hits else 0.0
        all_hit = self.hits >= self.of
        high = 1.0 if all_hit else stats.beta.ppf(0.975, self.hits + 1, self.of - self.hits)
        return float(low), float(high)

    @property
    def outcome(self) -> str:
        """Met, missed, or too few simulations to tell."""
        if self.target is None:
            return "no target"
        (low, high), (least, most) = self.interval, self.target
        if least <= self.share <= most:
            return "met"
        return "MISSED" if high < least or low > most else "outside, within the interval"

    def line(self) -> str:
        """As it is printed."""
        low, high = self.interval
        wanted = ""
        if self.target is not None:
            least, most = self.target
            between = f"{100 * least:.0f} to {100 * most:.0f}%" if least else f"at most {most:.0%}"
            wanted = f"; target {between}"
        return (
            f"{self.name}: {100 * self.share:.1f}% [{100 * low:.1f}, {100 * high:.1f}]"
            f" of {self.of}{wanted}: {self.outcome}"
        )


def coverage(rng: np.random.Generator, times: int) -> Iterator[Figure]:
    """The 95% interval of a comparison, by number of rounds and kind of noise."""
    for rounds in ROUNDS:
        held, parts = 0, []
        for name, noise in NOISES.items():
            hits = sum(_holds(mean_interval(row), 0.0) for row in noise(rng, times, rounds, 0.02))
            held += hits
            parts.append(Figure(f"  {name}", hits, times, COVERS))
        yield Figure(f"95% interval at {rounds} rounds", held, times * len(NOISES), COVERS)
        yield from parts


def adaptive_coverage(rng: np.random.Generator, times: int) -> Iterator[Figure]:
    """The same where the harness itself stops by the width of the interval."""
    each = max(times // len(SPREADS), 1)
    for name, noise in NOISES.items():
        held = 0
        for sd in SPREADS:
            rows = noise(rng, each, ROUNDS_MAX, sd)
            held += sum(map(_holds_when_settled, rows))
        yield Figure(f"95% interval, stopped by width, {name}", held, each * len(SPREADS), COVERS)


def _holds_when_settled(row: np.ndarray) -> bool:
    point = Point("/", 0.0, "keep-alive", 1)
    effort = Effort({point: (PAIR,)}, PRECISION, CONFIDENCE, ROUNDS_MIN)
    for number, log_ratio in enumerate(row, 1):
        effort.add(point, {"a": math.exp(log_ratio), "b": 1.0})
        if number >= ROUNDS_MIN and not effort.rounds_left(point):
            break
    logs = [float(value) for value in row[:number]]
    return abs(math.fsum(logs) / number) <= half_width(logs, CONFIDENCE)


def verdicts(rng: np.random.Generator, times: int) -> Iterator[Figure]:
    """Verdicts that contradict the truth, of equals and of ratios of all sizes."""
    for name, truths in (
        ("the truth is 1", [0.0]),
        ("the truth lies about the margin", [math.log(1.055), -math.log(1.055), 0.045, -0.045]),
        ("ratios from 0.5 to 2", list(rng.uniform(-math.log(2), math.log(2), 24))),
    ):
        wrong = given = 0
        for rounds, noise, sd in itertools.product(ROUNDS, NOISES.values(), NOISY):
            for truth in rng.choice(truths, max(times // 50, 1)):
                (row,) = noise(rng, 1, rounds, sd)
                verdict = decide(mean_interval(row + truth).exp(), MARGIN)
                given += 1
                wrong += _contradicts(verdict, truth)
        yield Figure(f"verdicts that contradict the truth, {name}", wrong, given, ERRS)


def _contradicts(verdict: str, truth: float) -> bool:
    if verdict == "equal":
        return abs(truth) > math.log(1 + MARGIN)
    return (verdict == "A" and truth <= 0) or (verdict == "B" and truth >= 0)


def false_discoveries(rng: np.random.Generator, times: int) -> Iterator[Figure]:
    """Of what a map colours, the share that is false: maps of 48 comparisons that share targets."""
    pairs = ((1, 0), (2, 0), (3, 0), (1, 2))
    for name, equal in (("half are equal", 0.6), ("all are equal", 1.0)):
        false = 0.0
        maps = max(times // 4, 1)
        for _ in range(maps):
            p_values, outcomes = [], []
            for _ in range(12):
                noise = NOISES[list(NOISES)[int(rng.integers(len(NOISES)))]]
                true = rng.normal(0, 0.1, 4) * (rng.random(4) >= equal)
                logs = noise(rng, 4, int(rng.integers(4, 10)), 0.02) + true[:, None]
                for a, b in pairs:
                    p = p_value(logs[a] - logs[b])
                    assert p is not None
                    p_values.append(p)
                    verdict = decide(mean_interval(logs[a] - logs[b]).exp(), MARGIN)
                    outcomes.append((verdict, _contradicts(verdict, true[a] - true[b])))
            stands = discoveries(p_values, FALSE_DISCOVERIES)
            coloured = [
                wrong
                for stood, (verdict, wrong) in zip(stands, outcomes, strict=True)
                if stood and verdict in ("A", "B")
            ]
            false += sum(coloured) / max(len(coloured), 1)
        yield Figure(f"false among what a map colours, {name}", false, maps, ERRS)


def percentiles(rng: np.random.Generator, times: int) -> Iterator[Figure]:
    """The interval of a percentile over rounds: order statistics promise at least 95%."""
    for rounds in (6, 10, 20):
        held = 0
        for row in rng.lognormal(0, 0.5, (times, rounds)):
            low, high = quantile_interval(list(row), 0.5)
            held += (low is None or low <= 1) and (high is None or high >= 1)
        name = f"interval of a median percentile at {rounds} rounds"
        yield Figure(name, held, times, (0.95, 1.0))


def crossovers(rng: np.random.Generator, times: int) -> Iterator[Figure]:
    """Intervals of crossovers of 1, and of the margins, by effort and shape of the line."""
    each = max(times // len(CURVES), 1)
    for effort in EFFORTS:
        parts, margins = [], [0, 0]
        for shape in CURVES:
            held = 0
            for _ in range(each):
                hit, of_margin, margin_lines = _held(rng, shape, effort)
                held += hit
                margins = [margins[0] + of_margin, margins[1] + margin_lines]
            parts.append(Figure(f"  {shape}", held, each, None))
        total = sum(part.hits for part in parts)
        yield Figure(f"crossover of 1, {effort}", total, each * len(CURVES), COVERS)
        yield from parts
        yield Figure(f"crossovers of the margins, {effort}", margins[0], margins[1], COVERS)


def _held(rng: np.random.Generator, shape: str, effort: str) -> tuple[bool, int, int]:
    """Whether the interval of 1 holds the truth; of how many of the margins' it does."""
    grid = GRIDS[int(rng.integers(len(GRIDS)))]
    while True:
        curve = turned(rng, CURVES[shape](rng))
        truth = crossing_of(curve, grid[0], grid[-1], 0.0)
        if truth is not None:
            break
    sd = math.exp(rng.uniform(math.log(0.005), math.log(0.04)))
    line = EFFORTS[effort](Machine(rng, curve, sd), grid, rng)
    margins = [
        (level, at)
        for level in (math.log(1 + MARGIN), -math.log(1 + MARGIN))
        if (at := crossing_of(curve, grid[0], grid[-1], level)) is not None
    ]
    hits = [_crossover_holds(line, level, at) for level, at in [(0.0, truth), *margins]]
    return hits[0], sum(hits[1:]), len(margins)


def _crossover_holds(line: Line, level: float, truth: float) -> bool:
    found = crossover(line, level)
    return (found.low is None or found.low <= truth) and (found.high is None or truth <= found.high)


def spurious(rng: np.random.Generator, times: int) -> Iterator[Figure]:
    """Crossovers that are told as certain of lines that cross nowhere."""
    for effort in EFFORTS:
        told = 0
        each = max(times // 4, 1)
        for _ in range(each):
            height = float(rng.choice([-1, 1]) * rng.uniform(0, 0.1))
            machine = Machine(rng, partial(_level, height), 0.02)
            grid = GRIDS[int(rng.integers(len(GRIDS)))]
            told += crossover(EFFORTS[effort](machine, grid, rng)).certain
        yield Figure(f"crossovers told where there is none, {effort}", told, each, ERRS)


def _level(height: float, _: float) -> float:
    return height


def _holds(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


PARTS: tuple[Callable[[np.random.Generator, int], Iterator[Figure]], ...] = (
    coverage,
    adaptive_coverage,
    verdicts,
    false_discoveries,
    percentiles,
    crossovers,
    spurious,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate and print; 1 if a target is missed, unless `--informative`."""
    parser = argparse.ArgumentParser(prog="python -m bench.trials.statistics", description=__doc__)
    parser.add_argument("--simulations", type=int, default=SIMULATIONS, help="for each figure")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--informative", action="store_true", help="never fail")
    options = parser.parse_args(arguments)
    if options.simulations < 1:
        parser.error("--simulations must be 1 or more")
    missed = 0
    for number, part in enumerate(PARTS):
        for figure in part(np.random.default_rng([options.seed, number]), options.simulations):
            print(figure.line(), flush=True)
            missed += figure.outcome == "MISSED"
    print(f"{missed} targets missed" if missed else "no target missed")
    return 1 if missed and not options.informative else 0


if __name__ == "__main__":
    sys.exit(main())
