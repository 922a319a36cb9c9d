"""The mistake: what a library call that blocks does to each target, as figure, table and words.

The same time is asked for as `block` and as `delay`. It shows what `mistake` found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.analyse.mistake import Loss
from bench.present.charts import Drawing
from bench.present.panels import MOST_COLUMNS, connections_name, spread
from bench.present.settings import settings_text, varied
from bench.present.style import INK, MUTED, PAPER, Style, dress, new_figure, title
from bench.present.units import (
    count_text,
    delay_text,
    factor_text,
    interval_text,
    list_text,
    number_text,
    tick_text,
)
from bench.present.words import Section

TABLE = (
    ("target", False),
    ("connection", False),
    ("time", True),
    ("connections", True),
    ("delay, per second", True),
    ("block, per second", True),
    ("block / delay", True),
    ("interval", True),
    ("rounds", True),
    ("says", False),
)
Styles = Mapping[str, Style]


def drawings(losses: Sequence[Loss], styles: Styles) -> Iterator[Drawing]:
    """A figure for each time, connection mode and setting."""
    for name, group in _groups(losses).items():
        where = ", ".join(name)
        yield Drawing(
            f"block-{'-'.join(name)}",
            f"Throughput of each target with a delay and with a blocking call of the same time"
            f" ({where}), by connections; the table has the same numbers.",
            partial(figure, group, styles, where),
        )


def figure(losses: Sequence[Loss], styles: Styles, where: str) -> Figure:
    """A panel per number of connections, a row per target: from its delay to its block."""
    targets = [target for target in styles if any(loss.target == target for loss in losses)]
    counts = spread(sorted({loss.point["connections"] for loss in losses}), MOST_COLUMNS)
    drawn = new_figure(max(2.2 + 3.1 * len(counts), 7), 1.6 + 0.3 * len(targets))
    grid = drawn.subplots(1, len(counts), squeeze=False, sharex=True, sharey=True)[0]
    for axes, count in zip(grid, counts, strict=True):
        dress(axes)
        axes.set_title(connections_name(count), loc="left")
        axes.set_xlabel("correct completions per second", color=INK)
        for loss in losses:
            if loss.point["connections"] == count:
                _line(axes, targets.index(loss.target), loss, styles[loss.target])
    grid[0].set_xscale("log")
    grid[0].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    grid[0].xaxis.set_minor_locator(NullLocator())
    grid[0].xaxis.set_major_formatter(FuncFormatter(lambda x, _: tick_text(x)))
    grid[0].set_yticks(range(len(targets)), targets)
    grid[0].set_ylim(len(targets) - 0.4, -0.6)
    title(drawn, f"Delay or blocking call ({where})", "at the right: block / delay")
    look: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": MUTED, "markersize": 7}
    keys = [
        Line2D([], [], **look, label="delay: waiting on a timer"),
        Line2D([], [], **look, markerfacecolor=PAPER, label="block: a library call that blocks"),
    ]
    drawn.legend(
        handles=keys, loc="outside lower left", ncols=2, frameon=False, fontsize=9, labelcolor=INK
    )
    return drawn


def rows(losses: Sequence[Loss]) -> list[list[str]]:
    """The table of all points."""
    return [
        [
            loss.target,
            loss.point["connection"],
            delay_text(loss.point["delay_s"]),
            count_text(loss.point["connections"]),
            number_text(loss.delay_rps),
            number_text(loss.block_rps),
            factor_text(loss.finding.ratio),
            interval_text(loss.finding.low, loss.finding.high),
            str(loss.finding.rounds),
            _says(loss),
        ]
        for loss in losses
    ]


def words(losses: Sequence[Loss]) -> Section:
    """At the most connections of each figure: who loses how much, who nothing, who is not known."""
    sentences = []
    for name, group in _groups(losses).items():
        most = max(loss.point["connections"] for loss in group)
        at_most = [loss for loss in group if loss.point["connections"] == most]
        where = f"At {', '.join(name)}, {connections_name(most)}"
        sentences.append(f"{where}: {'; '.join(_outcomes(at_most))}.")
    title = "The mistake: a call that blocks, where a wait that lets others run was possible"
    return Section(title, sentences)


def _outcomes(losses: Sequence[Loss]) -> Iterator[str]:
    lost = sorted(
        (x for x in losses if x.finding.verdict == "B"), key=lambda x: x.finding.ratio or 0
    )
    if lost:
        ends = lost if len(lost) < 3 else [lost[0], lost[-1]]
        factors = list_text([f"{_factor(loss)} ({loss.target})" for loss in ends])
        rest = list_text([loss.target for loss in lost[1:-1]])
        yield f"block / delay is {factors}" + (f", in between for {rest}" if len(lost) > 2 else "")
    for verdict, word in (
        ("equal", "no loss, equal"),
        ("A", "more throughput with block"),
        ("undecided", "undecided"),
        ("invalid", "invalid"),
    ):
        names = [loss.target for loss in losses if loss.finding.verdict == verdict]
        if names:
            yield f"{word}: {list_text(names)}"


def _factor(loss: Loss) -> str:
    return (
        f"{factor_text(loss.finding.ratio)}x {interval_text(loss.finding.low, loss.finding.high)}"
    )


def _says(loss: Loss) -> str:
    finding = loss.finding
    known = {"A": "block is faster", "B": "block is slower"}.get(finding.verdict, finding.verdict)
    return f"{known}: {finding.reason}" if finding.reason else known


def _groups(losses: Sequence[Loss]) -> dict[tuple[str, ...], list[Loss]]:
    """Losses by time, connection mode and settings, as words."""
    varying = varied(loss.point for loss in losses)
    groups: dict[tuple[str, ...], list[Loss]] = {}
    for loss in losses:
        about = delay_text(loss.point["delay_s"]), f"connection: {loss.point['connection']}"
        groups.setdefault((*about, *settings_text(loss.point, varying)), []).append(loss)
    return groups


def _line(axes: Axes, place: int, loss: Loss, style: Style) -> None:
    if loss.block_rps and loss.delay_rps:
        marks: dict[str, Any] = {
            "marker": style.marker,
            "markersize": 6.5,
            "markeredgecolor": style.color,
        }
        axes.plot([loss.block_rps, loss.delay_rps], [place] * 2, color=style.color, lw=1.4)
        axes.plot(loss.delay_rps, place, markerfacecolor=style.color, **marks)
        axes.plot(loss.block_rps, place, markerfacecolor=PAPER, **marks)
    known = factor_text(loss.finding.ratio) if loss.block_rps else loss.finding.verdict
    axes.annotate(
        known, (1.0, place), (4, 0), xycoords=axes.get_yaxis_transform(),
        textcoords="offset points", va="center", fontsize=8.5, color=INK,
    )  # fmt: skip
