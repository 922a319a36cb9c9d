"""Profiles and the command line's changes to them."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from harness import MODELS, grid, model, tiny

from bench.errors import UserError
from bench.measure.profile import model_of
from bench.measure.profile_file import load_profile
from bench.measure.selection import override, without_unavailable

QUICK = load_profile("quick")


def test_nothing_asked_for_changes_nothing() -> None:
    assert override(QUICK, MODELS) == QUICK


def test_models_replace_the_targets_where_they_fit() -> None:
    """`blocking` serves one connection at a time: the keep-alive grid goes without it."""
    keep, close = override(QUICK, MODELS, only=["trio", "blocking"]).grids
    assert keep.targets == ("trio",)
    assert close.targets == ("trio", "blocking")


def test_declared_pairs_are_kept_where_both_are_left() -> None:
    keep, close = override(QUICK, MODELS, only=["threaded", "uvloop"]).grids
    assert keep.pairs == close.pairs == (("uvloop", "threaded"),)


def test_without_a_declared_pair_async_is_compared_with_sync() -> None:
    _, close = override(QUICK, MODELS, only=["asyncio", "trio", "blocking"]).grids
    assert close.pairs == (("asyncio", "blocking"), ("trio", "blocking"))


def test_a_model_that_no_declared_pair_names_is_compared_all_the_same() -> None:
    _, close = override(QUICK, MODELS, only=["trio", "blocking", "threaded"]).grids
    assert close.pairs == (("threaded", "blocking"), ("trio", "blocking"), ("trio", "threaded"))


def test_models_of_one_family_are_compared_with_the_first() -> None:
    keep, _ = override(QUICK, MODELS, only=["asyncio", "uvloop", "trio"]).grids
    assert keep.pairs == (("uvloop", "asyncio"), ("trio", "asyncio"))


def test_a_copy_of_a_model_is_a_target_of_its_own() -> None:
    keep, close = override(QUICK, MODELS, only=["uvloop", "uvloop#2"]).grids
    assert keep.targets == close.targets == ("uvloop", "uvloop#2")
    assert keep.pairs == (("uvloop#2", "uvloop"),)
    assert [model_of(name) for name in keep.targets] == ["uvloop", "uvloop"]


def test_a_model_named_twice_is_measured_once() -> None:
    assert override(QUICK, MODELS, only=["uvloop", "uvloop"]).targets == ("uvloop",)


def test_only_models_that_no_grid_can_hold_are_refused() -> None:
    profile = tiny(grid("threaded"))
    with pytest.raises(UserError, match=r"--models blocking: .* profile tiny has no grid with"):
        override(profile, MODELS, only=["blocking"])


def test_delays_and_connections_replace_those_of_every_grid_each_once() -> None:
    asked: dict[str, Any] = {"delays": ["0ms", "20ms", "20000us"], "connections": ["1", "64", "64"]}
    for each in override(QUICK, MODELS, **asked).grids:
        assert (each.delays_s, each.connections) == ((0.0, 0.02), (1, 64))


def test_rounds_are_exactly_as_many_as_asked_for() -> None:
    profile = override(QUICK, MODELS, rounds=3)
    assert (profile.rounds_min, profile.rounds_max) == (3, 3)


def test_budget_and_seed_are_replaced() -> None:
    profile = override(QUICK, MODELS, budget="1m30s", seed=7)
    assert (profile.budget_s, profile.seed) == (90.0, 7)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"only": ["uvlop"]}, "--models: no model 'uvlop'; the models are blocking, threaded"),
        ({"only": ["#2"]}, "--models: no model '#2'; the models are"),
        ({"delays": ["5"]}, "--delay: '5' is not a duration; write it like"),
        ({"delays": ["2m"]}, "--delay: 2m is longer than the servers allow, 60 s"),
        ({"connections": ["0"]}, "--connections: must be a whole number from 1 to 50000, not 0"),
        ({"connections": ["x"]}, "--connections: must be a whole number from 1 to 50000, not 'x'"),
        ({"rounds": 0}, "--rounds: must be a whole number from 1 to 10000, not 0"),
        ({"budget": "0s"}, "--budget: must be more than nothing"),
        ({"budget": "soon"}, "--budget: 'soon' is not a duration; write it like"),
        ({"seed": -1}, "--seed: must be a whole number from 0 to 4294967296, not -1"),
    ],
)
def test_what_cannot_be_asked_for_is_named_by_its_option(
    asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        override(QUICK, MODELS, **asked)
    assert str(caught.value).startswith(message)


def test_an_unknown_model_in_a_profile_names_the_profile() -> None:
    with pytest.raises(UserError, match="profile tiny: no model 'tornado'; the models are"):
        override(tiny(grid("tornado")), MODELS)


def test_a_model_that_cannot_run_here_is_left_out_with_its_pairs_and_a_notice() -> None:
    why = "model trio needs trio: pip install trio"
    models = MODELS | {"trio": model("trio", "async", why=why)}
    profile, notices = without_unavailable(QUICK, models)
    assert notices == [f"trio is left out: {why}"]
    assert "trio" not in profile.targets
    assert all("trio" not in pair for each in profile.grids for pair in each.pairs)
    assert [len(each.pairs) for each in profile.grids] == [3, 3]


def test_a_copy_of_an_unavailable_model_is_left_out_too() -> None:
    models = MODELS | {"uvloop": model("uvloop", "async", why="no uvloop")}
    with pytest.raises(UserError) as caught:
        without_unavailable(load_profile("aa"), models)
    assert str(caught.value) == (
        "nothing to measure: uvloop is left out: no uvloop; uvloop#2 is left out: no uvloop"
    )


def test_all_available_says_nothing() -> None:
    assert without_unavailable(QUICK, MODELS) == (QUICK, [])


def test_the_config_is_plain_and_whole() -> None:
    """All that decides what is measured, in JSON's types, without name and title."""
    config = json.loads(json.dumps(QUICK.config(), allow_nan=False))
    assert set(config) == set(asdict(QUICK)) - {"name", "title"}
    assert config["grids"][0] == {
        "connection": "keep-alive",
        "targets": ["threaded", "asyncio", "uvloop", "trio"],
        "works": ["/", "/delay=5ms", "/delay=50ms"],
        "delays_s": [0.0, 0.005, 0.05],
        "connections": [1, 16, 128, 512],
        "pairs": [
            ["uvloop", "threaded"],
            ["asyncio", "threaded"],
            ["trio", "threaded"],
            ["uvloop", "asyncio"],
        ],
        "workers": [None],
        "units": [None],
        "server_cores": [1],
    }


def test_a_model_that_keeps_nothing_alive_is_refused_in_a_keep_alive_grid() -> None:
    with pytest.raises(UserError, match="profile tiny: blocking serves one connection at a time"):
        override(tiny(grid("blocking", connection="keep-alive")), MODELS)
