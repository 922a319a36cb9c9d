"""Commands of the user's as targets of a run: real servers, of which most are in trouble."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from harness import (
    Recorder,
    commands_below,
    foreign_target,
    grid,
    measure,
    odd_target,
    processes_below,
    tiny,
)

from bench.measure.fleet import Fleet, RefusedError
from bench.measure.plan import Cell, Point, Server
from bench.measure.process import TargetError
from bench.measure.targets import Target
from bench.store import Run
from tests.conftest import complaints

ODD_WORK = "/delay=1ms"
POINT = Point(ODD_WORK, 0.001, "keep-alive", 1)
Words = tuple[str, ...]


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("bench.measure.slice.WINDOW_LIMIT_S", 0.3)
    yield
    assert processes_below() == []


def run_with(
    folder: Path, theirs: Target, watcher: Recorder | None = None, **options: Any
) -> tuple[Run, list[Mapping[str, Any]]]:
    """A run of theirs beside a model that is well, which is measured all the same; their trials."""
    cells = grid("well", theirs.name, **{"delays_s": [0.001], **options.pop("grid", {})})
    run = measure(folder / "r", tiny(cells, **options), [odd_target("well"), theirs], watcher)
    well = [trial for trial in run.trials if trial["target"] == "well"]
    assert not [each for trial in well for each in complaints(trial)]
    return run, [trial for trial in run.trials if trial["target"] == theirs.name]


def python(script: str) -> Words:
    return (sys.executable, "-c", script, "{port}")


# Fine ones


def test_one_that_answers_as_the_models_do_is_measured(tmp_path: Path) -> None:
    watcher = Recorder()
    _, (trial,) = run_with(tmp_path, foreign_target("theirs"), watcher)
    assert complaints(trial) == []
    assert trial["bound_ratio"] <= 1.02
    assert trial["server_cpu_us_per_request"] > 0
    assert watcher.notices == []


def test_a_path_that_is_the_same_at_all_points_is_not_held_to_a_delay(tmp_path: Path) -> None:
    """It answers at once where the model waits 50 ms: more than N / d, and right."""
    theirs = foreign_target("theirs", "--body", "gr\u00fcn", path="/index.html")
    _, (trial,) = run_with(tmp_path, theirs, grid={"delays_s": [0.05]})
    assert (trial["work"], trial["delay_s"]) == ("/delay=50ms", 0.05)
    assert (complaints(trial), trial["bound_ratio"]) == ([], None)
    assert trial["throughput_rps"] > trial["connections"] / 0.05
    (note,) = theirs.stanza.notes([])
    assert note.startswith("theirs is asked for /index.html at every point")


def test_a_path_may_hold_the_wait_in_milliseconds(tmp_path: Path) -> None:
    theirs = foreign_target("theirs", path="/delay={delay_ms}ms")
    assert theirs.asked(POINT).work == "/delay=1ms"
    assert theirs.asked(Point("/", 0.0, "close", 1)).work == "/delay=0ms"
    _, (trial,) = run_with(tmp_path, theirs)
    assert complaints(trial) == []
    assert trial["bound_ratio"] is not None
    assert theirs.stanza.notes([]) == []


def test_another_body_is_fine_where_only_the_status_is_looked_at(tmp_path: Path) -> None:
    theirs = foreign_target("theirs", "--changes-after", "3", "--body", "odder", check="status")
    _, (trial,) = run_with(tmp_path, theirs)
    assert complaints(trial) == []


def test_one_server_does_for_points_that_its_command_cannot_tell_apart(tmp_path: Path) -> None:
    """Two numbers of workers: two servers of the model, one of the command without {workers}."""
    seen: list[tuple[int, int]] = []

    def look(cell: Cell) -> None:
        ours = commands_below("odd_server.py --workers")
        seen.append((len(ours), len(commands_below("odd_server.py --port"))))

    theirs = foreign_target("theirs")
    _, trials = run_with(tmp_path, theirs, Recorder(look), grid={"workers": [1, 2]})
    assert sorted(trial["workers"] for trial in trials) == [1, 2]
    assert set(seen) == {(1 + 2, 1)}
    (note,) = theirs.stanza.notes(["workers"])
    assert note.startswith("theirs has no {workers} in its command")


def test_what_a_command_and_its_environment_have_room_for_is_filled_in() -> None:
    script = "import os, sys; sys.exit(f'{sys.argv[1:]} {os.environ[\"UNITS\"]} {{x}}')"
    words = ("{python}", "-c", script, "p{port}", "{workers}/{threads}", "{upstream}", "{other}")
    theirs = foreign_target("theirs", words=words, threads=64, env={"UNITS": "{units}"})
    for server, said in (
        (Server("theirs", workers=2, units=8), r"'2/64', 'host:1', '\{other\}'\] 8 \{x\}"),
        (Server("theirs"), r"'1/64', 'host:1', '\{other\}'\] 1 \{x\}"),
    ):
        with pytest.raises(TargetError, match=rf"\['p\d+', {said}"):
            theirs.launch(server, (), "host:1").wait_ready()


def test_its_entry_in_run_json_says_what_it_is() -> None:
    theirs = foreign_target("theirs", "--x", path="/a", threads=8, workers=3, title="Mine")
    described = theirs.described()
    assert described["command"][-3:] == ["--port", "{port}", "--x"]
    assert (described["kind"], described["family"], described["python"]) == (
        "command",
        "unknown",
        None,
    )
    assert (described["workers"], described["threads"]) == (3, 8)
    assert (described["path"], described["title"]) == ("/a", "Mine")


# Those that do not start

TWO_ROUNDS = {"rounds_min": 2, "rounds_max": 2}
THREE_ROUNDS = {"rounds_min": 3, "rounds_max": 3}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("/no/such/server", "{port}"), "theirs: ended with exit code 127; its last output:\n  ca"),
        (python("exit('no config')"), "theirs: ended with exit code 1; its last output:\n  no con"),
        (
            python("print('warming up', flush=True); import time; time.sleep(60)"),
            "theirs: was not ready within 0.3 s: GET / at 127.0.0.1:",
        ),
    ],
    ids=["wrong command", "dies at once", "never ready"],
)
def test_one_that_does_not_start_is_told_twice_and_then_left_alone(
    tmp_path: Path, words: Words, reason: str
) -> None:
    watcher = Recorder()
    theirs = foreign_target("theirs", words=words, ready_timeout_s=0.3)
    _, trials = run_with(tmp_path, theirs, watcher, **THREE_ROUNDS)
    assert len(watcher.notices) == 2
    assert all(notice.startswith(reason) for notice in watcher.notices)
    assert [trial["valid"] for trial in trials] == [False] * 3
    assert all(trial["invalid_reasons"][0].startswith(reason) for trial in trials)


def test_one_that_answers_with_errors_forever_is_not_waited_for_forever(tmp_path: Path) -> None:
    watcher = Recorder()
    theirs = foreign_target("theirs", "--status", "500", ready_timeout_s=0.5)
    run_with(tmp_path, theirs, watcher)
    (notice,) = watcher.notices
    assert notice.startswith("theirs: was not ready within 0.5 s: GET / at 127.0.0.1:")
    assert " never succeeded, its last answer was 500; its last output:\n  {" in notice


def test_one_that_is_slow_to_start_may_be_given_more_time(tmp_path: Path) -> None:
    """It fails for a while first, as a server that is loading does."""
    script = (
        "import runpy, sys, time; time.sleep(0.5); sys.argv[1:] = ['--port', sys.argv[1]];"
        f"runpy.run_path({str(Path(__file__).parent / 'odd_server.py')!r}, run_name='__main__')"
    )
    _, (trial,) = run_with(tmp_path, foreign_target("theirs", words=python(script)))
    assert complaints(trial) == []


def test_one_that_is_never_ready_does_not_cost_the_next_its_time(tmp_path: Path) -> None:
    """Both have half a second from their start; the first uses up that of both."""
    never = foreign_target("never", "--status", "500", ready_timeout_s=0.5)
    fine = foreign_target("fine", ready_timeout_s=0.5)
    targets = {target.name: target for target in (never, fine)}
    fleet = Fleet(targets, [Server("never"), Server("fine")], {1: ()})
    try:
        assert set(fleet.start_all()) == {Server("never")}
        assert fleet.is_alive(Server("fine"))
    finally:
        fleet.kill_all()


# Those that answer wrongly


def refusals(
    tmp_path: Path, *flags: str, rounds: Mapping[str, int] = TWO_ROUNDS, **options: Any
) -> Sequence[str]:
    """What is told of a command whose every slice is lost, in two rounds of two points."""
    watcher = Recorder()
    theirs = foreign_target("theirs", *flags, **options)
    _, trials = run_with(tmp_path, theirs, watcher, grid={"connections": [1, 2]}, **rounds)
    assert [trial["valid"] for trial in trials] == [False] * 4
    assert {trial["throughput_rps"] for trial in trials} == {None}
    return watcher.notices


def test_another_reply_than_the_models_is_told_once_with_what_to_do(tmp_path: Path) -> None:
    (notice,) = refusals(tmp_path, "--body", "hello")
    assert notice.startswith(
        "theirs: answered 'hello' to a request for /delay=1ms where the models answer 'odd'; "
        'if it may, give [targets.theirs] a path or check = "status"; its last output:\n  {"ready"'
    )


def test_an_error_in_reply_to_the_work_is_told_once(tmp_path: Path) -> None:
    (notice,) = refusals(tmp_path, "--work-status", "500")
    assert notice.startswith("theirs: answered a request for /delay=1ms with 500; its last output:")


def test_a_body_that_changes_under_load_is_an_error_and_is_told_once(tmp_path: Path) -> None:
    watcher = Recorder()
    theirs = foreign_target("theirs", "--changes-after", "20")
    _, trials = run_with(tmp_path, theirs, watcher, grid={"connections": [4, 8]})
    assert [trial["valid"] for trial in trials] == [False] * 2
    assert all("body" in str(trial["invalid_reasons"]) for trial in trials)
    assert all(trial["errors"]["body"] > 0 for trial in trials)
    (notice,) = watcher.notices
    assert notice.startswith("theirs: answered /delay=1ms ")
    assert ' times with another body than at first; where bodies may differ, check = "st' in notice


def test_one_that_dies_in_a_slice_is_told_and_is_fresh_for_the_next(tmp_path: Path) -> None:
    watcher = Recorder()
    theirs = foreign_target("theirs", "--dies-on", ODD_WORK, "--dies-after", "20")
    _, trials = run_with(
        tmp_path, theirs, watcher, grid={"connections": [8, 12]}, completions_per_connection=20
    )
    assert len(watcher.notices) == len(trials) == 2
    assert all("theirs: ended with signal SIGKILL" in text for text in watcher.notices)
    assert all("SIGKILL" in trial["invalid_reasons"][0] for trial in trials)


ENDLESS = """
import socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while True:
        client, _ = listener.accept()
        path = client.recv(1000).split()[1]
        client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % (path != b"/") )
        while path != b"/":
            time.sleep(0.05)
