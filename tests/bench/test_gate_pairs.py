"""The plan of a gate: alternated, balanced, seeded, and laid out over a budget."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.gate.pairs import couple_orders, design_for, plan_pair


def test_who_starts_first_alternates_and_every_pair_has_its_own_hash_seed() -> None:
    plan = [plan_pair(index, seed=1) for index in range(20)]
    for one, other in pairwise(plan):
        assert one.start_order == tuple(reversed(other.start_order))
    assert len({pair.hash_seed for pair in plan}) == 20
    assert all(1 <= pair.hash_seed < 2**32 for pair in plan)


@given(pair=st.integers(0, 30), couples=st.integers(1, 30), seed=st.integers(0, 2**32))
def test_both_orders_of_a_couple_are_equally_often(pair: int, couples: int, seed: int) -> None:
    orders = couple_orders(pair, "closed", couples, seed)
    first = Counter(order[0] for order in orders)
    assert abs(first["base"] - first["head"]) <= 1
    assert all(set(order) == {"base", "head"} for order in orders)


def test_the_seed_alone_decides() -> None:
    assert couple_orders(3, "open", 8, seed=1) == couple_orders(3, "open", 8, seed=1)
    assert couple_orders(3, "open", 8, seed=1) != couple_orders(3, "open", 8, seed=2)
    assert plan_pair(3, seed=1) == plan_pair(3, seed=1) != plan_pair(3, seed=2)


def test_the_order_within_pairs_is_random_rather_than_a_pattern() -> None:
    assert len({couple_orders(pair, "open", 8, seed=1) for pair in range(20)}) > 15


def test_a_larger_budget_buys_slices_and_a_small_one_shortens_them() -> None:
    three, one = (design_for(s, 1, is_open=True) for s in (180.0, 60.0))
    assert three.open_couples > one.open_couples
    assert three.closed_couples >= one.closed_couples >= 1
    tiny = design_for(5.0, 2, is_open=True)
    assert (tiny.closed_couples, tiny.open_couples) == (1, 1)
    assert tiny.closed_s < three.closed_s
    assert design_for(60.0, 1, is_open=False).open_couples == 0


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="budget: 0 s for 1 workloads"):
        design_for(0.0, 1, is_open=True)
