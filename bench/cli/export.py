"""`crossover export`: the slices of a run as one table, for other tools."""

import csv
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.errors import UserError, cannot_write
from bench.store import read_run

LEFT_OUT = ("response_time_hist", "service_time_hist")


def export(
    run: Annotated[Path, typer.Argument(help="a run's folder, its name in results/, or latest")],
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="where to write it [the terminal]")
    ] = None,
    histograms: Annotated[
        bool, typer.Option("--histograms", help="with the encoded histograms")
    ] = False,
) -> None:
    """Write one line for each slice: its cell, its figures, and whether it is valid."""
    rows = [dict(_flat("", trial, histograms)) for trial in read_run(run).trials]
    if not rows:
        raise UserError(f"{run} has no finished slice, so there is nothing to export")
    names = list(dict.fromkeys(name for row in rows for name in row))
    if csv_file is None:
        _write(sys.stdout, names, rows)
        return
    try:
        with csv_file.open("w", newline="", encoding="utf-8") as file:
            _write(file, names, rows)
    except OSError as error:
        raise cannot_write(csv_file, error, "choose another --csv") from error


def _write(file: Any, names: list[str], rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _flat(name: str, value: Any, histograms: bool) -> Iterator[tuple[str, Any]]:
    """Leaves by dotted name; several reasons in one field."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else key, inner, histograms)
    elif isinstance(value, list):
        yield name, "; ".join(map(str, value))
    elif histograms or name not in LEFT_OUT:
        yield name, value
