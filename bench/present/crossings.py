"""Crossovers in words, as a table, and as a figure: the connections at which one overtakes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analyse.crossings import Crossing
from bench.analyse.crossover import Crossover
from bench.present.charts import Drawing
from bench.present.settings import settings_text, varied
from bench.present.style import A_BETTER, B_BETTER, INK, MUTED, name_ticks, new_figure, title
from bench.present.units import count_text, factor_text, number_text, work_text
from bench.present.words import Section

TABLE = (
    ("pair", False),
    ("connection", False),
    ("work", False),
    ("crosses 1 / (1 + margin)", True),
    ("crosses 1", True),
    ("crosses 1 + margin", True),
)

# A figure shows no more lines than this; the table has them all.
MOST_LINES = 40


def crossings_section(crossings: Sequence[Crossing]) -> Section:
    """Where one side begins to win for certain; the table has the other lines."""
    varying = varied(dict(each.point) for each in crossings)
    told = [each for each in crossings if _is_certain(each)]
    return Section("Where one begins to win", [_sentence(each, varying) for each in told])


def rows(crossings: Sequence[Crossing]) -> list[tuple[str, ...]]:
    """Each line, with the connections at which it crosses each level, or why there are none."""
    varying = varied(dict(each.point) for each in crossings)
    return [
        (
            f"{each.a} / {each.b}",
            each.point["connection"],
            _where(each, varying),
            *(_cell(each, level) for level in _levels(each)),
        )
        for each in crossings
    ]


def drawings(crossings: Sequence[Crossing]) -> list[Drawing]:
    """A figure for each pair and mode of which some line crosses 1."""
    pairs = dict.fromkeys((each.a, each.b, each.point["connection"]) for each in crossings)
    found = []
    for a, b, connection in pairs:
        mine = [c for c in crossings if (c.a, c.b, c.point["connection"]) == (a, b, connection)]
        if any(_is_certain(c) for c in mine):
            alt = f"The connections at which {a} and {b} cross, by work ({connection})."
            if len(mine) > MOST_LINES:
                alt += f" {MOST_LINES} of {len(mine)} lines, first those that cross."
                mine = sorted(mine, key=lambda c: not _is_certain(c))[:MOST_LINES]
            name = f"crossovers-{a}-{b}-{connection}"
            found.append(Drawing(name, alt, partial(_figure, mine)))
    return found


def _is_certain(crossing: Crossing) -> bool:
    return crossing.found.at is not None and crossing.found.certain


def level_text(found: Crossover, most: int) -> str:
    """10 [6, 19]; or that there is none up to the most connections."""
    if found.at is None:
        return f"none{' seen' if found.possible else ''} up to {count_text(most)} ({found.side})"
    if found.low is None and found.high is None:
        return f"not certain (about {_count(found.at)})"
    return f"{_count(found.at)} {_interval(found)}"


def _levels(crossing: Crossing) -> list[Crossover | None]:
    ratios = sorted(crossing.margins)
    below, above = (crossing.margins[ratio] for ratio in ratios) if ratios else (None, None)
    return [below, crossing.found, above]


def _cell(crossing: Crossing, level: Crossover | None) -> str:
    return "-" if level is None else level_text(level, crossing.connections[-1])


def _count(connections: float | None) -> str:
    """Few connections to one decimal; `?` for an end that is not known."""
    if connections is None:
        return "?"
    return count_text(connections) if connections >= 9.95 else number_text(connections, 2)


def _interval(found: Crossover) -> str:
    return f"[{_count(found.low)}, {_count(found.high)}]"


def _where(crossing: Crossing, varying: set[str]) -> str:
    point = crossing.point
    settings = settings_text(dict(point), varying)
    return ", ".join([work_text(point["work"], point["delay_s"]), *settings])


def _sentence(crossing: Crossing, varying: set[str]) -> str:
    found = crossing.found
    ahead, behind = (crossing.a, crossing.b) if found.rising else (crossing.b, crossing.a)
    mode = ", one request a connection" if crossing.point["connection"] == "close" else ""
    margins = _margins(crossing)
    return (
        f"At {_where(crossing, varying)}{mode}: {ahead} overtakes {behind} at about"
        f" {_count(found.at)} connections {_interval(found)}{margins}."
    )


def _margins(crossing: Crossing) -> str:
    """From where on the one that overtakes is ahead by more than the margin."""
    ratios = sorted(crossing.margins)
    if not ratios:
        return ""
    ratio = ratios[-1] if crossing.found.rising else ratios[0]
    level = crossing.margins[ratio]
    most = count_text(crossing.connections[-1])
    by = factor_text(max(ratio, 1 / ratio))
    if level.at is None:
        return f", but not by {by}x up to {most}"
    return f", by {by}x at about {_count(level.at)} {_interval(level)}"


def _figure(crossings: Sequence[Crossing]) -> Figure:
    """A line per work: where the ratio crosses 1, and around it where it crosses the margins."""
    first = crossings[0]
    varying = varied(dict(each.point) for each in crossings)
    figure = new_figure(7.5, 1.8 + 0.45 * len(crossings))
    axes = figure.subplots()
    counts = sorted({count for each in crossings for count in each.connections})
    axes.set_xscale("log")
    axes.set_xlim(counts[0] / 1.2, counts[-1] * 1.2)
    axes.set_ylim(len(crossings) - 0.4, -0.6)
    for row, each in enumerate(crossings):
        _draw_line(axes, row, each)
    axes.set_yticks(range(len(crossings)), [_where(each, varying) for each in crossings])
    axes.tick_params(colors=INK, labelsize=9)
    shown = [c for c in counts if not any(c < d < 1.3 * c for d in counts)]
    name_ticks(axes, shown, [count_text(count) for count in shown])
    axes.set_xlabel("connections", color=INK)
    for name in ("top", "right", "left"):
        axes.spines[name].set_visible(False)
    title(
        figure,
        f"Where {first.a} and {first.b} cross (connection: {first.point['connection']})",
        f"blue: {first.a} ahead, orange: {first.b} ahead\n"
        "dot and line: crossover with its interval; ticks: the margins",
    )
    return figure


def _draw_line(axes: Axes, row: int, crossing: Crossing) -> None:
    found, (first, last) = crossing.found, (crossing.connections[0], crossing.connections[-1])
    axes.plot([first, last], [row, row], color=MUTED, linewidth=0.6, zorder=1)
    if found.at is None or not found.certain:
        _say(axes, math.sqrt(first * last), row, _why_none(crossing))
        return
    low, high = found.low or first, found.high or last
    before, after = (B_BETTER, A_BETTER) if found.rising else (A_BETTER, B_BETTER)
    axes.plot([first, low], [row, row], color=before, linewidth=4, alpha=0.55)
    axes.plot([high, last], [row, row], color=after, linewidth=4, alpha=0.55)
    axes.plot([low, high], [row, row], color=INK, linewidth=1.2)
    axes.plot([found.at], [row], color=INK, marker="o", markersize=6)
    margins = [level.at for level in crossing.margins.values() if level.at is not None]
    axes.plot(margins, [row] * len(margins), color=INK, marker="|", linestyle="none")
    _say(axes, found.at, row, f"{_count(found.at)} {_interval(found)}")


def _why_none(crossing: Crossing) -> str:
    """Why a line has no crossover: not certain, not seen, or one is surely ahead throughout."""
    found, most = crossing.found, count_text(crossing.connections[-1])
    if found.at is not None:
        return "not certain"
    if found.possible:
        return f"none seen up to {most}"
    return f"none up to {most}: {crossing.a if found.side == 'above' else crossing.b} ahead"


def _say(axes: Axes, x: float, row: int, text: str) -> None:
    axes.annotate(
        text, (x, row), (0, 5), textcoords="offset points", ha="center", va="bottom",
        fontsize=8.5, color=INK,
    )  # fmt: skip
