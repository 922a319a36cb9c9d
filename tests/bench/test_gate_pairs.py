"""The plan of a gate: alternated, balanced, seeded."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.gate.pairs import plan_pairs


@given(pairs=st.integers(2, 30), couples=st.integers(1, 30), seed=st.integers(0, 2**32))
def test_every_plan_is_balanced(pairs: int, couples: int, seed: int) -> None:
    plan = plan_pairs(pairs, couples, seed)
    assert [pair.index for pair in plan] == list(range(pairs))
    starts = Counter(pair.start_order[0] for pair in plan)
    assert abs(starts["base"] - starts["head"]) <= 1
    for one, other in pairwise(plan):
        assert one.start_order[0] != other.start_order[0]
    for pair in plan:
        first = Counter(couple[0] for couple in pair.couples)
        assert abs(first["base"] - first["head"]) <= 1
        assert Counter(pair.slices) == {"base": couples, "head": couples}
        assert all(set(couple) == {"base", "head"} for couple in pair.couples)
    assert len({pair.hash_seed for pair in plan}) == pairs
    assert all(1 <= pair.hash_seed < 2**32 for pair in plan)


def test_the_seed_alone_decides() -> None:
    assert plan_pairs(10, 8, seed=1) == plan_pairs(10, 8, seed=1)
    assert plan_pairs(10, 8, seed=1) != plan_pairs(10, 8, seed=2)


def test_the_order_within_pairs_is_random_rather_than_a_pattern() -> None:
    orders = {pair.couples for pair in plan_pairs(20, 8, seed=1)}
    assert len(orders) > 15


@pytest.mark.parametrize(("pairs", "couples", "word"), [(1, 5, "pairs: 1"), (5, 0, "couples: 0")])
def test_a_plan_that_allows_no_answer_is_refused(pairs: int, couples: int, word: str) -> None:
    with pytest.raises(UserError, match=word):
        plan_pairs(pairs, couples, seed=1)
