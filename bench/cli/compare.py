"""crossover compare: runs side by side, and what they can and cannot tell."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from bench.present.compare import ComparedRuns
    from bench.present.compare_words import CompareRow

WIDTH = 120
# Where a terminal has less, its lines wrap, which is better than columns of nothing.
NARROWEST = 80
TERMINAL = Path("-")
MOST_LINES = 20


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Two runs or more (folders or names); all against the first."),
    ],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one page that opens offline.")
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write Markdown for a pull request; - prints it alone."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the page and its figures as files.",
            show_default="compare-A-B if neither --html nor --markdown is given",
        ),
    ] = None,
    drift: Annotated[
        float,
        typer.Option(help="What is allowed for a machine that was faster or slower, as a share."),
    ] = 0.15,
) -> None:
    """Hold the same cells of several runs against each other: ratios, curves and maps."""
    from bench.present.compare import compare_runs, write_comparison, write_html
    from bench.present.markdown import as_markdown, write_markdown

    compared = compare_runs(runs, drift)
    if markdown != TERMINAL:
        _print(compared)
    written = [write_markdown(compared, markdown)] if markdown not in (None, TERMINAL) else []
    if html:
        written.append(write_html(compared, html))
    if out or not (html or markdown):
        written.append(write_comparison(compared, out))
    if markdown == TERMINAL:
        typer.echo(as_markdown(compared), nl=False)
    for path in written:
        typer.echo(f"wrote {path}", err=markdown == TERMINAL)


def _print(compared: ComparedRuns) -> None:
    """The tables, what they say in words, and what else differs."""
    from rich.console import Console

    width = max(get_terminal_size().columns, NARROWEST) if sys.stdout.isatty() else WIDTH
    console = Console(markup=False, highlight=False, width=width)
    groups: dict[str, list[CompareRow]] = {}
    for row in compared.rows:
        groups.setdefault(f"{row.metric}, {row.runs}, {row.connection}", []).append(row)
    for title, rows in groups.items():
        console.print(title)
        console.print(_table(rows))
    for sentence in (*compared.sentences, "", compared.caution, compared.reading, ""):
        typer.echo(sentence)
    _print_some(
        f"only in {run}: {target}, {connection}, {work}; connections {connections}"
        for run, target, connection, work, connections in compared.alone_rows
    )
    _print_some(
        f"invalid in {run}: {', '.join(cell)}: {of} slices: {why}"
        for run, *cell, of, why in compared.invalid_rows
    )
    _print_some(f"differs: {name}: {' | '.join(v)}" for name, v in compared.differences)


def _print_some(lines: Iterable[str]) -> None:
    """As much as a terminal takes; the page has all."""
    every = list(lines)
    for line in every[:MOST_LINES]:
        typer.echo(line)
    if len(every) > MOST_LINES:
        typer.echo(f"... and {len(every) - MOST_LINES} more lines like these, on the page")


_NUMBERS = ("connections", "base", "other", "ratio", "interval", "rounds")


def _table(rows: Sequence[CompareRow]) -> Table:
    """Ratios of one metric, two runs and a connection mode."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for name in ("target", "work", *_NUMBERS, "says"):
        whole = name in _NUMBERS or name == "target"
        side: Literal["left", "right"] = "right" if name in _NUMBERS else "left"
        table.add_column(name, overflow="fold", no_wrap=whole, justify=side)
    for row in rows:
        table.add_row(*(getattr(row, str(column.header)) for column in table.columns))
    return table
