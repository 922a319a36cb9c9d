"""Crossovers in words."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analyse.crossings import Crossing
from bench.present.settings import settings_text, varied
from bench.present.units import count_text, number_text, work_text
from bench.present.words import Section


def crossings_section(crossings: Sequence[Crossing]) -> Section:
    """Where one side begins to win; lines that cross nowhere are not named."""
    varying = varied(dict(each.point) for each in crossings)
    sentences = [_sentence(each, varying) for each in crossings if each.found.at is not None]
    return Section("Where one begins to win", sentences)


def _count(connections: float) -> str:
    """Few connections to one decimal."""
    return count_text(connections) if connections >= 9.95 else number_text(connections, 2)


def _sentence(crossing: Crossing, varying: set[str]) -> str:
    found, point = crossing.found, crossing.point
    assert found.at is not None
    ahead, behind = (crossing.a, crossing.b) if found.rising else (crossing.b, crossing.a)
    settings = settings_text(dict(point), varying)
    where = ", ".join([work_text(point["work"], point["delay_s"]), *settings])
    known = "interval not known"
    if found.low is not None and found.high is not None:
        known = f"[{_count(found.low)}, {_count(found.high)}]"
    mode = ", one request a connection" if point["connection"] == "close" else ""
    return (
        f"At {where}{mode}: {ahead} overtakes {behind} at about {_count(found.at)} connections "
        f"{known}."
    )
