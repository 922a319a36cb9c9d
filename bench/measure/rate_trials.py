"""Trials of a server at one offered rate each: does it meet an SLO?"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.errors import UserError
from bench.measure.capacity import Outcome
from bench.measure.generator import Generator
from clients.expectation import Expectation, parse_expectation

SATURATED = 0.98
CLOSED_S = 1.0
WARM_UP_S = 0.5
ENDLESS_S = 86_400.0


class Trials:
    """Measures one rate after the other on a server; `told` hears a line about each."""

    def __init__(
        self,
        generator: Generator,
        url: str,
        connections: int,
        expectations: Sequence[Expectation],
        trial_s: float,
        arrivals: str,
        seed: int,
        spin_ns: int,
        told: Callable[[str], None],
    ) -> None:
        self._generator, self._url, self._connections = generator, url, connections
        self._expectations, self._trial_s = expectations, trial_s
        self._arrivals, self._seed = arrivals, seed
        self._spin_ns, self._told = spin_ns, told
        self._began_s = time.monotonic()
        self.rows: list[dict[str, Any]] = []

    def first_guess_rps(self) -> float:
        """Half of what a closed loop gets over all connections."""
        load = {"window_s": CLOSED_S, "window_limit_s": CLOSED_S + 5.0}
        answer = self._measure({**load, "connections": self._connections})
        if not answer["completions"]:
            raise UserError(
                f"{self._url} gave no correct reply: {'; '.join(answer['invalid_reasons'])}"
            )
        return max(1.0, float(answer["throughput_rps"]) / 2)

    def __call__(self, rate_rps: float) -> Outcome:
        """Offer a rate once."""
        number = len(self.rows)
        answer = self._measure(
            {
                "connections": self._connections,
                "warmup_s": WARM_UP_S,
                "spin_ns": self._spin_ns,
                "window_s": self._trial_s,
                "drain_s": 1.0,
                "schedule": {
                    "steps": [[rate_rps, ENDLESS_S]],
                    "arrivals": self._arrivals,
                    "seed": self._seed + number,
                },
            }
        )
        outcome, why = judge(answer, self._expectations)
        self.rows.append({"rate_rps": rate_rps, "outcome": outcome.value, "why": why})
        elapsed_s = time.monotonic() - self._began_s
        self._told(
            f"{elapsed_s:5.0f} s  trial {number + 1}: {rate_rps:10.1f} req/s  {outcome.value}"
            + (f": {why}" if why else "")
        )
        return outcome

    def _measure(self, load: dict[str, Any]) -> dict[str, Any]:
        answer = self._generator.measure({"url": self._url, **load})
        self._generator.release()
        return answer


def judge(answer: dict[str, Any], expectations: Sequence[Expectation]) -> tuple[Outcome, str]:
    """What a trial shows, and why where the SLO was not met. Pure."""
    failures = [failure for each in expectations if (failure := each.failure(answer)) is not None]
    kept_up = answer["throughput_rps"] >= SATURATED * answer["offered_rps"]
    if not failures and kept_up:
        return Outcome.MET, ""
    if answer["generator_at_fault"]:
        return Outcome.GENERATOR, "; ".join(answer["invalid_reasons"])
    if not kept_up:
        failures.append(f"saturated at {answer['throughput_rps']:.0f} req/s")
    return Outcome.FAILED, "; ".join(failures)


def expectations_of(texts: Sequence[str]) -> list[Expectation]:
    """What an SLO's options say. Raises UserError."""
    try:
        return [parse_expectation(text) for text in texts]
    except ValueError as error:
        raise UserError(f"--slo: {error}") from None
