"""The plan of a gate: alternated, balanced, seeded, and laid out over a budget."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.gate.first_look import half_of_capacity_rps, sharing_note
from bench.gate.orders import open_window_s
from bench.gate.pairs import (
    CLOSED_AT_ONCE,
    CLOSED_IN_TURNS,
    PAIRS_IN_BUDGET,
    Design,
    couple_orders,
    design_for,
    plan_pair,
)


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


@pytest.mark.parametrize("in_turns", [False, True])
def test_a_larger_budget_buys_slices_and_a_small_one_shortens_them(in_turns: bool) -> None:
    three, one = (design_for(s, 1, is_open=True, in_turns=in_turns) for s in (180.0, 60.0))
    assert three.open_couples > one.open_couples
    assert three.closed_couples > one.closed_couples >= 1
    tiny = design_for(5.0, 2, is_open=True, in_turns=in_turns)
    assert (tiny.closed_couples, tiny.open_couples) == (1, 1)
    assert tiny.closed_s < three.closed_s
    assert tiny.open_s < three.open_s
    assert design_for(60.0, 1, is_open=False, in_turns=in_turns).open_couples == 0
    assert three.at_once != in_turns


@given(
    budget_s=st.floats(0.1, 3600),
    workloads=st.integers(1, 5),
    is_open=st.booleans(),
    in_turns=st.booleans(),
)
def test_slices_never_take_more_than_their_share_unless_they_are_the_shortest(
    budget_s: float, workloads: int, is_open: bool, in_turns: bool
) -> None:
    design = design_for(budget_s, workloads, is_open=is_open, in_turns=in_turns)
    takes = 2 if in_turns else 1
    share_s = budget_s / PAIRS_IN_BUDGET / workloads
    spent_s = design.closed_couples * takes * design.closed_s
    spent_s += design.open_couples * takes * design.open_s
    assert spent_s <= share_s or (design.closed_couples, design.closed_s) == (
        1,
        (CLOSED_IN_TURNS if in_turns else CLOSED_AT_ONCE).least_s,
    )
    assert design.closed_s > 0
    assert design.open_s > 0


def test_only_long_slices_in_turns_are_cut_into_bursts() -> None:
    """At once there is nothing to take turns with."""
    assert design_for(3600.0, 1, is_open=True).bursts == 1
    assert design_for(3600.0, 1, is_open=True, in_turns=True).bursts == 2
    assert design_for(5.0, 1, is_open=True, in_turns=True).bursts == 1


def test_the_open_loop_offers_half_of_what_base_can_do() -> None:
    """Of 1,000 a second; and a request of 2 ms of CPU keeps half of a core busy at 250 a second."""
    assert half_of_capacity_rps(1000.0, None, 1.0) == 500.0
    assert half_of_capacity_rps(1000.0, 200.0, 1.0) == 500.0
    assert half_of_capacity_rps(1000.0, 2000.0, 1.0) == 250.0
    assert half_of_capacity_rps(1000.0, 2000.0, 0.5) == 125.0


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="budget: 0 s for 1 workloads"):
        design_for(0.0, 1, is_open=True)


@pytest.mark.parametrize(
    ("rate_rps", "window_s"), [(1000.0, 1.0), (111.0, 1.0), (55.0, 2.0), (22.0, 5.0), (1.0, 5.0)]
)
def test_an_open_loop_lasts_for_a_hundred_arrivals_or_five_seconds(
    rate_rps: float, window_s: float
) -> None:
    assert open_window_s(Design(open_s=1.0), rate_rps) == pytest.approx(window_s)


def test_unequal_threads_are_told_where_the_kernel_shares_by_thread() -> None:
    assert sharing_note(4, 4, "0\n") is None
    assert sharing_note(4, 1, "1\n") is None
    note = sharing_note(4, 1, "0\n")
    assert note is not None
    assert note.startswith("head has 1 threads, base 4, and this kernel shares the cores by thread")
