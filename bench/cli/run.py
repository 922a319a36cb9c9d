"""`crossover run`: measure a profile into a new folder of results."""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli.choice import Choice, choose
from bench.cli.progress import Progress
from bench.errors import UserError
from bench.measure import machine
from bench.measure.ceiling import measure_ceiling
from bench.measure.cores import CoreChoice, cores_here
from bench.measure.models import Rates, calibrate
from bench.measure.plan import cells_by_point
from bench.measure.process import TargetError
from bench.measure.profile import Profile, original_of
from bench.measure.runner import run as measure
from bench.measure.targets import Target
from bench.measure.upstream import MOST_CONNECTIONS
from bench.store import RESULTS, RunWriter

SPARE_DESCRIPTORS = 64
MOST_PROCESSES = 1_000
CEILING_WINDOW_S = 0.5


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
    with ExitStack() as stack:
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
        return _measure(chosen, out, began_s)


def _measure(chosen: Choice, out: Path | None, began_s: float) -> int:
    profile = chosen.profile
    cores = {count: cores_here(count) for count in profile.server_cores}
    _require_descriptors(profile)
    _require_room(chosen)
    folder = _folder(profile, out)
    rates = calibrate()
    measured = chosen.targets(rates)
    info = _info(profile, folder, measured, cores, rates, chosen.notices)
    writer = RunWriter.create(folder, info)
    with Progress(profile, chosen.notices) as watcher:
        try:
            writer.update(generator_ceiling=_ceiling(cores[min(cores)], watcher))
        except KeyboardInterrupt:
            writer.update(state="interrupted")
            raise
        state = measure(profile, measured, cores, writer, watcher, began_s)
    print(f"{'measured' if state == 'complete' else 'interrupted'}: {folder}")
    print(f"next: crossover report {folder}")
    return 0 if state == "complete" else 130


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
    profile: Profile,
    folder: Path,
    measured: Sequence[Target],
    cores: dict[int, CoreChoice],
    rates: Rates,
    notices: Sequence[str],
) -> dict[str, Any]:
    """Everything that run.json holds when the run starts; of cores, the widest choice."""
    widest = cores[max(cores)]
    return {
        "name": os.fsencode(folder.resolve().name).decode(errors="replace"),
        "profile": profile.name,
        "title": profile.title,
        "config": profile.config(),
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
        "notes": list(notices),
    }
