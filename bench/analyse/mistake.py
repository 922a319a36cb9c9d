"""What a blocking call costs each target: the same time as `block` and as `delay`, side by side.

Both are points of one target, so they are paired by round like two targets of one point. It names
no cause; a target whose requests have threads of their own loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.analyse.finding import Finding, find
from bench.analyse.rounds import Joint, Round, joint_rounds
from bench.analyse.verdicts import cells_of, confidence, in_reading_order, margin
from bench.analyse.works import is_plain
from bench.store import POINT_KEYS, Run

METRIC = "throughput"
BLOCK, DELAY = "/block=", "/delay="


@dataclass(frozen=True)
class Loss:
    """block / delay of one target's throughput at one point; below 1 is a loss.

    `point` is that of the delay. Both throughputs are geometric means over the rounds that count;
    None where none does.
    """

    target: str
    point: Mapping[str, Any]
    block_work: str
    block_rps: float | None
    delay_rps: float | None
    finding: Finding


def losses_of(run: Run) -> list[Loss]:
    """Every target and point of a run where both were measured, in reading order."""
    cells = cells_of(run.trials)
    rule = confidence(run), margin(run)
    found = []
    for target, key in cells:
        point = dict(zip(POINT_KEYS, key, strict=True))
        block_work = BLOCK + point["work"].removeprefix(DELAY)
        other = target, tuple((point | {"work": block_work}).values())
        if point["work"].startswith(DELAY) and is_plain(point["work"]) and other in cells:
            sides = cells[other], cells[target, key]
            joints = joint_rounds(sides, METRIC, (block_work, point["work"]))
            found.append(_loss(target, point, block_work, list(joints), rule))
    return sorted(found, key=lambda loss: (*_in_order(loss.point), loss.target))


def _loss(
    target: str,
    point: Mapping[str, Any],
    block_work: str,
    joints: Sequence[Joint],
    rule: tuple[float, float],
) -> Loss:
    rounds = [Round(j.logs[0] - j.logs[1]) if j.logs else Round(None, j.reasons) for j in joints]
    finding = find(rounds, METRIC, block_work, point["work"], *rule)
    logs = [joint.logs for joint in joints if joint.logs]
    block_rps, delay_rps = (_mean([log[side] for log in logs]) for side in (0, 1))
    return Loss(target, point, block_work, block_rps, delay_rps, finding)


def _mean(logs: Sequence[float]) -> float | None:
    return math.exp(math.fsum(logs) / len(logs)) if logs else None


def _in_order(point: Mapping[str, Any]) -> tuple[Any, ...]:
    return (point["connection"] == "close", *in_reading_order(point))
