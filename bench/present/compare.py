"""Runs side by side: the same figures with all runs overlaid, and a table of ratios.

Runs share no rounds, so nothing here is called a verdict: intervals are unpaired, and the page
says what they cannot tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analyse.frames import cells_frame, trials_frame
from bench.analyse.unpaired import CellRatio, cell_keys, cell_ratios, common_cells
from bench.errors import UserError, cannot_write
from bench.present.charts import draw_curves
from bench.present.environment import differences
from bench.present.page import pictures, write_page
from bench.present.settings import settings_text
from bench.present.style import Style, styles
from bench.present.units import count_text, factor_text, interval_text, work_text
from bench.store import OTHER_OUT, Run, read_run

PAGE = "compare.html"
CAUTION = (
    "These runs share no rounds: they were measured at different times, and a machine drifts."
    " The intervals cover the noise within each run, not what changed between them, so a ratio"
    " away from 1 may be the machine rather than the server. To compare two servers, measure them"
    " in one run."
)


@dataclass(frozen=True)
class CompareRow:
    """One line of the table: a cell, a metric, second / first."""

    target: str
    connection: str
    work: str
    connections: str
    metric: str
    runs: str
    ratio: str
    interval: str
    says: str


@dataclass(frozen=True)
class ComparedRuns:
    """What was written and what it says."""

    sentences: list[str]
    rows: list[CompareRow]
    differences: list[tuple[str, list[str]]]
    names: list[str]
    page: Path


def write_comparison(folders: Sequence[Path], out: Path | None = None) -> ComparedRuns:
    """Compare runs with the first of them; write the page and the figures.

    Without `out` they go to compare-A-B beside the first run. UserError for fewer than two runs,
    runs without a common cell, or files that cannot be read or written.
    """
    if len(folders) < 2:
        raise UserError("compare needs two runs or more: crossover compare RUN_A RUN_B")
    runs = _named([read_run(folder) for folder in folders])
    trials = {name: trials_frame(run) for name, run in runs.items()}
    _require_common(runs, trials)
    folder = out or next(iter(runs.values())).folder.parent / f"compare-{'-'.join(runs)}"
    ratios = _all_ratios(runs, trials)
    rows = [_row(names, ratio) for names, ratio in ratios]
    sentences = _sentences(ratios)
    differ = differences(runs)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error, OTHER_OUT) from error
    page = write_page(
        folder / PAGE,
        "compare.html.j2",
        title=" against ".join(runs),
        cautions=[CAUTION, *_incomplete(runs)],
        sentences=sentences,
        figures=pictures(_overlay(folder / "charts", trials)),
        rows=rows,
        names=list(runs),
        differences=differ,
    )
    return ComparedRuns([*sentences, *_incomplete(runs)], rows, differ, list(runs), page)


def _named(runs: Sequence[Run]) -> dict[str, Run]:
    """Runs by name; a name that comes again gets a number."""
    named: dict[str, Run] = {}
    for run in runs:
        again = sum(other.name == run.name for other in named.values())
        named[f"{run.name}-{again + 1}" if again else run.name] = run
    return named


def _require_common(runs: Mapping[str, Run], trials: Mapping[str, pd.DataFrame]) -> None:
    if common_cells(list(trials.values())):
        return
    have = (
        f"{name} has {', '.join(_axes(frame)) or 'no slices'}" for name, frame in trials.items()
    )
    raise UserError(
        f"{' and '.join(runs)} have no cell in common"
        f" (same target, work, connections and settings): {'; '.join(have)}"
    )


def _axes(trials: pd.DataFrame) -> list[str]:
    """What a run covers, in a few words."""
    columns = ("target", "work", "connection", "connections")
    return [f"{c} {'/'.join(map(str, trials[c].unique()[:8]))}" for c in columns if len(trials)]


def _all_ratios(
    runs: Mapping[str, Run], trials: Mapping[str, pd.DataFrame]
) -> list[tuple[str, CellRatio]]:
    """Each later run against the first, with the names of both."""
    first, *others = runs
    confidence = float(runs[first].config.get("confidence", 0.95))
    return [
        (f"{other} / {first}", ratio)
        for other in others
        for ratio in cell_ratios(trials[first], trials[other], confidence)
    ]


def _row(runs: str, ratio: CellRatio) -> CompareRow:
    interval, cell = ratio.interval, ratio.cell
    return CompareRow(
        target=cell["target"],
        connection=cell["connection"],
        work=", ".join([work_text(cell["work"], cell["delay_s"]), *settings_text(cell)]),
        connections=count_text(cell["connections"]),
        metric=ratio.metric,
        runs=runs,
        ratio=factor_text(interval.estimate) if interval else "?",
        interval=interval_text(interval.low, interval.high) if interval else "?",
        says=_says(ratio),
    )


def _says(ratio: CellRatio) -> str:
    if ratio.interval is None:
        return str(ratio.reason)
    if ratio.interval.n < 2:
        return "one round: no interval"
    if not ratio.apart:
        return "not told apart"
    return "higher" if ratio.interval.estimate > 1 else "lower"


def _sentences(ratios: Sequence[tuple[str, CellRatio]]) -> list[str]:
    """One sentence for each metric and pair of runs: how many cells lie apart, and how far."""
    groups: dict[tuple[str, str], list[CellRatio]] = {}
    for runs, ratio in ratios:
        groups.setdefault((runs, ratio.metric), []).append(ratio)
    return [_sentence(runs, metric, group) for (runs, metric), group in groups.items()]


def _sentence(runs: str, metric: str, ratios: Sequence[CellRatio]) -> str:
    counts = Counter(_says(ratio) for ratio in ratios)
    parts = [f"{says} in {count}" for says, count in counts.most_common()]
    known = [ratio.interval.estimate for ratio in ratios if ratio.interval]
    span = f"; ratios {factor_text(min(known))} to {factor_text(max(known))}" if known else ""
    return f"{metric}, {runs}, {len(ratios)} cells: {', '.join(parts)}{span}."


def _incomplete(runs: Mapping[str, Run]) -> list[str]:
    states = ((name, run.info["state"]) for name, run in runs.items())
    return [f"{name} is not complete ({state})." for name, state in states if state != "complete"]


def _overlay(folder: Path, trials: Mapping[str, pd.DataFrame]) -> list[Any]:
    """The curves of one run over the other, in the cells that all have."""
    common = set(common_cells(list(trials.values())))
    looks: dict[str, Style] = {}
    frames = []
    for number, (name, frame) in enumerate(trials.items()):
        mine = _plain(frame[[key in common for key in cell_keys(frame)]])
        plain = styles(dict.fromkeys(mine["target"]), copy=number)
        looks |= {f"{target} ({name})": style for target, style in plain.items()}
        frames.append(mine.assign(target=mine["target"] + f" ({name})"))
    slices = pd.concat(frames, ignore_index=True)
    return draw_curves(folder, slices, cells_frame(slices), looks)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Slices without a number of workers where that is the target's own, as old runs have it too.

    A run that says nothing of its targets' own numbers had one worker each.
    """
    own = frame["own_workers"].fillna(1)
    return frame.assign(workers=frame["workers"].where(frame["workers"] != own))
