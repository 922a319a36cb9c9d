"""Figures of small multiples: throughput, latency, percentile curves, memory and CPU.

One panel per work or per number of connections, one line per target, in the style that the target
has everywhere. It draws cells as they were summed up; only valid slices are in those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analyse.frames import percentile_curve
from bench.analyse.works import kind_of
from bench.present.panels import (
    MOST_COLUMNS,
    connections_axis,
    connections_name,
    legend,
    milliseconds,
    panels,
    spread,
    work_name,
    works,
)
from bench.present.style import INK, MUTED, PAPER, Style, from_zero, log_y, name_ticks, title
from bench.present.units import delay_text

Styles = Mapping[str, Style]

_PERCENTILES = (50, 75, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.99)


def throughput(cells: pd.DataFrame, styles: Styles, where: str) -> Figure:
    """Throughput against connections, a panel per work, with N / d and all known limits."""
    paths = works(cells)
    figure, grid = panels(1, len(paths), 3.3, cells)
    limited: list[Line2D] = []
    for axes, work in zip(grid[0], paths, strict=True):
        mine = cells[cells["work"] == work]
        bound(axes, mine)
        limited = [*limited, *_limits(axes, mine)]
        for target, line in lines(mine, styles, "connections"):
            error_bars(axes, line, styles[target])
        connections_axis(axes, mine)
        axes.set_title(work_name(mine), loc="left")
    log_y(grid[0])
    grid[0][0].set_ylabel("correct completions per second", color=INK)
    title(figure, f"Throughput against connections ({where})", "bars: interval over rounds")
    key = [Line2D([], [], **_BOUND, label="bound: connections / delay")]
    key = key if cells["delay_s"].max() > 0 else []
    legend(figure, cells, styles, [*key, *limited[:1]])
    return figure


def latency_by_connections(cells: pd.DataFrame, styles: Styles, where: str) -> Figure:
    """p50 and p99 against connections, a column of panels per work."""
    paths = works(cells)
    figure, grid = panels(2, len(paths), 2.6, cells)
    for column, work in enumerate(paths):
        mine = cells[cells["work"] == work]
        for line, name in enumerate(("p50", "p99")):
            axes = grid[line][column]
            latency(axes, mine, styles, "connections", name)
            connections_axis(axes, mine, label=line == 1)
            axes.set_title(f"{name}, {work_name(mine)}", loc="left")
    milliseconds(grid)
    title(
        figure,
        f"Response time against connections ({where})",
        "median over slices with its interval",
    )
    legend(figure, cells, styles, _at_least_key(cells))
    return figure


def latency_by_delay(cells: pd.DataFrame, styles: Styles, where: str) -> Figure:
    """p50 and p99 against the delay, a column of panels per number of connections."""
    columns = spread(sorted(cells["connections"].unique()), MOST_COLUMNS)
    delays = sorted(cells["delay_s"].unique())
    figure, grid = panels(2, len(columns), 2.6, cells)
    for column, connections in enumerate(columns):
        mine = cells[cells["connections"] == connections].copy()
        mine["place"] = [delays.index(delay) for delay in mine["delay_s"]]
        for line, name in enumerate(("p50", "p99")):
            axes = grid[line][column]
            latency(axes, mine, styles, "place", name)
            name_ticks(axes, range(len(delays)), [delay_text(d) for d in delays])
            axes.set_xlim(-0.3, len(delays) - 0.7)
            axes.set_title(f"{name}, {connections_name(connections)}", loc="left")
            axes.set_xlabel(_kind_name(cells) if line else "", color=INK)
    milliseconds(grid)
    title(figure, f"Response time against delay ({where})", "median over slices with its interval")
    legend(figure, cells, styles, _at_least_key(cells))
    return figure


def _kind_name(cells: pd.DataFrame) -> str:
    return " and ".join(kind_of(str(cells["work"].iloc[0])).split("+"))


def percentiles(trials: pd.DataFrame, styles: Styles, where: str) -> Figure:
    """Response time by percentile: a row per work, two numbers of connections each."""
    trials = trials[trials["valid"] & trials["response_time_hist"].notna()]
    paths = spread(works(trials), MOST_COLUMNS)
    counts = sorted(trials["connections"].unique())
    columns = spread(counts[1:] or counts, 2)
    figure, grid = panels(len(paths), len(columns), 2.4, trials)
    for row, work in enumerate(paths):
        for column, connections in enumerate(columns):
            mine = trials[(trials["work"] == work) & (trials["connections"] == connections)]
            axes = grid[row][column]
            percentile_lines(axes, mine, styles)
            axes.set_title(f"{work_name(mine)}, {connections_name(connections)}", loc="left")
            axes.set_xlabel("percentile" if row == len(paths) - 1 else "", color=INK)
    milliseconds(grid)
    title(figure, f"Response time by percentile ({where})", "median over slices, never pooled")
    legend(figure, trials, styles, _at_least_key(trials))
    return figure


def resources(cells: pd.DataFrame, styles: Styles, where: str) -> Figure:
    """The server's CPU time per request and its memory against connections."""
    paths = works(cells)
    rows = (
        ("server_cpu_us_per_request", "server CPU per request, us"),
        ("server_rss_mib", "server memory, MiB"),
    )
    figure, grid = panels(2, len(paths), 2.6, cells)
    for column, work in enumerate(paths):
        mine = cells[cells["work"] == work]
        for row, (value, label) in enumerate(rows):
            axes = grid[row][column]
            for target, line in lines(mine.assign(y=mine[value]), styles, "connections"):
                axes.plot(line["connections"], line["y"], **styles[target].line())
            connections_axis(axes, mine, label=row == 1)
            axes.set_title(work_name(mine), loc="left")
            axes.set_ylabel(label if column == 0 else "", color=INK)
    for panel_row in grid:
        from_zero(panel_row)
    title(figure, f"What a request costs the server ({where})", "median over slices")
    legend(figure, cells, styles, [])
    return figure


