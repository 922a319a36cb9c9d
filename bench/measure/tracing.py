"""Traces: tasks that arrive at one moment, and what each of their steps did when.

Starts a server that traces, sends every task as a request on a connection of its own, and joins
what the server wrote to when each was sent and answered: all on the system's monotonic clock. Must
not know what is concluded from it.
"""

import json
import os
import selectors
import socket
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.measure.cores import CoreChoice
from bench.measure.plan import Server
from bench.measure.process import Process, TargetError
from bench.measure.targets import Target
from bench.measure.upstream import Upstream
from bench.measure.work_path import read_work

CONNECT_LIMIT_S = 5.0
TASKS_LIMIT_S = 60.0
# In which connections are accepted, before anything is sent on them.
SETTLE_S = 0.05
RECEIVE_BYTES = 64 * 1024


@dataclass
class _Task:
    """One request, and what became of it."""

    host: str
    path: str
    sent_ns: int = 0
    replied_ns: int = 0
    reply: bytes = field(default=b"", repr=False)

    @property
    def target(self) -> str:
        """In absolute form, by whose host the server's lines are known to be of this task."""
        return f"http://{self.host}{self.path}"

    @property
    def request(self) -> bytes:
        """The bytes to send; the server closes when it has answered."""
        head = f"GET {self.target} HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n\r\n"
        return head.encode()


def trace_works(
    target: Target, server: Server, works: Sequence[str], tasks: int, cores: CoreChoice
) -> list[dict[str, Any]]:
    """Run so many tasks of each work at once, one work after the other, in one fresh server.

    Returns for each work its `tasks`, in the order in which they were sent, with `sent_ns`,
    `replied_ns` and `steps`, the lines that the server wrote. Before each the same is done once
    untraced. Raises TargetError where the server fails, and UserError for bad work.
    """
    with TemporaryDirectory(prefix="crossover-") as folder, ExitStack() as stack:
        upstream = Upstream(cores.generator)
        stack.callback(upstream.stop)
        if any(read_work(work, "--work").calls for work in works):
            upstream.start()
        file = Path(folder) / "steps.jsonl"
        process = target.traced(file).launch(server, cores.server, upstream.address)
        with process, _on(cores.generator):
            process.wait_ready()
            hosts = (f"task-{number}" for number in count(1))
            asked = [_asked(process, work, list(islice(hosts, tasks))) for work in works]
            process.stop()
        steps = steps_in(process, file)
    return [
        {"work": w, "tasks": _joined(done, steps)} for w, done in zip(works, asked, strict=True)
    ]


@contextmanager
def _on(cores: Collection[int]) -> Iterator[None]:
    """Stay away from the server's cores: it would interrupt us between two tasks that are sent."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def steps_in(process: Process, file: Path) -> list[dict[str, Any]]:
    """The lines that a server has written of its steps. Raises TargetError where it has none."""
    try:
        steps = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        if all(isinstance(step, dict) for step in steps):
            return steps
        error: Exception = ValueError("a line is no object")
    except (OSError, ValueError) as failure:
        error = failure
    raise TargetError(process.complaint(f"left no trace ({error})"))


def _joined(tasks: Sequence[_Task], steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "sent_ns": task.sent_ns,
            "replied_ns": task.replied_ns,
            "steps": [step for step in steps if step["target"] == task.target],
        }
        for task in tasks
    ]


def _asked(process: Process, work: str, hosts: Sequence[str]) -> list[_Task]:
    """Ask twice, the first time only to warm up; the tasks of the second."""
    assert process.ready is not None
    address = (process.ready.host, process.ready.port)
    for names in (["warm-up"] * len(hosts), hosts):
        asked = [_Task(name, work) for name in names]
        try:
            ask_at_once(address, asked)
        except OSError as error:
            raise TargetError(process.complaint(f"broke off {work} ({error})")) from None
        for task in asked:
            line = task.reply.partition(b"\r\n")[0].decode("latin-1")
            if not line.startswith("HTTP/1.1 200 "):
                raise TargetError(process.complaint(f"answered {work} with {line or 'nothing'!r}"))
    return asked


def ask_at_once(address: tuple[str, int], tasks: Sequence[_Task]) -> None:
    """Send all tasks, and wait for the end of each reply. Raises OSError, TimeoutError too."""
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        clients = []
        for task in tasks:
            client = stack.enter_context(socket.create_connection(address, CONNECT_LIMIT_S))
            selector.register(client, selectors.EVENT_READ, task)
            clients.append(client)
        time.sleep(SETTLE_S)
        for client, task in zip(clients, tasks, strict=True):
            task.sent_ns = time.monotonic_ns()
            client.sendall(task.request)
        deadline_s = time.monotonic() + TASKS_LIMIT_S
        while selector.get_map():
            ready = selector.select(max(deadline_s - time.monotonic(), 0))
            if not ready:
                raise TimeoutError(f"not answered within {TASKS_LIMIT_S:g} s")
            for key, _ in ready:
                _read(selector, key)


def _read(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    sock, task = key.fileobj, key.data
    assert isinstance(sock, socket.socket)
    now_ns = time.monotonic_ns()
    if data := sock.recv(RECEIVE_BYTES):
        task.reply += data
        task.replied_ns = now_ns
    else:
        selector.unregister(sock)
