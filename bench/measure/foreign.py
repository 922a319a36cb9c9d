"""Targets that are not this project's: commands with `{port}`, asked until they answer."""

import http.client
import shlex
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from bench.errors import UserError
from bench.measure.process import PROBE_EVERY_S, Process, Ready

HOST = "127.0.0.1"
PROBE_TIMEOUT_S = 5.0
# How long a server may answer with errors while it starts.
FAILING_S = 1.0
# How often one that fails is asked, and how long one is waited for at least.
FAILING_PROBE_EVERY_S = 0.1
LEAST_WAIT_S = 1.0


def command_words(text: str, where: str) -> list[str]:
    """Split a command as a shell would. Raises UserError if it is empty or lacks `{port}`."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UserError(f"{where}: cannot read the command {text!r}: {error}") from None
    if not words or "{port}" not in text:
        raise UserError(f"{where}: give a command with {{port}} in it, not {text!r}")
    return words


def start_foreign(
    name: str,
    words: Sequence[str],
    *,
    cores: Collection[int],
    path: str = "/",
    env: Mapping[str, str] | None = None,
) -> tuple[Process, int]:
    """Start a command on a free port and wait until it answers `path`; the process and the port.

    Raises TargetError with its last output when it does not.
    """
    port = free_port()
    command = [word.replace("{port}", str(port)) for word in words]
    process = Process(name, command, cores=cores, env=env)
    process.wait_until(answers(port, path))
    return process, port


class ForeignProcess(Process):
    """A command at a port of our choice, ready when it answers `ready_path` with success."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        *,
        port: int,
        ready_path: str,
        ready_timeout_s: float,
        cores: Collection[int],
        env: Mapping[str, str],
        cwd: Path,
    ) -> None:
        super().__init__(name, words, cores=cores, env=env, cwd=cwd)
        self._port, self._ready_path = port, ready_path
        self._timeout_s = ready_timeout_s
        self._started_s = time.monotonic()

    def wait_ready(self, timeout_s: float | None = None) -> Ready:
        """Poll until it answers with success. Kills it and raises TargetError when it does not.

        Its time counts from its start, but it is given a moment however late it is asked: another
        that was waited for meanwhile must not cost it its turn.
        """
        asked_s = time.monotonic()
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        deadline_s = max(self._started_s + timeout_s, asked_s + min(timeout_s, LEAST_WAIT_S))
        status, last = _status(self._port, self._ready_path), None
        while status is None or not 200 <= status < 300:
            last = status or last
            if not self.alive or time.monotonic() > deadline_s:
                path = f"GET {self._ready_path} at {HOST}:{self._port} never succeeded"
                answer = f"its last answer was {last}" if last else "it never answered"
                self.fail(f"was not ready within {timeout_s:g} s: {path}, {answer}")
            time.sleep(PROBE_EVERY_S if status is None else FAILING_PROBE_EVERY_S)
            status = _status(self._port, self._ready_path)
        if not self.alive:  # then something else answers at its port
            self.fail("is gone")
        self.ready = Ready(HOST, self._port, self.pids()[0], self.name)
        return self.ready


def free_port() -> int:
    """A port that was free a moment ago: a foreign command cannot choose one and tell us."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def answers(port: int, path: str = "/") -> Callable[[], bool]:
    """A probe: does an HTTP server at the port answer `path`?

    With success, or with nothing but failures for a while: then it is up, and measuring shows what
    is wrong with it.
    """
    failing_since_s: float | None = None

    def probe() -> bool:
        nonlocal failing_since_s
        status = _status(port, path)
        if status is None or status < http.client.BAD_REQUEST:
            failing_since_s = None
            return status is not None
        now_s = time.monotonic()
        failing_since_s = failing_since_s or now_s
        return now_s - failing_since_s >= FAILING_S

    return probe


def _status(port: int, path: str) -> int | None:
    connection = http.client.HTTPConnection(HOST, port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
