"""Does a harness killed by SIGKILL leave anything behind? Real runs, killed at random moments.

Two seconds after each kill no process of the run and no port that it listened on may be left, and
every line of trials.jsonl, save a torn last one, must be readable. The trial is a child subreaper:
whatever loses its parents becomes its own descendant, so nothing hides from the check.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.errors import UserError
from bench.measure import supervisor
from bench.store import TRIALS_FILE

GONE_WITHIN_S = 2.0
EARLIEST_S = 0.2
POLL_S = 0.01


@dataclass(frozen=True)
class Outcome:
    """What one kill found: what there was, what was left, what can be read."""

    processes: int
    ports: int
    gone_after_s: float
    slices: int
    left: tuple[str, ...]

    def __str__(self) -> str:
        found = f"{self.processes} processes and {self.ports} listening ports"
        read = f"{self.slices} slices readable"
        if self.left:
            return f"{found}; FAILED: {'; '.join(self.left)}; {read}"
        return f"{found}, all gone after {self.gone_after_s:.2f} s; {read}"


def kill_once(command: Sequence[str], folder: Path, after_s: float) -> Outcome:
    """Start a harness that writes a run to `folder`, kill it, and look at what is left.

    Raises UserError if it ends by itself before. The caller is a child subreaper.
    """
    # Not a pipe: a survivor would hold it open and its end would never come.
    with tempfile.TemporaryFile() as errors:
        harness = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            code = harness.wait(after_s)
        except subprocess.TimeoutExpired:
            processes = alive_below()
            ports = listening(processes)
        else:
            errors.seek(0)
            raise UserError(f"the run ended by itself ({code}): {errors.read().decode().strip()}")
    harness.kill()
    harness.wait()
    killed_s = time.monotonic()
    left = wait_gone(ports, killed_s + GONE_WITHIN_S)
    gone_after_s = time.monotonic() - killed_s
    slices, unreadable = read_slices(folder / TRIALS_FILE)
    supervisor.kill_descendants()
    return Outcome(len(processes), len(ports), gone_after_s, slices, (*left, *unreadable))


def wait_gone(ports: set[int], deadline_s: float) -> tuple[str, ...]:
    """Wait until nothing is left, at most until the deadline; what is left then, in words."""
    while left := describe_left(ports):
        if time.monotonic() > deadline_s:
            return left
        time.sleep(POLL_S)
    return ()


def describe_left(ports: set[int]) -> tuple[str, ...]:
    """Name every process of the run that still lives, and every port still open."""
    supervisor.has_children()  # reaps
    still_open = {
        connection.laddr.port
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    processes = [f"process {pid} is left" for pid in alive_below()]
    return (*processes, *(f"port {port} still listens" for port in sorted(ports & still_open)))


def alive_below() -> list[int]:
    """Return every live process below this one."""
    return [stat.pid for stat in supervisor.descendants(os.getpid()) if stat.state != "Z"]


def listening(pids: Sequence[int]) -> set[int]:
    """Return the ports on which these processes listen."""
    ports = set()
    for pid in pids:
        try:
            connections = psutil.Process(pid).net_connections("tcp")
        except psutil.Error:  # ended meanwhile
            continue
        ports |= {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
    return ports


def read_slices(trials: Path) -> tuple[int, tuple[str, ...]]:
    """Count the readable lines and name those that are not; a torn last line is neither."""
    if not trials.exists():
        return 0, ()
    *lines, _torn = trials.read_bytes().split(b"\n")
    unreadable = [number for number, line in enumerate(lines, start=1) if not is_object(line)]
    words = (f"{trials.name} line {number} is unreadable" for number in unreadable)
    return len(lines) - len(unreadable), tuple(words)


def is_object(line: bytes) -> bool:
    """Whether a line is a whole JSON object."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill as many runs as asked for; 0 if none left anything, else 1."""
    parser = argparse.ArgumentParser(prog="python -m bench.trials.kill", description=__doc__)
    parser.add_argument("--times", type=int, default=10, help="how many runs to kill")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments")
    parser.add_argument("--profile", default="smoke", help="the profile to run")
    parser.add_argument("--latest", type=float, default=12.0, help="latest moment, in seconds")
    options = parser.parse_args(arguments)
    supervisor.prctl(supervisor.PR_SET_CHILD_SUBREAPER, 1)
    dice = random.Random(options.seed)
    moments_s = [dice.uniform(EARLIEST_S, options.latest) for _ in range(options.times)]
    try:
        outcomes = [
            one_of_many(options.profile, moment_s, f"kill {number} of {options.times}")
            for number, moment_s in enumerate(moments_s, start=1)
        ]
    finally:
        supervisor.kill_descendants()
    return summarise(outcomes)


def one_of_many(profile: str, after_s: float, title: str) -> Outcome:
    """Kill one run in a folder that is thrown away, and print what was found."""
    with tempfile.TemporaryDirectory(prefix="crossover-kill-") as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "bench", "run", "--profile", profile, "--out", str(run)]
        outcome = kill_once(command, run, after_s)
    print(f"{title}, after {after_s:.2f} s: {outcome}", flush=True)
    return outcome


def summarise(outcomes: Sequence[Outcome]) -> int:
    """Print the sum of all kills; 0 if none left anything, else 1."""
    failed = sum(bool(outcome.left) for outcome in outcomes)
    processes = sum(outcome.processes for outcome in outcomes)
    slices = sum(outcome.slices for outcome in outcomes)
    slowest_s = max((outcome.gone_after_s for outcome in outcomes), default=0.0)
    print(
        f"{len(outcomes)} runs killed with {processes} processes: {failed} left something behind; "
        f"slowest clean-up {slowest_s:.2f} s; {slices} slices readable"
    )
    return 1 if failed or not outcomes else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        print(f"kill trial: {failure}", file=sys.stderr)
        sys.exit(2)
