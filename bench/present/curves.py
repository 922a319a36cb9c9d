"""Figures of small multiples: throughput, latency, percentile curves, memory and CPU.

One panel per work or per number of connections, one line per target, in the style that the target
has everywhere. It draws cells as they were summed up; only valid slices are in those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analyse.frames import percentile_curve
from bench.present.style import (
    INK,
    MUTED,
    Style,
    dress,
    from_zero,
    log_y,
    name_ticks,
    new_figure,
    title,
)
from bench.present.units import count_text, delay_text

Styles = Mapping[str, Style]

_PERCENTILES = (50, 75, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.99)
_MOST_COLUMNS = 4


def throughput(cells: pd.DataFrame, styles: Styles, where: str) -> Figure:
    """Throughput against connections, a panel per work, with N / d drawn in."""
    works = _works(cells)
    figure, panels = _panels(1, len(works), 3.3)
    for axes, work in zip(panels[0], works, strict=True):
        mine = cells[cells["work"] == work]
        _bound(axes, mine)
        for target, line in _lines(mine, styles, "connections"):
            _error_bars(axes, line, styles[target])
        _connections_axis(axes, mine)
        axes.set_title(_work_name(mine), loc="left")
    log_y(panels[0])
    panels[0][0].set_ylabel("correct completions per second", color=INK)
    title(figure, f"Throughput against connections ({where})", "bars: interval over rounds")
    bound = [Line2D([], [], color=MUTED, linestyle=":", label="bound: connections / delay")]
    _legend(figure, cells, styles, bound if cells["delay_s"].max() > 0 else [])
    return figure


def latency_by_connections(cells: pd.DataFrame, styles: Styles, where: str) -> Figure:
    """p50 and p99 against connections, a column of panels per work."""
    works = _works(cells)
    figure, panels = _panels(2, len(works), 2.6)
    for column, work in enumerate(works):
        mine = cells[cells["work"] == work]
        for line, name in enumerate(("p50", "p99")):
            axes = panels[line][column]
            _latency(axes, mine, styles, "connections", name)
            _connections_axis(axes, mine, label=line == 1)
            axes.set_title(f"{name}, {_work_name(mine)}", loc="left")
    _milliseconds(panels)
    title(figure, f"Response time against connections ({where})", "median over slices")
    _legend(figure, cells, styles, _at_least_key(cells))
    return figure


def latency_by_delay(cells: pd.DataFrame, styles: Styles, where: str) -> Figure:
    """p50 and p99 against the delay, a column of panels per number of connections."""
    plain = cells[cells["work"].isin(["/"]) | cells["work"].str.match(r"/delay=[^/]*$")]
    columns = spread(sorted(plain["connections"].unique()), _MOST_COLUMNS)
    delays = sorted(plain["delay_s"].unique())
    figure, panels = _panels(2, len(columns), 2.6)
    for column, connections in enumerate(columns):
        mine = plain[plain["connections"] == connections].copy()
        mine["place"] = [delays.index(delay) for delay in mine["delay_s"]]
        for line, name in enumerate(("p50", "p99")):
            axes = panels[line][column]
            _latency(axes, mine, styles, "place", name)
            name_ticks(axes, range(len(delays)), [delay_text(d) for d in delays])
            axes.set_xlim(-0.3, len(delays) - 0.7)
            axes.set_title(f"{name}, {_connections_name(connections)}", loc="left")
            axes.set_xlabel("delay" if line else "", color=INK)
    _milliseconds(panels)
    title(figure, f"Response time against delay ({where})", "median over slices")
    _legend(figure, cells, styles, _at_least_key(cells))
    return figure


def percentiles(trials: pd.DataFrame, styles: Styles, where: str) -> Figure:
    """Response time by percentile: a row per work, two numbers of connections each."""
    trials = trials[trials["valid"] & trials["response_time_hist"].notna()]
    works = spread(_works(trials), _MOST_COLUMNS)
    columns = spread(sorted(trials["connections"].unique())[1:] or [1], 2)
    figure, panels = _panels(len(works), len(columns), 2.4)
    for row, work in enumerate(works):
        for column, connections in enumerate(columns):
            mine = trials[(trials["work"] == work) & (trials["connections"] == connections)]
            axes = panels[row][column]
            _curves(axes, mine, styles)
            axes.set_title(f"{_work_name(mine)}, {_connections_name(connections)}", loc="left")
            axes.set_xlabel("percentile" if row == len(works) - 1 else "", color=INK)
    _milliseconds(panels)
    title(figure, f"Response time by percentile ({where})", "median over slices, never pooled")
    _legend(figure, trials, styles, _at_least_key(trials))
    return figure


def resources(cells: pd.DataFrame, styles: Styles, where: str) -> Figure:
    """The server's CPU time per request and its memory against connections."""
    works = _works(cells)
    rows = (
        ("server_cpu_us_per_request", "server CPU per request, us"),
        ("server_rss_mib", "server memory, MiB"),
    )
    figure, panels = _panels(2, len(works), 2.6)
    for column, work in enumerate(works):
        mine = cells[cells["work"] == work]
        for row, (value, label) in enumerate(rows):
            axes = panels[row][column]
            for target, line in _lines(mine.assign(y=mine[value]), styles, "connections"):
                axes.plot(line["connections"], line["y"], **styles[target].line())
            _connections_axis(axes, mine, label=row == 1)
            axes.set_title(_work_name(mine), loc="left")
            axes.set_ylabel(label if column == 0 else "", color=INK)
    for panel_row in panels:
        from_zero(panel_row)
    title(figure, f"What a request costs the server ({where})", "median over slices")
    _legend(figure, cells, styles, [])
    return figure


