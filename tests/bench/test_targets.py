"""Targets as live processes: real servers, and servers that misbehave."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from harness import ROOT, odd_target, processes_below, real_target

from bench.measure.process import TargetError
from bench.measure.targets import Fleet, Target, calibrate_spin, command_of, known_models


def fleet_of(*targets: Target) -> Fleet:
    return Fleet({target.name: target for target in targets}, ())


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert processes_below() == []


@pytest.fixture
def healthy() -> Iterator[Fleet]:
    fleet = fleet_of(odd_target("a"), odd_target("b"))
    yield fleet
    fleet.kill_all()


def test_the_servers_own_table_says_which_models_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    models = known_models()
    assert set(models) >= {"blocking", "threaded", "asyncio", "uvloop", "trio"}
    assert models["blocking"].serves_one_at_a_time
    assert not models["threaded"].serves_one_at_a_time
    assert (models["threaded"].family, models["trio"].family) == ("sync", "async")


def test_a_model_whose_library_is_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """sys.modules[name] = None makes Python say that the library is not installed."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['trio'] = None\n")
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    models = known_models()
    assert not models["trio"].available
    assert models["trio"].why_unavailable == "model trio needs trio: pip install trio"
    assert models["threaded"].available


def test_the_spin_loop_is_calibrated_by_the_servers() -> None:
    assert 1 < calibrate_spin() < 10_000


def test_every_target_gets_the_same_rounds_and_the_units_asked_for() -> None:
    command = command_of("uvloop", spin_rounds_per_us=41.2, units=3)
    assert command[1:] == (
        *("-P", "-m", "servers", "uvloop", "--spin-rounds-per-us", "41.2"),
        *("--units", "3"),
    )
    assert "--units" not in command_of("uvloop", spin_rounds_per_us=41.2)


def test_a_target_describes_itself_without_the_path_of_this_machine() -> None:
    described = real_target("uvloop#2").described()
    assert described == {
        "name": "uvloop#2",
        "model": "uvloop",
        "family": "async",
        "serves_one_at_a_time": False,
        "command": ["python", "-P", "-m", "servers", "uvloop", "--spin-rounds-per-us", "10"],
    }


def test_models_and_their_copies_start_together_and_answer_alike() -> None:
    fleet = fleet_of(*(real_target(name) for name in ("blocking", "uvloop", "uvloop#2")))
    try:
        assert fleet.start_all() == {}
        ports = {fleet.address(name).port for name in fleet.targets}
        assert len(ports) == 3
        assert fleet.body
    finally:
        fleet.kill_all()
    assert not any(fleet.is_alive(name) for name in fleet.targets)


def test_starting_all_again_gives_fresh_processes(healthy: Fleet) -> None:
    healthy.start_all()
    before = healthy.address("a").pid
    assert healthy.address("a").pid == before
    healthy.start_all()
    assert healthy.address("a").pid != before


def test_a_dropped_target_is_started_afresh_when_it_is_asked_for(healthy: Fleet) -> None:
    healthy.start_all()
    before = healthy.address("a")
    healthy.drop("a")
    assert not healthy.is_alive("a")
    assert healthy.is_alive("b")
    assert healthy.address("a").pid != before.pid


def test_a_target_that_died_is_started_afresh_when_it_is_asked_for(healthy: Fleet) -> None:
    healthy.start_all()
    healthy.process("a").kill()
    assert not healthy.is_alive("a")
    assert healthy.address("a").pid
    assert healthy.is_alive("a")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--nonsense"], "sick: ended with exit code 2; its last output:\n  usage: "),
        (["--status", "500"], "sick: answered a request for / with 500; "),
        (["--body", "other"], "sick: answered 'other' where the other targets answer 'odd'; "),
        (["--dies-on", "/", "--dies-after", "1"], "sick: "),  # says how: the kernel is racing us
    ],
)
def test_one_that_is_not_fit_is_told_and_the_others_are_up(
    flags: Sequence[str], message: str
) -> None:
    fleet = fleet_of(odd_target("well"), odd_target("sick", *flags), odd_target("fine"))
    try:
        failures = fleet.start_all()
        assert list(failures) == ["sick"]
        assert failures["sick"].startswith(message)
        assert (fleet.is_alive("well"), fleet.is_alive("fine")) == (True, True)
        assert not fleet.is_alive("sick")
        with pytest.raises(TargetError, match="sick: "):
            fleet.address("sick")
    finally:
        fleet.kill_all()


def test_a_command_that_is_not_there_is_told() -> None:
    fleet = fleet_of(Target("x", odd_target("x").model, ("/no/such/server",)))
    failures = fleet.start_all()
    assert failures["x"].startswith("x: ended with exit code 127; its last output:\n  cannot start")
