"""What a request asks for: its path is a program of steps, in order.

`/delay=20ms/spin=500us/body=4KiB` waits, computes, then replies with 4096 bytes; `/` asks for
nothing. Knows neither HTTP nor the model that carries the steps out.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final

from servers.core.compute import Rates, hash_rounds, spin

MOST_SECONDS: Final = 60.0
MOST_BODY_BYTES: Final = 16 * 1024 * 1024
MOST_PIECES: Final = 10_000
DEFAULT_BODY: Final = b"done\n"

Call = Callable[[bytes], None]
"""Sends a request to the upstream and waits for the answer, blocking the thread it runs in."""

_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_BYTES: Final = {"": 1, "KiB": 1024, "MiB": 1024 * 1024}
_QUANTITY: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)([A-Za-z]*)")


class BadWorkError(ValueError):
    """A target asks for something that is not work; the message says what, and what would be."""


class Kind(Enum):
    """What a step does, which decides how a model waits for it."""

    DELAY = "delay"
    """Wait on a timer."""
    CALL = "call"
    """Wait for the upstream's answer, over a pooled TCP connection."""
    HOLD = "hold"
    """Wait while holding one of the server's units."""
    BLOCK = "block"
    """A library call that blocks the thread it runs in."""
    SPIN = "spin"
    """Compute, keeping the interpreter lock."""
    HASH = "hash"
    """Compute in C, with the interpreter lock released."""


DELAY: Final = Kind.DELAY
CALL: Final = Kind.CALL
HOLD: Final = Kind.HOLD
SPIN: Final = Kind.SPIN


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the work. A model waits in its own idiom, or lets `run` do the step in line."""

    kind: Kind
    seconds: float
    run: Callable[[], None]
    """Carries the step out in the calling thread, and blocks it; taking a unit is not included."""
    request: bytes = b""
    """What a call sends to the upstream."""


@dataclass(frozen=True, slots=True)
class Drip:
    """The reply's body is sent a piece at a time, with a wait between two pieces."""

    piece_bytes: int
    wait: Step


@dataclass(frozen=True, slots=True)
class Work:
    """All that one target asks for."""

    steps: tuple[Step, ...] = ()
    body: bytes = DEFAULT_BODY
    drip: Drip | None = None


def parse(path: str, rates: Rates, call: Call | None = None) -> Work:
    """Read the steps of a path; `call` asks the upstream, where the server has one.

    A delay, block, spin or hash of zero time is no step at all. A hold or a call is: it waits for
    its turn. Raises BadWorkError with a line for the user.
    """
    steps: list[Step] = []
    once: dict[str, str] = {}
    for segment in path.removeprefix("/").split("/") if path != "/" else ():
        name, _, value = segment.partition("=")
        if name in ("body", "drip"):
            if name in once:
                raise BadWorkError(f"{name} is given twice; a reply has one")
            once[name] = value
        else:
            step = _step(segment, name, value, rates, call)
            steps += [step] if step.seconds or step.kind in (HOLD, CALL) else []
    body = b"x" * _size("body", once["body"]) if "body" in once else DEFAULT_BODY
    drip = _drip(once["drip"], len(body)) if "drip" in once else None
    return Work(tuple(steps), body, drip)


def parse_seconds(text: str) -> float:
    """Read a time such as `250us`, `20ms` or `1.5s`. Raises BadWorkError."""
    number, factor = _quantity(text, _SECONDS, "a time: a number with us, ms or s, such as 20ms")
    return number * factor


def _step(segment: str, name: str, value: str, rates: Rates, call: Call | None) -> Step:
    try:
        kind = Kind(name)
    except ValueError:
        known = ", ".join([*(kind.value for kind in Kind), "body", "drip"])
        raise BadWorkError(f"unknown step {segment!r}; a path is made of {known}") from None
    seconds = parse_seconds(value)
    if seconds > MOST_SECONDS:
        raise BadWorkError(f"{segment} is too long; a step takes at most {MOST_SECONDS:.0f}s")
    if kind is SPIN:
        return Step(kind, seconds, partial(spin, rates.spin_rounds(seconds)))
    if kind is Kind.HASH:
        return Step(kind, seconds, partial(hash_rounds, round(seconds * 1e6 * rates.hash_per_us)))
    if kind is not CALL:
        return Step(kind, seconds, partial(time.sleep, seconds))
    if call is None:
        raise BadWorkError(f"{segment} asks an upstream, and this server has none (--upstream)")
    request = b"%d\n" % round(seconds * 1e6)
    return Step(kind, seconds, partial(call, request), request)


def _drip(text: str, body_bytes: int) -> Drip:
    size, cross, time_text = text.partition("x")
    if not cross:
        raise BadWorkError(f"drip={text} is not a size and a time, such as 1KiBx20ms")
    piece_bytes, seconds = _size("drip", size), parse_seconds(time_text)
    if not piece_bytes:
        raise BadWorkError(f"drip={text} sends nothing at a time")
    pieces = -(-body_bytes // piece_bytes)
    if pieces > MOST_PIECES or pieces * seconds > MOST_SECONDS:
        raise BadWorkError(
            f"drip={text} takes too long for {body_bytes} bytes; a reply drips"
            f" in at most {MOST_PIECES} pieces and {MOST_SECONDS:.0f}s"
        )
    return Drip(piece_bytes, Step(DELAY, seconds, partial(time.sleep, seconds)))


def _size(name: str, text: str) -> int:
    number, factor = _quantity(text, _BYTES, "a size: a whole number of bytes, KiB or MiB")
    if not (number * factor).is_integer():
        raise BadWorkError(f"{text!r} is not a whole number of bytes")
    if number * factor > MOST_BODY_BYTES:
        raise BadWorkError(f"{name}={text} is too large; a reply has at most 16MiB")
    return int(number * factor)


def _quantity(
    text: str, units: dict[str, float] | dict[str, int], what: str
) -> tuple[float, float]:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in units:
        raise BadWorkError(f"{text!r} is not {what}")
    return float(match[1]), units[match[2]]
