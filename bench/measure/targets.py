"""The targets of a run as live processes: started, asked whether they answer, replaced.

Starts servers as processes and talks HTTP to them; imports nothing of theirs.
"""

import http.client
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.errors import UserError
from bench.measure.process import Process, Ready, TargetError
from bench.measure.profile import Model

PROBE_TIMEOUT_S = 5.0
SERVERS = (sys.executable, "-P", "-m", "servers")


@dataclass(frozen=True)
class Target:
    """What is measured: a model's name for the run, and the command that serves it."""

    name: str
    model: Model
    command: tuple[str, ...]

    def described(self) -> dict[str, Any]:
        """Its entry in run.json."""
        return {
            "name": self.name,
            "model": self.model.name,
            "family": self.model.family,
            "serves_one_at_a_time": self.model.serves_one_at_a_time,
            "command": ["python", *self.command[1:]],
        }


def known_models() -> dict[str, Model]:
    """Every model that the servers' own table lists, by name. UserError if it cannot be asked."""
    return {
        entry["name"]: Model(
            entry["name"],
            entry["family"],
            entry["serves_one_at_a_time"],
            entry["available"],
            entry["why_unavailable"],
        )
        for entry in _ask_servers("--list")
    }


def calibrate_spin() -> float:
    """Rounds of the spin loop per microsecond on this machine, as the servers measure it."""
    return float(_ask_servers("--calibrate")["spin_rounds_per_us"])


def command_of(
    model: str, *, spin_rounds_per_us: float, units: int | None = None
) -> tuple[str, ...]:
    """The command that serves a model on a free port."""
    words = (*SERVERS, model, "--spin-rounds-per-us", f"{spin_rounds_per_us:g}")
    return words if units is None else (*words, "--units", str(units))


def _ask_servers(question: str) -> Any:
    done = subprocess.run([*SERVERS, question], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"python -m servers {question} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


@dataclass
class Fleet:
    """The targets of a run, each alive in one process at a time.

    `body` is the reply to `/` that the first target gave; every other must give the same.
    """

    targets: Mapping[str, Target]
    cores: Sequence[int]
    body: str | None = None
    _alive: dict[str, Process] = field(default_factory=dict)

    def start_all(self) -> dict[str, str]:
        """Start a fresh process of every target; why each that failed did not come up."""
        self.kill_all()
        for name in self.targets:
            self._launch(name)
        failures: dict[str, str] = {}
        for name in self.targets:
            try:
                self._admit(name)
            except TargetError as error:
                failures[name] = str(error)
        return failures

    def address(self, name: str) -> Ready:
        """Where a target listens, starting it afresh if it is not alive. Raises TargetError."""
        process = self._alive.get(name)
        if process is None or not process.alive:
            self.drop(name)
            self._launch(name)
            self._admit(name)
            process = self._alive[name]
        assert process.ready is not None
        return process.ready

    def process(self, name: str) -> Process:
        """The live process of a target. Raises KeyError where there is none."""
        return self._alive[name]

    def is_alive(self, name: str) -> bool:
        """Whether a process of the target is up."""
        return name in self._alive and self._alive[name].alive

    def drop(self, name: str) -> None:
        """Kill a target's process, if there is one; the next `address` starts a fresh one."""
        process = self._alive.pop(name, None)
        if process is not None:
            process.kill()

    def kill_all(self) -> None:
        """Kill every process at once."""
        for name in list(self._alive):
            self.drop(name)

    def _launch(self, name: str) -> None:
        self._alive[name] = Process(name, self.targets[name].command, cores=self.cores)

    def _admit(self, name: str) -> None:
        """Wait until it is ready and answers `/` as the others do. Raises TargetError."""
        process = self._alive[name]
        try:
            ready = process.wait_ready()
            body = _reply_body(ready, process)
            if self.body is None:
                self.body = body
            if body != self.body:
                process.fail(f"answered {body[:80]!r} where the other targets answer {self.body!r}")
        except TargetError:
            self._alive.pop(name, None)
            raise


def _reply_body(ready: Ready, process: Process) -> str:
    connection = http.client.HTTPConnection(ready.host, ready.port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/")
        reply = connection.getresponse()
        body = reply.read()
    except (OSError, http.client.HTTPException) as error:
        process.fail(f"does not answer a request for /: {error or type(error).__name__}")
    finally:
        connection.close()
    if reply.status != http.client.OK:
        process.fail(f"answered a request for / with {reply.status}")
    return body.decode(errors="replace")
