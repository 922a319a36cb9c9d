"""Using CPU for a stated time, as a fixed number of rounds of the same arithmetic.

How many rounds a microsecond holds is measured once and told to every server: a faster interpreter
then does the same work in less time, rather than more of it. Knows nothing of requests.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """How many rounds of each kind one microsecond of CPU holds."""

    spin_per_us: float
    hash_per_us: float

    def spin_rounds(self, seconds: float) -> int:
        """Return how many rounds of `spin` take so much CPU."""
        return round(seconds * 1e6 * self.spin_per_us)

    def described(self) -> dict[str, float]:
        """Return what `--calibrate` prints."""
        return {"spin_rounds_per_us": self.spin_per_us, "hash_rounds_per_us": self.hash_per_us}


def spin(rounds: int) -> None:
    """Compute for a fixed number of rounds in pure Python, so that the lock is never released."""
    x = 1
    for _ in range(rounds):
        x = (x * 31 + 7) & 0xFFFF


def hash_rounds(rounds: int) -> None:
    """Compute for a fixed number of rounds in C, all of them with the lock released."""
    hashlib.pbkdf2_hmac("sha256", b"", b"", max(rounds, 1))


def calibrate() -> Rates:
    """Measure the rates here: the best of many."""
    return Rates(_rate(spin, 20_000), _rate(hash_rounds, 2_000))


def _rate(compute: Callable[[int], None], rounds: int) -> float:
    best_ns = min(_cpu_ns(compute, rounds) for _ in range(25))
    return rounds * 1000 / best_ns


def _cpu_ns(compute: Callable[[int], None], rounds: int) -> int:
    start_ns = time.thread_time_ns()
    compute(rounds)
    return max(1, time.thread_time_ns() - start_ns)
