"""crossover report: read a run, write its conclusions, print the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[
        Path,
        typer.Argument(help="A run's folder, its name in results/, or 'latest'."),
    ] = Path("latest"),
) -> None:
    """Draw the charts, write report.html and verdicts.json, and say the verdict in words."""
    from bench.present.report import write_report
    from bench.present.words import as_text

    written = write_report(run)
    typer.echo(f"{written.run.name}\n\n{as_text(written.sections)}\n")
    for path in (written.page, written.charts, written.verdicts):
        typer.echo(f"wrote {path}")
