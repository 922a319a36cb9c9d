"""Decompositions: a waterfall of the steps from one target to another, their table and words.

It shows what `ladder` found. Where rounds do not decide, or too few of them have every rung, it
says so and draws no step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bench.analyse.ladder import Decomposition, Step
from bench.analyse.works import kind_of
from bench.present.charts import Drawing
from bench.present.panels import MOST_COLUMNS, connections_name, spread
from bench.present.settings import settings_text, varied
from bench.present.style import A_BETTER, B_BETTER, INK, MUTED, dress, new_figure, title
from bench.present.units import (
    NOTHING,
    count_text,
    factor_text,
    interval_text,
    list_text,
    tick_text,
    work_text,
)
from bench.present.words import Section

TABLE = (
    ("connection", False),
    ("work", False),
    ("connections", True),
    ("step", False),
    ("from", False),
    ("to", False),
    ("ratio", True),
    ("interval", True),
    ("share", True),
    ("says", False),
)
# From the closest to the widest: the first one that reaches as far as the bars is taken.
_TICKS = (
    (0.85, 0.9, 0.95, 1, 1.05, 1.1, 1.15),
    (0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5),
    (0.3, 0.5, 0.7, 1, 1.5, 2, 3),
    (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20),
    (1e-5, 1e-4, 0.001, 0.01, 0.1, 1, 10, 100, 1000, 1e4, 1e5),
)


def drawings(ladders: Sequence[Decomposition]) -> Iterator[Drawing]:
    """A figure for each ladder, connection mode and kind of work that has a valid point."""
    groups = _groups(found for found in ladders if found.is_valid)
    for (rungs, connection, kind), group in groups.items():
        between = f" over {list_text(rungs[1:-1])}" if rungs[1:-1] else ""
        yield Drawing(
            f"ladder-{rungs[0]}-{rungs[-1]}-{connection}-{kind}",
            f"Throughput of {rungs[-1]} / {rungs[0]} (connection: {connection}, work: {kind}),"
            f" split into the steps{between}; the table has the same numbers.",
            partial(waterfall, group),
        )


def waterfall(ladders: Sequence[Decomposition]) -> Figure:
    """The points of one ladder in one mode: a row of panels per work, a column per connections.

    Each bar starts where the one above it ended; the last one goes from 1 to the whole ratio.
    """
    rungs = ladders[0].rungs
    varying = varied(found.point for found in ladders)
    works = list(dict.fromkeys(_work(found, varying) for found in ladders))
    counts = spread(sorted({found.point["connections"] for found in ladders}), MOST_COLUMNS)
    steps = [*ladders[0].steps, ladders[0].total]
    size = max(3.4 + 3.3 * len(counts), 7.5), 1.3 + len(works) * (0.5 + 0.44 * len(steps))
    figure = new_figure(*size)
    grid = figure.subplots(len(works), len(counts), squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat:
        dress(axes)
        axes.set_title("not measured", loc="left", color=MUTED)
    for found in ladders:
        if found.point["connections"] in counts:
            work, count = _work(found, varying), found.point["connections"]
            axes = grid[works.index(work)][counts.index(count)]
            _panel(axes, found)
            name = f"{work}, {connections_name(count)}".replace("), ", ")\n")
            axes.set_title(name, loc="left", color=INK)
    first = grid[0][0]
    first.set_yticks(range(len(steps)), [_step_name(step) for step in steps])
    first.set_ylim(len(steps) - 0.4, -0.6)
    for axes in grid[-1]:
        axes.set_xlabel("throughput, times the first rung", color=INK)
    first.set_xlim(*_reach(ladders))
    _log_x(first)
    title(
        figure,
        f"From {rungs[0]} to {rungs[-1]}, step by step ({_where(ladders[0])})",
        "blue: faster, orange: slower, pale: not decided or equal; bars multiply to the total",
    )
    return figure


def rows(ladders: Sequence[Decomposition]) -> list[list[str]]:
    """The table of all points: each step, the sums of steps with one name, and the total."""
    varying = varied(found.point for found in ladders)
    return [
        [
            found.point["connection"],
            _work(found, varying),
            count_text(found.point["connections"]),
            name,
            step.first,
            step.second,
            factor_text(step.finding.ratio),
            interval_text(step.finding.low, step.finding.high),
            _share_text(step.share),
            _says(step),
        ]
        for found in ladders
        for name, step in _named(found)
    ]


def words(ladders: Sequence[Decomposition]) -> Section:
    """For each ladder and mode the point with the largest difference, and what is not decided."""
    groups = _groups(ladders)
    sentences = [sentence for group in groups.values() for sentence in _sentences(group)]
    return Section("Where the difference comes from", sentences)


def _groups(ladders: Iterable[Decomposition]) -> dict[tuple[Any, ...], list[Decomposition]]:
    """The points of a ladder by its rungs, connection mode and kind of work, delays first."""
    groups: dict[tuple[Any, ...], list[Decomposition]] = {}
    for found in ladders:
        point = found.point
        key = found.rungs, point["connection"], kind_of(point["work"])
        groups.setdefault(key, []).append(found)
    in_order = sorted(groups, key=lambda key: (key[0], key[1] == "close", key[2] != "delay"))
    return {key: groups[key] for key in in_order}


def _sentences(ladders: Sequence[Decomposition]) -> Iterator[str]:
    first = ladders[0]
    name = f"{first.rungs[0]} to {first.rungs[-1]} ({_where(first)})"
    decided = [found for found in ladders if found.total.finding.verdict in ("A", "B")]
    varying = varied(found.point for found in ladders)
    if decided:
        most = max(decided, key=lambda found: abs(math.log(found.total.finding.ratio or 1)))
        split = [f"{step.name} {_factor(step)}{_share(step)}" for step in most.parts or most.steps]
        yield (
            f"{name}: the difference is largest at {_work(most, varying)} and"
            f" {connections_name(most.point['connections'])}, throughput {_factor(most.total)}."
            f" Of that: {list_text(split)}."
        )
    rest = [found for found in ladders if found not in decided]
    if rest:
        kinds = [found.total.finding.verdict for found in rest]
        counted = [f"{kind} at {kinds.count(kind)}" for kind in dict.fromkeys(kinds)]
        yield f"{name}: of {len(ladders)} points the whole difference is {list_text(counted)}."


def _where(found: Decomposition) -> str:
    kind = kind_of(found.point["work"])
    work = "" if kind == "delay" else f", work: {kind}"
    return f"connection: {found.point['connection']}{work}"


def _factor(step: Step) -> str:
    interval = interval_text(step.finding.low, step.finding.high)
    return f"{factor_text(step.finding.ratio)}x {interval}"


def _share(step: Step) -> str:
    return f" ({_share_text(step.share)})" if step.share is not None else ""


def _share_text(share: float | None) -> str:
    return NOTHING if share is None else f"{round(100 * share)}%"


def _named(found: Decomposition) -> Iterator[tuple[str, Step]]:
    yield from ((step.name, step) for step in found.steps)
    yield from ((f"all {step.name}", step) for step in found.parts if _is_sum(found, step))
    yield "total", found.total


def _is_sum(found: Decomposition, part: Step) -> bool:
    return sum(step.name == part.name for step in found.steps) > 1


def _says(step: Step) -> str:
    finding = step.finding
    known = {"A": "faster", "B": "slower"}.get(finding.verdict, finding.verdict)
    return f"{known}: {finding.reason}" if finding.reason else known


def _work(found: Decomposition, varying: set[str]) -> str:
    work = work_text(found.point["work"], found.point["delay_s"])
    return ", ".join([work, *settings_text(found.point, varying)])


def _step_name(step: Step) -> str:
    return step.name if step.name == "total" else f"{step.name}\n{step.first} to {step.second}"


def _panel(axes: Axes, found: Decomposition) -> None:
    start = 1.0
    for place, step in enumerate((*found.steps, found.total)):
        start = 1.0 if step is found.total else start
        end = start * (step.finding.ratio or 1)
        _bar(axes, place, start, step)
        if step is not found.total:
            axes.plot([end, end], [place, place + 1], color=MUTED, linewidth=0.7, zorder=1)
        start = end
    axes.axvline(1, color=MUTED, linewidth=0.8, zorder=1)


def _bar(axes: Axes, place: int, start: float, step: Step) -> None:
    finding = step.finding
    end = start * (finding.ratio or 1)
    decided = finding.verdict in ("A", "B")
    color = A_BETTER if end > start else B_BETTER
    axes.barh(
        place, end - start, left=start, height=0.6, facecolor=color, alpha=0.85 if decided else 0.3,
        edgecolor=INK if step.name == "total" else "none", linewidth=1,
    )  # fmt: skip
    if finding.low and finding.high:
        axes.plot([start * finding.low, start * finding.high], [place, place], color=INK, lw=1.2)
    numbers = f"{factor_text(finding.ratio)} {interval_text(finding.low, finding.high)}"
    axes.annotate(
        numbers if finding.rounds > 1 else f"{factor_text(finding.ratio)}, one round",
        (1.0, place), (4, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
        va="center", fontsize=8, color=INK, fontweight="bold" if step.name == "total" else "normal",
    )  # fmt: skip


def _reach(ladders: Sequence[Decomposition]) -> tuple[float, float]:
    """The least and the most that any bar comes to, with some room: never closer than a tenth."""
    ends = [1 / 1.1, 1.1]
    for found in ladders:
        place = 1.0
        for step in found.steps:
            place *= step.finding.ratio or 1
            ends.append(place)
    return min(ends) ** 1.1, max(ends) ** 1.1


def _log_x(axes: Axes) -> None:
    """A log axis with a few round numbers, however short it is."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    reaching = (ticks for ticks in _TICKS if ticks[0] <= low and high <= ticks[-1])
    shown = next(reaching, _TICKS[-1])
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in shown if low <= tick <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: tick_text(x)))
