"""Is time better spent where intervals are wide? The quick profile both ways, in turns.

One run spends its budget as it does; the other measures every point in every round, for the same
time. Printed for each: how many throughput comparisons were decided, the median half-width of their
intervals, how wide the intervals of the crossovers are, and after how long the one had as many
comparisons that are narrow enough to be settled as the other had in the end. With `--aa` a model is
compared with itself: how many are called for either side?
"""

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.analyse.crossings import crossings_of
from bench.analyse.verdicts import judge
from bench.errors import UserError
from bench.store import Run, read_run

Spans = dict[tuple[str, ...], float]

FIXED = "rounds_min = 9999\nrounds_max = 10000"


def profile_text(name: str, *, fixed: bool) -> str:
    """The text of a shipped profile; `fixed`: all points in all rounds, while the budget lasts."""
    text = (Path(__file__).parent.parent / "profiles" / f"{name}.toml").read_text()
    lines = [
        line for line in text.splitlines() if not fixed or not line.startswith(("rounds", "refine"))
    ]
    return "\n".join([*([FIXED] if fixed else []), *lines]) + "\n"


def measured(name: str, budget: str, folder: Path, seed: int, *, fixed: bool) -> Run:
    """Measure a profile."""
    profile = folder / f"{name}-{'fixed' if fixed else 'adaptive'}-{seed}.toml"
    profile.write_text(profile_text(name, fixed=fixed))
    out = folder / profile.stem
    words = ["--profile", str(profile), "--budget", budget, "--seed", str(seed), "--out", str(out)]
    subprocess.run(
        [sys.executable, "-m", "bench", "run", *words], check=True, stdout=subprocess.DEVNULL
    )
    return read_run(out)


def figures(run: Run) -> dict[str, float]:
    """What the throughput comparisons of a run amount to."""
    rows = [c for c in judge(run)["comparisons"] if c["metric"] == "throughput"]
    widths = [math.log(c["high"] / c["low"]) / 2 for c in rows if c["low"] and c["high"]]
    decided = sum(c["verdict"] in ("A", "B", "equal") for c in rows)
    return {
        "comparisons": len(rows),
        "decided": decided,
        "called": sum(c["verdict"] in ("A", "B") for c in rows),
        "median_half_width": statistics.median(widths) if widths else math.inf,
        "widest": max(widths, default=math.inf),
    }


def crossover_spans(run: Run) -> dict[tuple[str, ...], float]:
    """High end over low end of the interval of each crossover that was found with both."""
    return {
        (each.a, each.b, *map(str, each.point.values())): each.found.high / each.found.low
        for each in crossings_of(run)
        if each.found.at and each.found.low and each.found.high
    }


def narrow_after(run: Run) -> list[tuple[float, int]]:
    """(seconds, comparisons) after each round: how many had an interval that is narrow enough.

    Narrow enough is the run's own `precision`, the half-width at which it settles a comparison.
    """
    found = []
    for last in sorted({trial["round"] for trial in run.trials}):
        trials = [trial for trial in run.trials if trial["round"] <= last]
        rows = judge(replace(run, trials=trials))["comparisons"]
        count = sum(_is_narrow(row, run.config["precision"]) for row in rows)
        found.append((max(trial["t_s"] for trial in trials), count))
    return found


def _is_narrow(row: Mapping[str, Any], precision: float) -> bool:
    if row["metric"] != "throughput" or not row["low"] or not row["high"]:
        return False
    return math.log(row["high"] / row["low"]) / 2 <= precision


def times_in_words(fixed: Sequence[Run], adaptive: Sequence[Run]) -> str:
    """When the adaptive run of each pair had as many narrow comparisons as the other in the end."""
    lines = []
    for of_fixed, of_adaptive in zip(
        map(narrow_after, fixed), map(narrow_after, adaptive), strict=True
    ):
        end_s, wanted = of_fixed[-1]
        when_s = next((t_s for t_s, count in of_adaptive if count >= wanted), None)
        when = "never" if when_s is None else f"after {when_s:.0f} s, {when_s / end_s:.2f} of that"
        lines.append(
            f"narrow enough with every point in every round: {wanted} after {end_s:.0f} s; as many"
            f" where intervals are wide {when}, {of_adaptive[-1][1]} in the end"
        )
    return "\n".join(lines)


def spans_in_words(fixed: Sequence[Spans], adaptive: Sequence[Spans]) -> str:
    """Both ways side by side, on the crossovers that both runs of a pair found."""
    both = [
        (of_fixed[key], of_adaptive[key])
        for of_fixed, of_adaptive in zip(fixed, adaptive, strict=True)
        for key in of_fixed.keys() & of_adaptive.keys()
    ]
    if not both:
        return "no crossover was found by both"
    medians = [statistics.median(spans) for spans in zip(*both, strict=True)]
    narrower = sum(of_adaptive < of_fixed for of_fixed, of_adaptive in both)
    return (
        f"{len(both)} crossovers found by both: high end / low end {medians[0]:.2f} median with"
        f" every point in every round, {medians[1]:.2f} where intervals are wide; narrower there in"
        f" {narrower} of {len(both)}"
    )


def in_words(found: Mapping[str, float]) -> str:
    """The figures of one run."""
    return (
        f"{found['decided']:.0f} of {found['comparisons']:.0f} decided, half-width"
        f" {found['median_half_width']:.4f} median, {found['widest']:.2f} widest;"
        f" called for a side: {found['called']:.0f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both; always 0, since it is a comparison and no target."""
    parser = argparse.ArgumentParser(prog="python -m bench.trials.effort", description=__doc__)
    parser.add_argument("--budget", default="4m35s")
    parser.add_argument("--runs", type=int, default=1, help="how many of each")
    parser.add_argument("--aa", action="store_true", help="one model against itself, adaptive only")
    options = parser.parse_args(arguments)
    name = "aa" if options.aa else "quick"
    totals: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    runs: dict[bool, list[Run]] = {False: [], True: []}
    with tempfile.TemporaryDirectory(prefix="crossover-effort-") as folder:
        for seed in range(1, options.runs + 1):
            for fixed in [False] if options.aa else [seed % 2 == 0, seed % 2 == 1]:
                run = measured(name, options.budget, Path(folder), seed, fixed=fixed)
                found = figures(run)
                totals[fixed].append(found)
                runs[fixed].append(run)
                what = "every point in every round" if fixed else "where intervals are wide"
                print(f"{name}, {options.budget}, {what}: {in_words(found)}", flush=True)
    if options.aa:
        called = sum(found["called"] for found in totals[False])
        total = sum(found["comparisons"] for found in totals[False])
        print(f"A/A: {called:.0f} of {total:.0f} comparisons were called for either side")
    else:
        spans = {fixed: list(map(crossover_spans, found)) for fixed, found in runs.items()}
        print(spans_in_words(spans[True], spans[False]))
        print(times_in_words(runs[True], runs[False]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        print(f"effort trial: {failure}", file=sys.stderr)
        sys.exit(2)
