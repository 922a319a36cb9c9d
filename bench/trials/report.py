"""How long does the report of a long run take, and how much memory? A real run, made longer.

The slices of a run are repeated, as further rounds with some noise, until there are 10,000.
"""

import argparse
import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.store import RUN_FILE, TRIALS_FILE, read_run

SLICES = 10_000
MOST_S = 30.0
MOST_MIB = 1024
NOISE = 0.03


def longer(trials: Sequence[dict[str, Any]], slices: int, seed: int) -> Iterator[dict[str, Any]]:
    """The slices again and again, each time as further rounds, with their throughput varied."""
    rounds = max(trial["round"] for trial in trials) + 1
    rng = random.Random(seed)
    for order in range(slices):
        again, place = divmod(order, len(trials))
        trial = dict(trials[place])
        trial |= {"round": trial["round"] + again * rounds, "order": order}
        if trial["throughput_rps"]:
            trial["throughput_rps"] *= math.exp(rng.gauss(0, NOISE))
        yield trial


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure it; 0 if both targets are met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m bench.trials.report", description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("results/reference/quick"))
    parser.add_argument("--slices", type=int, default=SLICES)
    parser.add_argument("--informative", action="store_true", help="a target missed is no failure")
    options = parser.parse_args(arguments)
    run = read_run(options.run)
    with tempfile.TemporaryDirectory(prefix="crossover-report-") as folder:
        (Path(folder) / RUN_FILE).write_text(json.dumps(run.info))
        with (Path(folder) / TRIALS_FILE).open("w") as file:
            for trial in longer(run.trials, options.slices, 1):
                file.write(json.dumps(trial) + "\n")
        began_s = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "bench", "report", folder], check=True, stdout=subprocess.DEVNULL
        )
        took_s = time.monotonic() - began_s
    most_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    met = took_s <= MOST_S and most_mib <= MOST_MIB
    print(
        f"the report of {options.slices} slices: {took_s:.1f} s, {most_mib:.0f} MiB; target at"
        f" most {MOST_S:.0f} s and {MOST_MIB} MiB: {'met' if met else 'MISSED'}"
    )
    return 0 if met or options.informative else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        print(f"report trial: {failure}", file=sys.stderr)
        sys.exit(2)
