"""What the project's own servers can run here, as their table says, and how they are calibrated.

Starts `python -m servers` and reads its JSON; imports nothing of theirs.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.errors import UserError
from bench.measure.profile import Model

ASK_TIMEOUT_S = 60.0
WORDS = ("-P", "-m", "servers")
SERVERS = (sys.executable, *WORDS)


@dataclass(frozen=True)
class Rates:
    """Rounds of the `spin` and the `hash` loop per microsecond; None where the step is missing."""

    spin_per_us: float
    hash_per_us: float | None = None

    def flags(self) -> tuple[str, ...]:
        """What tells a server, so that all of them compute equally much."""
        spin = ("--spin-rounds-per-us", f"{self.spin_per_us:g}")
        if self.hash_per_us is None:
            return spin
        return (*spin, "--hash-rounds-per-us", f"{self.hash_per_us:g}")


def known_models() -> dict[str, Model]:
    """Every model that the servers' own table lists, by name. UserError if it cannot be asked."""
    return models_in(_ask_servers("--list"))


def models_in(table: Sequence[Mapping[str, Any]]) -> dict[str, Model]:
    """The models of a table as `--list` prints it, by name."""
    return {
        row["name"]: Model(
            row["name"],
            row["family"],
            row["serves_one_at_a_time"],
            row["available"],
            row["why_unavailable"],
            row.get("workers_are", "processes"),
            row.get("default_workers", 1),
        )
        for row in table
    }


def calibrate() -> Rates:
    """How fast this machine computes, as the servers measure it with our interpreter."""
    answer = _ask_servers("--calibrate")
    hashes = answer.get("hash_rounds_per_us")
    return Rates(float(answer["spin_rounds_per_us"]), None if hashes is None else float(hashes))


def _ask_servers(question: str) -> Any:
    try:
        done = subprocess.run(
            [*SERVERS, question],
            capture_output=True,
            text=True,
            check=False,
            timeout=ASK_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"python -m servers {question} did not answer within {ASK_TIMEOUT_S:g} s"
        ) from None
    if done.returncode:
        raise UserError(f"python -m servers {question} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)
