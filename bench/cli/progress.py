"""What a run shows while it measures: a line that moves on a terminal, a line a round elsewhere.

Drawn between slices only: nothing here runs while a slice is measured.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from bench.measure.plan import Cell, cells_by_point
from bench.measure.profile import Profile


class Progress:
    """A Watcher of `bench.measure.runner` that draws on stderr. A context manager."""

    def __init__(self, profile: Profile, notices: Sequence[str]) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.moving = self.console.is_terminal and not self.console.is_dumb_terminal
        self.cells = sum(map(len, cells_by_point(profile)))
        self.profile = profile
        self.began_s = time.monotonic()
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[where]}", markup=False),
            console=self.console,
            auto_refresh=False,
            transient=True,
            disable=not self.moving,
        )
        self.task = self.bar.add_task("starting", total=self.cells, where="")
        minutes = f"about {_clock(profile.budget_s)}"
        if profile.delivered_delay_s is not None:
            minutes += ", and the delivered delay after it"
        self._say(f"{profile.title}: {self.cells} cells a round, {minutes}")
        for notice in notices:
            self.notice(notice)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.bar.stop()

    def round_begins(self, index: int, cells: int) -> None:
        """Show the round; off a terminal this is the only sign of life."""
        self.bar.reset(self.task, description=f"round {index + 1}", total=cells, where="")
        self.bar.refresh()
        if not self.moving:
            elapsed = _clock(time.monotonic() - self.began_s)
            fewer = "" if cells == self.cells else f": {cells} cells are not settled yet"
            self._say(f"round {index + 1} begins after {elapsed}{fewer}")

    def slice_ends(self, cell: Cell, trial: Mapping[str, Any], left_s: float) -> None:
        """Show the cell, what it gave, and the time left."""
        where = f"{cell.server} {cell.point.work} x {cell.point.connections}"
        if cell.point.connection == "close":
            where += " close"
        rate = trial["throughput_rps"]
        result = f"{rate:,.0f} req/s" if trial["valid"] and rate else "not valid"
        self.bar.update(
            self.task, advance=1, where=f"{_clock(left_s)} left   {where}: {result}", refresh=True
        )

    def waits_begin(self, target: str, load: str) -> None:
        """Show whose waits are measured; they come after the rounds."""
        if self.moving:
            self.bar.update(
                self.task, description="delivered delay", where=f"{target}, {load}", refresh=True
            )
        else:
            self._say(f"delivered delay: {target}, {load}")

    def notice(self, text: str) -> None:
        """Print a line that stays."""
        self._say(f"note: {text}")

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True) if not self.moving else self.bar.print(
            text, markup=False
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    return f"{minutes}:{rest:02d}"
