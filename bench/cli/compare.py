"""crossover compare: runs side by side, and what they can and cannot tell."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated

import typer

WIDTH = 120
# Where a terminal has less, its lines wrap, which is better than columns of nothing.
NARROWEST = 80


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Two runs or more (folders or names); all against the first."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the page and the figures.", show_default="compare-A-B"),
    ] = None,
) -> None:
    """Draw the same cells of several runs over each other, and list their ratios."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from bench.present.compare import CAUTION, CompareRow, write_comparison

    compared = write_comparison(runs, out)
    columns = list(CompareRow.__dataclass_fields__)
    table = Table(*(name for name in columns if name != "runs" or len(runs) > 2), box=SIMPLE)
    for row in compared.rows:
        table.add_row(*(getattr(row, str(column.header)) for column in table.columns))
    width = max(get_terminal_size().columns, NARROWEST) if sys.stdout.isatty() else WIDTH
    Console(markup=False, highlight=False, width=width).print(table)
    for sentence in (*compared.sentences, "", CAUTION, ""):
        typer.echo(sentence)
    for name, values in compared.differences:
        typer.echo(f"differs: {name}: {' | '.join(values)}")
    typer.echo(f"wrote {compared.page}")
