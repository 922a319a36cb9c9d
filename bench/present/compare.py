"""Runs side by side: read, held against the first of them, and shown as a page and figures.

Runs share no rounds, so nothing here is called a verdict: intervals are unpaired, and the page
says what they cannot tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, count
from pathlib import Path

import pandas as pd

from bench.analyse.frames import cells_frame, trials_frame
from bench.analyse.unpaired import (
    DRIFT,
    Key,
    cell_keys,
    cell_ratios,
    common_cells,
    compared_cells,
    own_cells,
)
from bench.analyse.verdicts import confidence
from bench.errors import UserError, cannot_write
from bench.present import scripts
from bench.present.charts import Chart, Drawing, draw_figures, render_figures
from bench.present.compare_figures import curve_drawings, map_drawings
from bench.present.compare_words import (
    CompareRow,
    PairOfRuns,
    about_runs,
    alone_rows,
    caution,
    invalid_rows,
    reading,
    rows_of,
    sentences,
    what_differs,
)
from bench.present.environment import differences
from bench.present.page import pictures, write_page
from bench.store import OTHER_OUT, Run, read_run

PAGE = "compare.html"


@dataclass(frozen=True)
class ComparedRuns:
    """What several runs say together; the first is the base of all ratios.

    `alone` has the cells that a run has and its counterpart has not, by `b alone`.
    """

    runs: Mapping[str, Run]
    trials: Mapping[str, pd.DataFrame]
    pairs: Sequence[PairOfRuns]
    alone: Mapping[str, Sequence[Key]]
    drift: float

    @property
    def names(self) -> list[str]:
        """The runs' names, the base first."""
        return list(self.runs)

    @property
    def title(self) -> str:
        """Who is held against whom."""
        base, *others = self.runs
        return f"{' and '.join(others)} against {base}"

    @property
    def confidence(self) -> float:
        """That of the base's intervals, which holds for all."""
        return confidence(next(iter(self.runs.values())))

    @property
    def caution(self) -> str:
        """What such runs cannot tell."""
        return caution(self.drift)

    @property
    def reading(self) -> str:
        """How the table is to be read."""
        return reading(self.confidence)

    @property
    def sentences(self) -> list[str]:
        """The comparison in words."""
        found = [text for pair in self.pairs for text in sentences(pair, self.drift)]
        return [*found, *_alone_words(self.alone), *about_runs(self.runs)]

    @property
    def rows(self) -> list[CompareRow]:
        """All ratios."""
        return rows_of(self.pairs)

    @property
    def what_differs(self) -> list[CompareRow]:
        """The ratios that are apart from 1."""
        return what_differs(self.pairs)

    @property
    def alone_rows(self) -> list[tuple[str, ...]]:
        """Cells of one run only."""
        return alone_rows(self.alone)

    @property
    def invalid_rows(self) -> list[tuple[str, ...]]:
        """Compared cells with invalid slices, and the reasons."""
        shared = compared_cells(list(self.trials.values()))
        kept = {name: _with_invalid(frame, shared) for name, frame in self.trials.items()}
        return invalid_rows({name: cells_frame(frame) for name, frame in kept.items()})

    @property
    def differences(self) -> list[tuple[str, list[str]]]:
        """What was recorded of machine, versions and settings, and is not the same in all runs."""
        return differences(self.runs)


def compare_runs(folders: Sequence[Path], drift: float = DRIFT) -> ComparedRuns:
    """Hold each run against the first.

    UserError for fewer than two runs, one run given twice, one that cannot be read or that has no
    cell in common with the first, or an allowance for drift that is no share.
    """
    if len(folders) < 2:
        raise UserError("compare needs two runs or more: crossover compare RUN_A RUN_B")
    if not (math.isfinite(drift) and drift >= 0):
        raise UserError(f"--drift {drift:g}: give a share from 0 up, as 0.15 for 15%")
    read = [read_run(folder) for folder in folders]
    _require_different(read)
    runs = _named(read)
    trials = {name: trials_frame(run) for name, run in runs.items()}
    base, *others = runs
    for other in others:
        _require_common({name: trials[name] for name in (base, other)})
    sure = confidence(runs[base])
    found = ((other, cell_ratios(trials[base], trials[other], sure, drift)) for other in others)
    pairs = [PairOfRuns(base, other, ratios) for other, ratios in found]
    return ComparedRuns(runs, trials, pairs, _alone(trials), drift)


