"""The signals that ask a run to end, turned into one exception. Must not know what a run is."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedRunError(Exception):
    """The user or the system asked the run to end; what is measured is saved."""


class _Held:
    """How many blocks hold a signal back, and the one that came meanwhile."""

    blocks = 0
    signal: str | None = None


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into InterruptedRunError; ignore further ones.

    For the main thread. What the signals did before, they do again on leaving.
    """

    def interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        ignore_signals()
        name = signal.Signals(signum).name
        if not _Held.blocks:
            raise InterruptedRunError(name)
        _Held.signal = name

    previous = {name: signal.signal(name, interrupt) for name in SIGNALS}
    try:
        yield
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)


@contextmanager
def held_back() -> Iterator[None]:
    """Let no signal interrupt the block: InterruptedRunError is raised at its end instead.

    For what must not be left half done: a process that is started and noted, or one that is ended.
    """
    _Held.blocks += 1
    try:
        yield
    finally:
        _Held.blocks -= 1
        if not _Held.blocks and _Held.signal is not None:
            name, _Held.signal = _Held.signal, None
            raise InterruptedRunError(name)


def ignore_signals() -> None:
    """The run is ending: from here on nothing may keep it from saving and cleaning up."""
    for name in SIGNALS:
        signal.signal(name, signal.SIG_IGN)