def lines(cells: pd.DataFrame, styles: Styles, x: str) -> list[tuple[str, pd.DataFrame]]:
    """The cells of each target in the order of x, targets in the order of their styles."""
    found = ((t, cells[cells["target"] == t].sort_values(x)) for t in styles)
    return [(target, line) for target, line in found if len(line)]


def error_bars(axes: Axes, line: pd.DataFrame, style: Style) -> None:
    """A line of throughput with the interval of each point, where it has one."""
    line = line[line["throughput_rps"].notna()]
    y = line["throughput_rps"]
    known = np.isfinite(line["throughput_high_rps"]) & (line["throughput_low_rps"] > 0)
    low = (y - line["throughput_low_rps"]).where(known, 0.0)
    high = (line["throughput_high_rps"] - y).where(known, 0.0)
    axes.errorbar(line["connections"], y, yerr=[low, high], capsize=2, **style.line())


_BOUND: dict[str, Any] = {"color": MUTED, "linestyle": ":", "linewidth": 1.3}
_LIMIT: dict[str, Any] = {"color": MUTED, "linestyle": (0, (9, 2)), "linewidth": 0.9}


def bound(axes: Axes, cells: pd.DataFrame) -> None:
    """No server answers more often than N connections that each wait d: N / d."""
    delay_s = float(cells["delay_s"].iloc[0])
    if delay_s > 0:
        n = np.array(sorted(cells["connections"].unique()), dtype=float)
        axes.plot(n, n / delay_s, **_BOUND, zorder=1)


def _limits(axes: Axes, cells: pd.DataFrame) -> list[Line2D]:
    """The throughput that a number allows, from where it holds connections up; their key."""
    if "limit_rps" not in cells:
        return []
    most = cells["connections"].max()
    over = cells[cells["limit_connections"] < most]
    for (first, rate_rps), mine in over.groupby(["limit_connections", "limit_rps"]):
        axes.plot([max(first, 1), most], [rate_rps, rate_rps], **_LIMIT, zorder=1)
        axes.annotate(
            "; ".join(mine["limit_what"].unique()), (most, rate_rps), (0, 5), ha="right",
            va="bottom", textcoords="offset points", fontsize=7.5, color=INK, zorder=5,
            bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.6},
        )  # fmt: skip
    return [Line2D([], [], **_LIMIT, label="limit: places / time")] if len(over) else []


def latency(axes: Axes, cells: pd.DataFrame, styles: Styles, x: str, name: str) -> None:
    """Lines of a percentile against the column x; lower bounds are marked as such."""
    column = f"response_time_{name}_ms"
    for target, line in lines(cells[cells[column].notna()], styles, x):
        _percentile_bars(axes, line, x, name, styles[target])
        _mark_at_least(axes, line[line["at_least"]], x, column, styles[target])


def _percentile_bars(axes: Axes, line: pd.DataFrame, x: str, name: str, style: Style) -> None:
    """A percentile with its interval by order statistics; an open end has no bar."""
    y = line[f"response_time_{name}_ms"]
    low = (y - line[f"response_time_{name}_low_ms"]).fillna(0.0)
    high = (line[f"response_time_{name}_high_ms"] - y).fillna(0.0)
    axes.errorbar(line[x], y, yerr=[low, high], capsize=2, elinewidth=0.8, **style.line())


def _mark_at_least(axes: Axes, points: pd.DataFrame, x: str, column: str, style: Style) -> None:
    axes.plot(points[x], points[column], **_AT_LEAST, markeredgecolor=style.color)


_AT_LEAST: dict[str, Any] = {
    "linestyle": "none",
    "marker": "^",
    "markerfacecolor": "white",
    "markersize": 9,
    "markeredgewidth": 1.4,
    "zorder": 4,
}


def _at_least_key(frame: pd.DataFrame) -> list[Line2D]:
    """The key for lower bounds, where there are any."""
    if not frame["at_least"].any():
        return []
    return [Line2D([], [], label="at least (replies still owed)", color=MUTED, **_AT_LEAST)]


def percentile_lines(axes: Axes, trials: pd.DataFrame, styles: Styles) -> None:
    """Response time by percentile, one line per target; at least is marked at its last point."""
    places = [nines(percentile) for percentile in _PERCENTILES]
    for target, slices in trials.groupby("target", sort=False):
        style = styles[str(target)]
        curve = percentile_curve(slices["response_time_hist"], _PERCENTILES)
        line = style.line() | {"markevery": 2, "markersize": 4.5}
        if curve:
            axes.plot(places, curve, **line)
        if slices["at_least"].any():
            known = [point for point in zip(places, curve, strict=False) if point[1] > 0]
            axes.plot(*zip(*known[-1:], strict=True), **_AT_LEAST, markeredgecolor=style.color)
    named = (50, 90, 99, 99.9, 99.99)
    name_ticks(axes, [nines(p) for p in named], [f"{p:g}" for p in named])
    axes.margins(x=0.08)


def nines(percentile: float) -> float:
    """Where a percentile goes on an axis of nines: log10(1 / (1 - p)), so 99.9 is at 3."""
    return -math.log10(1 - percentile / 100)