def write_comparison(compared: ComparedRuns, out: Path | None = None) -> Path:
    """Write the page, and the figures as files beside it; the page's path.

    Without `out` they go to compare-A-B beside the first run. UserError if that cannot be written.
    """
    beside = next(iter(compared.runs.values())).folder.parent
    folder = out or beside / f"compare-{'-'.join(compared.names)}".replace("/", "-")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error, OTHER_OUT) from error
    maps, curves = _drawings(compared)
    charts = folder / "charts"
    drawn = draw_figures(charts, maps), draw_figures(charts, curves)
    return _page(folder / PAGE, compared, *drawn, OTHER_OUT)


def write_html(compared: ComparedRuns, file: Path) -> Path:
    """Write the page alone, figures within. UserError if it cannot be written."""
    maps, curves = _drawings(compared)
    return _page(
        file, compared, render_figures(maps), render_figures(curves), "choose another --html"
    )


def _drawings(compared: ComparedRuns) -> tuple[list[Drawing], list[Drawing]]:
    maps = list(map_drawings(compared.pairs))
    return maps, list(curve_drawings(compared.trials, compared.confidence))


def _page(
    file: Path,
    compared: ComparedRuns,
    maps: Iterable[Chart],
    curves: Iterable[Chart],
    otherwise: str,
) -> Path:
    return write_page(
        file,
        "compare.html.j2",
        otherwise,
        title=compared.title,
        scripts=scripts.own(scripts.COMPARISON),
        compared=compared,
        differ=compared.what_differs,
        rows=compared.rows,
        alone=compared.alone_rows,
        invalid=compared.invalid_rows,
        differences=[(name, *values) for name, values in compared.differences],
        drift=f"{100 * compared.drift:g}%",
        maps=pictures(maps),
        curves=pictures(curves),
    )


def _named(runs: Sequence[Run]) -> dict[str, Run]:
    """Runs by name; a name that comes again gets a number."""
    named: dict[str, Run] = {}
    for run in runs:
        others = (f"{run.name}-{number}" for number in count(2))
        name = run.name if run.name not in named else next(n for n in others if n not in named)
        named[name] = run
    return named


def _require_different(runs: Sequence[Run]) -> None:
    """A run against itself or a copy would be equal to the last digit, which tells nothing."""
    for a, b in combinations(runs, 2):
        if a.folder.resolve() == b.folder.resolve():
            raise UserError(f"{a.folder} is given twice: name two different runs")
        if (a.info, a.trials) == (b.info, b.trials):
            raise UserError(f"{b.folder} is a copy of {a.folder}: name two different runs")


def _with_invalid(trials: pd.DataFrame, among: set[Key]) -> pd.DataFrame:
    """The slices of those cells that have an invalid one."""
    keys = cell_keys(trials)
    invalid = {key for key, valid in zip(keys, trials["valid"], strict=True) if not valid}
    return trials[[key in invalid and key in among for key in keys]]


def _require_common(trials: Mapping[str, pd.DataFrame]) -> None:
    if common_cells(list(trials.values())):
        return
    have = (
        f"{name} has {'; '.join(_axes(frame)) or 'no finished slice'}"
        for name, frame in trials.items()
    )
    raise UserError(
        f"{' and '.join(trials)} have no cell in common"
        f" (same target, work, connections and settings): {'; '.join(have)}."
        " Measure both with one profile"
    )


def _axes(trials: pd.DataFrame) -> list[str]:
    """What a run covers, in a few words."""
    columns = ("target", "work", "connection", "connections")
    return [f"{c} {', '.join(map(str, trials[c].unique()[:8]))}" for c in columns if len(trials)]


def _alone(trials: Mapping[str, pd.DataFrame]) -> dict[str, list[Key]]:
    """The cells that a run has and its counterpart has not: each later run against the base."""
    base, *others = trials
    found = {}
    for other in others:
        against = f" (not in {other})" if len(others) > 1 else ""
        found[f"{base}{against}"] = own_cells(trials[base], trials[other])
        found[other] = own_cells(trials[other], trials[base])
    return {whose: keys for whose, keys in found.items() if keys}


def _alone_words(alone: Mapping[str, Sequence[Key]]) -> list[str]:
    return [
        f"{len(keys)} cell{'' if len(keys) == 1 else 's'} of {whose} alone: listed, not compared."
        for whose, keys in alone.items()
    ]
