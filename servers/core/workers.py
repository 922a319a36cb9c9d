"""Several processes of one server: they share its listener, and their parent keeps the units.

The parent serves nobody. It hands out units, starts a process anew where one has died, and passes
on the wish to end. Knows nothing of models.
"""

import ctypes
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

from servers.core.shared_units import Coordinator, Line, SharedUnits
from servers.core.stop import GRACE_S

# A process that ends sooner than this after its start would only do so again.
STEADY_S: Final = 1.0
_STOPS: Final = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG: Final = 1


class Workers:
    """The processes of one server. Make it in the main thread of a process with no other thread.

    `work` is called in each process, with its side of the units, and returns when it has served
    its last client. `on_stop` is called in the parent when the end is asked for. Raises OSError,
    and leaves none behind, where the system has no room for so many.
    """

    def __init__(
        self,
        count: int,
        units: int,
        work: Callable[[SharedUnits], None],
        on_stop: Callable[[], object],
    ) -> None:
        self._work = work
        self._on_stop = on_stop
        self._coordinator: Coordinator[int] = Coordinator(units)
        self._lines: dict[int, Line] = {}
        self._started_s: dict[int, float] = {}
        self._selector = selectors.DefaultSelector()
        self._deadline_s: float | None = None
        self._failed = False
        self._signals, waker = socket.socketpair()
        for sock in (self._signals, waker):
            sock.setblocking(False)
        self._waker = waker
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        for number in (*_STOPS, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        self._selector.register(self._signals, selectors.EVENT_READ)
        try:
            for _ in range(count):
                self._start()
        except OSError:
            self._kill()
            for pid in self._lines:
                os.waitpid(pid, 0)
            raise

    def wait(self) -> int:
        """Keep the units until the last process has ended; return the exit status."""
        while self._lines:
            messages: list[tuple[int, int]] = []
            for key, events in self._selector.select(self._seconds_left()):
                if key.data is None:
                    self._read_signals()
                else:
                    messages += self._from_worker(key.data, events)
            if messages:
                self._grant(self._coordinator.take(messages))
            self._reap()
        return 1 if self._failed else 0

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        try:
            pid = os.fork()
            if not pid:
                ours.close()
                self._run(theirs, parent)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
            theirs.close()
        self._lines[pid] = Line(ours)
        self._started_s[pid] = time.monotonic()
        self._selector.register(ours, selectors.EVENT_READ, pid)

    def _run(self, coordinator: socket.socket, parent: int) -> NoReturn:
        """Be a worker process, from the fork to the end."""
        status = 1
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it was gone before it could be told of
                os._exit(status)
            signal.set_wakeup_fd(-1)
            for number in (*_STOPS, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            self._selector.close()
            for sock in (self._signals, self._waker, *(line.sock for line in self._lines.values())):
                sock.close()
            self._work(SharedUnits(coordinator))
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _from_worker(self, pid: int, events: int) -> list[tuple[int, int]]:
        """Read a worker's messages, and let it have what it could not take before."""
        line = self._lines.get(pid)
        if line is None:
            return []
        if events & selectors.EVENT_WRITE:
            self._grant([], pid)
        received = line.receive() if events & selectors.EVENT_READ else []
        if received is None:
            self._selector.unregister(line.sock)  # it is dead or about to be: SIGCHLD follows
            return []
        return [(moment_ns, pid) for moment_ns in received]

    def _grant(self, granted: list[int], *others: int) -> None:
        for pid in {*granted, *others}:
            line = self._lines[pid]
            taken = line.grant(granted.count(pid))
            with suppress(KeyError):  # its end of file has been read
                wanted = selectors.EVENT_READ | (0 if taken else selectors.EVENT_WRITE)
                self._selector.modify(line.sock, wanted, pid)

    def _read_signals(self) -> None:
        numbers = self._signals.recv(512)
        if any(number in _STOPS for number in numbers):
            self._stop()

    def _stop(self) -> None:
        if self._deadline_s is None:
            self._deadline_s = time.monotonic() + GRACE_S + 1
            self._on_stop()
        for pid in self._lines:
            os.kill(pid, signal.SIGTERM)

    def _seconds_left(self) -> float | None:
        if self._deadline_s is None:
            return None
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            self._kill()
        return max(left_s, 0.1)

    def _kill(self) -> None:
        for pid in self._lines:
            os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Bury the processes that have ended; their units come back."""
        while self._lines:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            line = self._lines.pop(pid, None)
            if line is None:
                continue  # a child that this process had before it was a server
            with suppress(KeyError):
                self._selector.unregister(line.sock)
            line.sock.close()
            self._grant(self._coordinator.forget(pid))
            if self._deadline_s is None:
                self._replace(pid, os.waitstatus_to_exitcode(status))

    def _replace(self, pid: int, code: int) -> None:
        steady = time.monotonic() - self._started_s.pop(pid) >= STEADY_S
        then = "another takes its place" if steady else "the server ends"
        print(f"worker {pid} ended with status {code}: {then}", file=sys.stderr, flush=True)
        try:
            if steady:
                self._start()
                return
        except OSError as error:
            print(f"no other can start: {error.strerror}", file=sys.stderr, flush=True)
        self._failed = True
        self._stop()