"""


def test_a_reply_that_never_comes_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready, and then the body of the work is missing."""
    monkeypatch.setattr("bench.measure.fleet.PROBE_TIMEOUT_S", 0.3)
    (first, *_) = refusals(tmp_path, words=python(ENDLESS))
    assert first.startswith("theirs: does not answer a request for /delay=1ms: timed out; ")


def test_a_reply_that_never_ends_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.measure.fleet.PROBE_TIMEOUT_S", 0.3)
    flood = ENDLESS.replace("d\\r\\n\\r\\n", "d99999999\\r\\n\\r\\n").replace(
        "time.sleep(0.05)", "client.sendall(b'x')"
    )
    theirs = foreign_target("theirs", words=python(flood))
    fleet = Fleet({"theirs": theirs}, [Server("theirs")], {1: ()})
    try:
        assert fleet.start_all() == {}
        with pytest.raises(RefusedError, match=r"the reply does not end, \d+ bytes so far"):
            fleet.right_body(Server("theirs"), POINT)
    finally:
        fleet.kill_all()


def test_what_a_command_answers_is_never_held_against_a_model() -> None:
    """It was asked first, since no model was up."""
    theirs, ours = foreign_target("theirs", "--body", "hello"), odd_target("ours")
    fleet = Fleet({t.name: t for t in (theirs, ours)}, [Server("theirs")], {1: ()})
    try:
        fleet.start_all()
        assert fleet.right_body(Server("theirs"), POINT) == "hello"
        fleet.address(Server("ours"))
        assert fleet.right_body(Server("ours"), POINT) == "odd"
        assert fleet.right_body(Server("theirs"), POINT) == "odd"
    finally:
        fleet.kill_all()
