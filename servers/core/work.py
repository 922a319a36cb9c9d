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

MOST_SECONDS: Final = 60.0
MOST_BODY_BYTES: Final = 16 * 1024 * 1024
DEFAULT_BODY: Final = b"done\n"

_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_BYTES: Final = {"": 1, "KiB": 1024, "MiB": 1024 * 1024}
_QUANTITY: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)([A-Za-z]*)")


class BadWorkError(ValueError):
    """A target asks for something that is not work; the message says what, and what would be."""


class Kind(Enum):
    """What a step does, which decides how a model waits for it."""

    DELAY = "delay"
    """Wait on a timer."""
    HOLD = "hold"
    """Wait while holding one of the server's units."""
    BLOCK = "block"
    """A library call that blocks the thread it runs in."""
    SPIN = "spin"
    """Compute, keeping the interpreter lock."""


DELAY: Final = Kind.DELAY
HOLD: Final = Kind.HOLD
BLOCK: Final = Kind.BLOCK
SPIN: Final = Kind.SPIN


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the work. A model waits in its own idiom, or lets `run` do the step in line."""

    kind: Kind
    seconds: float
    run: Callable[[], None]
    """Carries the step out in the calling thread, and blocks it; taking a unit is not included."""


@dataclass(frozen=True, slots=True)
class Work:
    """All that one target asks for."""

    steps: tuple[Step, ...] = ()
    body: bytes = DEFAULT_BODY


def parse(path: str, spin_rounds_per_us: float) -> Work:
    """Read the steps of a path.

    A delay, block or spin of zero time is no step at all. A hold is: it waits for its turn.
    Raises BadWorkError with a line for the user.
    """
    steps: list[Step] = []
    body = None
    for segment in path.removeprefix("/").split("/") if path != "/" else ():
        name, _, value = segment.partition("=")
        if name == "body":
            if body is not None:
                raise BadWorkError("body is given twice; a reply has one")
            body = b"x" * _body_bytes(value)
        else:
            step = _step(segment, name, value, spin_rounds_per_us)
            steps += [step] if step.seconds or step.kind is HOLD else []
    return Work(tuple(steps), DEFAULT_BODY if body is None else body)


def parse_seconds(text: str) -> float:
    """Read a time such as `250us`, `20ms` or `1.5s`. Raises BadWorkError."""
    number, factor = _quantity(text, _SECONDS, "a time: a number with us, ms or s, such as 20ms")
    return number * factor


def spin(rounds: int) -> None:
    """Compute for a fixed number of rounds in pure Python, so that the lock is never released."""
    x = 1
    for _ in range(rounds):
        x = (x * 31 + 7) & 0xFFFF


def calibrate_spin() -> float:
    """Measure how many rounds of `spin` one microsecond of CPU holds here: the best of many."""
    rounds = 20_000
    best_ns = min(_spin_ns(rounds) for _ in range(25))
    return rounds * 1000 / best_ns


def _spin_ns(rounds: int) -> int:
    start_ns = time.thread_time_ns()
    spin(rounds)
    return max(1, time.thread_time_ns() - start_ns)


def _step(segment: str, name: str, value: str, spin_rounds_per_us: float) -> Step:
    try:
        kind = Kind(name)
    except ValueError:
        known = ", ".join([*(kind.value for kind in Kind), "body"])
        raise BadWorkError(f"unknown step {segment!r}; a path is made of {known}") from None
    seconds = parse_seconds(value)
    if seconds > MOST_SECONDS:
        raise BadWorkError(f"{segment} is too long; a step takes at most {MOST_SECONDS:.0f}s")
    if kind is SPIN:
        return Step(kind, seconds, partial(spin, round(seconds * 1e6 * spin_rounds_per_us)))
    return Step(kind, seconds, partial(time.sleep, seconds))


def _body_bytes(text: str) -> int:
    number, factor = _quantity(text, _BYTES, "a size: a whole number of bytes, KiB or MiB")
    if not (number * factor).is_integer():
        raise BadWorkError(f"{text!r} is not a whole number of bytes")
    if number * factor > MOST_BODY_BYTES:
        raise BadWorkError(f"body={text} is too large; a reply has at most 16MiB")
    return int(number * factor)


def _quantity(
    text: str, units: dict[str, float] | dict[str, int], what: str
) -> tuple[float, float]:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in units:
        raise BadWorkError(f"{text!r} is not {what}")
    return float(match[1]), units[match[2]]
