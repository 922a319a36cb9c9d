"""The upstream of a run: one a round, revived where it is gone, charged to the calls."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import (
    Recorder,
    commands_below,
    foreign_target,
    grid,
    is_alive,
    measure,
    processes_below,
    real_target,
    tiny,
    wait_for,
)

from bench.measure.cores import cores_here
from bench.measure.plan import Cell
from bench.measure.process import TargetError
from bench.measure.upstream import Upstream
from tests.conftest import complaints

OURS = "-m servers.upstream"
TWO_ROUNDS = {"rounds_min": 2, "rounds_max": 2}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert processes_below() == []


def test_calls_of_a_run_go_to_an_upstream_on_the_generators_core(tmp_path: Path) -> None:
    """A fresh one each round; what it uses is told by the call, and nothing where none calls."""
    seen: list[tuple[int, ...]] = []

    def look(cell: Cell) -> None:
        seen.append(tuple(each.pid for each in commands_below(OURS)))
        assert commands_below(OURS)[0].cpu_affinity() == list(cores_here().generator)

    profile = tiny(
        grid("threaded", "uvloop", works=["/call=1ms/call=2ms", "/delay=1ms"]), **TWO_ROUNDS
    )
    watcher = Recorder(look)
    run = measure(tmp_path / "r", profile, [real_target(n) for n in profile.targets], watcher)
    assert watcher.notices == []
    for trial in run.trials:
        assert complaints(trial) == []
        if trial["work"] == "/delay=1ms":
            assert trial["upstream_cpu_us_per_call"] is None
        else:
            assert trial["delay_s"] == 0.003
            assert trial["upstream_cpu_us_per_call"] > 0
    assert [len(pids) for pids in seen] == [1] * 8
    assert len(set(seen)) == 2


def test_without_a_call_there_is_no_upstream(tmp_path: Path) -> None:
    watcher = Recorder(lambda cell: started.extend(commands_below(OURS)))
    started: list[object] = []
    measure(tmp_path / "r", tiny(grid("threaded")), [real_target("threaded")], watcher)
    assert started == []


def test_a_command_with_a_place_for_an_upstream_gets_one_whatever_it_is_asked(
    tmp_path: Path,
) -> None:
    theirs = foreign_target("theirs", "--upstream", "{upstream}")
    words: list[str] = []
    watcher = Recorder(lambda cell: words.extend(commands_below("odd_server")[0].cmdline()))
    measure(tmp_path / "r", tiny(grid("theirs")), [theirs], watcher)
    assert words[-1].startswith("127.0.0.1:")


def test_one_that_is_killed_is_started_afresh_at_the_same_address(tmp_path: Path) -> None:
    def kill_once(cell: Cell) -> None:
        if len(watcher.cells) == 1:
            (process,) = commands_below(OURS)
            process.kill()
            wait_for(lambda: not is_alive(process), "the upstream is still there")

    watcher = Recorder(kill_once)
    profile = tiny(grid("threaded", works=["/call=1ms"], connections=[1, 2, 3]))
    run = measure(tmp_path / "r", profile, [real_target("threaded")], watcher)
    assert complaints(run.trials[2]) == []
    assert watcher.notices[0] == "upstream: was gone and is started afresh"


def test_one_that_does_not_start_is_told_and_fails_the_calls_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.measure.upstream.COMMAND", (sys.executable, "-c", "exit('no luck')"))
    with pytest.raises(TargetError, match=r"upstream: ended with exit code 1; .*\n  no luck"):
        Upstream(()).start()
    watcher = Recorder()
    profile = tiny(grid("threaded", works=["/call=1ms", "/delay=1ms"]))
    run = measure(tmp_path / "r", profile, [real_target("threaded")], watcher)
    valid = {trial["work"]: not complaints(trial) for trial in run.trials}
    assert valid == {"/call=1ms": False, "/delay=1ms": True}
    assert watcher.notices[0].startswith("upstream: ended with exit code 1; ")
    assert watcher.notices[1].startswith("threaded: answered a request for /call=1ms with 400; ")
