"""Micro-benchmarks of two trees, in turns: pytest with pytest-benchmark, fresh processes each.

A pair is a run of each side; its ratio of a benchmark is that of the fastest rounds: whatever else
runs on the machine can only add to a round. Decides nothing.
"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.gate.arms import Arm
from bench.gate.decide import Sample, is_precise
from bench.gate.pairs import SIDES, Side, plan_pair
from bench.gate.rule import Rule
from bench.measure.interrupts import held_back
from bench.measure.process import Process, describe_exit

METRIC = "time"
STATISTIC = "min"
DEFAULT_PATH = "tests/benchmarks"
TESTS_FAILED = 1
RUN_LIMIT_S = 900.0
# No options of the project's own: what runs tests side by side would switch the benchmarks off.
OPTIONS = (
    "--quiet",
    "--override-ini=addopts=",
    "--override-ini=norecursedirs=.*",
    "-p",
    "no:cacheprovider",
    "--benchmark-only",
    "--benchmark-min-rounds=5",
    "--benchmark-disable-gc",
)

Line = dict[str, Any]


def command_for(path: str, seconds: float) -> str:
    """What runs the benchmarks below a path of a checkout, each for so long at most."""
    words = ["{python}", "-m", "pytest", path, *OPTIONS, f"--benchmark-max-time={seconds:g}"]
    return " ".join([*words, "--benchmark-json={report}"])


@dataclass
class Measured:
    """Every benchmark of every run so far; `reports` are head's, as pytest-benchmark wrote them."""

    lines: list[Line] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    pairs: int = 0
    ended: str = "interrupted"


class PairsOfRuns:
    """Runs the benchmarks of both sides, pair after pair; `keep` is given every figure."""

    def __init__(
        self,
        arms: Mapping[Side, Arm],
        folder: Path,
        cores: Sequence[int],
        seed: int,
        keep: Callable[[Line], None],
        look_at_files: Callable[[], None] = lambda: None,
    ) -> None:
        self._arms, self._folder, self._cores = arms, folder, cores
        self._seed, self._keep, self._look_at_files = seed, keep, look_at_files
        self._began_s = time.monotonic()
        self.measured = Measured()

    def run(self, budget_s: float, least: int, rule: Rule, tell: Callable[[str], None]) -> Measured:
        """Run at least so many pairs, and more while that helps and the budget lasts.

        Raises UserError when the benchmarks of base fail, when a side cannot be run at all, and
        when no benchmark is common to both.
        """
        done = self.measured
        while True:
            plan = plan_pair(done.pairs, self._seed)
            for side in plan.start_order:
                self._side(side, done.pairs, plan.hash_seed)
            done.pairs += 1
            if done.pairs == 1:
                self._look_at_files()
            elapsed_s = time.monotonic() - self._began_s
            tell(f"pair {done.pairs} of {max(least, done.pairs)} measured, {elapsed_s:.0f} s")
            if done.failures:
                done.ended = "benchmarks of head failed"
                return done
            samples = samples_of(done.lines)
            if not samples:
                raise UserError("nothing was measured: base and head have no benchmark in common")
            if done.pairs < least:
                continue
            if all(is_precise(sample, rule, len(samples)) for sample in samples):
                done.ended = "precise enough"
                return done
            if elapsed_s * (done.pairs + 1) / done.pairs > budget_s:
                done.ended = "the budget is spent"
                return done

    def _side(self, side: Side, pair: int, hash_seed: int) -> None:
        report = self._folder / f"{pair:04d}-{side}.json"
        content = self._report(side, report, hash_seed)
        for benchmark in content.get("benchmarks", ()):
            line = {
                "pair": pair,
                "side": side,
                "benchmark": benchmark["fullname"],
                "t_s": round(time.monotonic() - self._began_s, 3),
                **{f"{key}_s": benchmark["stats"][key] for key in ("min", "median", "mean")},
                "rounds": benchmark["stats"]["rounds"],
            }
            self.measured.lines.append(line)
            self._keep(line)
        if side == "head" and content:
            self.measured.reports.append(content)

    def _report(self, side: Side, report: Path, hash_seed: int) -> dict[str, Any]:
        """Run one side once; what pytest-benchmark wrote, or nothing where head's fail."""
        arm = self._arms[side]
        with ExitStack() as stack:
            with held_back():
                process = Process(
                    side,
                    [word.replace("{report}", str(report)) for word in arm.words],
                    cores=self._cores,
                    env={**_without_xdist(arm.env), "PYTHONHASHSEED": f"{hash_seed:010d}"},
                    cwd=arm.cwd,
                )
                stack.callback(process.kill)
            code = process.wait_ended(RUN_LIMIT_S)
            if code == TESTS_FAILED and side == "head":
                self.measured.failures.append(process.complaint("its benchmarks failed"))
                return {}
            if code:
                raise UserError(process.complaint(f"pytest ended with {describe_exit(code)}"))
            return _read(report, process)


def _without_xdist(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a pytest of its own: within a worker of xdist nothing is benchmarked."""
    return {key: value for key, value in env.items() if not key.startswith("PYTEST_XDIST")}


def samples_of(lines: Sequence[Line]) -> list[Sample]:
    """What the pairs say of every benchmark that both sides have."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for line in lines:
        if line[f"{STATISTIC}_s"] > 0:
            pair = found.setdefault(line["benchmark"], {}).setdefault(line["pair"], {})
            pair[line["side"]] = line[f"{STATISTIC}_s"]
    samples = []
    for benchmark, pairs in found.items():
        both = [pair for pair in pairs.values() if set(pair) == set(SIDES)]
        ratios = tuple(math.log(pair["head"] / pair["base"]) for pair in both)
        if both:
            samples.append(Sample(benchmark, METRIC, ratios, len(both)))
    return samples


def notes_of(lines: Sequence[Line]) -> list[str]:
    """Which benchmarks are on one side only."""
    base, head = ({line["benchmark"] for line in lines if line["side"] == s} for s in SIDES)
    return [
        *[f"{name} is new: not compared" for name in sorted(head - base)],
        *[f"{name} is gone: not compared" for name in sorted(base - head)],
    ]


def exported(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Head's runs as one report of pytest-benchmark: of each benchmark, its median run."""
    if not reports:
        raise UserError("--micro-json: no run of head ended well, so there is nothing to export")
    runs: dict[str, list[dict[str, Any]]] = {}
    for report in reports:
        for benchmark in report["benchmarks"]:
            runs.setdefault(benchmark["fullname"], []).append(benchmark)
    ordered = [sorted(each, key=lambda run: run["stats"]["median"]) for each in runs.values()]
    return {**reports[0], "benchmarks": [each[len(each) // 2] for each in ordered]}


def _read(report: Path, process: Process) -> dict[str, Any]:
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(
            process.complaint("pytest wrote no report: is pytest-benchmark installed there?")
        ) from None
    if not isinstance(content, dict) or not content.get("benchmarks"):
        raise UserError(process.complaint("nothing was measured: pytest ran no benchmark"))
    return content
