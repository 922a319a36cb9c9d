"""One load by one process or by several: each runs its shard, and the rows are put together.

The shards need not talk: which connections and which arrivals are whose follows from their numbers.
Those of an open loop share the moment at which the schedule begins.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

from clients.closed_engine import ClosedEngine
from clients.engine import OnSecond, Second
from clients.errors import LoadError
from clients.load import Load, Raw, Shard
from clients.loop import clock_ns
from clients.open_engine import OpenEngine
from clients.prctl import die_with_parent
from clients.samples_file import Samples

TOGETHER_NS = 20_000_000
STARTS_WITHIN_S = 30.0


def engine_for(
    load: Load, on_second: OnSecond | None = None, start_ns: int | None = None
) -> ClosedEngine | OpenEngine:
    """The engine that the load asks for."""
    if load.schedule is None:
        return ClosedEngine(load, on_second)
    return OpenEngine(load, on_second, start_ns)


def run(
    load: Load, processes: int, on_second: OnSecond | None, *, keep_samples: bool = False
) -> tuple[list[Raw], list[Samples]]:
    """Run the load; the figures of each shard, in order, and the raw samples where asked for.

    The first SIGINT ends the window: what was measured until then is given back.
    Raises LoadError where a shard cannot begin, KeyboardInterrupt at a second SIGINT.
    """
    if processes == 1:
        raw, samples = _run_shard(load, on_second, keep_samples=keep_samples)
        return [raw], [samples] if samples else []
    return _run_processes(load, processes, on_second, keep_samples=keep_samples)


def _run_shard(
    load: Load,
    on_second: OnSecond | None,
    start_ns: int | None = None,
    number: int = signal.SIGINT,
    *,
    keep_samples: bool,
) -> tuple[Raw, Samples | None]:
    engine = engine_for(load, on_second, start_ns)
    samples = engine.keep_samples() if keep_samples else None
    with _Interrupting(engine.interrupt, number):
        return engine.run(), samples


class _Interrupting:
    """While entered, the first such signal calls `interrupt`; the next SIGINT is KeyboardInterrupt.

    Only the main thread hears of signals.
    """

    def __init__(self, interrupt: Callable[[], None], number: int = signal.SIGINT) -> None:
        self._interrupt, self._number = interrupt, number
        self._in_main = threading.current_thread() is threading.main_thread()
        self.came = False

    def __enter__(self) -> "_Interrupting":
        if self._in_main:
            self._before = signal.signal(self._number, self._handle)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {self._number})
        return self

    def __exit__(self, *_: object) -> None:
        if self._in_main:
            signal.signal(self._number, self._before)

    def _handle(self, *_: object) -> None:
        self.came = True
        if self._number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._interrupt()


# Several processes


def _run_processes(
    load: Load, count: int, on_second: OnSecond | None, *, keep_samples: bool
) -> tuple[list[Raw], list[Samples]]:
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    processes: list[Any] = []

    def interrupt() -> None:
        for process in processes:
            os.kill(process.pid, signal.SIGUSR1)

    # A shard inherits the mask: the signal that ends its window waits until it can be heard.
    held = {signal.SIGINT, signal.SIGUSR1}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        for index in range(count):
            ours, theirs = context.Pipe()
            arguments = (theirs, replace(load, shard=Shard(index, count)), keep_samples)
            process = context.Process(
                target=_serve_shard, args=(*arguments, on_second is not None, os.getpid())
            )
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        with _Interrupting(interrupt):
            _start_together(pipes)
            return _collect(pipes, on_second)
    except OSError as error:
        raise LoadError(f"cannot start {count} processes: {error.strerror}") from None
    finally:
        for process in processes:
            process.kill()
            process.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve_shard(
    pipe: Connection, load: Load, keep_samples: bool, tells: bool, parent: int
) -> None:
    """What a process of its own does: one shard, told over the pipe when to begin.

    SIGINT stays blocked, since a terminal sends it to all: see `_Interrupting`.
    """
    die_with_parent(parent)
    try:
        pipe.send(("ready", None))
        start_ns = pipe.recv()
        tell: OnSecond | None = (lambda row: pipe.send(("second", row))) if tells else None
        number = signal.SIGUSR1
        pipe.send(("done", _run_shard(load, tell, start_ns, number, keep_samples=keep_samples)))
    except LoadError as error:
        pipe.send(("failed", str(error)))
    except (EOFError, OSError):
        return  # the one who asked has gone


def _start_together(pipes: list[Connection]) -> None:
    for pipe in pipes:
        if not pipe.poll(STARTS_WITHIN_S):
            raise LoadError(
                f"a process of the generator did not start within {STARTS_WITHIN_S:.0f} s"
            )
        _receive(pipe)
    start_ns = clock_ns() + TOGETHER_NS
    for pipe in pipes:
        pipe.send(start_ns)


def _collect(
    pipes: list[Connection], on_second: OnSecond | None
) -> tuple[list[Raw], list[Samples]]:
    results: dict[int, tuple[Raw, Samples | None]] = {}
    rows: dict[int, list[Second]] = {}
    places = {id(pipe): index for index, pipe in enumerate(pipes)}
    left = list(pipes)
    while left:
        for pipe in [each for each in wait(left) if isinstance(each, Connection)]:
            kind, content = _receive(pipe)
            if kind == "done":
                results[places[id(pipe)]] = content
                left.remove(pipe)
            else:
                told = rows.setdefault(content.number, [])
                told.append(content)
                if len(told) == len(pipes) and on_second is not None:
                    on_second(_sum(rows.pop(content.number)))
    for number in sorted(rows):
        if on_second is not None:
            on_second(_sum(rows[number]))
    ordered = [results[index] for index in range(len(pipes))]
    return [raw for raw, _ in ordered], [samples for _, samples in ordered if samples is not None]


def _receive(pipe: Connection) -> Any:
    try:
        kind, content = pipe.recv()
    except EOFError:
        raise LoadError("a process of the generator was lost") from None
    if kind == "failed":
        raise LoadError(content)
    return kind, content


def _sum(rows: list[Second]) -> Second:
    total, *others = rows
    for row in others:
        total.add(row)
    return total
