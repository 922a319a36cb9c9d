"""What `crossover run` does once it is clear what is asked: measure anew, again, or go on."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.cli.choice import Choice, choose_again
from bench.cli.progress import Progress
from bench.errors import UserError
from bench.measure import machine
from bench.measure.ceiling import measure_ceiling
from bench.measure.cores import CoreChoice, cores_here
from bench.measure.fitness import Check, as_lines, judge, look
from bench.measure.models import Rates, calibrate
from bench.measure.plan import cells_by_point
from bench.measure.process import TargetError
from bench.measure.profile import Profile, original_of
from bench.measure.repeat import differences
from bench.measure.runner import run as measure
from bench.measure.targets import Target
from bench.measure.upstream import MOST_CONNECTIONS
from bench.store import RESULTS, RUN_FILE, RunWriter, read_run, read_waits

SPARE_DESCRIPTORS = 64
MOST_PROCESSES = 1_000
CEILING_WINDOW_S = 0.5
SHOWN_DIFFERENCES = 8
INTERRUPTED = 130


def fitness_of(force: bool) -> list[Check]:
    """What a look at the machine shows. UserError where it cannot give an answer."""
    checks = judge(look(cores_here(), RESULTS))
    bad = [check for check in checks if check.grade == "bad"]
    if bad and not force:
        listed = "".join(f"\n  {check.name}: {check.found}; {check.advice}" for check in bad)
        raise UserError(f"this machine cannot give an answer (--force measures anyway):{listed}")
    return checks


def measure_anew(
    chosen: Choice,
    out: Path | None,
    began_s: float,
    fitness: Sequence[Check],
    rates: Rates | None = None,
) -> int:
    """Measure into a new folder; the exit code. The budget counts from `began_s`."""
    profile = chosen.profile
    cores = {count: cores_here(count) for count in profile.server_cores}
    _require_descriptors(profile)
    _require_room(chosen)
    folder = _folder(profile, out)
    rates = rates or calibrate()
    measured = chosen.targets(rates)
    info = _info(chosen, folder, measured, cores, rates)
    writer = RunWriter.create(folder, info | {"fitness": as_lines(fitness)})
    with Progress(profile, chosen.notices) as watcher:
        try:
            writer.update(generator_ceiling=_ceiling(cores[min(cores)], watcher))
        except KeyboardInterrupt:
            writer.update(state="interrupted")
            raise
        state = measure(profile, measured, cores, writer, watcher, began_s)
    return _ended(state, folder)


def measure_again(
    again: Path, out: Path | None, stack: ExitStack, began_s: float, fitness: Sequence[Check]
) -> int:
    """Measure what another run did, anew: its plan, its seed and its rounds of computing."""
    info = read_run(again.parent if again.name == RUN_FILE else again).info
    return measure_anew(choose_again(info, stack), out, began_s, fitness, _rates_of(info))


def go_on(folder: Path, stack: ExitStack) -> int:
    """Go on with a run that was interrupted or killed. UserError says why where it may not."""
    run = read_run(folder)
    if run.info["state"] == "complete":
        raise UserError(f"{run.folder} is complete: there is nothing to go on with")
    chosen = choose_again(run.info, stack)
    profile = chosen.profile
    cores = {count: cores_here(count) for count in profile.server_cores}
    _require_descriptors(profile)
    measured = chosen.targets(_rates_of(run.info))
    now = _info(chosen, run.folder, measured, cores, _rates_of(run.info))
    if different := differences(run.info, _as_json(now)):
        listed = "".join(f"\n  {line}" for line in different[:SHOWN_DIFFERENCES])
        raise UserError(f"cannot go on with {run.folder}: this is not as it was:{listed}")
    writer = RunWriter.reopen(run)
    writer.update(state="running", resumed=[*run.info.get("resumed", ()), now["started"]])
    with Progress(profile, []) as watcher:
        state = measure(profile, measured, cores, writer, watcher, resumed=(run, read_waits(run)))
    return _ended(state, run.folder)


def _as_json(info: dict[str, Any]) -> dict[str, Any]:
    """As it would be read again, with what running servers say of themselves left to them."""
    read: dict[str, Any] = json.loads(json.dumps(info))
    return read


def _rates_of(info: Mapping[str, Any]) -> Rates:
    return Rates(float(info["spin_rounds_per_us"]), info.get("hash_rounds_per_us"))


def _ended(state: str, folder: Path) -> int:
    print(f"{'measured' if state == 'complete' else 'interrupted'}: {folder}")
    print(f"next: crossover report {folder}")
    if state != "complete":
        print(f"or go on with it: crossover run --resume --out {folder}")
    return 0 if state == "complete" else INTERRUPTED


def _ceiling(cores: CoreChoice, watcher: Progress) -> dict[str, Any] | None:
    """What the generator can do here; None, with a notice, where even that cannot be measured."""
    try:
        return measure_ceiling(cores, CEILING_WINDOW_S, lambda _: None)
    except TargetError as error:
        watcher.notice(f"the generator's own ceiling is not known: {error}")
        return None


def _require_room(chosen: Choice) -> None:
    """Refuse more processes than a machine bears: all servers of a round are alive at once."""
    servers = {cell.server for cells in cells_by_point(chosen.profile) for cell in cells}
    processes = 0
    for server in servers:
        model = chosen.models[original_of(server.target)]
        many = model.workers_are == "processes"
        processes += (server.workers or model.default_workers or 1) if many else 1
    if processes > MOST_PROCESSES:
        raise UserError(
            f"{processes} server processes would be alive at once, at most {MOST_PROCESSES} may:"
            " give fewer or smaller --workers, or fewer models"
        )


def _folder(profile: Profile, out: Path | None) -> Path:
    if out is None:
        stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        return RESULTS / f"{profile.name}-{stamp}"
    try:
        if out.exists() and not out.is_dir():
            raise UserError(f"--out {out} is a file: give a folder that is new or empty")
    except OSError as error:
        raise UserError(f"--out: cannot use {out}: {error.strerror}; choose another") from None
    return out


def _require_descriptors(profile: Profile) -> None:
    """A connection needs one at either end; a server may need another for its call."""
    most = max(count for grid in profile.grids for count in grid.connections)
    machine.require_descriptors(most + SPARE_DESCRIPTORS)


def _info(
    chosen: Choice,
    folder: Path,
    measured: Sequence[Target],
    cores: dict[int, CoreChoice],
    rates: Rates,
) -> dict[str, Any]:
    """Everything that run.json holds when the run starts; of cores, the widest choice."""
    profile, widest = chosen.profile, cores[max(cores)]
    return {
        "name": os.fsencode(folder.resolve().name).decode(errors="replace"),
        "profile": profile.name,
        "title": profile.title,
        "config": profile.config(),
        "asked": dict(chosen.asked),
        "targets": [target.described() for target in measured],
        "server_cores": list(widest.server),
        "generator_cores": list(widest.generator),
        "shared_core": widest.shared,
        "spin_rounds_per_us": rates.spin_per_us,
        "hash_rounds_per_us": rates.hash_per_us,
        "upstream_connections": MOST_CONNECTIONS,
        "seed": profile.seed,
        "git": machine.describe_git(),
        "machine": machine.describe_machine(),
        "python": machine.describe_python(),
        "packages": machine.describe_packages(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "ended": None,
        "state": "running",
        "rounds_done": 0,
        "notes": list(chosen.notices),
    }
