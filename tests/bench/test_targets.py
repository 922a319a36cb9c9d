"""Targets as live processes: real servers, and servers that misbehave."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from harness import MODELS, ROOT, odd_target, processes_below, real_target

from bench.measure.fleet import Fleet
from bench.measure.models import Rates, calibrate, known_models, models_in
from bench.measure.plan import Point, Server
from bench.measure.process import TargetError
from bench.measure.targets import Target, driver_target


def fleet_of(*targets: Target) -> Fleet:
    servers = [Server(target.name) for target in targets]
    return Fleet({target.name: target for target in targets}, servers, {1: ()})


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


def test_a_table_of_older_servers_is_read_too() -> None:
    row = {"name": "x", "family": "sync", "serves_one_at_a_time": False}
    (model,) = models_in([{**row, "available": True, "why_unavailable": None}]).values()
    assert (model.workers_are, model.default_workers) == ("processes", 1)
    more = {"workers_are": "threads", "default_workers": 64}
    (model,) = models_in([{**row, "available": True, "why_unavailable": None, **more}]).values()
    assert (model.workers_are, model.default_workers) == ("threads", 64)


def test_the_loops_that_compute_are_calibrated_by_the_servers() -> None:
    rates = calibrate()
    assert 1 < rates.spin_per_us < 10_000
    assert rates.hash_per_us is None or rates.hash_per_us > 0


def test_every_target_gets_the_same_rounds_and_only_the_settings_that_are_set() -> None:
    target = driver_target("uvloop", MODELS["uvloop"], Rates(41.2, 7.5), None, None)
    rates = ("--spin-rounds-per-us", "41.2", "--hash-rounds-per-us", "7.5")
    assert target.command[1:] == ("-P", "-m", "servers", "uvloop", *rates)
    echo = Target("x", MODELS["uvloop"], (sys.executable, "-c", "import sys; exit(str(sys.argv))"))
    settings = {
        Server("x"): ["-c"],
        Server("x", workers=2, units=8): ["-c", "--workers", "2", "--units", "8"],
    }
    for server, words in settings.items():
        with pytest.raises(TargetError, match=re.escape(str(words))):
            echo.launch(server, (), None).wait_ready()
    with pytest.raises(TargetError, match=r"'--upstream', 'h:1'"):
        echo.launch(Server("x"), (), "h:1").wait_ready()


def test_a_server_is_named_by_the_settings_that_are_not_the_usual_ones() -> None:
    assert str(Server("uvloop", 1)) == "uvloop (1 worker)"
    assert str(Server("uvloop")) == "uvloop"
    assert str(Server("uvloop", 2, 8, 2)) == "uvloop (2 workers, 8 units, 2 cores)"


def test_a_target_describes_itself_without_the_path_of_this_machine() -> None:
    described = real_target("uvloop#2").described()
    python = described.pop("python")
    assert python["version"] == sys.version.split()[0]
    assert described == {
        "name": "uvloop#2",
        "model": "uvloop",
        "family": "async",
        "serves_one_at_a_time": False,
        "command": ["python", "-P", "-m", "servers", "uvloop", "--spin-rounds-per-us", "10"],
        "kind": "driver",
        "workers": 1,
        "workers_are": "processes",
        "threads": None,
        "path": None,
        "title": None,
    }


def test_models_and_their_copies_start_together_and_answer_alike() -> None:
    fleet = fleet_of(*(real_target(name) for name in ("blocking", "uvloop", "uvloop#2")))
    try:
        assert fleet.start_all() == {}
        ports = {fleet.address(server).port for server in fleet.servers}
        assert len(ports) == 3
        bodies = {fleet.right_body(server, Point("/", 0.0, "close", 1)) for server in fleet.servers}
        assert len(bodies) == 1
    finally:
        fleet.kill_all()
    assert not any(fleet.is_alive(server) for server in fleet.servers)


def test_starting_all_again_gives_fresh_processes(healthy: Fleet) -> None:
    healthy.start_all()
    before = healthy.address(Server("a")).pid
    assert healthy.address(Server("a")).pid == before
    healthy.start_all()
    assert healthy.address(Server("a")).pid != before


def test_a_dropped_target_is_started_afresh_when_it_is_asked_for(healthy: Fleet) -> None:
    healthy.start_all()
    before = healthy.address(Server("a"))
    healthy.drop(Server("a"))
    assert not healthy.is_alive(Server("a"))
    assert healthy.is_alive(Server("b"))
    assert healthy.address(Server("a")).pid != before.pid


def test_a_target_that_died_is_started_afresh_when_it_is_asked_for(healthy: Fleet) -> None:
    healthy.start_all()
    healthy.process(Server("a")).kill()
    assert not healthy.is_alive(Server("a"))
    assert healthy.address(Server("a")).pid
    assert healthy.is_alive(Server("a"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--nonsense"], "sick: ended with exit code 2; its last output:\n  usage: "),
        (["--status", "500"], "sick: answered a request for / with 500; "),
        (["--body", "other"], "sick: answered 'other' to a request for / where "),
        (["--dies-on", "/", "--dies-after", "1"], "sick: "),  # says how: the kernel is racing us
    ],
)
def test_one_that_is_not_fit_is_told_and_the_others_are_up(
    flags: Sequence[str], message: str
) -> None:
    fleet = fleet_of(odd_target("well"), odd_target("sick", *flags), odd_target("fine"))
    try:
        failures = fleet.start_all()
        assert list(failures) == [Server("sick")]
        assert failures[Server("sick")].startswith(message)
        assert (fleet.is_alive(Server("well")), fleet.is_alive(Server("fine"))) == (True, True)
        assert not fleet.is_alive(Server("sick"))
        with pytest.raises(TargetError, match="sick: "):
            fleet.address(Server("sick"))
    finally:
        fleet.kill_all()


def test_a_command_that_is_not_there_is_told() -> None:
    fleet = fleet_of(Target("x", odd_target("x").model, ("/no/such/server",)))
    failures = fleet.start_all()
    assert failures[Server("x")].startswith(
        "x: ended with exit code 127; its last output:\n  cannot start"
    )
