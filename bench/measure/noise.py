"""How noisy is this machine? One model against itself for some seconds, as a run measures it."""

import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import stdev
from typing import Any

from bench.measure.adapt import half_width
from bench.measure.cores import CoreChoice
from bench.measure.models import calibrate, known_models
from bench.measure.plan import Cell
from bench.measure.profile import Grid, Profile, original_of
from bench.measure.runner import run
from bench.measure.slice import usable_rps
from bench.measure.targets import driver_target
from bench.store import RunWriter

PAIR = ("asyncio", "asyncio#2")
CONNECTIONS = 16
ROUNDS = 6
# About how many rounds the quick profile gives to what is noisy.
QUICK_ROUNDS = 10


@dataclass
class Noise:
    """`log_ratios` of the two copies, one a round: whatever is not 0 is noise."""

    log_ratios: list[float]

    @property
    def resolved(self) -> float | None:
        """The smallest difference, as a share, that a quick run tells from none here."""
        if len(self.log_ratios) < 2:
            return None
        width = half_width(self.log_ratios, 0.95)
        # The width goes down with the square root of the rounds.
        return math.expm1(width * math.sqrt(len(self.log_ratios) / QUICK_ROUNDS))

    @property
    def spread(self) -> float | None:
        """The standard deviation of one round, as a share."""
        return math.expm1(stdev(self.log_ratios)) if len(self.log_ratios) > 1 else None


@dataclass
class _Watcher:
    """Collects what the copies give, and says how far it is."""

    told: Callable[[str], None]
    rps: dict[str, list[float | None]] = field(default_factory=dict)

    def round_begins(self, index: int, cells: int) -> None:  # noqa: ARG002
        self.told(f"A/A, round {index + 1} of {ROUNDS}")

    def slice_ends(self, cell: Cell, trial: Mapping[str, Any], left_s: float) -> None:  # noqa: ARG002
        self.rps.setdefault(cell.target, []).append(usable_rps(trial))

    def waits_begin(self, target: str, load: str) -> None:
        """There are none."""

    def notice(self, text: str) -> None:
        self.told(text)


def measure_noise(cores: CoreChoice, told: Callable[[str], None]) -> Noise:
    """Measure it; `told` hears how far it is. Raises UserError where it cannot be measured."""
    models, rates = known_models(), calibrate()
    grid = Grid("keep-alive", PAIR, ("/",), (CONNECTIONS,), (PAIR,))
    profile = Profile(
        "noise", "A/A", (grid,), seed=time.time_ns() % 2**32, rounds_min=ROUNDS, rounds_max=ROUNDS
    )
    targets = [driver_target(n, models[original_of(n)], rates, None, None) for n in PAIR]
    watcher = _Watcher(told)
    with tempfile.TemporaryDirectory(prefix="crossover-") as folder:
        writer = RunWriter.create(Path(folder) / "noise", {})
        if run(profile, targets, {1: cores}, writer, watcher) != "complete":
            raise KeyboardInterrupt
    pairs = zip(*(watcher.rps.get(name, []) for name in PAIR), strict=True)
    return Noise([math.log(a / b) for a, b in pairs if a and b])
