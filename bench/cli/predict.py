"""`crossover predict`: what the model of a run expects of a load that was not measured."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from bench.errors import UserError

if TYPE_CHECKING:
    from bench.analyse.model import Parameters

WIDTH = 120
NARROWEST = 80


def predict(
    run: Annotated[
        Path, typer.Argument(help="a run's folder, its name in results/, or latest")
    ] = Path("latest"),
    work: Annotated[
        str, typer.Option(metavar="PATH", help="what a request asks for")
    ] = "/delay=20ms",
    connections: Annotated[
        str | None, typer.Option(help="a closed load over so many: 1,64,512 [64]")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            help="instead, requests that come at random, so many a second", min=1e-3, max=1e9
        ),
    ] = None,
    models: Annotated[str | None, typer.Option(help="only these targets: a,b")] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="threads or processes of a server [each its own]", min=1, max=10_000),
    ] = None,
    units: Annotated[int, typer.Option(help="units for the step hold", min=1, max=100_000)] = 1,
) -> None:
    """Say what each target of a run would give at a load, by the model fitted to the run.

    How far such a prediction can be trusted the report of the run says.
    """
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from bench.analyse.calibration import load_of
    from bench.measure.quantities import connection_count
    from bench.measure.work_path import read_work
    from bench.present.expected import COLUMNS, open_rows, rows

    if rate is not None and connections is not None:
        raise UserError("give --connections or --rate: a load is closed or open, not both")
    words = (connections or "64").split(",")
    counts = [connection_count(word.strip(), "--connections") for word in words]
    asked = {"work": work, "delay_s": read_work(work, "--work").wait_s, "connections": counts[0]}
    load = load_of({**asked, "workers": workers, "units": units})
    fitted = _fitted(run, [] if models is None else _names(models))
    said = rows(fitted, load, counts) if rate is None else open_rows(fitted, load, rate)
    table = Table(*COLUMNS, box=SIMPLE)
    for row in said:
        table.add_row(*row)
    width = max(get_terminal_size().columns, NARROWEST) if sys.stdout.isatty() else WIDTH
    Console(markup=False, highlight=False, width=width).print(table)


def _names(models: str) -> list[str]:
    names = [name.strip() for name in models.split(",")]
    if not all(names):
        raise UserError(f"--models {models!r}: name targets of the run, as a,b")
    return names


def _fitted(folder: Path, only: Sequence[str]) -> list[Parameters]:
    """The parameters of a run's targets, or of those named. UserError where there are none."""
    from bench.analyse.frames import trials_frame
    from bench.analyse.prediction import model_of_run
    from bench.store import read_run

    run = read_run(folder)
    fitted = model_of_run(run, trials_frame(run)).parameters
    known = list(dict.fromkeys(each.target for each in fitted))
    if not known:
        raise UserError(
            f"{run.folder} has no cells to fit a model to: it needs some with no delay at all"
        )
    if unknown := [name for name in only if name not in known]:
        raise UserError(f"no model of {', '.join(unknown)}: this run has {', '.join(known)}")
    return [each for each in fitted if not only or each.target in only]
