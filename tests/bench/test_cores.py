"""Which cores servers and generator get: a table of machines, and properties for all others."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.measure.cores import (
    CoreChoice,
    available_cores,
    choose_cores,
    parse_core_list,
    read_siblings,
)

NO_SMT: dict[int, frozenset[int]] = {}
# Two common numberings of 4 physical cores with 2 hyperthreads each.
SPREAD = {core: frozenset({core % 4, core % 4 + 4}) for core in range(8)}
ADJACENT = {core: frozenset({core // 2 * 2, core // 2 * 2 + 1}) for core in range(8)}


@pytest.mark.parametrize(
    ("available", "siblings", "server_cores", "expected"),
    [
        ({0, 1}, NO_SMT, 1, CoreChoice((0,), (1,), shared=False, siblings=False)),
        ({0, 1, 2, 3}, NO_SMT, 2, CoreChoice((0, 1), (3,), shared=False, siblings=False)),
        ({5, 9}, NO_SMT, 1, CoreChoice((5,), (9,), shared=False, siblings=False)),
        # A single core, and as many server cores as there are: shared, and marked.
        ({3}, NO_SMT, 1, CoreChoice((3,), (3,), shared=True, siblings=False)),
        ({0, 1}, NO_SMT, 2, CoreChoice((0, 1), (1,), shared=True, siblings=False)),
        # Hyperthreads: never two of one physical core while others are free.
        (range(8), SPREAD, 1, CoreChoice((0,), (3,), shared=False, siblings=False)),
        (range(8), ADJACENT, 3, CoreChoice((0, 2, 4), (6,), shared=False, siblings=False)),
        # Four for the server: a second hyperthread of its own rather than the generator's.
        (range(8), ADJACENT, 4, CoreChoice((0, 1, 2, 4), (6,), shared=False, siblings=False)),
        (range(8), SPREAD, 6, CoreChoice((0, 1, 2, 4, 5, 6), (3,), shared=False, siblings=False)),
        # Seven: only the generator's sibling is left.
        (range(8), SPREAD, 7, CoreChoice((0, 1, 2, 4, 5, 6, 7), (3,), shared=False, siblings=True)),
        # Both available cores are one physical core.
        ({2, 6}, SPREAD, 1, CoreChoice((6,), (2,), shared=False, siblings=True)),
        # A sibling that we may not use does not matter.
        ({0, 1}, SPREAD, 1, CoreChoice((0,), (1,), shared=False, siblings=False)),
    ],
)
def test_the_choice_on_known_machines(
    available: set[int],
    siblings: Mapping[int, frozenset[int]],
    server_cores: int,
    expected: CoreChoice,
) -> None:
    assert choose_cores(set(available), siblings, server_cores) == expected


@given(
    available=st.sets(st.integers(0, 63), min_size=1, max_size=16),
    threads_per_core=st.integers(1, 4),
    share=st.floats(0, 1),
)
def test_server_and_generator_are_apart_whenever_that_is_possible(
    available: set[int], threads_per_core: int, share: float
) -> None:
    def physical(core: int) -> int:
        return core // threads_per_core

    siblings = {c: {s for s in range(64) if physical(s) == physical(c)} for c in range(64)}
    server_cores = 1 + round(share * (len(available) - 1))
    choice = choose_cores(available, siblings, server_cores)
    (generator,) = choice.generator
    assert len(set(choice.server)) == server_cores
    assert {*choice.server, generator} <= available
    assert choice.shared == (server_cores == len(available))
    physical_used = {physical(core) for core in choice.server}
    if server_cores < len({physical(core) for core in available}):
        assert physical(generator) not in physical_used
        assert len(physical_used) == server_cores
    assert choice.siblings == (physical(generator) in physical_used and not choice.shared)


@pytest.mark.parametrize("server_cores", [-1, 0, 3])
def test_more_cores_than_there_are_is_a_clear_error(server_cores: int) -> None:
    with pytest.raises(UserError, match=rf"{server_cores} asked for, 2 available here \(0, 1\)"):
        choose_cores({0, 1}, NO_SMT, server_cores)


@pytest.mark.parametrize(
    ("text", "cores"), [("0\n", {0}), ("0,4\n", {0, 4}), ("0-2,8", {0, 1, 2, 8})]
)
def test_the_kernels_lists_are_understood(text: str, cores: set[int]) -> None:
    assert parse_core_list(text) == cores


def test_siblings_are_read_and_a_core_without_topology_is_alone(tmp_path: Path) -> None:
    for core, text in {0: "0,4\n", 1: "nonsense\n"}.items():
        folder = tmp_path / f"cpu{core}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(text)
    assert read_siblings({0, 1, 2}, tmp_path) == {0: {0, 4}, 1: {1}, 2: {2}}


def test_this_machine_gives_a_choice() -> None:
    cores = available_cores()
    choice = choose_cores(cores, read_siblings(cores))
    assert {*choice.server, *choice.generator} <= os.sched_getaffinity(0)
    assert choice.shared == (len(cores) == 1)
