"""What a path asks for, as far as conclusions need it: the kinds of its steps and their times.

Pure. It reads paths that a server has accepted already, so it does not judge them: what it cannot
read counts as no time.
"""

from __future__ import annotations

import re
from functools import cache

_TIME = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s)")
_UNIT_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@cache
def asked_s(work: str) -> dict[str, float]:
    """Seconds by kind of step, in the order of the path; a step without a time of its own has 0.

    A drip's time depends on the body, so it is 0 here: `delay_s` of a point has it.
    """
    asked: dict[str, float] = {}
    for name, value in steps_of(work):
        time = _TIME.fullmatch(value)
        asked[name] = asked.get(name, 0.0) + (float(time[1]) * _UNIT_S[time[2]] if time else 0)
    return asked


def steps_of(work: str) -> list[tuple[str, str]]:
    """The name and the value of each step."""
    steps = (step.partition("=") for step in work.split("/"))
    return [(name, value) for name, _, value in steps if name]


def kind_of(work: str) -> str:
    """The names of the steps: `hold+delay`. A path that asks for nothing is a `delay` of 0."""
    return "+".join(asked_s(work)) or "delay"


def is_plain(work: str) -> bool:
    """Whether the delay alone tells this work from others: `/` and a single delay."""
    return work == "/" or (work.startswith("/delay=") and work.count("/") == 1)


def in_order(work: str, delay_s: float) -> tuple[float, float, bool, str]:
    """A sort key for works: by wait, by all the time asked for, plain delays before others."""
    return delay_s, sum(asked_s(work).values()), not is_plain(work), work
