"""Figures that hold runs against each other: overlaid curves, and maps of ratios by cell.

A curve is a run, in a panel of its own for each target and work; runs differ in marker and dash as
well as in colour. A square of a map repeats in words what its colour says. It draws what was
concluded; it must not judge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.analyse.frames import cells_frame
from bench.analyse.unpaired import CellRatio, cell_keys, compared_cells
from bench.analyse.works import kind_of
from bench.present import curves
from bench.present.charts import FACETS, Drawing, facets
from bench.present.compare_words import PairOfRuns, cell_work
from bench.present.maps import DARK, HATCHES, LIGHT, is_dark, shade
from bench.present.panels import (
    MOST_COLUMNS,
    connections_axis,
    connections_name,
    legend,
    panels,
    spread,
    work_name,
    works,
)
from bench.present.style import (
    INK,
    INVALID,
    MUTED,
    NEITHER,
    Style,
    from_zero,
    log_y,
    new_figure,
    run_styles,
    title,
)
from bench.present.units import count_text, factor_text, interval_text

Styles = Mapping[str, Style]
_PANEL_INCHES = 2.1
_MOST_DOUBLINGS = 1.0
_LETTERS_PER_INCH = 11
_METRICS = {"throughput": "Throughput", "p99": "p99 of the response time"}


def curve_drawings(trials: Mapping[str, pd.DataFrame], confidence: float) -> Iterator[Drawing]:
    """The curves of all runs over each other, in the cells that are compared."""
    slices = _shared(trials)
    cells = pd.concat(
        [
            cells_frame(mine, confidence).assign(run=run)
            for run, mine in slices.groupby("run", sort=False)
        ],
        ignore_index=True,
    )
    looks = run_styles(trials)
    slices, cells = (f.assign(kind=f["work"].map(kind_of)) for f in (slices, cells))
    for where, name, chosen in facets(cells[cells["slices"] > cells["invalid"]]):
        mine = slices.merge(chosen[list(FACETS)].drop_duplicates(), on=list(FACETS))
        of = f"a panel for each target and work, a line for each of {', '.join(trials)} ({where})."
        for kind, words, draw in _KINDS:
            frame = mine if kind == "percentiles" else chosen
            yield Drawing(f"{kind}-{name}", f"{words}, {of}", partial(draw, frame, looks, where))


def _shared(trials: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The slices of the cells that are compared, with the run of each.

    Without a number of workers where that is the target's own, as old runs have it too: a run that
    says nothing of its targets' own numbers had one worker each.
    """
    shared = compared_cells(list(trials.values()))
    frames = []
    for run, frame in trials.items():
        mine = frame[[key in shared for key in cell_keys(frame)]]
        own = mine["own_workers"].fillna(1)
        plain = mine["workers"].where(mine["workers"] != own)
        frames.append(mine.assign(workers=plain, run=run))
    return pd.concat(frames, ignore_index=True)


def _grid(
    frame: pd.DataFrame, looks: Styles, draw: Callable[[Axes, pd.DataFrame], None]
) -> tuple[Figure, Any]:
    """A row of panels for each target, a column for each work; within, the runs are the targets."""
    targets = sorted(frame["target"].unique())
    columns = spread(works(frame), MOST_COLUMNS)
    named = frame.assign(target=frame["run"])
    figure, grid = panels(len(targets), len(columns), _PANEL_INCHES, named)
    for row, target in enumerate(targets):
        for column, work in enumerate(columns):
            axes = grid[row][column]
            mine = named[(frame["target"] == target) & (frame["work"] == work)]
            axes.set_title(f"{target}, {work_name(mine)}", loc="left")
            if len(mine):
                draw(axes, mine)
    legend(figure, named, looks, [])
    return figure, grid


def _throughput(cells: pd.DataFrame, looks: Styles, where: str) -> Figure:
    def draw(axes: Axes, mine: pd.DataFrame) -> None:
        curves.bound(axes, mine)
        for run, line in curves.lines(mine, looks, "connections"):
            curves.error_bars(axes, line, looks[run])
        connections_axis(axes, mine)

    figure, grid = _grid(cells, looks, draw)
    _finish(grid, "per second", log_y)
    detail = "bars: interval over rounds of that run alone; dotted: connections / delay"
    title(figure, f"Throughput by run ({where})", detail)
    return figure


def _p99(cells: pd.DataFrame, looks: Styles, where: str) -> Figure:
    def draw(axes: Axes, mine: pd.DataFrame) -> None:
        curves.latency(axes, mine, looks, "connections", "p99")
        connections_axis(axes, mine)

    figure, grid = _grid(cells, looks, draw)
    _finish(grid, "ms", log_y)
    detail = "median over slices; hollow triangle: at least"
    title(figure, f"p99 of the response time by run ({where})", detail)
    return figure


def _cpu(cells: pd.DataFrame, looks: Styles, where: str) -> Figure:
    def draw(axes: Axes, mine: pd.DataFrame) -> None:
        for run, line in curves.lines(mine, looks, "connections"):
            axes.plot(line["connections"], line["server_cpu_us_per_request"], **looks[run].line())
        connections_axis(axes, mine)

    figure, grid = _grid(cells, looks, draw)
    _finish(grid, "us", from_zero)
    title(figure, f"Server CPU per request by run ({where})", "median over slices")
    return figure


