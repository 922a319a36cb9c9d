"""An event loop written by hand: nothing but a selector, a heap of timers and generators.

A task is a generator. It runs until it has to wait, and yields what for: READ or WRITE with a
stream, a number of seconds, or a function that is handed what ends the wait.
"""

import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from heapq import heappop, heappush

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
Wait = tuple[int, "Stream"] | float | Callable[[Callable[[], object]], object]
Task = Generator[Wait, None, None]


class Stream:
    """A non-blocking socket that one task at a time waits for, watched from wait to wait."""

    def __init__(self, loop: "Loop", sock: socket.socket) -> None:
        self.sock = sock
        self.task: Task | None = None
        self.watched_for = self.unsent_bytes = 0
        self._selector = loop.selector

    def send_all(self, data: bytes) -> Task:
        """Send all of it, as fast as the other side reads. Raises OSError."""
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        while sent < len(data):
            self.unsent_bytes = len(data) - sent
            yield WRITE, self
            sent += self.sock.send(memoryview(data)[sent:])
        self.unsent_bytes = 0

    def watch(self, event: int) -> None:
        """Have the loop told when the socket is ready for READ or WRITE; 0: no more."""
        if self.watched_for:
            self._selector.unregister(self.sock)
        if event:
            self._selector.register(self.sock, event, self)
        self.watched_for = event

    def cancel(self) -> None:
        """End the task that waits for the socket."""
        if self.task:
            self.task.close()

    def close(self) -> None:
        """Close the socket."""
        self.watch(0)
        self.sock.close()


class Loop:
    """Runs tasks in one thread, each until its next wait."""

    def __init__(self) -> None:
        self.running = True
        self.selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Task]] = []
        self._ready: deque[Task] = deque()

    def run(self) -> None:
        """Run the tasks that were started, and those that they start, while `running` is set."""
        while self.running:
            for key, _ in self.selector.select(self._seconds_left()):
                if task := key.data.task:
                    key.data.task = None
                    self.start(task)
                else:  # nobody waits for it now
                    key.data.watch(0)
            now_s = time.monotonic()
            while self._timers and self._timers[0][0] <= now_s:
                self.start(heappop(self._timers)[2])
            for _ in range(len(self._ready)):
                self.start(self._ready.popleft())

    def start(self, task: Task) -> None:
        """Run a task up to its next wait, from wherever it is; not at all if it is closed."""
        wait = next(task, None)
        if isinstance(wait, tuple):
            event, stream = wait
            stream.task = task
            if stream.watched_for != event:
                stream.watch(event)
        elif callable(wait):
            wait(partial(self._ready.append, task))
        elif wait is not None:
            heappush(self._timers, (time.monotonic() + wait, id(task), task))

    def _seconds_left(self) -> float | None:
        left_s = self._timers[0][0] - time.monotonic() if self._timers else None
        return 0.0 if self._ready else left_s
