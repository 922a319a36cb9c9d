"""Does a run survive being killed again and again? SIGKILL at random moments, then `--resume`.

A run of the smoke profile is killed, looked after (no process and no port may be left), and gone on
with by `--resume`, until it is complete; then another begins, until there were as many kills as
asked for. No whole line of trials.jsonl may ever be lost or changed, and every run has to end
complete, with both targets of a pair in every round that counts.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import UserError
from bench.measure import supervisor
from bench.store import RUN_FILE, TRIALS_FILE, read_run
from bench.trials.kill import EARLIEST_S, kill_once

COMMAND = (sys.executable, "-m", "bench", "run")
BUDGET = "5m"
COMPLETE_WITHIN_S = 360.0


@dataclass
class Tally:
    """What all kills together have shown."""

    kills: int = 0
    runs: int = 0
    slowest_s: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Chain:
    """One run, killed and gone on with."""

    def __init__(self, folder: Path, profile: str, tally: Tally) -> None:
        self.folder, self.profile, self.tally = folder, profile, tally
        self.kept = b""

    def command(self) -> list[str]:
        """What begins the run, or goes on with it once there is something of it."""
        if (self.folder / RUN_FILE).exists():
            return [*COMMAND, "--resume", "--out", str(self.folder)]
        shutil.rmtree(self.folder, ignore_errors=True)  # killed before it had a plan
        # What is killed costs time as well: the budget must not be what ends the rounds.
        words = ["--profile", self.profile, "--budget", BUDGET, "--out", str(self.folder)]
        return [*COMMAND, *words]

    def kill_after(self, after_s: float) -> bool:
        """Kill it once; False where it was complete before."""
        try:
            outcome = kill_once(self.command(), self.folder, after_s)
        except UserError as ended:
            if (self.folder / RUN_FILE).exists() and self._state() == "complete":
                return False
            raise ended from None
        self.tally.kills += 1
        self.tally.slowest_s = max(self.tally.slowest_s, outcome.gone_after_s)
        self.tally.wrong += outcome.left
        self._look()
        return True

    def complete(self) -> None:
        """Go on with it to its end, and look at all of it."""
        if not (self.folder / RUN_FILE).exists() or self._state() != "complete":
            done = subprocess.run(
                self.command(),
                capture_output=True,
                text=True,
                timeout=COMPLETE_WITHIN_S,
                check=False,
            )
            if done.returncode:
                self.tally.wrong.append(
                    f"not gone on with ({done.returncode}): {done.stderr[-300:]}"
                )
                return
        self._look()
        self.tally.runs += 1
        self.tally.wrong += self._incomplete()

    def _state(self) -> str:
        return str(read_run(self.folder).info["state"])

    def _look(self) -> None:
        """Whether all whole lines that there ever were are there still, as they were."""
        trials = self.folder / TRIALS_FILE
        content = trials.read_bytes() if trials.exists() else b""
        if not content.startswith(self.kept):
            self.tally.wrong.append("a finished slice was lost or changed")
        self.kept = content[: content.rfind(b"\n") + 1]

    def _incomplete(self) -> list[str]:
        """What a complete run lacks: the rounds that its profile asks for at least."""
        run = read_run(self.folder)
        if run.info["state"] != "complete":
            return [f"the run is {run.info['state']}"]
        least = int(run.config["rounds_min"])
        wanted = {
            (grid["connection"], work, count): set(grid["targets"])
            for grid in run.config["grids"]
            for work in grid["works"]
            for count in grid["connections"]
        }
        rounds: dict[tuple[str, str, int], dict[int, set[str]]] = defaultdict(
            lambda: defaultdict(set)
        )
        for trial in run.trials:
            cell = (trial["connection"], trial["work"], trial["connections"])
            rounds[cell][trial["round"]].add(trial["target"])
        short = [
            cell
            for cell, targets in wanted.items()
            if sum(found >= targets for found in rounds[cell].values()) < least
        ]
        return [f"{cell} has fewer than {least} whole rounds" for cell in short]


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill as often as asked for; 0 if nothing was left or lost and every run ended complete."""
    parser = argparse.ArgumentParser(prog="python -m bench.trials.resume", description=__doc__)
    parser.add_argument("--times", type=int, default=100, help="how many kills")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments")
    parser.add_argument("--profile", default="smoke", help="the profile to run")
    parser.add_argument("--latest", type=float, default=8.0, help="latest moment, in seconds")
    options = parser.parse_args(arguments)
    supervisor.prctl(supervisor.PR_SET_CHILD_SUBREAPER, 1)
    dice, tally = random.Random(options.seed), Tally()
    try:
        while tally.kills < options.times:
            with tempfile.TemporaryDirectory(prefix="crossover-resume-") as folder:
                chain = Chain(Path(folder) / "run", options.profile, tally)
                while tally.kills < options.times:
                    if not chain.kill_after(dice.uniform(EARLIEST_S, options.latest)):
                        break
                    print(f"kill {tally.kills} of {options.times}", file=sys.stderr, flush=True)
                chain.complete()
    finally:
        supervisor.kill_descendants()
    for wrong in dict.fromkeys(tally.wrong):
        print(f"FAILED: {wrong}")
    print(
        f"{tally.kills} kills, each followed by --resume, of {tally.runs} runs that ended complete:"
        f" {len(tally.wrong)} times something was left or lost;"
        f" slowest clean-up {tally.slowest_s:.2f} s"
    )
    return 1 if tally.wrong or not tally.kills else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        print(f"resume trial: {failure}", file=sys.stderr)
        sys.exit(2)
