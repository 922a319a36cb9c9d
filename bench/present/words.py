"""The verdict of a run in plain sentences, for the terminal and the report alike.

The answer comes first, its limits last, and no ratio without its interval. It words comparisons
that were judged elsewhere; it must not judge, and it claims nothing beyond the points measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.analyse.verdicts import FALSE_DISCOVERIES, Comparison, declared_pairs
from bench.present.caveats import caveats
from bench.present.settings import settings_text, varied
from bench.present.units import (
    count_text,
    factor_text,
    interval_text,
    list_text,
    number_text,
    work_text,
)
from bench.store import Run


@dataclass(frozen=True)
class Section:
    """A heading and the sentences under it."""

    title: str
    sentences: list[str]


def verdict_words(
    run: Run,
    compared: Sequence[Comparison],
    summary: Mapping[str, Any],
    more: Sequence[Section] = (),
) -> list[Section]:
    """All that a run says: pair by pair, `more`, then how far it reaches."""
    families = {target["name"]: target.get("family", "") for target in run.info["targets"]}
    pairs = [_pair_section(pair, compared, families) for pair in declared_pairs(run)]
    sections = [*pairs, *more, _limits_section(run, compared, summary)]
    return [section for section in sections if section.sentences]


def as_text(sections: Sequence[Section]) -> str:
    """The sections as lines for a terminal."""
    blocks = ("\n".join([s.title, *(f"  {line}" for line in s.sentences)]) for s in sections)
    return "\n\n".join(blocks)


def setting_text(comparison: Comparison, varying: Iterable[str] = ()) -> str:
    """The work of a comparison, and the server's settings where those are not plain.

    `varying` are the settings that have several values in what is shown.
    """
    settings = settings_text(asdict(comparison), varying)
    return ", ".join([work_text(comparison.work, comparison.delay_s), *settings])


def varying_settings(compared: Iterable[Comparison]) -> set[str]:
    """The settings with more than one value among these comparisons."""
    return varied(asdict(comparison) for comparison in compared)


def _pair_section(
    pair: tuple[str, str, str], compared: Sequence[Comparison], families: Mapping[str, str]
) -> Section:
    a, b, connection = pair
    mine = [c for c in compared if c.pair == pair]
    kinds = [families.get(a, ""), families.get(b, "")]
    kind = f" ({kinds[0]} against {kinds[1]})" if len(set(kinds)) == 2 and all(kinds) else ""
    varying = varying_settings(mine)
    sentences = [
        _row_sentence(row, varying)
        for row in comparison_rows(c for c in mine if c.metric == "throughput")
    ]
    sentences += _p99_sentence([c for c in mine if c.metric == "p99"], varying)
    return Section(f"{a} against {b}{kind}, connection: {connection}", sentences)


def comparison_rows(compared: Iterable[Comparison]) -> list[list[Comparison]]:
    """Comparisons of a pair that differ in their connections only, together."""
    rows: dict[tuple[Any, ...], list[Comparison]] = {}
    for c in compared:
        rows.setdefault((c.pair, c.work, c.workers, c.units, c.server_cores), []).append(c)
    return list(rows.values())


def _row_sentence(row: Sequence[Comparison], varying: Iterable[str]) -> str:
    """One work: who beats whom and where, then where it is equal, undecided, invalid."""
    a, b = row[0].a, row[0].b
    parts = [
        *_wins(row, "A", a, b),
        *_wins(row, "B", b, a),
        *_hull(row, "equal", "equal"),
        *_hull(row, "undecided", "undecided"),
        *_invalid(row),
    ]
    return f"At {setting_text(row[0], varying)}: {'; '.join(parts)}."


def _wins(row: Sequence[Comparison], verdict: str, winner: str, loser: str) -> list[str]:
    won = [c for c in row if c.verdict == verdict]
    if not won:
        return []
    ends = won if len(won) < 2 else [won[0], won[-1]]
    by = [f"{advantage_text(c)} at {count_text(c.connections)}" for c in ends]
    by = by if len(won) > 1 else [advantage_text(won[0])]
    return [f"{winner} beats {loser} {_where(won, row)}: {', '.join(by)}"]


def _where(some: Sequence[Comparison], row: Sequence[Comparison]) -> str:
    """Which connections, as a range only where no measured one in between is left out."""
    names = [count_text(c.connections) for c in some]
    if len(some) == len(row) > 1:
        return f"at every number of connections measured ({names[0]} to {names[-1]})"
    if len(some) > 1 and list(some) == list(row[-len(some) :]):
        return f"from {names[0]} connections on"
    if len(some) > 2 and list(some) == list(row[: len(some)]):
        return f"up to {names[-1]} connections"
    return f"at {list_text(names)} connection{'' if names == ['1'] else 's'}"


def advantage_text(comparison: Comparison) -> str:
    """By how much the better side is better, above 1, with its interval: 2.10x [1.90, 2.32]."""
    ratio, low, high = comparison.ratio, comparison.low, comparison.high
    a_is_more = comparison.verdict == ("A" if comparison.metric == "throughput" else "B")
    if not a_is_more:
        ratio, low, high = inverse(ratio, low, high)
    least = "at least " if comparison.at_least else ""
    return f"{least}{factor_text(ratio)}x {interval_text(low, high)}"


def inverse(
    ratio: float | None, low: float | None, high: float | None
) -> tuple[float | None, float | None, float | None]:
    """A ratio and its ends turned over; an end that is not known stays unknown on its new side."""
    turned = [1 / value if value else None for value in (ratio, high, low)]
    return turned[0], turned[1], turned[2]


def _hull(row: Sequence[Comparison], verdict: str, word: str) -> list[str]:
    some = [c for c in row if c.verdict == verdict]
    if not some:
        return []
    if any(c.low is None or c.high is None for c in some):
        return [f"{word} {_where(some, row)} ({some[0].reason})"]
    within = interval_text(min(c.low or 0 for c in some), max(c.high or 0 for c in some))
    what = "interval" if len(some) == 1 else "all intervals within"
    return [f"{word} {_where(some, row)} ({what} {within})"]


def _invalid(row: Sequence[Comparison]) -> list[str]:
    some = [c for c in row if c.verdict == "invalid"]
    return [f"not judged {_where(some, row)} ({some[0].reason})"] if some else []


def _p99_sentence(compared: Sequence[Comparison], varying: Iterable[str]) -> list[str]:
    """One line for the tail: how often either side is better, and the largest difference."""
    if not compared:
        return []
    a, b = compared[0].a, compared[0].b
    parts = [*_shorter(compared, "A", a, varying), *_shorter(compared, "B", b, varying)]
    for verdict, word in (("equal", "equal"), ("undecided", "undecided"), ("invalid", "invalid")):
        count = sum(c.verdict == verdict for c in compared)
        parts += [f"{word} in {count}"] if count else []
    return [f"p99 response time, {len(compared)} comparisons: {'; '.join(parts)}."]


def _shorter(
    compared: Sequence[Comparison], verdict: str, winner: str, varying: Iterable[str]
) -> list[str]:
    won = [c for c in compared if c.verdict == verdict and c.ratio]
    if not won:
        return []
    most = min(won, key=_size)
    place = f"{setting_text(most, varying)} {_where([most], compared)}"
    return [f"{winner} shorter in {len(won)}, most with {place}: {advantage_text(most)}"]


def _size(comparison: Comparison) -> float:
    """Smaller for a larger difference in either direction."""
    ratio = comparison.ratio or 1.0
    return min(ratio, 1 / ratio)


def _limits_section(
    run: Run, compared: Sequence[Comparison], summary: Mapping[str, Any]
) -> Section:
    sentences = [*_state(run), *(_count(name, c) for name, c in summary["totals"].items())]
    percent = round(100 * float(run.config.get("confidence", 0.95)))
    known = sum(c.low is not None or c.high is not None for c in compared)
    if known:
        sentences.append(
            f"Each interval covers the truth in {percent}% of cases, taken by itself:"
            f" of {known} intervals about {number_text(known * (100 - percent) / 100, 2)} miss it."
        )
    coloured = sum(bool(c.on_map) for c in compared)
    if coloured:
        sentences.append(
            f"The maps colour the {coloured} differences that stand among all comparisons of their"
            f" metric: of these {FALSE_DISCOVERIES:.0%} are false on average."
        )
    return Section("How far this reaches", [*sentences, *caveats(run)])


def _state(run: Run) -> list[str]:
    rounds = run.info.get("rounds_done", 0)
    state = run.info["state"]
    if state == "complete":
        return []
    return [f"The run is not complete ({state}, {rounds} whole rounds): fewer comparisons decide."]


def _count(metric: str, counts: Mapping[str, int]) -> str:
    parts = [f"{metric}: {counts['decided']} of {counts['comparisons']} comparisons decided"]
    parts += [
        f"{counts[key]} {key.replace('_', ' ')}"
        for key in ("undecided", "invalid", "not_measured")
        if counts[key]
    ]
    return f"{', '.join(parts)}."
