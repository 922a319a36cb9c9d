"""Delivered delay: how much later than asked each target's waits ended, idle and under load.

Oversleep is delivered - asked, in microseconds; below 0 a wait ended too early, which no server may
do. Knows the lines of waits.jsonl; it judges nothing but who is first and last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bench.present.charts import Drawing
from bench.present.panels import connections_name
from bench.present.style import INK, MUTED, PAPER, Style, dress, new_figure, title
from bench.present.units import count_text, delay_text, list_text, number_text
from bench.present.words import Section

Wait = Mapping[str, Any]
Styles = Mapping[str, Style]
LOADS = ("idle", "loaded")
SHARES = ("min", "p1", "p10", "p50", "p90", "p99", "max")
TABLE = (
    ("target", False),
    ("asked", True),
    ("load", False),
    ("connections", True),
    ("waits", True),
    *((f"{name}, us", True) for name in SHARES),
)
_LINEAR_US = 10.0
_EARLY = "#d55e00"


def drawings(waits: Sequence[Wait], styles: Styles) -> Iterator[Drawing]:
    """A figure for each wait that was asked for."""
    measured = [wait for wait in waits if wait.get("oversleep_us")]
    for asked_s in dict.fromkeys(wait["asked_s"] for wait in measured):
        mine = [wait for wait in measured if wait["asked_s"] == asked_s]
        asked = delay_text(asked_s)
        yield Drawing(
            f"waits-{asked}",
            f"How much longer than {asked} the waits of each target took, idle and loaded: least,"
            " most and percentiles; the table has the same numbers.",
            partial(figure, mine, styles, asked),
        )


def figure(waits: Sequence[Wait], styles: Styles, asked: str) -> Figure:
    """A panel per load, a row per target: from the least to the most oversleep."""
    targets = [target for target in styles if any(wait["target"] == target for wait in waits)]
    loads = [load for load in LOADS if any(wait["load"] == load for wait in waits)]
    drawn = new_figure(1.8 + 4.6 * len(loads), 1.7 + 0.34 * len(targets))
    grid = drawn.subplots(1, len(loads), squeeze=False, sharex=True, sharey=True)[0]
    for axes, load in zip(grid, loads, strict=True):
        mine = [wait for wait in waits if wait["load"] == load]
        dress(axes)
        counts = sorted({wait["connections"] for wait in mine})
        axes.set_title(f"{load}: {list_text([connections_name(n) for n in counts])}", loc="left")
        axes.set_xlabel("oversleep (delivered - asked)", color=INK)
        for wait in mine:
            _row(axes, targets.index(wait["target"]), wait["oversleep_us"], styles[wait["target"]])
    _axis(grid, [wait["oversleep_us"] for wait in waits])
    grid[0].set_yticks(range(len(targets)), targets)
    grid[0].set_ylim(len(targets) - 0.4, -0.6)
    title(drawn, f"Is a wait of {asked} delivered as asked?", "log scale, linear within 10 us of 0")
    drawn.legend(
        handles=list(_keys()), loc="outside lower left", ncols=5, frameon=False, fontsize=9,
        labelcolor=INK,
    )  # fmt: skip
    return drawn


def rows(waits: Sequence[Wait]) -> list[list[str]]:
    """The table, a row per target and load."""
    return [
        [
            wait["target"],
            delay_text(wait["asked_s"]),
            wait["load"],
            count_text(wait["connections"]),
            count_text(wait["samples"]),
            *(number_text((wait.get("oversleep_us") or {}).get(name)) for name in SHARES),
        ]
        for wait in waits
    ]


def words(waits: Sequence[Wait]) -> Section:
    """For each load who is the latest, by p99; then who ever woke too early."""
    measured = [wait for wait in waits if wait.get("oversleep_us")]
    groups: dict[tuple[float, str], list[Wait]] = {}
    for wait in measured:
        groups.setdefault((wait["asked_s"], wait["load"]), []).append(wait)
    sentences = [_latest(asked_s, load, group) for (asked_s, load), group in groups.items()]
    return Section("Is the wait delivered as asked?", [*sentences, *_early(measured)])


def _latest(asked_s: float, load: str, waits: Sequence[Wait]) -> str:
    middles = [wait["oversleep_us"]["p50"] for wait in waits]
    worst = max(waits, key=lambda wait: wait["oversleep_us"]["p99"])
    late = worst["oversleep_us"]
    return (
        f"A wait of {delay_text(asked_s)}, {load}: medians are {number_text(min(middles))} to"
        f" {number_text(max(middles))} us late; the worst is {worst['target']},"
        f" p50 {number_text(late['p50'])} us, p99 {number_text(late['p99'])} us,"
        f" most {number_text(late['max'])} us late over {count_text(worst['samples'])} waits."
    )


def _early(waits: Sequence[Wait]) -> Iterator[str]:
    if not waits:
        return
    early: dict[str, float] = {}
    for wait in waits:
        least = wait["oversleep_us"]["min"]
        if least < 0:
            early[wait["target"]] = min(early.get(wait["target"], 0.0), least)
    if early:
        told = [f"{target} by up to {number_text(-least)} us" for target, least in early.items()]
        yield f"Woke too early: {list_text(told)}."
    else:
        yield "No wait ended before its time."


_WIDTHS = (("min", "max", 1.0), ("p1", "p99", 3.0), ("p10", "p90", 7.0))


def _row(axes: Axes, place: int, oversleep: Mapping[str, float], style: Style) -> None:
    for low, high, width in _WIDTHS:
        axes.plot(
            [oversleep[low], oversleep[high]], [place, place], color=style.color, linewidth=width,
            solid_capstyle="butt", alpha=1 if width < 7 else 0.55, zorder=2,
        )  # fmt: skip
    ends = [oversleep["min"], oversleep["max"]]
    axes.plot(ends, [place] * 2, "|", color=style.color, markersize=8, zorder=2)
    axes.plot(
        oversleep["p50"], place, style.marker, markerfacecolor=PAPER, markeredgecolor=style.color,
        markersize=6, zorder=3,
    )  # fmt: skip
    if oversleep["min"] < 0:
        axes.plot(oversleep["min"], place, "<", color=_EARLY, markersize=8, zorder=4)


def _axis(grid: Sequence[Axes], oversleeps: Sequence[Mapping[str, float]]) -> None:
    """A log axis on both sides of 0, with what is too early apart from what is late."""
    least = min(0.0, *(oversleep["min"] for oversleep in oversleeps)) * 1.6
    most = max(_LINEAR_US, *(oversleep["max"] for oversleep in oversleeps)) * 1.6
    first = grid[0]
    first.set_xscale("symlog", linthresh=_LINEAR_US, linscale=0.5)
    first.set_xlim(min(least, -_LINEAR_US / 4), most)
    powers = [10.0**power for power in range(1, 8)]
    ticks = [*(-power for power in powers[::-1]), 0.0, *powers]
    low, high = first.get_xlim()
    first.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    first.xaxis.set_minor_locator(NullLocator())
    first.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _time_text(x)))
    for axes in grid:
        axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
        axes.axvspan(low, 0, color=_EARLY, alpha=0.08, zorder=0)


def _time_text(time_us: float) -> str:
    """-10 us, 0, 1 ms."""
    return f"{'-' if time_us < 0 else ''}{delay_text(abs(time_us) / 1e6)}" if time_us else "0"


def _keys() -> Iterator[Line2D]:
    names = ("least to most", "p1 to p99", "p10 to p90")
    for (_, _, width), name in zip(_WIDTHS, names, strict=True):
        alpha = 1 if width < 7 else 0.55
        yield Line2D([], [], color=MUTED, linewidth=width, alpha=alpha, label=name)
    look: dict[str, Any] = {"linestyle": "none", "markersize": 7}
    yield Line2D([], [], marker="o", color=MUTED, markerfacecolor=PAPER, label="median", **look)
    yield Line2D([], [], marker="<", color=_EARLY, label="woke too early", **look)
