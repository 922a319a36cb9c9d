"""The crossover map: for one declared pair, who is better at which delay and connections.

Colour is the log of the ratio, of differences that stand among all of the run's comparisons; each
square says in words what holds for it alone: the ratio a / b, its interval and the verdict. It
draws comparisons as judged; it must not judge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.analyse.verdicts import FALSE_DISCOVERIES, METRICS, Comparison
from bench.analyse.works import kind_of
from bench.present.style import (
    A_BETTER,
    B_BETTER,
    INK,
    INVALID,
    MUTED,
    NEITHER,
    new_figure,
    title,
)
from bench.present.units import count_text, factor_text, interval_text
from bench.present.words import setting_text, varying_settings

COLOURS = LinearSegmentedColormap.from_list("better", [B_BETTER, NEITHER, A_BETTER])
LEGEND = (
    "interval and verdict: of this square alone;\n"
    f"colour: {FALSE_DISCOVERIES:.0%} of a run's coloured squares are false on average"
)
HATCHES = {"undecided": "///", "invalid": "xxx"}
_MOST_DOUBLINGS = 2.0
# Not the ink and paper of the page, which change places when the page is dark: squares do not.
DARK, LIGHT = "#1a1a1a", "#fefefe"


def crossover_map(compared: Sequence[Comparison]) -> Figure:
    """The map of one pair: throughput above, p99 below, a row per work, a column per connections.

    `compared` are all comparisons of that pair. Squares that no run measured stay empty.
    """
    first = compared[0]
    varying = varying_settings(compared)
    names = {c: _row_name(c, varying) for c in compared}
    rows = list(dict.fromkeys(names.values()))
    columns = sorted({c.connections for c in compared})
    metrics = [m for m in METRICS if any(c.metric == m for c in compared)]
    size = (max(1.3 + 1.35 * len(columns), 6.5), 2.0 + len(metrics) * (0.62 * len(rows) + 0.75))
    figure = new_figure(*size)
    panels = figure.subplots(len(metrics), 1, squeeze=False)[:, 0]
    for axes, metric in zip(panels, metrics, strict=True):
        mine = [c for c in compared if c.metric == metric]
        _panel(axes, [(c, rows.index(names[c])) for c in mine], rows, columns)
        axes.set_title(f"{_metric_name(metric)}: {first.a} / {first.b}", loc="left", fontsize=10)
    panels[-1].set_xlabel("connections", color=INK)
    title(
        figure,
        f"{first.a} or {first.b}? (connection: {first.connection})",
        f"blue: {first.a} better, orange: {first.b} better\n{LEGEND}",
    )
    return figure


def _metric_name(metric: str) -> str:
    if metric == "throughput":
        return "Throughput (above 1: more)"
    return f"{metric} of the response time (below 1: shorter)"


def _row_name(c: Comparison, varying: Iterable[str]) -> str:
    """The work, and the server's settings where they are not the plain ones."""
    return setting_text(c, varying).replace(" (", "\n(").replace(", ", "\n")


def _panel(
    axes: Axes,
    placed: Sequence[tuple[Comparison, int]],
    rows: Sequence[str],
    columns: Sequence[int],
) -> None:
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_facecolor("none")
    axes.set_xticks(range(len(columns)), [count_text(n) for n in columns])
    axes.set_yticks(range(len(rows)), rows)
    kinds = {kind_of(c.work) for c, _ in placed}
    axes.set_ylabel("delay" if kinds <= {"delay"} else "wait (work)", color=INK)
    axes.tick_params(length=0, colors=INK, labelsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for c, row in placed:
        _square(axes, c, columns.index(c.connections), row)


def _square(axes: Axes, c: Comparison, x: int, y: int) -> None:
    colour = _colour(c)
    box = Rectangle(
        (x - 0.48, y - 0.46),
        0.96,
        0.92,
        facecolor=colour,
        edgecolor=MUTED,
        linewidth=0.6,
        hatch=HATCHES.get(c.verdict),
    )
    box.set_hatch_linewidth(0.4)
    axes.add_patch(box)
    plate = {"facecolor": colour, "edgecolor": "none", "pad": 1.2} if box.get_hatch() else None
    ink = LIGHT if is_dark(colour) else DARK
    axes.text(
        x, y, _words(c), ha="center", va="center", fontsize=8.5, color=ink, bbox=plate,
        linespacing=1.25,
    )  # fmt: skip


def _colour(c: Comparison) -> str:
    if c.verdict == "invalid":
        return INVALID
    if c.ratio is None or c.on_map is False:
        return NEITHER
    doublings = math.log2(c.ratio) * (1 if c.metric == "throughput" else -1)
    return shade(doublings / _MOST_DOUBLINGS)


def shade(strength: float) -> str:
    """The colour between the two ends, -1 and 1; further out is not stronger."""
    share = float(Normalize(-1, 1, clip=True)(strength))
    red, green, blue, _ = (round(255 * part) for part in COLOURS(share))
    return f"#{red:02x}{green:02x}{blue:02x}"


def is_dark(colour: str) -> bool:
    """Whether white text reads better on it (relative luminance by Rec. 709)."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5


def _words(c: Comparison) -> str:
    if c.verdict == "invalid":
        return "invalid"
    if c.ratio is None:
        return "undecided\n(both at least)"
    least = ">= " if c.at_least and c.high is None else "<= " if c.at_least else ""
    interval = interval_text(c.low, c.high) if c.rounds > 1 else "one round"
    return f"{least}{factor_text(c.ratio)}\n{interval}\n{c.label}"
