"""The claims of the introduction that a run can judge: for each, its cases and what they show.

A case is a declared pair of an async and a sync target in one setting. Which points make a case
follows from what was measured, so a run shows the claims that it holds the data of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from bench.analyse import claims
from bench.analyse.claims import Contrast
from bench.analyse.rounds import Round, paired_rounds
from bench.analyse.verdicts import cells_of, confidence, declared_pairs, in_reading_order, margin
from bench.analyse.works import asked_s
from bench.store import POINT_KEYS, Run

METRIC = "throughput"
Point = Mapping[str, Any]
Measured = tuple[Point, Sequence[Round]]


@dataclass(frozen=True)
class Case:
    """A pair in one setting: `point` is that of its last value of what the claim varies.

    `contrasts` decide `outcome`. `along` is how async / sync goes: (value, contrast by itself).
    """

    first: str
    second: str
    point: Point
    contrasts: tuple[Contrast, ...]
    outcome: str
    along: tuple[tuple[float, Contrast], ...]


@dataclass(frozen=True)
class Claim:
    """A claim, what it varies, and its cases in a run."""

    name: str
    statement: str
    varies: str
    cases: tuple[Case, ...]

    @property
    def outcome(self) -> str:
        """Confirmed, refuted, undecided, or mixed."""
        return claims.overall([case.outcome for case in self.cases])


def claims_of(run: Run) -> list[Claim]:
    """Every claim of which the run has a case, in the order of the introduction."""
    pairs = list(_pairs(run))
    found = []
    for name, (statement, varies, cases) in _CLAIMS.items():
        judged = [
            case
            for pair in pairs
            for case in cases(pair, confidence(run), margin(run))
            if case is not None
        ]
        if judged:
            found.append(Claim(name, statement, varies, tuple(judged)))
    return found


def as_verdict(claim: Claim) -> dict[str, Any]:
    """Its entry in verdicts.json."""
    return {
        "claim": claim.name,
        "statement": claim.statement,
        "varies": claim.varies,
        "outcome": claim.outcome,
        "cases": [
            {
                "async": case.first,
                "sync": case.second,
                **{name: value for name, value in case.point.items() if name != claim.varies},
                "outcome": case.outcome,
                "contrasts": [asdict(each) for each in case.contrasts],
                "along": [{"value": value, **asdict(each)} for value, each in case.along],
            }
            for case in claim.cases
        ],
    }


@dataclass(frozen=True)
class _Pair:
    """An async and a sync target, and their rounds of async / sync by point."""

    first: str
    second: str
    model: str
    points: Sequence[Measured]

    def lines(
        self, wanted: Callable[[Point], bool], value: Callable[[Point], Any], *left_out: str
    ) -> Iterator[list[Measured]]:
        """Points that differ in a value only, in its order; `left_out` are keys that follow it."""
        lines: dict[tuple[Any, ...], list[Measured]] = defaultdict(list)
        for point, rounds in self.points:
            if wanted(point):
                same = tuple(v for name, v in point.items() if name not in left_out)
                lines[same].append((point, rounds))
        for line in lines.values():
            yield sorted(line, key=lambda each: float(value(each[0])))

    @staticmethod
    def known(line: Sequence[Measured], sure: float) -> list[Measured]:
        """The points of a line that enough rounds say something of."""
        return [(point, rounds) for point, rounds in line if claims.lead("", rounds, sure)]


def _pairs(run: Run) -> Iterator[_Pair]:
    cells = cells_of(run.trials)
    # What a user's own server shows is not of the concurrency model alone.
    targets = {t["name"]: t for t in run.info["targets"] if t.get("kind") != "command"}
    for a, b, connection in declared_pairs(run):
        families = [targets[name].get("family") if name in targets else None for name in (a, b)]
        if sorted(map(str, families)) != ["async", "sync"]:
            continue
        first, second = (a, b) if families[0] == "async" else (b, a)
        keys = [key for target, key in cells if target == first and (second, key) in cells]
        points = [dict(zip(POINT_KEYS, key, strict=True)) for key in keys]
        measured = [
            (
                point,
                list(
                    paired_rounds(
                        cells[first, tuple(point.values())],
                        cells[second, tuple(point.values())],
                        METRIC,
                        first,
                        second,
                    )
                ),
            )
            for point in sorted(points, key=in_reading_order)
            if point["connection"] == connection
        ]
        yield _Pair(first, second, str(targets[second].get("model", second)), measured)


def _nothing_to_wait_for(pair: _Pair, sure: float, near: float) -> Iterator[Case | None]:
    """The largest ratio over the numbers of connections."""
    for line in pair.lines(lambda p: not p["delay_s"], _connections, "connections"):
        sure_together = claims.together(sure, len(line))
        leads = [claims.lead("async / sync", rounds, sure_together) for _, rounds in line]
        known = [each for each in leads if each is not None]
        if not known:
            continue
        low, high = claims.most(known)
        largest = max(known, key=lambda each: each.ratio)
        contrast = Contrast(
            "largest async / sync", largest.ratio, low, high, min(each.rounds for each in known)
        )
        outcome = claims.not_more(low, high if len(known) == len(line) else None, near)
        yield _case(pair, line, (contrast,), outcome, _connections, sure)


def _more_along(
    wanted: Callable[[Point], bool],
    value: Callable[[Point], float],
    left_out: Sequence[str],
    pair: _Pair,
    sure: float,
    near: float,
) -> Iterator[Case | None]:
    """Ahead at the last value, and further ahead than at the first: both have to hold."""
    for whole in pair.lines(wanted, value, *left_out):
        line = pair.known(whole, sure)
        if len({value(point) for point, _ in line}) < 2:
            continue
        (_, few), (_, many) = line[0], line[-1]
        sure_together = claims.together(sure, 2)
        contrasts = (
            claims.lead("async / sync at the most", many, sure_together),
            claims.growth("that against the least", many, few, sure_together),
        )
        known = tuple(each for each in contrasts if each is not None)
        if len(known) == len(contrasts):
            yield _case(pair, line, known, claims.more(contrasts, near), value, sure)


def _io(pair: _Pair, sure: float, near: float) -> Iterator[Case | None]:
    """As `_more_along`, among works that ask for the same time in all."""
    totals = {_total_us(point) for point, _ in pair.points if _is_waiting_or_computing(point)}
    for total in sorted(totals):

        def wanted(point: Point, total: int = total) -> bool:
            return _is_waiting_or_computing(point) and _total_us(point) == total

        yield from _more_along(wanted, _share, ("work", "delay_s"), pair, sure, near)


def _blocks(pair: _Pair, sure: float, near: float) -> Iterator[Case | None]:
    """How far async is ahead of a program that does one thing at a time, waits and all."""
    if pair.model != "blocking":
        return
    for whole in pair.lines(_only_waits, _connections, "connections"):
        line = pair.known(whole, sure)
        if not line:
            continue
        point, rounds = line[-1]
        contrast = claims.lead("async / sync", rounds, sure)
        if contrast and point["connections"] > 1:
            outcome = claims.more([contrast], near)
            yield _case(pair, line, (contrast,), outcome, _connections, sure)


def _case(
    pair: _Pair,
    line: Sequence[Measured],
    contrasts: tuple[Contrast, ...],
    outcome: str,
    value: Callable[[Point], float],
    sure: float,
) -> Case:
    along = tuple(
        (float(value(point)), each)
        for point, rounds in line
        if (each := claims.lead("async / sync", rounds, sure)) is not None
    )
    return Case(pair.first, pair.second, line[-1][0], contrasts, outcome, along)


def _connections(point: Point) -> float:
    return float(point["connections"])


def _units(point: Point) -> float:
    return float(point["units"] or 1)


def _share(point: Point) -> float:
    return claims.waiting_share(asked_s(point["work"]))


def _total_us(point: Point) -> int:
    return round(1e6 * sum(asked_s(point["work"]).values()))


def _only_waits(point: Point) -> bool:
    return bool(point["delay_s"]) and set(asked_s(point["work"])) <= {"delay", "call"}


def _is_waiting_or_computing(point: Point) -> bool:
    asked = asked_s(point["work"])
    return bool(asked) and set(asked) <= {"delay", "spin", "hash"} and sum(asked.values()) > 0


def _holds(point: Point) -> bool:
    return "hold" in asked_s(point["work"])


Cases = Callable[[_Pair, float, float], Iterator[Case | None]]
_CLAIMS: dict[str, tuple[str, str, Cases]] = {
    "nothing to wait for": (
        "With nothing to wait for, async takes as long as sync, or longer",
        "connections",
        _nothing_to_wait_for,
    ),
    "blocking": (
        "A synchronous program that waits for each task in turn is outdone (figure 4)",
        "connections",
        _blocks,
    ),
    "many tasks": (
        "Async wins when there are many tasks",
        "connections",
        partial(_more_along, _only_waits, _connections, ("connections",)),
    ),
    "much I/O": ("Async wins when tasks do much I/O", "share of waiting", _io),
    "independence": (
        "Async wins when tasks are largely independent",
        "units",
        partial(_more_along, _holds, _units, ("units",)),
    ),
}
