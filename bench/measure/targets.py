"""The targets of a run: how each is started, what it is asked, and its entry in run.json.

Starts processes; imports nothing of the servers. Must not know slices or rounds.
"""

import os
import platform
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.measure.foreign import ForeignProcess, free_port
from bench.measure.interpreters import Interpreter, environment
from bench.measure.models import SERVERS, WORDS, Rates
from bench.measure.plan import Cell, Point, Server
from bench.measure.process import Process
from bench.measure.profile import Model, model_of
from bench.measure.stanza import Stanza
from bench.measure.upstream import MOST_CONNECTIONS

_HOLES = re.compile(
    r"\{(port|python|workers|threads|units|upstream|spin_rounds_per_us|hash_rounds_per_us)\}"
)


@dataclass(frozen=True)
class Target:
    """One of our own models: its name in the run, and the command that serves it.

    It says when it is ready, and answers as all of our models do.
    """

    name: str
    model: Model
    command: tuple[str, ...]
    env: Mapping[str, str] | None = None
    python: Mapping[str, Any] | None = None
    shown_python: str = "python"

    @property
    def answers_as_models_do(self) -> bool:
        """Whether its reply to a path is held against that of our models."""
        return True

    @property
    def checks_body(self) -> bool:
        """Whether every reply must have the body of the first one."""
        return True

    @property
    def needs_upstream(self) -> bool:
        """Whether it cannot be started without one, whatever it is asked for."""
        return False

    def server_of(self, cell: Cell) -> Server:
        """What it is started as for the cell."""
        return cell.server

    def launch(self, server: Server, cores: Collection[int], upstream: str | None) -> Process:
        """Start it as the settings of `server` say; `upstream` is the address for its calls."""
        words = [
            *self.command,
            *(("--workers", str(server.workers)) if server.workers is not None else ()),
            *(("--units", str(server.units)) if server.units is not None else ()),
            *(("--upstream", upstream, "--pool", str(MOST_CONNECTIONS)) if upstream else ()),
        ]
        return Process(str(server), words, cores=cores, env=self.env)

    def traced(self, file: Path) -> "Target":
        """The same target, which writes what its steps did into a file when it is stopped."""
        return replace(self, command=(*self.command, "--trace", str(file)))

    def asked(self, point: Point) -> Point:
        """The point as its requests have it: the path, and how long that is known to wait."""
        return point

    def described(self) -> dict[str, Any]:
        """Its entry in run.json."""
        return {
            "name": self.name,
            "model": model_of(self.name),
            "family": self.model.family,
            "serves_one_at_a_time": self.model.serves_one_at_a_time,
            "command": [self.shown_python, *self.command[1:]],
            "kind": self.model.kind,
            "workers": self.model.default_workers,
            "workers_are": self.model.workers_are,
            "threads": None,
            "python": None if self.python is None else dict(self.python),
            "path": None,
            "title": None,
        }


@dataclass(frozen=True, kw_only=True)
class CommandTarget(Target):
    """A stack, or a command of the user's: it is told a port, and polled until it answers."""

    stanza: Stanza
    rates: Rates

    @property
    def answers_as_models_do(self) -> bool:
        """Only where it is asked for what our models are asked for."""
        return self.stanza.path == "{work}" and self.checks_body

    @property
    def checks_body(self) -> bool:
        """As its stanza says."""
        return self.stanza.check == "body"

    @property
    def needs_upstream(self) -> bool:
        """Only a user's own, told its address; a stack is told of none by nothing."""
        return self.stanza.kind == "command" and self.stanza.fills_in("upstream")

    def server_of(self, cell: Cell) -> Server:
        """One server does for all points whose differences its command has no place for."""
        asked = cell.server
        return replace(
            asked,
            workers=asked.workers if self.stanza.fills_in("workers") else None,
            units=asked.units if self.stanza.fills_in("units") else None,
        )

    def launch(self, server: Server, cores: Collection[int], upstream: str | None) -> Process:
        """Start it on a free port, with the settings of `server` filled in."""
        stanza, port = self.stanza, free_port()
        filled = {
            "port": str(port),
            "python": sys.executable,
            "workers": str(server.workers or stanza.workers or 1),
            "threads": str(stanza.threads),
            "units": str(server.units or 1),
            "upstream": upstream or "",
            "spin_rounds_per_us": f"{self.rates.spin_per_us:g}",
            "hash_rounds_per_us": f"{self.rates.hash_per_us or 0:g}",
        }

        def fill(text: str) -> str:
            return _HOLES.sub(lambda hole: filled[hole[1]], text)

        return ForeignProcess(
            str(server),
            [fill(word) for word in stanza.words],
            port=port,
            ready_path=stanza.ready,
            ready_timeout_s=stanza.ready_timeout_s,
            cores=cores,
            env={**os.environ, **{key: fill(value) for key, value in stanza.env.items()}},
            cwd=stanza.cwd,
        )

    def asked(self, point: Point) -> Point:
        """Its own path; one that is the same at all points is not held to any wait."""
        path = self.stanza.path.replace("{work}", point.work)
        path = path.replace("{delay_ms}", f"{point.delay_s * 1e3:g}")
        return replace(point, work=path, delay_s=0.0 if self.stanza.is_fixed else point.delay_s)

    def described(self) -> dict[str, Any]:
        """Its entry in run.json: the command as it was written."""
        return super().described() | {
            "command": list(self.command),
            "threads": self.stanza.threads,
            "path": self.stanza.path,
            "title": self.stanza.title,
        }


def driver_target(
    name: str, model: Model, rates: Rates, interpreter: Interpreter | None, folder: Path | None
) -> Target:
    """A model under our interpreter, or under another that finds the servers in `folder`."""
    flags = (*WORDS, model_of(name), *rates.flags())
    if interpreter is None:
        python = {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "gil": None,
        }
        return Target(name, model, (SERVERS[0], *flags), python=python)
    return Target(
        name,
        model,
        (interpreter.executable, *flags),
        env=environment(folder),
        python={
            "version": interpreter.version,
            "implementation": interpreter.implementation,
            "gil": None,
        },
        shown_python=f"python{interpreter.label}",
    )


def command_target(name: str, stanza: Stanza, model: Model, rates: Rates) -> CommandTarget:
    """A stack or a user's own command. What has `{python}` in it runs under our interpreter."""
    return CommandTarget(name, model, stanza.words, stanza=stanza, rates=rates)
