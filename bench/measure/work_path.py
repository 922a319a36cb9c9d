"""What a path asks for, as far as measuring must know it: how long it waits, how often it calls.

Pure. The servers read the path with a parser of their own: here it is only refused early, with the
place where it stands, and its waits are added up.
"""

import math
import re
from dataclasses import dataclass
from functools import lru_cache

from bench.errors import UserError

MOST_S = 60.0
STEPS = ("delay", "call", "block", "hold", "spin", "hash", "body", "drip")
WAITING_STEPS = ("delay", "call", "block", "hold")
DEFAULT_BODY_BYTES = 5

_UNIT_US = {"us": 1.0, "ms": 1e3, "s": 1e6}
_UNIT_BYTES = {"": 1, "KiB": 1024, "MiB": 1024 * 1024}
_QUANTITY = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)([A-Za-z]*)", re.ASCII)


@dataclass(frozen=True)
class Asked:
    """`wait_s`: the time that one request waits at least; `calls`: its calls to the upstream."""

    wait_s: float
    calls: int


@lru_cache(maxsize=1024)
def read_work(path: str, where: str) -> Asked:
    """Add up the steps of a path such as `/delay=5ms/call=20ms`. UserError naming `where`."""
    if not path.startswith("/"):
        raise UserError(f"{where}: a path begins with a slash, not {path!r}")
    steps = [tuple(step.partition("=")[::2]) for step in path[1:].split("/")] if path != "/" else []
    wait_us, calls, body_bytes, drip = 0.0, 0, DEFAULT_BODY_BYTES, None
    for name, value in steps:
        if name not in STEPS:
            raise UserError(
                f"{where}: unknown step {name!r} in {path}; a path is made of {', '.join(STEPS)}"
            )
        if name == "body":
            body_bytes = _bytes(value, path, where)
        elif name == "drip":
            drip = value
        else:
            step_us = _us(value, path, where)
            wait_us += step_us if name in WAITING_STEPS else 0.0
            calls += name == "call"
    if drip is not None:
        wait_us += _drip_us(drip, body_bytes, path, where)
    return Asked(wait_us / 1e6, calls)


def _drip_us(text: str, body_bytes: int, path: str, where: str) -> float:
    """The waits before the last piece: what comes after it, a client does not wait for."""
    size, cross, pause = text.partition("x")
    piece_bytes = _bytes(size, path, where) if cross else 0
    if not piece_bytes:
        raise UserError(f"{where}: drip={text} in {path} must be a size and a time: 1KiBx20ms")
    return max(math.ceil(body_bytes / piece_bytes) - 1, 0) * _us(pause, path, where)


def _us(text: str, path: str, where: str) -> float:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in _UNIT_US:
        raise UserError(f"{where}: {text!r} in {path} is not a time; write it like 250us, 20ms, 5s")
    us = float(match[1]) * _UNIT_US[match[2]]
    if us > MOST_S * 1e6:
        raise UserError(f"{where}: {text} in {path} is longer than the servers allow, {MOST_S:g}s")
    return us


def _bytes(text: str, path: str, where: str) -> int:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in _UNIT_BYTES or "." in match[1]:
        raise UserError(f"{where}: {text!r} in {path} is not a size; write it like 100, 4KiB, 1MiB")
    return int(match[1]) * _UNIT_BYTES[match[2]]
