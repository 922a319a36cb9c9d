"""When a gate stops measuring: by the standard error and the budget, whatever the estimate is."""

import math
from typing import Any

import pytest

from bench.gate.first_look import Known
from bench.gate.measure import PairsOfProcesses
from bench.gate.pairs import SIDES, Design, PlannedPair
from bench.gate.rule import Rule
from bench.gate.workload import Workload
from bench.measure.cores import CoreChoice

WORKLOAD = Workload("/", 8, ("cpu",))


class ScriptedPairs(PairsOfProcesses):
    """Its pairs are of the log-ratios given, again from the first at the end.

    They take no time, but the gate believes that each took `pair_s`.
    """

    def __init__(self, ratios: list[float], pair_s: float = 0.0) -> None:
        self.ratios, self.pair_s = ratios, pair_s
        self.said: list[str] = []
        cores = CoreChoice((0,), (0,), shared=True, siblings=False)
        super().__init__({}, [WORKLOAD], Design(), cores, 1, lambda _: None)

    def _pair(self, plan: PlannedPair) -> None:
        self._began_s -= self.pair_s
        self.measured.known.setdefault(WORKLOAD.name, Known(("cpu",), 1.0))
        ratio = self.ratios[plan.index % len(self.ratios)]
        for side in SIDES:
            self.measured.lines.append(_line(plan.index, side, math.exp(ratio)))

    def held(self, budget_s: float, least: int = 10, most: int = 60) -> tuple[int, str]:
        """How many pairs were measured, and why no more."""
        measured = self.run(budget_s, least, most, Rule(), self.said.append)
        return measured.pairs, measured.ended


def _line(pair: int, side: str, ratio: float) -> dict[str, Any]:
    return {
        "pair": pair,
        "couple": 0,
        "regime": "closed",
        "workload": WORKLOAD.name,
        "side": side,
        "server_cpu_us_per_request": 100.0 * (ratio if side == "head" else 1.0),
        "served": 9,
        "requests": 9,
        "errors": {},
        "valid": True,
        "invalid_reasons": [],
    }


def noise(spread: float, shift: float = 0.0) -> list[float]:
    return [shift + spread * (-1) ** n for n in range(10)]


@pytest.mark.parametrize("shift", [0.0, 0.03, 1.0])
def test_precise_pairs_end_it_with_the_least_number(shift: float) -> None:
    assert ScriptedPairs(noise(0.001, shift)).held(60.0) == (10, "precise enough")


@pytest.mark.parametrize("shift", [0.0, 0.03, 1.0])
def test_noisy_pairs_extend_it_by_as_many_whatever_the_estimate(shift: float) -> None:
    """5% with 99%: log 1.05 / (2.6 + 2.5) is 0.95%, which a spread of 4% has after 18 or so."""
    pairs, ended = ScriptedPairs(noise(0.04, shift)).held(60.0)
    assert (pairs, ended) == ScriptedPairs(noise(0.04)).held(60.0)
    assert 14 < pairs < 30
    assert ended == "precise enough"


def test_the_budget_ends_it_and_the_most_pairs_do() -> None:
    assert ScriptedPairs(noise(1.0)).held(60.0, most=12) == (12, "the budget is spent")
    slow = ScriptedPairs(noise(1.0), pair_s=100.0)
    assert slow.held(1250.0) == (13, "the budget is spent")
    assert slow.said[9].startswith("pair 10 of 10 measured, 10")
    assert slow.said[10].startswith("pair 11, extending measured")
    pairs, ended = ScriptedPairs(noise(1.0), pair_s=100.0).held(500.0)
    assert (pairs, "more than the budget" in ended) == (10, True)
