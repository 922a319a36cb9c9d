"""What the tests of the harness share: small profiles, targets, and real runs of them."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import odd_server
import psutil

from bench.measure import supervisor
from bench.measure.cores import cores_here
from bench.measure.models import Rates
from bench.measure.plan import Cell
from bench.measure.profile import Grid, Model, Pair, Profile, original_of, work_of
from bench.measure.runner import run
from bench.measure.stanza import Stanza
from bench.measure.targets import CommandTarget, Target, command_target, driver_target
from bench.store import Run, RunWriter, read_run

ROOT = Path(__file__).parent.parent.parent
CROSSOVER = (sys.executable, "-m", "bench")

CELL_KEYS = {
    "target",
    "work",
    "delay_s",
    "connection",
    "connections",
    "workers",
    "units",
    "server_cores",
}
# The schema of a trials line, version 1.
LINE_KEYS = CELL_KEYS | {
    "round",
    "order",
    "t_s",
    "requests",
    "completions",
    "window_s",
    "warmup_s",
    "settled",
    "throughput_rps",
    "errors",
    "response_time_hist",
    "service_time_hist",
    "response_time_ms",
    "service_time_ms",
    "lateness_ms",
    "latency_at_least",
    "censored",
    "owed",
    "in_flight_mean",
    "little_ratio",
    "bound_ratio",
    "fairness_jain",
    "connections_unserved",
    "client_cpu_us_per_request",
    "client_cpu_utilisation",
    "server_cpu_us_per_request",
    "server_cpu_utilisation",
    "upstream_cpu_us_per_call",
    "shared_core",
    "server_rss_mib",
    "server_threads",
    "server_voluntary_switches",
    "server_involuntary_switches",
    "steal_ratio",
    "target_replaced",
    "valid",
    "invalid_reasons",
}


def model(name: str, family: str = "sync", *, one: bool = False, why: str | None = None) -> Model:
    return Model(name, family, one, why is None, why)


MODELS = {
    each.name: each
    for each in (
        model("blocking", one=True),
        model("threaded"),
        model("asyncio", "async"),
        model("uvloop", "async"),
        model("trio", "async"),
    )
}


def grid(
    *targets: str,
    connection: str = "keep-alive",
    delays_s: Sequence[float] = (0.0,),
    connections: Sequence[int] = (1,),
    pairs: Sequence[Pair] = (),
    works: Sequence[str] = (),
    **axes: Sequence[Any],
) -> Grid:
    paths = tuple(works) or tuple(work_of(delay_s) for delay_s in delays_s)
    more: dict[str, Any] = {key: tuple(values) for key, values in axes.items()}
    return Grid(connection, targets, paths, tuple(connections), tuple(pairs), **more)


def tiny(*grids: Grid, **options: Any) -> Profile:
    """A profile whose slices last 50 ms, for one round."""
    small = {
        "rounds_min": 1,
        "rounds_max": 1,
        "window_s": 0.05,
        "completions_per_connection": 3,
        "completions_one_at_a_time": 3,
    }
    return Profile("tiny", "Tiny", grids, **small | options)


TINY_TOML = """
title = "Tiny"
rounds_min = 1
rounds_max = 1
budget = "60s"

[slice]
window = "50ms"
completions_per_connection = 3

[[grid]]
connection = "keep-alive"
models = ["threaded", "uvloop"]
delays = ["0ms"]
connections = [1, 4]
pairs = [["uvloop", "threaded"]]
"""


def tiny_toml(rounds: int) -> str:
    """The same of so many rounds, whatever its slices give: a busy machine may spoil them all."""
    return TINY_TOML.replace("rounds_min = 1", f"rounds_min = {rounds}").replace(
        "rounds_max = 1", f"rounds_max = {rounds}"
    )


def real_target(name: str) -> Target:
    """One of the project's own servers."""
    return driver_target(name, MODELS[original_of(name)], Rates(10), None, None)


def odd_target(name: str, *flags: str) -> Target:
    """A server that misbehaves as its flags say."""
    return Target(name, model(name), (*odd_server.COMMAND, *flags))


def foreign_target(name: str, *flags: str, **options: Any) -> CommandTarget:
    """The same as a command of the user's, with the options of its stanza."""
    words = (*odd_server.COMMAND, "--port", "{port}", *flags)
    stanza = Stanza(name, options.pop("words", words), Path.cwd(), **options)
    return command_target(name, stanza, stanza.model(), Rates(10))


@dataclass
class Recorder:
    """A Watcher that remembers what it is told, and may act on the end of a slice."""

    after_slice: Callable[[Cell], None] = lambda cell: None
    rounds: list[int] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    left_s: list[float] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    waits: list[tuple[str, str]] = field(default_factory=list)

    def round_begins(self, index: int, cells: int) -> None:
        self.rounds.append(index)

    def slice_ends(self, cell: Cell, trial: Mapping[str, Any], left_s: float) -> None:
        self.cells.append(cell)
        self.left_s.append(left_s)
        self.after_slice(cell)

    def waits_begin(self, target: str, load: str) -> None:
        self.waits.append((target, load))

    def notice(self, text: str) -> None:
        self.notices.append(text)


def new_run(folder: Path) -> RunWriter:
    return RunWriter.create(folder, {"name": "r", "config": {}, "targets": [], "state": "running"})


def measure(
    folder: Path, profile: Profile, targets: Sequence[Target], watcher: Recorder | None = None
) -> Run:
    """Run it for real, to its end, and check that no process is left."""
    writer = new_run(folder)
    cores = {count: cores_here(count) for count in profile.server_cores}
    state = run(profile, targets, cores, writer, watcher or Recorder())
    assert processes_below() == []
    read = read_run(folder)
    assert (state, read.info["state"], read.torn) == ("complete", "complete", False)
    assert read.info["ended"]
    return read


def processes_below(pid: int | None = None) -> list[psutil.Process]:
    """The live processes below one of them (us)."""
    try:
        below = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [each for each in below if is_alive(each)]


def commands_below(words: str, pid: int | None = None) -> list[psutil.Process]:
    """Those among them that run a command with these words, their supervisors left out."""
    found = [(each, " ".join(command(each))) for each in processes_below(pid)]
    return [each for each, text in found if words in text and supervisor.__file__ not in text]


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def wait_for(condition: Callable[[], bool], what: str, within_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.01)


def crossover(*words: str | Path, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """A command as a user runs it, to its end."""
    return subprocess.run(
        [*prefix, *CROSSOVER, *words], capture_output=True, text=True, cwd=ROOT, timeout=60
    )


def lines_of(trials: Path) -> list[dict[str, Any]]:
    """The whole lines of trials.jsonl, of a run that may still be going on."""
    text = trials.read_text() if trials.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]
