"""What the command line adds to a profile: axes, work, targets of the user's, interpreters."""

from dataclasses import replace
from typing import Any

import pytest
from harness import MODELS, grid, model, tiny

from bench.errors import UserError
from bench.measure.profile import Ladder, Model, model_of, original_of, under
from bench.measure.profile_file import load_profile
from bench.measure.selection import override, with_interpreters, without_unavailable

QUICK = load_profile("quick")


def command(name: str, *, one: bool = False, kind: Any = "command") -> Model:
    return replace(model(name, "unknown", one=one), kind=kind)


KNOWN = {
    **MODELS,
    "mine": command("mine"),
    "other": command("other"),
    "single": command("single", one=True),
    "gunicorn": replace(model("gunicorn"), kind="stack"),
}


# Axes


def test_axes_replace_those_of_every_grid_each_value_once() -> None:
    asked: dict[str, Any] = {
        "workers": ["1", "2", "2"],
        "units": ["8"],
        "server_cores": ["1", "2"],
    }
    for each in override(QUICK, MODELS, **asked).grids:
        assert (each.workers, each.units, each.server_cores) == ((1, 2), (8,), (1, 2))
        assert each.works == ("/", "/delay=5ms", "/delay=50ms")


def test_work_replaces_the_delays() -> None:
    profile = override(QUICK, MODELS, works=["/call=5ms", "/delay=1ms/spin=1ms", "/call=5ms"])
    assert profile.works == ("/call=5ms", "/delay=1ms/spin=1ms")
    assert profile.grids[0].delays_s == (0.005, 0.001)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"workers": ["0"]}, "--workers: must be a whole number from 1 to 10000, not 0"),
        ({"units": ["x"]}, "--units: must be a whole number from 1 to 1000000, not 'x'"),
        ({"server_cores": ["-1"]}, "--server-cores: must be a whole number from 1 to 10000"),
        ({"works": ["/sleep=1ms"]}, "--work: unknown step 'sleep' in /sleep=1ms; a path is made"),
        ({"works": ["/"], "delays": ["0ms"]}, "give --delay or --work, not both"),
    ],
)
def test_what_cannot_be_asked_for_is_named_by_its_option(
    asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        override(QUICK, MODELS, **asked)
    assert str(caught.value).startswith(message)


# Targets of the user's


def test_an_added_target_joins_every_grid_and_is_compared_with_all_that_is_there() -> None:
    keep, close = override(QUICK, KNOWN, added=["mine"]).grids
    assert keep.targets == ("threaded", "asyncio", "uvloop", "trio", "mine")
    assert keep.pairs == (*QUICK.grids[0].pairs, *[("mine", t) for t in keep.targets[:-1]])
    assert close.targets == ("blocking", "threaded", "uvloop", "mine")
    assert close.pairs[-3:] == (("mine", "blocking"), ("mine", "threaded"), ("mine", "uvloop"))


def test_two_added_targets_are_each_compared_with_the_models_not_with_each_other() -> None:
    (only,) = override(tiny(grid("uvloop")), KNOWN, added=["mine", "other"]).grids
    assert only.pairs == (("mine", "uvloop"), ("other", "uvloop"))


def test_one_that_serves_one_at_a_time_joins_close_grids_only() -> None:
    keep, close = override(QUICK, KNOWN, added=["single"]).grids
    assert "single" not in keep.targets
    assert close.targets[-1] == "single"
    with pytest.raises(UserError, match="--target single: serves one connection at a time, and pr"):
        override(tiny(grid("uvloop")), KNOWN, added=["single"])


def test_a_declared_pair_that_names_an_added_target_is_the_only_one() -> None:
    declared = grid("uvloop", "threaded", "mine", pairs=[("uvloop", "mine")])
    (only,) = override(tiny(declared), KNOWN, added=["mine"]).grids
    assert only.pairs == (("uvloop", "mine"),)
    assert only.targets == ("uvloop", "threaded", "mine")


def test_models_chosen_by_name_are_what_an_added_target_is_compared_with() -> None:
    for only in (["uvloop", "threaded"], ["uvloop", "threaded", "mine"]):
        keep, _ = override(QUICK, KNOWN, only=only, added=["mine"]).grids
        assert keep.targets == ("uvloop", "threaded", "mine")
        assert keep.pairs == (("uvloop", "threaded"), ("mine", "uvloop"), ("mine", "threaded"))


def test_added_targets_alone_are_compared_with_the_first_of_them() -> None:
    keep, _ = override(QUICK, KNOWN, only=["mine", "other"], added=["mine", "other"]).grids
    assert keep.pairs == (("other", "mine"),)


def test_stacks_are_chosen_like_models() -> None:
    keep, _ = override(QUICK, KNOWN, only=["gunicorn", "uvloop"]).grids
    assert keep.pairs == (("uvloop", "gunicorn"),)


# Interpreters


def under_both(*labels: str) -> dict[str, Model]:
    more = {under(n, at): replace(m, name=under(n, at)) for at in labels for n, m in KNOWN.items()}
    return {**KNOWN, **more}


def test_a_name_under_another_interpreter_keeps_its_number() -> None:
    assert under("uvloop", "3.13t") == "uvloop@3.13t"
    assert under("uvloop#2", "3.13") == "uvloop@3.13#2"
    assert original_of("uvloop@3.13#2") == "uvloop@3.13"
    assert model_of("uvloop@3.13#2") == model_of("uvloop@3.13") == "uvloop"


def test_every_model_is_measured_under_every_interpreter_and_compared_alike() -> None:
    declared = grid(
        "uvloop", "threaded", "mine", pairs=[("uvloop", "threaded"), ("mine", "uvloop")]
    )
    profile = with_interpreters(tiny(declared), under_both("3.12", "3.13t"), ["3.12", "3.13t"])
    (only,) = profile.grids
    assert only.targets == (
        *("uvloop", "threaded", "mine"),
        *("uvloop@3.12", "threaded@3.12"),
        *("uvloop@3.13t", "threaded@3.13t"),
    )
    assert only.pairs == (
        *declared.pairs,
        *(("uvloop@3.12", "uvloop"), ("threaded@3.12", "threaded")),
        *(("uvloop@3.13t", "uvloop"), ("threaded@3.13t", "threaded")),
        ("uvloop@3.12", "threaded@3.12"),
        ("uvloop@3.13t", "threaded@3.13t"),
    )


def test_a_model_that_an_interpreter_lacks_is_left_out_there_alone() -> None:
    models = under_both("3.13")
    models["uvloop@3.13"] = replace(
        models["uvloop@3.13"], available=False, why_unavailable="no uvloop there"
    )
    profile = tiny(grid("uvloop", "threaded", pairs=[("uvloop", "threaded")]))
    profile, notices = without_unavailable(with_interpreters(profile, models, ["3.13"]), models)
    assert profile.targets == ("uvloop", "threaded", "threaded@3.13")
    assert profile.grids[0].pairs == (("uvloop", "threaded"), ("threaded@3.13", "threaded"))
    assert notices == ["uvloop@3.13 is left out: no uvloop there"]


# Ladders


def test_a_ladder_that_lacks_a_rung_is_left_out_and_said() -> None:
    ladder = Ladder(("gunicorn", "threaded", "uvloop"), ("HTTP code", "model"))
    profile = replace(tiny(grid("gunicorn", "threaded", "uvloop")), ladders=(ladder,))
    assert without_unavailable(profile, KNOWN) == (profile, [])
    fewer, notices = without_unavailable(override(profile, KNOWN, only=["uvloop"]), KNOWN)
    assert fewer.ladders == ()
    assert notices == [
        "the ladder from gunicorn to uvloop is left out: gunicorn, threaded is not measured"
    ]
