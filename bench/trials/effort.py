"""Is time better spent where intervals are wide? The quick profile both ways, in turns.

One run spends its budget as it does; the other measures every point in every round, for the same
time. Printed for each: how many throughput comparisons were decided, and the median half-width of
their intervals. With `--aa` a model is compared with itself: how many are called for either side?
"""

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.analyse.verdicts import judge
from bench.errors import UserError
from bench.store import read_run

FIXED = "rounds_min = 10000\nrounds_max = 10001"


def profile_text(name: str, *, fixed: bool) -> str:
    """The text of a shipped profile; `fixed`: all points in all rounds, while the budget lasts."""
    text = (Path(__file__).parent.parent / "profiles" / f"{name}.toml").read_text()
    lines = [
        line for line in text.splitlines() if not fixed or not line.startswith(("rounds", "refine"))
    ]
    return "\n".join([*([FIXED] if fixed else []), *lines]) + "\n"


def measured(name: str, budget: str, folder: Path, seed: int, *, fixed: bool) -> dict[str, Any]:
    """Measure a profile and judge it."""
    profile = folder / f"{name}-{'fixed' if fixed else 'adaptive'}-{seed}.toml"
    profile.write_text(profile_text(name, fixed=fixed))
    out = folder / profile.stem
    words = ["--profile", str(profile), "--budget", budget, "--seed", str(seed), "--out", str(out)]
    subprocess.run(
        [sys.executable, "-m", "bench", "run", *words], check=True, stdout=subprocess.DEVNULL
    )
    return judge(read_run(out))


def figures(verdicts: Mapping[str, Any]) -> dict[str, float]:
    """What the throughput comparisons of a run amount to."""
    rows = [c for c in verdicts["comparisons"] if c["metric"] == "throughput"]
    widths = [math.log(c["high"] / c["low"]) / 2 for c in rows if c["low"] and c["high"]]
    decided = sum(c["verdict"] in ("A", "B", "equal") for c in rows)
    return {
        "comparisons": len(rows),
        "decided": decided,
        "called": sum(c["verdict"] in ("A", "B") for c in rows),
        "median_half_width": statistics.median(widths) if widths else math.inf,
        "widest": max(widths, default=math.inf),
    }


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
    parser.add_argument("--budget", default="4m20s")
    parser.add_argument("--runs", type=int, default=1, help="how many of each")
    parser.add_argument("--aa", action="store_true", help="one model against itself, adaptive only")
    options = parser.parse_args(arguments)
    name = "aa" if options.aa else "quick"
    totals: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory(prefix="crossover-effort-") as folder:
        for seed in range(1, options.runs + 1):
            for fixed in [False] if options.aa else [seed % 2 == 0, seed % 2 == 1]:
                found = figures(measured(name, options.budget, Path(folder), seed, fixed=fixed))
                totals[fixed].append(found)
                what = "every point in every round" if fixed else "where intervals are wide"
                print(f"{name}, {options.budget}, {what}: {in_words(found)}", flush=True)
    if options.aa:
        called = sum(found["called"] for found in totals[False])
        total = sum(found["comparisons"] for found in totals[False])
        print(f"A/A: {called:.0f} of {total:.0f} comparisons were called for either side")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        print(f"effort trial: {failure}", file=sys.stderr)
        sys.exit(2)
