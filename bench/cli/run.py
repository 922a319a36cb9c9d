"""`crossover run`: measure a profile into a new folder of results."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli.choice import Choice, choose, choose_again
from bench.cli.progress import Progress
from bench.errors import UserError
from bench.measure import machine
from bench.measure.ceiling import measure_ceiling
from bench.measure.cores import CoreChoice, cores_here
from bench.measure.fitness import Check, as_lines, judge, look
from bench.measure.lock import only_run
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


def run(
    profile: Annotated[str, typer.Option(help="a profile's name or the path of a .toml")] = "quick",
    models: Annotated[str | None, typer.Option(help="only these models and stacks: a,b")] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COMMAND",
            help="measure your own server as well: 'mine=uvicorn app:app --port {port}', or the "
            "NAME of a [targets.NAME] in crossover.toml; may be repeated",
        ),
    ] = None,
    python: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EXE",
            help="run the models under this interpreter as well: python3.13; may be repeated",
        ),
    ] = None,
    delay: Annotated[str | None, typer.Option(help="only these delays: 0ms,20ms")] = None,
    work: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="only this work: /delay=20ms/spin=1ms,/call=20ms; may be repeated",
        ),
    ] = None,
    connections: Annotated[
        str | None, typer.Option(help="only these numbers of connections: 1,64")
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(help="these numbers of threads or processes a server: 1,2 [each its own]"),
    ] = None,
    units: Annotated[
        str | None, typer.Option(help="these numbers of units for the step hold: 1,8 [1]")
    ] = None,
    server_cores: Annotated[
        str | None, typer.Option(help="these numbers of cores for a server: 1,2 [1]")
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="exactly this many rounds")] = None,
    budget: Annotated[
        str | None, typer.Option(help="time to spend, as 4m20s; without --rounds it is kept")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="seed of the order of slices")] = None,
    out: Annotated[Path | None, typer.Option(help="folder of the run [results/NAME]")] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="go on with the run in --out, or the latest"),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="measure though the machine is not fit for it")
    ] = False,
    again: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="measure what another run did: its run.json"),
    ] = None,
) -> int:
    """Measure: rounds of fresh servers, slices interleaved over them."""
    began_s = time.monotonic()
    axes = {
        "delays": _words(delay, "--delay"),
        "works": _all_words(work, "--work"),
        "connections": _words(connections, "--connections"),
        "workers": _words(workers, "--workers"),
        "units": _words(units, "--units"),
        "server_cores": _words(server_cores, "--server-cores"),
    }
    others = [*axes.values(), models, target, python, rounds, budget, seed]
    with ExitStack() as stack:
        stack.enter_context(only_run())
        fitness = _fitness(force)
        if resume or again is not None:
            _alone(resume, again, profile != "quick" or any(others))
        if resume:
            return _resume(out or Path("latest"), stack)
        if again is not None:
            return _repeat(again, out, stack, began_s, fitness)
        chosen = choose(
            profile,
            stack,
            only=_words(models, "--models"),
            asked_targets=target or [],
            asked_pythons=python or [],
            rounds=rounds,
            budget=budget,
            seed=seed,
            **axes,
        )
        return _measure(chosen, out, began_s, fitness)


def _fitness(force: bool) -> list[Check]:
    """What a look at the machine shows. UserError where it cannot give an answer."""
    checks = judge(look(cores_here(), RESULTS))
    bad = [check for check in checks if check.grade == "bad"]
    if bad and not force:
        listed = "".join(f"\n  {check.name}: {check.found}; {check.advice}" for check in bad)
        raise UserError(f"this machine cannot give an answer (--force measures anyway):{listed}")
    return checks


def _alone(resume: bool, again: Path | None, others: bool) -> None:
    """Refuse what would change the plan of a run that is gone on with, or repeated."""
    if resume and again is not None:
        raise UserError("--resume goes on with a run, --from begins a new one: give one of them")
    if others:
        name = "--resume" if resume else "--from"
        raise UserError(f"{name} measures what that run did: give no other choice but --out")


def _measure(
    chosen: Choice,
    out: Path | None,
    began_s: float,
    fitness: Sequence[Check],
    rates: Rates | None = None,
) -> int:
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


def _repeat(
    again: Path, out: Path | None, stack: ExitStack, began_s: float, fitness: Sequence[Check]
) -> int:
    """Measure what another run did, anew: its plan, its seed and its rounds of computing."""
    info = read_run(again.parent if again.name == RUN_FILE else again).info
    return _measure(choose_again(info, stack), out, began_s, fitness, _rates_of(info))


def _resume(folder: Path, stack: ExitStack) -> int:
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


def _all_words(texts: Sequence[str] | None, option: str) -> list[str]:
    return [word for text in texts or () for word in _words(text, option)]


def _words(text: str | None, option: str) -> list[str]:
    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    if text is not None and not words:
        raise UserError(f"{option}: names nothing; give one or more, separated by commas")
    return words


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
