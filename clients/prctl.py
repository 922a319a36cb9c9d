"""Two settings of a process that Python has no name for. Linux only; see prctl(2)."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_TIMERSLACK = 29


def die_with_parent(parent: int) -> None:
    """Be killed when the parent is gone, however it went; at once where it is gone already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def wake_up_in_time() -> None:
    """Let timers of this thread be late by 1 ns, not by the usual 50 us."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
