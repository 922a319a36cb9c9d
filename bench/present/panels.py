"""Panels of small multiples: their grid, axes, names and legend, shared by all figures.

It knows frames by their columns `work`, `delay_s`, `connections` and `target`; it draws no data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analyse.works import in_order, is_plain
from bench.present.style import INK, Style, dress, log_y, name_ticks, new_figure
from bench.present.units import count_text, delay_text

MOST_COLUMNS = 4
_MOST_BELOW = 8


def spread(values: Sequence[Any], most: int) -> list[Any]:
    """At most that many values, the last included, evenly spaced."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def panels(rows: int, columns: int, height: float, frame: pd.DataFrame) -> tuple[Figure, Any]:
    """A grid of panels that share their y axis by row, with room for a title and a legend.

    Taller than `height` inches where the frame has many targets.
    """
    height *= 1 if frame["target"].nunique() <= _MOST_BELOW else 1.4
    figure = new_figure(max(1 + 3.1 * columns, 6.5), 1.1 + height * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharey="row")
    for axes in grid.flat:
        dress(axes)
    return figure, grid


def milliseconds(grid: Any) -> None:
    """Response times on log axes, each row labelled at its left."""
    for row in grid:
        row[0].set_ylabel("response time, ms", color=INK)
        log_y(row)


def works(frame: pd.DataFrame) -> list[str]:
    """The works of a frame, by their wait and then by all that they ask for."""
    known = frame.drop_duplicates("work")
    pairs = zip(known["work"], known["delay_s"], strict=True)
    return [work for work, _ in sorted(pairs, key=lambda pair: in_order(*pair))]


def work_name(frame: pd.DataFrame) -> str:
    """What a panel shows: the delay, or the path where that asks for anything else."""
    if frame.empty:
        return "not measured"
    work, delay_s = str(frame["work"].iloc[0]), float(frame["delay_s"].iloc[0])
    return f"delay {delay_text(delay_s)}" if is_plain(work) else work


def connections_name(connections: int) -> str:
    """1 connection, 1,024 connections."""
    return f"{count_text(connections)} connection{'' if connections == 1 else 's'}"


def connections_axis(axes: Axes, cells: pd.DataFrame, label: bool = True) -> None:
    """A log axis of connections with the measured numbers named."""
    values = sorted(cells["connections"].unique())
    shown = spread(values, 6)
    axes.set_xscale("log")
    axes.margins(x=0.08)
    name_ticks(axes, shown, [count_text(n) for n in shown])
    axes.set_xlabel("connections" if label else "", color=INK)


def legend(
    figure: Figure, frame: pd.DataFrame, styles: Mapping[str, Style], more: Sequence[Line2D]
) -> None:
    """Who is who, below the panels; at their right where there are many."""
    present = set(frame["target"])
    keys = [Line2D([], [], label=t, **s.line()) for t, s in styles.items() if t in present]
    handles = [*keys, *more]
    widest_inches = 0.9 + 0.075 * max(len(str(handle.get_label())) for handle in handles)
    beside = len(handles) > _MOST_BELOW
    if beside:
        figure.set_size_inches(
            figure.get_figwidth() + widest_inches,
            max(figure.get_figheight(), 0.9 + 0.205 * len(handles)),
        )
    figure.legend(
        handles=handles,
        loc="outside right upper" if beside else "outside lower left",
        ncols=1 if beside else max(int(figure.get_figwidth() / widest_inches), 1),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handlelength=3.5,
    )
