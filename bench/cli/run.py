"""`crossover run`: measure a profile into a new folder of results."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli.progress import Progress
from bench.errors import UserError
from bench.measure import machine, profile_file, targets
from bench.measure.cores import CoreChoice, cores_here
from bench.measure.profile import Profile, model_of, override, without_unavailable
from bench.measure.runner import run as measure
from bench.store import RESULTS, RunWriter

SPARE_DESCRIPTORS = 64


def run(
    profile: Annotated[str, typer.Option(help="a profile's name or the path of a .toml")] = "quick",
    models: Annotated[str | None, typer.Option(help="only these models: a,b")] = None,
    delay: Annotated[str | None, typer.Option(help="only these delays: 0ms,20ms")] = None,
    connections: Annotated[
        str | None, typer.Option(help="only these numbers of connections: 1,64")
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="exactly this many rounds")] = None,
    budget: Annotated[
        str | None, typer.Option(help="time to spend, as 4m20s, unless rounds_min needs more")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="seed of the order of slices")] = None,
    server_cores: Annotated[int, typer.Option(help="cores for the server")] = 1,
    out: Annotated[Path | None, typer.Option(help="folder of the run [results/NAME]")] = None,
) -> int:
    """Measure: rounds of fresh servers, slices interleaved over them."""
    known = targets.known_models()
    chosen = override(
        profile_file.load_profile(profile),
        known,
        only=_words(models, "--models"),
        delays=_words(delay, "--delay"),
        connections=_words(connections, "--connections"),
        rounds=rounds,
        budget=budget,
        seed=seed,
    )
    chosen, notices = without_unavailable(chosen, known)
    cores = cores_here(server_cores)
    _require_descriptors(chosen)
    folder = _folder(chosen, out)
    spin = targets.calibrate_spin()
    measured = [
        targets.Target(
            name, known[model_of(name)], targets.command_of(model_of(name), spin_rounds_per_us=spin)
        )
        for name in chosen.targets
    ]
    writer = RunWriter.create(folder, _info(chosen, folder, measured, cores, spin, notices))
    with Progress(chosen, notices) as watcher:
        state = measure(chosen, measured, cores, writer, watcher)
    print(f"{'measured' if state == 'complete' else 'interrupted'}: {folder}")
    print(f"next: crossover report {folder}")
    return 0 if state == "complete" else 130


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
    most = max(count for grid in profile.grids for count in grid.connections)
    machine.require_descriptors(most + SPARE_DESCRIPTORS)


def _info(
    profile: Profile,
    folder: Path,
    measured: list[targets.Target],
    cores: CoreChoice,
    spin_rounds_per_us: float,
    notices: list[str],
) -> dict[str, Any]:
    """Everything that run.json holds when the run starts."""
    return {
        "name": os.fsencode(folder.resolve().name).decode(errors="replace"),
        "profile": profile.name,
        "title": profile.title,
        "config": profile.config(),
        "targets": [target.described() for target in measured],
        "server_cores": list(cores.server),
        "generator_cores": list(cores.generator),
        "shared_core": cores.shared,
        "spin_rounds_per_us": spin_rounds_per_us,
        "seed": profile.seed,
        "git": machine.describe_git(),
        "machine": machine.describe_machine(),
        "python": machine.describe_python(),
        "packages": machine.describe_packages(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "ended": None,
        "state": "running",
        "rounds_done": 0,
        "notes": notices,
    }
