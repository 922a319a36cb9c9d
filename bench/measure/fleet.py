"""The targets of a run as live processes: started, asked whether they answer, replaced.

Talks HTTP to them, one request at a time. Must not know slices, rounds or the generator.
"""

import http.client
import time
from collections.abc import Collection, Iterable, Mapping

from bench.measure.plan import Point, Server
from bench.measure.process import Process, Ready, TargetError
from bench.measure.targets import Target

PROBE_TIMEOUT_S = 5.0
READ_BYTES = 1 << 16
MOST_BYTES = 32 << 20
# What did not start in so many rounds on end is not tried again: each time may take a while.
GIVE_UP_AFTER = 2


class RefusedError(TargetError):
    """A target that is up answers a path wrongly."""


class Fleet:
    """The servers of a run, each alive in one process at a time.

    Our models must all give one reply to a path, the one that the first of them gave, and so must a
    foreign target that is asked for the same; any other must repeat its own first reply.
    """

    def __init__(
        self,
        targets: Mapping[str, Target],
        servers: Iterable[Server],
        cores: Mapping[int, Collection[int]],
    ) -> None:
        self.targets = targets
        self.servers = list(dict.fromkeys(servers))
        self.upstream: str | None = None
        self.given_up: dict[Server, str] = {}
        self._cores = cores
        self._alive: dict[Server, Process] = {}
        self._failed_rounds: dict[Server, int] = {}
        self._first: dict[tuple[str | None, str], bytes] = {}  # by target (None: all), and path
        self._right: set[tuple[str, str]] = set()  # target and path that were looked at

    def start_all(self, servers: Collection[Server] | None = None) -> dict[Server, str]:
        """Start a fresh process of these servers and no others (None: all).

        Gives why each that failed did not come up.

        What failed in the rounds before is not tried any more: see `given_up`.
        """
        self.kill_all()
        asked = self.servers if servers is None else [s for s in self.servers if s in servers]
        tried = [server for server in asked if server not in self.given_up]
        failures: dict[Server, str] = {}
        for server in tried:
            try:
                self._launch(server)
            except TargetError as error:
                failures[server] = str(error)
        for server in tried:
            try:
                if server not in failures:
                    self._admit(server)
            except TargetError as error:
                failures[server] = str(error)
            self._count(server, failures.get(server))
        return failures

    def address(self, server: Server) -> Ready:
        """Where a server listens, starting it afresh if it is not alive. Raises TargetError."""
        if not self.is_alive(server):
            self.drop(server)
            self._launch(server)
            self._admit(server)
        ready = self._alive[server].ready
        assert ready is not None
        return ready

    def right_body(self, server: Server, point: Point) -> str | None:
        """The body that every reply at the point must have, in Latin-1; None where any will do.

        Asked for once per target and path. Raises RefusedError where the answer is a wrong one.
        """
        target = self.targets[server.target]
        path = target.asked(point).work
        if (server.target, path) not in self._right:
            self._look(server, path, point.delay_s)
            self._right.add((server.target, path))
        if not target.checks_body:
            return None
        return self._first[self._whose(target, path), path].decode("latin-1")

    def process(self, server: Server) -> Process:
        """The live process of a server. Raises KeyError where there is none."""
        return self._alive[server]

    def is_alive(self, server: Server) -> bool:
        """Whether a process of the server is up."""
        return server in self._alive and self._alive[server].alive

    def ready_line(self, target: str) -> Ready | None:
        """What a live process of the target said of itself, where there is one."""
        alive = (p for server, p in self._alive.items() if server.target == target and p.alive)
        return next((process.ready for process in alive), None)

    def drop(self, server: Server) -> None:
        """Kill a server's process, if there is one; the next `address` starts a fresh one."""
        process = self._alive.pop(server, None)
        if process is not None:
            process.kill()

    def kill_all(self) -> None:
        """Kill every process at once."""
        for server in list(self._alive):
            self.drop(server)

    def _launch(self, server: Server) -> None:
        target, cores = self.targets[server.target], self._cores[server.server_cores]
        self._alive[server] = target.launch(server, cores, self.upstream)

    def _admit(self, server: Server) -> None:
        """Wait until it is ready; one of our models must answer `/` as the others do."""
        process = self._alive[server]
        try:
            process.wait_ready()
            if self.targets[server.target].model.kind == "driver":
                self._look(server, "/", 0.0)
        except TargetError:
            self.drop(server)
            raise

    def _count(self, server: Server, failure: str | None) -> None:
        failed = self._failed_rounds.get(server, 0) + 1 if failure else 0
        self._failed_rounds[server] = failed
        if failure and failed >= GIVE_UP_AFTER:
            self.given_up[server] = failure

    def _whose(self, target: Target, path: str) -> str | None:
        """Whose first reply to the path is the right one: None, that of all our models, or its own.

        What a foreign target answers is never held against a model.
        """
        is_ours = target.model.kind == "driver"
        known = target.answers_as_models_do and (None, path) in self._first
        return None if is_ours or known else target.name

    def _look(self, server: Server, path: str, delay_s: float) -> None:
        """Ask once; the first body becomes the right one, another is refused."""
        target, process = self.targets[server.target], self._alive[server]
        status, body = _reply(process, path, PROBE_TIMEOUT_S + delay_s)
        if not 200 <= status < 400:
            raise RefusedError(process.complaint(f"answered a request for {path} with {status}"))
        right = self._first.setdefault((self._whose(target, path), path), body)
        if target.checks_body and body != right:
            what = f"answered {_shown(body)} to a request for {path}"
            what += f" where the models answer {_shown(right)}"
            if target.model.kind != "driver":
                what += f'; if it may, give [targets.{target.name}] a path or check = "status"'
            raise RefusedError(process.complaint(what))


def _reply(process: Process, path: str, timeout_s: float) -> tuple[int, bytes]:
    """Status and body. Raises RefusedError where none comes in time, TargetError if it has died."""
    ready, deadline_s = process.ready, time.monotonic() + timeout_s
    assert ready is not None
    connection = http.client.HTTPConnection(ready.host, ready.port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        body = bytearray()
        while piece := reply.read1(READ_BYTES):
            body += piece
            if time.monotonic() > deadline_s or len(body) > MOST_BYTES:
                raise TimeoutError(f"the reply does not end, {len(body)} bytes so far")
        return reply.status, bytes(body)
    except (OSError, http.client.HTTPException) as error:
        if process.has_ended():
            process.fail("is gone")
        why = str(error) or type(error).__name__
        what = f"does not answer a request for {path}: {why}"
        raise RefusedError(process.complaint(what)) from None
    finally:
        connection.close()


def _shown(body: bytes) -> str:
    return repr(body[:80].decode(errors="replace"))
