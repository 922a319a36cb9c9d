"""Units that several processes of one server share, kept by a coordinator in their parent.

A worker process sends a claim or a release, 8 bytes each with the moment on the system's clock, and
gets a byte for each unit granted. Claims are served in the order of those moments, whichever
process they come from, and the units of a process that dies come back.
"""

import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Hashable, Iterable
from contextlib import suppress
from typing import Final, Generic, TypeVar

from servers.core.units import Grant, wait_for_turn

RECEIVE_BYTES: Final = 64 * 1024
_MESSAGE: Final = struct.Struct("=q")

Worker = TypeVar("Worker", bound=Hashable)


class SharedUnits:
    """A worker process's side of the units.

    Threads use it as a context manager. An event loop watches `fileno` and calls `receive` when
    something is to be read. `granted` is called in the thread that received the grant.
    """

    def __init__(self, coordinator: socket.socket) -> None:
        self._coordinator = coordinator
        self._lock = threading.Lock()
        self._waiting: deque[Grant] = deque()
        self._reader: threading.Thread | None = None

    def fileno(self) -> int:
        """Return the descriptor on which grants arrive."""
        return self._coordinator.fileno()

    def claim(self, granted: Grant) -> None:
        """Have `granted` called when it is the caller's turn."""
        with self._lock:
            self._waiting.append(granted)
            self._tell(time.monotonic_ns())

    def release(self) -> None:
        """Give a unit back."""
        with self._lock:
            self._tell(-time.monotonic_ns())

    def _tell(self, moment_ns: int) -> None:
        with suppress(BrokenPipeError):  # its end is the end of all, but for replies in flight
            self._coordinator.sendall(_MESSAGE.pack(moment_ns))

    def receive(self) -> bool:
        """Pass on what has been granted; False once the coordinator is gone."""
        try:
            grants = self._coordinator.recv(RECEIVE_BYTES)
        except ConnectionResetError:  # it has gone without having read all
            grants = b""
        for _ in grants:
            self._waiting.popleft()()
        return bool(grants)

    def __enter__(self) -> None:
        if self._reader is None:
            self._read_in_a_thread()
        wait_for_turn(self)

    def __exit__(self, *_: object) -> None:
        self.release()

    def _read_in_a_thread(self) -> None:
        with self._lock:
            if self._reader is None:
                self._reader = threading.Thread(target=self._read, name="units", daemon=True)
                self._reader.start()

    def _read(self) -> None:
        while self.receive():
            pass


class Coordinator(Generic[Worker]):
    """Who holds the units and who waits. Pure: the times are those of the messages."""

    def __init__(self, total: int) -> None:
        self._free = total
        self._held: Counter[Worker] = Counter()
        self._waiting: deque[Worker] = deque()

    def take(self, messages: Iterable[tuple[int, Worker]]) -> list[Worker]:
        """Take claims (a time in ns) and releases (one below zero) that came together.

        Returns who is granted a unit, once for each.
        """
        for moment_ns, worker in sorted(messages, key=lambda message: abs(message[0])):
            if moment_ns > 0:
                self._waiting.append(worker)
            else:
                self._held[worker] -= 1
                self._free += 1
        return self._grant()

    def forget(self, worker: Worker) -> list[Worker]:
        """Take back what a worker that is gone holds; returns who is granted a unit now."""
        self._free += self._held.pop(worker, 0)
        self._waiting = deque(waiting for waiting in self._waiting if waiting != worker)
        return self._grant()

    def _grant(self) -> list[Worker]:
        granted = []
        while self._free and self._waiting:
            worker = self._waiting.popleft()
            self._free -= 1
            self._held[worker] += 1
            granted.append(worker)
        return granted


class Line:
    """The coordinator's end of the line to one worker process: never blocks."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.owed = 0
        self._torn = b""

    def receive(self) -> list[int] | None:
        """Return the messages that have come, or None at the worker's end."""
        try:
            data = self.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            return None
        if not data:
            return None
        data = self._torn + data
        whole = len(data) - len(data) % _MESSAGE.size
        self._torn = data[whole:]
        return [moment_ns for (moment_ns,) in _MESSAGE.iter_unpack(data[:whole])]

    def grant(self, count: int = 0) -> bool:
        """Grant so many more units; False while the worker does not take what it is owed."""
        self.owed += count
        try:
            while self.owed:
                self.owed -= self.sock.send(bytes(min(self.owed, RECEIVE_BYTES)))
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError):
            self.owed = 0  # its end of file is read next
        return True
