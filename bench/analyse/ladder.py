"""How a difference between two targets splits into steps, over the targets that lie in between.

A ladder is a list of rungs, each unlike the one before in one thing: the step. Only rounds in which
every rung is valid count, so the steps multiply to the total exactly, round by round. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.analyse.finding import Finding, find
from bench.analyse.rounds import Joint, Round, Trial, joint_rounds
from bench.analyse.verdicts import cells_of, confidence, in_reading_order, margin
from bench.errors import UserError
from bench.store import POINT_KEYS, Run

METRIC = "throughput"
_SAYS = {"A": "faster", "B": "slower"}
Cells = Mapping[tuple[str, Any], Sequence[Trial]]


@dataclass(frozen=True)
class Step:
    """From one target to another: second / first of throughput, and its share of the log total.

    `share` is None where the total is not decided; it is below 0 for a step that leads back.
    """

    name: str
    first: str
    second: str
    finding: Finding
    share: float | None


@dataclass(frozen=True)
class Decomposition:
    """A ladder at one point. `parts` sum up the steps of one name, where a name comes again."""

    rungs: tuple[str, ...]
    point: Mapping[str, Any]
    total: Step
    steps: tuple[Step, ...]
    parts: tuple[Step, ...]

    @property
    def is_valid(self) -> bool:
        """Whether enough rounds have every rung."""
        return self.total.finding.verdict != "invalid"


def ladders_of(run: Run) -> list[Decomposition]:
    """Every ladder that the run's profile declares, at each point where all rungs were measured."""
    cells = cells_of(run.trials)
    return [
        found
        for ladder in run.config.get("ladders") or ()
        for found in decompose(
            ladder["rungs"], ladder["steps"], cells, confidence(run), margin(run)
        )
    ]


def as_verdict(found: Decomposition) -> dict[str, Any]:
    """A decomposition as verdicts.json holds it."""
    return {
        **found.point,
        "metric": METRIC,
        "rungs": list(found.rungs),
        "rounds": found.total.finding.rounds,
        "total": _as_verdict(found.total),
        "steps": [_as_verdict(step) for step in found.steps],
        "parts": [_as_verdict(part) for part in found.parts],
    }


def _as_verdict(step: Step) -> dict[str, Any]:
    finding = step.finding
    return {
        "name": step.name,
        "from": step.first,
        "to": step.second,
        "ratio": finding.ratio,
        "low": finding.low,
        "high": finding.high,
        "verdict": _SAYS.get(finding.verdict, finding.verdict),
        "share": step.share,
        "reason": finding.reason,
    }


def decompose(
    rungs: Sequence[str], names: Sequence[str], cells: Cells, sure: float, near: float
) -> Iterator[Decomposition]:
    """The ladder at each point at which every rung has a slice, in reading order.

    `names` are those of the steps, `cells` slices by target and values of a point, `sure` the
    confidence of intervals, `near` the margin of equal. UserError where the two do not fit.
    """
    if not 1 < len(rungs) == len(names) + 1:
        raise UserError(
            f"a ladder of {len(rungs)} rungs with {len(names)} steps: it needs two rungs or more,"
            " and a step between each and the next; correct config.ladders in run.json"
        )
    reached = [{key for target, key in cells if target == rung} for rung in rungs]
    points = [dict(zip(POINT_KEYS, key, strict=True)) for key in set.intersection(*reached)]
    for point in sorted(points, key=lambda p: (p["connection"] == "close", *in_reading_order(p))):
        key = tuple(point.values())
        joints = list(joint_rounds([cells[rung, key] for rung in rungs], METRIC, rungs))
        yield _at_point(rungs, names, point, joints, (sure, near))


def _at_point(
    rungs: Sequence[str],
    names: Sequence[str],
    point: Mapping[str, Any],
    joints: Sequence[Joint],
    rule: tuple[float, float],
) -> Decomposition:
    last = len(rungs) - 1
    whole = _step("total", rungs, joints, [(0, last)], rule, None)
    decided = whole.finding.verdict in ("A", "B")
    whole = replace(whole, share=1.0 if decided else None)
    total_log = math.log(whole.finding.ratio or 1) if decided else None
    spans: dict[str, list[tuple[int, int]]] = {}
    for number, name in enumerate(names):
        spans.setdefault(name, []).append((number, number + 1))
    steps = [
        _step(name, rungs, joints, [(number, number + 1)], rule, total_log)
        for number, name in enumerate(names)
    ]
    parts = [_step(name, rungs, joints, span, rule, total_log) for name, span in spans.items()]
    repeated = len(parts) < len(steps)
    return Decomposition(tuple(rungs), point, whole, tuple(steps), tuple(parts) if repeated else ())


def _step(
    name: str,
    rungs: Sequence[str],
    joints: Sequence[Joint],
    spans: Sequence[tuple[int, int]],
    rule: tuple[float, float],
    total_log: float | None,
) -> Step:
    """What the pairs of rungs in `spans` change together."""
    rounds = [
        Round(math.fsum(joint.logs[b] - joint.logs[a] for a, b in spans))
        if joint.logs
        else Round(None, joint.reasons)
        for joint in joints
    ]
    first, second = rungs[spans[0][0]], rungs[spans[-1][1]]
    finding = find(rounds, METRIC, second, first, *rule)
    share = math.log(finding.ratio) / total_log if finding.ratio and total_log else None
    return Step(name, first, second, finding, share)
