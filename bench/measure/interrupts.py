"""The signals that ask a run to end, turned into one exception. Must not know what a run is."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedRunError(Exception):
    """The user or the system asked the run to end; what is measured is saved."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into InterruptedRunError; ignore further ones.

    For the main thread. What the signals did before, they do again on leaving.
    """

    def interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        ignore_signals()
        raise InterruptedRunError(signal.Signals(signum).name)

    previous = {name: signal.signal(name, interrupt) for name in SIGNALS}
    try:
        yield
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)


def ignore_signals() -> None:
    """The run is ending: from here on nothing may keep it from saving and cleaning up."""
    for name in SIGNALS:
        signal.signal(name, signal.SIG_IGN)
