"""What each step did and when: its wait, and the pieces in which a thread was busy with it.

It stands between a driver and the steps that it carries out, whatever the model: from handing a
step over to being asked for what follows. A server that does not trace has nothing of it in its
way.
"""

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from servers.core.compute import Rates, spin
from servers.core.work import SPIN, Step

MOST_STEPS: Final = 1_000_000
# A spin is cut into pieces of this length, so that it shows where it stopped for another thread. A
# hash is not: between two pieces it would want the interpreter lock, which it otherwise does not.
PIECE_S: Final = 100e-6

Piece = tuple[int, int, int, int]
"""A thread's native id; from when to when it ran a part of a step, and its CPU time; in ns."""

Parts = tuple[Callable[[], None], ...]
_Row = tuple[int, bytes, Step, int, int, int, tuple[Piece, ...]]


class Trace:
    """The steps that one process has carried out, on the system's monotonic clock."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._exchanges = count(1)
        self._rows: list[_Row] = []

    def watch(self, target: bytes, steps: tuple[Step, ...]) -> Iterable[Step]:
        """Return steps that do the same, and are noted each time that they are carried out."""
        return _Traced(self, target, [(step, self._parts(step)) for step in steps])

    def begin(self) -> int:
        """Return the number of an exchange that is about to be carried out."""
        return next(self._exchanges)

    def note(self, row: _Row) -> None:
        """Note a step that has ended."""
        if len(self._rows) < MOST_STEPS:
            self._rows.append(row)

    def append_to(self, path: Path) -> None:
        """Add a line of JSON for each step, in the order in which they ended. Raises OSError."""
        with path.open("a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # the other processes of the server do so too
            file.writelines(json.dumps(line) + "\n" for line in self._lines())

    def _lines(self) -> Iterator[dict[str, object]]:
        for exchange, target, step, thread, began_ns, ended_ns, pieces in self._rows:
            yield {
                "pid": os.getpid(),
                "exchange": exchange,
                "target": target.decode("latin-1"),
                "step": step.kind.value,
                "asked_s": step.seconds,
                "thread": thread,
                "began_ns": began_ns,
                "ended_ns": ended_ns,
                "pieces": pieces,
            }

    def _parts(self, step: Step) -> Parts:
        """What is run for a step, one after the other."""
        if step.kind is not SPIN:
            return (step.run,)
        rounds = self._rates.spin_rounds(step.seconds)
        most = max(self._rates.spin_rounds(PIECE_S), 1)
        return tuple(partial(spin, min(most, rounds - done)) for done in range(0, rounds, most))


class _Traced:
    def __init__(self, trace: Trace, target: bytes, steps: list[tuple[Step, Parts]]) -> None:
        self._trace = trace
        self._target = target
        self._steps = steps

    def __iter__(self) -> Iterator[Step]:
        exchange = self._trace.begin()
        for step, parts in self._steps:
            pieces: list[Piece] = []
            handed = Step(step.kind, step.seconds, partial(_run, parts, pieces), step.request)
            thread, began_ns = threading.get_native_id(), time.monotonic_ns()
            yield handed
            ended_ns = time.monotonic_ns()
            row = (exchange, self._target, step, thread, began_ns, ended_ns, tuple(pieces))
            self._trace.note(row)


def _run(parts: Parts, pieces: list[Piece]) -> None:
    """Run the parts of a step in the calling thread."""
    for part in parts:
        began_ns, cpu_ns = time.monotonic_ns(), time.thread_time_ns()
        part()
        cpu_ns = time.thread_time_ns() - cpu_ns
        pieces.append((threading.get_native_id(), began_ns, time.monotonic_ns(), cpu_ns))
