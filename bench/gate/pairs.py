"""The plan of a gate: which process starts first in each pair, and the order of its slices.

Pure and seeded. Must not know how a slice is measured or what base and head are.

A fresh process is one draw of layout luck, so a process pair is the unit of the decision. Which
side starts first alternates. Slices come in couples, one of base and one of head. Both are measured
at once, on the same cores, so that whatever slows the machine slows both; or they take turns, in a
random order. The first is known as duet benchmarking (Bulej et al., ICPE 2020).
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
# Roughly what is spent around the slices of a pair.
PAIR_S = 1.0
# For how many pairs a budget is laid out: the least, and some to extend with.
PAIRS_IN_BUDGET = 12
# The share of a pair's time that goes to the closed loop where there is an open one as well.
CLOSED_SHARE = 0.6
MOST_COUPLES = 12


@dataclass(frozen=True)
class Design:
    """How many couples of slices of each regime a pair has, for each workload, and their length.

    `at_once`: both slices of a couple are measured at the same time. Otherwise they take turns, the
    closed loop's in so many `bursts`.
    """

    at_once: bool = True
    closed_couples: int = 1
    open_couples: int = 1
    closed_s: float = 1.5
    bursts: int = 1
    open_s: float = 1.0


@dataclass(frozen=True)
class Lengths:
    """How long a slice is at most and at least, and roughly what a couple takes besides."""

    most_s: float
    least_s: float
    besides_s: float


CLOSED_AT_ONCE = Lengths(1.5, 0.3, 1.0)
CLOSED_IN_TURNS = Lengths(0.3, 0.15, 0.9)
OPEN = Lengths(1.0, 0.25, 0.3)
# A slice in turns is cut into two bursts, if it is not shorter than this.
IN_BURSTS_FROM_S = 0.3


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


def design_for(budget_s: float, workloads: int, *, is_open: bool, in_turns: bool = False) -> Design:
    """Lay a budget out over the pairs; short budgets get short slices rather than fewer pairs."""
    if budget_s <= 0 or workloads < 1:
        raise UserError(f"budget: {budget_s:g} s for {workloads} workloads leaves nothing to spend")
    share_s = max(0.0, budget_s / PAIRS_IN_BUDGET - PAIR_S) / workloads
    closed_share_s = share_s * (CLOSED_SHARE if is_open else 1.0)
    takes = len(SIDES) if in_turns else 1
    closed, closed_s = _fitted(
        closed_share_s, CLOSED_IN_TURNS if in_turns else CLOSED_AT_ONCE, takes
    )
    opened, open_s = _fitted(share_s - closed_share_s, OPEN, takes)
    return Design(
        at_once=not in_turns,
        closed_couples=closed,
        open_couples=opened if is_open else 0,
        closed_s=closed_s,
        bursts=2 if in_turns and closed_s >= IN_BURSTS_FROM_S else 1,
        open_s=open_s,
    )


def _fitted(share_s: float, lengths: Lengths, takes: int) -> tuple[int, float]:
    """How many couples of slices, and of what length, where a couple `takes` so many lengths."""
    couples = round(share_s / (lengths.besides_s + takes * lengths.most_s))
    couples = min(MOST_COUPLES, max(1, couples))
    length_s = (share_s / couples - lengths.besides_s) / takes
    return couples, round(min(lengths.most_s, max(lengths.least_s, length_s)), 3)
