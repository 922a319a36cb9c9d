"""The plan of a gate: which process starts first in each pair, and the order of its slices.

Pure and seeded. Must not know how a slice is measured or what base and head are.

A fresh process is one draw of layout luck, so a process pair is the unit of the decision. Which
side starts first alternates; slices come in couples, base and head next to each other in time, each
couple in a random order, so that slow drift of the machine hits both alike.
"""

import random
from dataclasses import dataclass
from typing import Literal

from bench.errors import UserError

Side = Literal["base", "head"]
Regime = Literal["closed", "open"]
SIDES: tuple[Side, Side] = ("base", "head")
ORDERS: tuple[tuple[Side, Side], ...] = (("base", "head"), ("head", "base"))
HASH_SEED_MAX = 2**32 - 1

LEAST_PAIRS = 10
# Roughly what is spent around the slices of a pair, and on a couple of each regime.
PAIR_S = 1.5
CLOSED_COUPLE_S = 1.5
OPEN_COUPLE_S = 2.5
# For how many pairs a budget is laid out: the least, and some to extend with.
PAIRS_IN_BUDGET = 16
# The share of a pair's time that goes to the closed loop where there is an open one as well.
CLOSED_SHARE = 0.35
MOST_COUPLES = 12


@dataclass(frozen=True)
class Design:
    """How many couples of slices of each regime a pair has, for each workload, and their length."""

    closed_couples: int = 2
    open_couples: int = 3
    closed_s: float = 0.3
    bursts: int = 2
    open_s: float = 1.0


@dataclass(frozen=True)
class PlannedPair:
    """One pair of fresh processes: who starts first, and the seed of Python's hashes.

    The hash seed is for PYTHONHASHSEED: the same on both sides, another one in the next pair.
    """

    index: int
    start_order: tuple[Side, Side]
    hash_seed: int


def plan_pair(index: int, seed: int) -> PlannedPair:
    """Plan the pair of an index, counted from 0."""
    dice = random.Random(f"{seed} {index}")
    return PlannedPair(index, ORDERS[index % 2], dice.randint(1, HASH_SEED_MAX))


def couple_orders(pair: int, what: str, couples: int, seed: int) -> tuple[tuple[Side, Side], ...]:
    """The order of the two sides in each couple: random, both equally often, to one."""
    dice = random.Random(f"{seed} {pair} {what}")
    first = dice.randrange(2)
    orders = [ORDERS[(first + couple) % 2] for couple in range(couples)]
    dice.shuffle(orders)
    return tuple(orders)


def design_for(budget_s: float, workloads: int, *, is_open: bool) -> Design:
    """Lay a budget out over the pairs; short budgets get short slices rather than fewer pairs."""
    if budget_s <= 0 or workloads < 1:
        raise UserError(f"budget: {budget_s:g} s for {workloads} workloads leaves nothing to spend")
    share_s = max(0.0, budget_s / PAIRS_IN_BUDGET - PAIR_S) / workloads
    closed_s = share_s * (CLOSED_SHARE if is_open else 1.0)
    closed = _clamp(closed_s / CLOSED_COUPLE_S)
    opened = _clamp((share_s - closed_s) / OPEN_COUPLE_S) if is_open else 0
    if closed_s < CLOSED_COUPLE_S:
        return Design(closed, opened, closed_s=0.15, bursts=1, open_s=0.25)
    return Design(closed, opened)


def _clamp(couples: float) -> int:
    return min(MOST_COUPLES, max(1, round(couples)))
