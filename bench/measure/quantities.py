"""Quantities as people write them (`20ms`, `4m20s`, `64`), checked. Pure.

Every function takes `where` the text stands, for its message.
"""

import math
import re
from typing import Any

from bench.errors import UserError

LONGEST_S = 86_400.0
LONGEST_DELAY_S = 60.0
MOST_CONNECTIONS = 50_000
MOST_WORKERS = 10_000
MOST_UNITS = 1_000_000
MOST_CORES = 10_000
DIGITS = 9

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m)", re.ASCII)
_UNIT_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def parse_duration_s(text: str, where: str) -> float:
    """`0ms`, `250us`, `4m20s` in seconds, up to a day. UserError naming `where` it stands."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UserError(
            f"{where}: {text!r} is not a duration; write it like 250us, 20ms, 5s, 4m20s"
        )
    duration_s = sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    if duration_s > LONGEST_S:
        raise UserError(f"{where}: {text} is longer than a day")
    return duration_s


def whole(value: Any, where: str, low: int, high: int) -> int:
    """A whole number between the limits. Raises UserError."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UserError(f"{where}: must be a whole number from {low} to {high}, not {value!r}")
    return value


def connection_count(text: str, where: str) -> int:
    """A number of connections as typed. Raises UserError."""
    return count(text, where, MOST_CONNECTIONS)


def count(text: str, where: str, most: int) -> int:
    """A whole number from 1 as typed. Raises UserError."""
    is_number = text.isascii() and text.isdigit() and len(text) <= DIGITS
    return whole(int(text) if is_number else text, where, 1, most)


def parse_delay_s(text: str, where: str) -> float:
    """A delay that the servers accept, in seconds: whole microseconds. Raises UserError."""
    delay_s = parse_duration_s(text, where)
    if not math.isclose(delay_s * 1e6, round(delay_s * 1e6), abs_tol=1e-6):
        raise UserError(f"{where}: {text} is not a whole number of microseconds")
    if delay_s > LONGEST_DELAY_S:
        raise UserError(f"{where}: {text} is longer than the servers allow, {LONGEST_DELAY_S:g} s")
    return delay_s


def parse_budget_s(text: str, where: str) -> float:
    """A time to spend, in seconds, more than none. Raises UserError."""
    budget_s = parse_duration_s(text, where)
    if budget_s <= 0:
        raise UserError(f"{where}: must be more than nothing")
    return budget_s
