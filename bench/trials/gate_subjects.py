"""What the trials of the gate compare: the project itself, and a head of it that is slower.

A clone of this checkout with two commits, so that a trial takes the way that a user's gate takes:
refs, worktrees, fresh processes. The head differs from the base in one line of one driver.
"""

import os
import subprocess
import sys
import timeit
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.measure.cores import cores_here
from bench.measure.generator import Generator
from bench.measure.machine import CHECKOUT
from bench.measure.models import SERVERS, calibrate
from bench.measure.process import Process

# Of the models, one whose requests cost so much that 512 connections at 20 ms saturate it.
MODEL = "trio"
DRIVER = Path("servers/trio_nursery.py")
WRITE = "            await client.send(exchange.reply)\n"
SLEEP = "                    await trio.sleep(step.seconds)\n"
TAIL = "step.seconds + (0.002 if next(TURN) % 50 == 0 else 0.0)"
# Of the loop that is timed first, of all loops of a timing, and how often it is timed.
LOOP_ROUNDS = 1_000
TIMED_ROUNDS = 200_000
TIMINGS = 4
_AUTHOR = ("-c", "user.name=trial", "-c", "user.email=trial@localhost")


@dataclass(frozen=True)
class Subject:
    """A repository with a `base` and a `head`, and what head does besides."""

    folder: Path
    head: Mapping[str, Any]

    def gate(self, *options: str) -> tuple[int, str]:
        """Hold a gate in it, as a user would; its exit code and what it printed."""
        cache = self.folder.parent / "cache"
        done = subprocess.run(
            [
                sys.executable,
                "-P",
                "-m",
                "bench",
                "gate",
                "--base",
                "base",
                "--head",
                "head",
                *options,
            ],
            cwd=self.folder,
            env={**os.environ, "XDG_CACHE_HOME": str(cache)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout


def subject(folder: Path, kind: str, *, share: float = 0.05) -> Subject:
    """A clone in which head is as `kind` says: `aa` and `noise` the same, `cpu`, `tail`, `gross`.

    `cpu` has a loop that costs `share` of the throughput, `gross` one that costs half of it;
    `tail` lets 2% of the requests wait 2 ms longer.
    """
    clone = folder / "clone"
    _git(folder, "clone", "--quiet", "--no-hardlinks", str(CHECKOUT), str(clone))
    _git(clone, "tag", "base")
    file = clone / DRIVER
    text = file.read_text()
    head: dict[str, Any] = {"kind": kind}
    if kind in ("cpu", "gross"):
        lost = share if kind == "cpu" else 0.5
        cpu_us, rounds = loop_worth(lost)
        head |= {"share": lost, "base_cpu_us": cpu_us, "loop_rounds": rounds}
        text = _replaced(
            text, WRITE, f"            for _ in range({rounds}):\n{' ' * 16}pass\n{WRITE}"
        )
    elif kind == "tail":
        text = _replaced(text, SLEEP, SLEEP.replace("step.seconds", TAIL))
        text = _replaced(text, "\nimport logging\n", "\nimport itertools\nimport logging\n")
        text += "\n\nTURN = itertools.count(1)\n"
    else:
        text += "\n# The same program.\n"
    file.write_text(text)
    _git(clone, *_AUTHOR, "commit", "--quiet", "--all", "--message", f"head: {kind}")
    _git(clone, "tag", "head")
    return Subject(clone, head)


def loop_worth(share: float, connections: int = 512) -> tuple[float, int]:
    """Base's CPU for a request in us, and how many rounds of an empty loop cost that share more.

    Of a server that is limited by its CPU, throughput falls by `share` when a request costs
    1 / (1 - share) times as much.
    """
    cores = cores_here()
    command = [*SERVERS, MODEL, *calibrate().flags()]
    with Process("base", command, cores=cores.server) as server, Generator(cores.generator) as load:
        ready = server.wait_ready()
        answer = load.measure(
            {
                "url": f"http://{ready.host}:{ready.port}/delay=20ms",
                "connections": connections,
                "window_s": 2.0,
                "completions_wanted": connections,
                "watched_pids": server.pids(),
            }
        )
    cpu_us = answer["server_cpu_us_per_request"]
    if not cpu_us:
        raise UserError("base could not be measured, so no loop can be made that slows it down")
    return cpu_us, rounds_for(cpu_us * (1 / (1 - share) - 1))


def rounds_for(us: float) -> int:
    """How many rounds of an empty loop take so long here; a round of a longer loop costs more."""
    rounds = LOOP_ROUNDS
    for _ in range(TIMINGS):
        loop = f"for _ in range({rounds}): pass"
        number = max(1, TIMED_ROUNDS // rounds)
        took_us = min(timeit.repeat(loop, number=number, repeat=7)) / number * 1e6
        rounds = max(1, round(rounds * us / took_us))
    return rounds


def _replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise UserError(
            f"{DRIVER} is not as this trial knows it: it should have {old.strip()!r} once"
        )
    return text.replace(old, new)


def _git(folder: Path, *words: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    subprocess.run(["git", "-C", str(folder), *words], env=environment, check=True)
