"""What a run says of the claims of the introduction: in words, as a table and as figures.

It words and draws what `bench.analyse.claimed` found; it must not judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analyse.claimed import Case, Claim
from bench.analyse.claims import MIXED, OUTCOMES, Contrast
from bench.analyse.works import asked_s
from bench.present.charts import Drawing
from bench.present.settings import settings_text
from bench.present.style import INK, MUTED, dress, log_y, name_ticks, new_figure, styles, title
from bench.present.units import (
    count_text,
    delay_text,
    factor_text,
    interval_text,
    list_text,
    work_text,
)
from bench.present.words import Section

TABLE = (
    ("claim", False),
    ("async / sync", False),
    ("setting", False),
    ("where", False),
    ("async / sync there", True),
    ("interval", True),
    ("rounds", True),
)
HEADING = "The claims of the introduction"
TEXT = (
    "Ratios are throughput of async / sync. A claim that async wins under a condition is confirmed"
    " where it is ahead where the condition holds most, and further ahead than where it holds"
    " least; refuted where one of the two is at most within the margin of equal. Both intervals"
    " hold together."
)


def sections(claims: Sequence[Claim]) -> list[Section]:
    """One for each claim: what it comes to on this machine, then case by case."""
    return [
        Section(f'"{c.statement}":', [_overall(c), *(_sentence(c, each) for each in c.cases)])
        for c in claims
    ]


def rows(claims: Sequence[Claim]) -> list[list[str]]:
    """The table: each case of each claim, value by value."""
    return [
        [
            claim.name,
            f"{case.first} / {case.second}",
            _setting(claim, case),
            value_text(claim, value),
            factor_text(each.ratio),
            interval_text(each.low, each.high),
            str(each.rounds),
        ]
        for claim in claims
        for case in claim.cases
        for value, each in case.along
    ]


def drawings(claims: Sequence[Claim]) -> Iterator[Drawing]:
    """A figure for each claim of which some case has two values or more."""
    for claim in claims:
        if any(len(case.along) > 1 for case in claim.cases):
            alt = f"{claim.statement}: throughput of async / sync against {claim.varies}."
            yield Drawing(f"claim-{claim.name}", alt, partial(_figure, claim))


def value_text(claim: Claim, value: float) -> str:
    """16 connections, 1 unit, 75% waiting."""
    if claim.varies == "share of waiting":
        return f"{100 * value:.0f}% waiting"
    noun = claim.varies if value != 1 else claim.varies.removesuffix("s")
    return f"{count_text(value)} {noun}"


def _overall(claim: Claim) -> str:
    """One outcome, or how many cases have which against whom."""
    if claim.outcome != MIXED:
        return f"{claim.outcome.capitalize()} on this machine."
    parts = []
    for against in dict.fromkeys(case.second for case in claim.cases):
        mine = [case.outcome for case in claim.cases if case.second == against]
        counts = [f"{o} in {mine.count(o)} of {len(mine)}" for o in OUTCOMES if o in mine]
        told = list_text(counts) if len(counts) > 1 else mine[0]
        parts.append(f"against {against} {told}")
    return f"On this machine {'; '.join(parts)}."


def _sentence(claim: Claim, case: Case) -> str:
    which = f"{case.first} against {case.second}, {_setting(claim, case)}: {case.outcome}"
    if claim.name == "nothing to wait for":
        (largest,) = case.contrasts
        each = list_text([f"{_figure_text(c)} at {count_text(value)}" for value, c in case.along])
        ends = interval_text(largest.low, largest.high)
        return f"{which}; {each} connections, the largest within {ends}."
    last = value_text(claim, case.along[-1][0]) if case.along else "the most"
    first = value_text(claim, case.along[0][0]) if case.along else "the least"
    says = {
        "async / sync": f"{{}} with {last}",
        "async / sync at the most": f"{{}} with {last}",
        "that against the least": f"{{}} times as much as with {first}",
    }
    told = [says[each.name].format(_figure_text(each)) for each in case.contrasts]
    return f"{which}; {', '.join(told)}."


def _figure_text(contrast: Contrast) -> str:
    return f"{factor_text(contrast.ratio)} {interval_text(contrast.low, contrast.high)}"


def _setting(claim: Claim, case: Case) -> str:
    """What a case has in common: connection mode, work, connections, settings."""
    point = dict(case.point)
    varied = {"units": None} if claim.varies == "units" else {}
    settings = settings_text(point | varied)
    work = work_text(point["work"], point["delay_s"])
    if claim.varies == "share of waiting":
        work = f"{delay_text(_total_s(case))} in all"
    counts = (
        [] if claim.varies == "connections" else [f"{count_text(point['connections'])} connections"]
    )
    nothing = [] if point["work"] == "/" else [work]
    return ", ".join([point["connection"], *nothing, *counts, *settings])


def _total_s(case: Case) -> float:
    return sum(asked_s(case.point["work"]).values())


def _figure(claim: Claim) -> Figure:
    """A panel per sync target and connection mode, a line per case: the ratio by what varies."""
    panels = dict.fromkeys((case.second, case.point["connection"]) for case in claim.cases)
    figure = new_figure(max(1 + 4.6 * len(panels), 6.5), 4.4)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (second, connection) in zip(grid, panels, strict=True):
        mine = [c for c in claim.cases if (c.second, c.point["connection"]) == (second, connection)]
        _panel(axes, claim, mine)
        axes.set_title(f"against {second}, {connection}", loc="left")
        axes.set_xlabel(claim.varies, color=INK)
    grid[0].set_ylabel("throughput, async / sync", color=INK)
    title(figure, claim.statement, "bars: each point's own interval")
    return figure


def _panel(axes: Axes, claim: Claim, cases: Sequence[Case]) -> None:
    dress(axes)
    axes.axhline(1, color=MUTED, linewidth=1)
    values = sorted({value for case in cases for value, _ in case.along})
    looks = styles([str(number) for number in range(len(cases))]).values()
    for case, look in zip(cases, looks, strict=True):
        places = [values.index(value) for value, _ in case.along]
        y = [each.ratio for _, each in case.along]
        low = [each.ratio - (each.low or each.ratio) for _, each in case.along]
        high = [(each.high or each.ratio) - each.ratio for _, each in case.along]
        setting = _setting(claim, case).removeprefix(f"{case.point['connection']}, ")
        label = f"{case.first}, {setting}: {case.outcome}"
        axes.errorbar(places, y, yerr=[low, high], capsize=2, label=label, **look.line())
    name_ticks(axes, range(len(values)), [value_text(claim, v).split(" ")[0] for v in values])
    log_y([axes])
    axes.legend(fontsize=7.5, frameon=False, labelcolor=INK)
