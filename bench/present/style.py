"""How every figure looks: one fixed colour, marker and dash per target, sizes and ticks.

The only place with colours. Series differ in marker and dash as well, never in colour alone; the
colours are Okabe and Ito's, which stay apart for colour-blind readers, darkened where they would
be faint on paper. Knows nothing of runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from bench.present.units import tick_text

INK = "#1b1f24"
PAPER = "#ffffff"
RULE = "#d3d7db"
MUTED = "#767c83"

# The map: a is better towards one end, b towards the other, equal is in the middle.
A_BETTER = "#2166ac"
B_BETTER = "#b35806"
NEITHER = "#f7f7f7"
INVALID = "#c9cccf"

BLUE, SKY, GREEN, PURPLE = "#0072b2", "#3a9bd9", "#009e73", "#b0578d"
VERMILION, ORANGE, OCHRE, GREY = "#d55e00", "#c98500", "#8c7a00", "#6b7178"


@dataclass(frozen=True)
class Style:
    """How one target is drawn: line colour, marker, dash, and hollow markers for a copy."""

    color: str
    marker: str
    dash: Any = "-"
    hollow: bool = False

    def line(self) -> dict[str, Any]:
        """Keyword arguments for a line with markers."""
        face = PAPER if self.hollow else self.color
        return {
            "color": self.color,
            "marker": self.marker,
            "linestyle": self.dash,
            "markerfacecolor": face,
            "markeredgecolor": self.color,
            "markersize": 5.5,
            "linewidth": 1.6,
        }


_LONG, _DOTS, _MIXED = (0, (6, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5))
_COPY_DASHES = ((0, (2.5, 1.5)), (0, (1, 3)), (0, (8, 3)), (0, (4, 1, 1, 1, 1, 1)), (0, (3, 4)))
# Sync targets are warm and dashed, async ones cool and solid or mixed.
_KNOWN = {
    "blocking": Style(OCHRE, "X", _DOTS),
    "threaded": Style(VERMILION, "s", _LONG),
    "thread-pool": Style(ORANGE, "D", _LONG),
    "prefork": Style(ORANGE, "P", _DOTS),
    "selectors": Style(GREY, "h", "-"),
    "asyncio": Style(GREEN, "^", "-"),
    "asyncio-protocol": Style(GREEN, "<", _MIXED),
    "asyncio-threads": Style(PURPLE, "d", _LONG),
    "uvloop": Style(BLUE, "o", "-"),
    "uvloop-protocol": Style(BLUE, ">", _MIXED),
    "trio": Style(PURPLE, "v", _MIXED),
    "twisted": Style(SKY, "p", _MIXED),
    "gevent": Style(SKY, "*", "-"),
}
# Seven markers, four dashes, five colours: no two of the first 28 have the same shape.
_SPARE = [
    Style(color, marker, dash)
    for color, marker, dash, _ in zip(
        cycle((GREY, OCHRE, SKY, PURPLE, ORANGE)),
        cycle("8HdPp*<"),
        cycle((_DOTS, _MIXED, _LONG, "-")),
        range(28),
        strict=False,
    )
]


def styles(targets: Iterable[str], copy: int = 0) -> dict[str, Style]:
    """A style for each target; unknown ones get spare styles in their given order.

    A copy (`name#2`), the same model under another interpreter (`name@3.13`), and every target of
    another run (`copy` 1 and more), keeps the colour and marker of its name, with hollow markers
    and a dash of its own.
    """
    found: dict[str, Style] = {}
    variants: dict[str, list[str]] = {}
    base: dict[str, Style] = {}
    spare = cycle(_SPARE)
    for target in targets:
        name = re.split("[#@]", target)[0] or target
        if name not in base:
            base[name] = _KNOWN.get(name) or next(spare)
        known = variants.setdefault(name, [name])
        if target not in known:
            known.append(target)
        found[target] = _copied(base[name], copy + known.index(target))
    return found


def run_styles(runs: Iterable[str]) -> dict[str, Style]:
    """A style for each run where a panel has one target: no two of the first 8 share a shape."""
    return dict(zip(runs, cycle(_RUNS), strict=False))


_RUNS = [
    Style(BLUE, "o"),
    Style(VERMILION, "s", _LONG, hollow=True),
    Style(GREEN, "^", _MIXED),
    Style(PURPLE, "D", _DOTS, hollow=True),
    Style(OCHRE, "v"),
    Style(GREY, "P", _LONG),
    Style(SKY, "X", _MIXED),
    Style(ORANGE, "d", _DOTS),
]


def _copied(style: Style, number: int) -> Style:
    if number < 1:
        return style
    return replace(style, hollow=True, dash=_COPY_DASHES[(number - 1) % len(_COPY_DASHES)])


def new_figure(width: float, height: float) -> Figure:
    """A figure of that many inches, laid out without overlaps, free of global state."""
    layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.05, wspace=0.03)
    return Figure(figsize=(width, height), layout=layout, facecolor=PAPER)


def dress(axes: Axes) -> None:
    """Quiet axes: no box, a light grid behind the data."""
    axes.set_facecolor("none")
    axes.set_axisbelow(True)
    axes.grid(True, color=RULE, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=8.5, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)


def title(figure: Figure, headline: str, detail: str) -> None:
    """What is seen, and below it how to read it."""
    figure.suptitle(f"{headline}\n{detail}", fontsize=11, color=INK, x=0.01, ha="left")


def name_ticks(axes: Axes, positions: Sequence[float], names: Sequence[str]) -> None:
    """Name the measured values of x, and no others."""
    axes.xaxis.set_major_locator(FixedLocator(list(positions)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels(list(names))


def log_y(row: Sequence[Axes]) -> None:
    """A log axis for panels that share y, written as 2,000 rather than 2 x 10^3.

    To be called when they are drawn. Within two decades the steps between powers are named too.
    """
    first = row[0]
    drawn = [axes.dataLim for axes in row if axes.has_data()]
    if not drawn:
        return
    least, most = min(limits.y0 for limits in drawn), max(limits.y1 for limits in drawn)
    if least > 0 and most < least * 1.01:
        first.set_ylim(least / 2, most * 2)
    first.set_yscale("log")
    low, high = first.get_ylim()
    steps = [2, 5] if high / low > 10 else [1.5, 2, 3, 4, 5, 7]
    close = high / low < 100
    plain = FuncFormatter(lambda y, _: tick_text(y))
    first.yaxis.set_major_formatter(plain)
    first.yaxis.set_minor_locator(LogLocator(subs=steps) if close else NullLocator())
    first.yaxis.set_minor_formatter(plain if close else NullFormatter())
    for axes in row:
        axes.tick_params(axis="y", which="minor", labelsize=8.5, length=3, colors=INK)
        axes.grid(True, which="minor", axis="y", color=RULE, linewidth=0.6)


def from_zero(row: Sequence[Axes]) -> None:
    """A linear axis that starts at nothing, so that heights compare."""
    if any(axes.has_data() for axes in row):
        row[0].set_ylim(bottom=0)
        row[0].yaxis.set_major_formatter(FuncFormatter(lambda y, _: tick_text(y)))
