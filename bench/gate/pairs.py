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
ORDERS: tuple[tuple[Side, Side], ...] = (("base", "head"), ("head", "base"))
HASH_SEED_MAX = 2**32 - 1


@dataclass(frozen=True)
class PlannedPair:
    """One pair of fresh processes and what is measured on them.

    `hash_seed` is for PYTHONHASHSEED: the same on both sides, another one in the next pair.
    """

    index: int
    start_order: tuple[Side, Side]
    couples: tuple[tuple[Side, Side], ...]
    hash_seed: int

    @property
    def slices(self) -> tuple[Side, ...]:
        """The sides in the order in which their slices are measured."""
        return tuple(side for couple in self.couples for side in couple)


def plan_pairs(pairs: int, couples: int, seed: int) -> tuple[PlannedPair, ...]:
    """Plan `pairs` process pairs of `couples` couples of slices each.

    Within a pair both orders of a couple occur equally often, to one. Raises UserError for fewer
    than two pairs, which allow no interval, or for no couple.
    """
    if pairs < 2:
        raise UserError(f"pairs: {pairs} asked for; at least 2 process pairs make an interval")
    if couples < 1:
        raise UserError(f"couples: {couples} asked for; a pair needs at least 1 couple of slices")
    dice = random.Random(seed)
    return tuple(
        PlannedPair(
            index=index,
            start_order=ORDERS[index % 2],
            couples=_balanced_orders(couples, dice),
            hash_seed=dice.randint(1, HASH_SEED_MAX),
        )
        for index in range(pairs)
    )


def _balanced_orders(couples: int, dice: random.Random) -> tuple[tuple[Side, Side], ...]:
    first = dice.randrange(2)
    orders = [ORDERS[(first + couple) % 2] for couple in range(couples)]
    dice.shuffle(orders)
    return tuple(orders)