def spread(values: Sequence[Any], most: int) -> list[Any]:
    """At most that many values, the last included, evenly spaced."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def _panels(rows: int, columns: int, height: float) -> tuple[Figure, Any]:
    """A grid of panels that share their y axis by row, with room for a title and a legend."""
    figure = new_figure(max(1 + 3.1 * columns, 6.5), 1.1 + height * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharey="row")
    for axes in panels.flat:
        dress(axes)
    return figure, panels


def _milliseconds(panels: Any) -> None:
    """Response times on log axes, each row labelled at its left."""
    for row in panels:
        row[0].set_ylabel("response time, ms", color=INK)
        log_y(row)


def _works(frame: pd.DataFrame) -> list[str]:
    known = frame.drop_duplicates("work").sort_values(["delay_s", "work"])
    return [str(work) for work in known["work"]]


def _work_name(frame: pd.DataFrame) -> str:
    if frame.empty:
        return "not measured"
    work, delay_s = str(frame["work"].iloc[0]), float(frame["delay_s"].iloc[0])
    plain = work == "/" or (work.startswith("/delay=") and work.count("/") == 1)
    return f"delay {delay_text(delay_s)}" if plain else work


def _connections_name(connections: int) -> str:
    return f"{count_text(connections)} connection{'' if connections == 1 else 's'}"


def _lines(cells: pd.DataFrame, styles: Styles, x: str) -> list[tuple[str, pd.DataFrame]]:
    """The cells of each target in the order of x, targets in the order of their styles."""
    found = ((t, cells[cells["target"] == t].sort_values(x)) for t in styles)
    return [(target, line) for target, line in found if len(line)]


def _error_bars(axes: Axes, line: pd.DataFrame, style: Style) -> None:
    line = line[line["throughput_rps"].notna()]
    y = line["throughput_rps"]
    known = np.isfinite(line["throughput_high_rps"]) & (line["throughput_low_rps"] > 0)
    low = (y - line["throughput_low_rps"]).where(known, 0.0)
    high = (line["throughput_high_rps"] - y).where(known, 0.0)
    axes.errorbar(line["connections"], y, yerr=[low, high], capsize=2, **style.line())


def _bound(axes: Axes, cells: pd.DataFrame) -> None:
    """No server answers more often than N connections that each wait d: N / d."""
    delay_s = float(cells["delay_s"].iloc[0])
    if delay_s > 0:
        n = np.array(sorted(cells["connections"].unique()), dtype=float)
        axes.plot(n, n / delay_s, color=MUTED, linestyle=":", linewidth=1.3, zorder=1)


def _connections_axis(axes: Axes, cells: pd.DataFrame, label: bool = True) -> None:
    values = sorted(cells["connections"].unique())
    shown = spread(values, 6)
    axes.set_xscale("log")
    axes.margins(x=0.08)
    name_ticks(axes, shown, [count_text(n) for n in shown])
    axes.set_xlabel("connections" if label else "", color=INK)


def _latency(axes: Axes, cells: pd.DataFrame, styles: Styles, x: str, name: str) -> None:
    column = f"response_time_{name}_ms"
    for target, line in _lines(cells[cells[column].notna()], styles, x):
        axes.plot(line[x], line[column], **styles[target].line())
        _mark_at_least(axes, line[line["at_least"]], x, column, styles[target])


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


def _curves(axes: Axes, trials: pd.DataFrame, styles: Styles) -> None:
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


def _legend(figure: Figure, frame: pd.DataFrame, styles: Styles, more: Sequence[Line2D]) -> None:
    present = set(frame["target"])
    keys = [Line2D([], [], label=t, **s.line()) for t, s in styles.items() if t in present]
    handles = [*keys, *more]
    widest_inches = 0.9 + 0.075 * max(len(str(handle.get_label())) for handle in handles)
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=max(int(figure.get_figwidth() / widest_inches), 1),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handlelength=3.5,
    )