def _percentiles(trials: pd.DataFrame, looks: Styles, where: str) -> Figure:
    known = trials[trials["valid"] & trials["response_time_hist"].notna()]
    most = known.groupby(["target", "work"])["connections"].transform("max")

    def draw(axes: Axes, mine: pd.DataFrame) -> None:
        curves.percentile_lines(axes, mine, looks)
        at = connections_name(int(mine["connections"].iloc[0]))
        axes.set_title(f"{axes.get_title(loc='left')}, {at}", loc="left", fontsize=9)

    figure, grid = _grid(known[known["connections"] == most], looks, draw)
    _finish(grid, "ms", log_y)
    detail = "percentile; at the most connections; median over slices, never pooled"
    title(figure, f"Response time by percentile and run ({where})", detail)
    return figure


_KINDS: tuple[tuple[str, str, Callable[[pd.DataFrame, Styles, str], Figure]], ...] = (
    ("throughput", "Throughput against connections", _throughput),
    ("p99", "p99 of the response time against connections", _p99),
    ("percentiles", "Response time by percentile at the most connections", _percentiles),
    ("cpu", "Server CPU time per request against connections", _cpu),
)


def _finish(grid: Any, label: str, scale: Callable[[Sequence[Axes]], None]) -> None:
    """Each row by its own scale, named at its left; what is below is named once."""
    for row in grid:
        row[0].set_ylabel(label, color=INK)
        scale(row)
    for axes in grid[:-1].flat:
        axes.set_xlabel("")


def map_drawings(pairs: Sequence[PairOfRuns]) -> Iterator[Drawing]:
    """A map of ratios for each pair of runs, connection mode and metric."""
    for number, pair in enumerate(pairs, 1):
        for connection in dict.fromkeys(ratio.cell["connection"] for ratio in pair.ratios):
            for metric in dict.fromkeys(ratio.metric for ratio in pair.ratios):
                mine = [
                    ratio
                    for ratio in pair.ratios
                    if ratio.metric == metric and ratio.cell["connection"] == connection
                ]
                alt = (
                    f"Map of ratios: {_METRICS[metric]} of {pair.name} for each target, work and"
                    f" number of connections (connection: {connection}); the table of all ratios"
                    " has the same numbers."
                )
                name = f"ratio-{number}-{metric}-{connection}"
                yield Drawing(name, alt, partial(_ratio_map, pair, metric, connection, mine))


def _ratio_map(
    pair: PairOfRuns, metric: str, connection: str, ratios: Sequence[CellRatio]
) -> Figure:
    """A row for each target and work, a column for each number of connections."""
    ordered = sorted(ratios, key=lambda ratio: str(ratio.cell["target"]))
    rows = list(dict.fromkeys(_row_name(ratio) for ratio in ordered))
    columns = sorted({ratio.cell["connections"] for ratio in ratios})
    figure = new_figure(max(2.4 + 1.35 * len(columns), 6.5), 1.7 + 0.62 * len(rows))
    axes = figure.subplots()
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_facecolor("none")
    axes.set_xticks(range(len(columns)), [count_text(n) for n in columns])
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, colors=INK, labelsize=9)
    axes.set_xlabel("connections", color=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for ratio in ratios:
        _square(axes, ratio, columns.index(ratio.cell["connections"]), rows.index(_row_name(ratio)))
    better = "more" if metric == "throughput" else "shorter"
    colours = f"blue: {better} in {pair.other}, orange: {better} in {pair.base}"
    title(
        figure,
        _lines(f"{_METRICS[metric]}: {pair.name} (connection: {connection})", figure),
        _lines(f"{colours}; white, hatched: not told apart; grey, crossed: no ratio", figure),
    )
    return figure


def _lines(text: str, figure: Figure) -> str:
    """Text broken where the figure ends: names of runs may be long."""
    return fill(text, int(_LETTERS_PER_INCH * figure.get_figwidth()))


def _row_name(ratio: CellRatio) -> str:
    return f"{ratio.cell['target']}\n{cell_work(ratio.cell)}"


def _square(axes: Axes, ratio: CellRatio, x: int, y: int) -> None:
    colour = _colour(ratio)
    kind = "invalid" if ratio.call == "unknown" else "" if ratio.apart else "undecided"
    hatch = HATCHES.get(kind)
    look: dict[str, Any] = {"facecolor": colour, "edgecolor": MUTED, "linewidth": 0.6}
    box = Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, **look, hatch=hatch)
    box.set_hatch_linewidth(0.4)
    axes.add_patch(box)
    plate = {"facecolor": colour, "edgecolor": "none", "pad": 1.2} if hatch else None
    ink = LIGHT if is_dark(colour) else DARK
    look = {"ha": "center", "va": "center", "fontsize": 8.5, "linespacing": 1.25}
    axes.text(x, y, _words(ratio), color=ink, bbox=plate, **look)


def _colour(ratio: CellRatio) -> str:
    if ratio.call == "unknown":
        return INVALID
    if not ratio.apart or ratio.interval is None:
        return NEITHER
    doublings = math.log2(ratio.interval.estimate) * (1 if ratio.metric == "throughput" else -1)
    return shade(doublings / _MOST_DOUBLINGS)


def _words(ratio: CellRatio) -> str:
    if ratio.interval is None:
        return "invalid" if any(ratio.reasons) else "at least only"
    known = factor_text(ratio.interval.estimate)
    if ratio.call == "one round":
        return f"{known}\none round"
    return f"{known}\n{interval_text(ratio.interval.low, ratio.interval.high)}\n{ratio.call}"
