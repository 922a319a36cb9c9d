"""Real traces: real servers, tasks that are sent at once, and what they say of each model."""

import json
import sys
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, crossover, odd_target

from bench.analyse.timeline import conclude
from bench.cli import main
from bench.measure.cores import cores_here
from bench.measure.models import Rates, known_models
from bench.measure.plan import Server
from bench.measure.process import TargetError
from bench.measure.targets import driver_target
from bench.measure.tracing import steps_in, trace_works

MODELS = known_models()
WAITS = ("waiting", "blocked")

Trace = Mapping[str, Any]


def trace(model: str, work: str, tasks: int = 3, workers: int | None = None) -> Trace:
    """A real trace; at 10 rounds a microsecond a spin takes about as long as it says, or less."""
    target = driver_target(model, MODELS[model], Rates(10, 1), None, None)
    server = Server(model, workers)
    (measured,) = trace_works(target, server, [work], tasks, cores_here())
    return conclude(measured["tasks"])


def spans(trace: Trace, *whats: str) -> list[list[tuple[float, float]]]:
    """For each task when it did so."""
    return [
        [
            (from_ms, to_ms)
            for step in task["steps"]
            for what, from_ms, to_ms in step["spans"]
            if what in whats
        ]
        for task in trace["tasks"]
    ]


def overlapping(tasks: list[list[tuple[float, float]]]) -> int:
    """How many pairs of tasks did something at the same time."""
    return sum(
        any(a[0] < b[1] and b[0] < a[1] for a in one for b in other)
        for one, other in combinations(tasks, 2)
    )


def whats(trace: Trace) -> set[str]:
    return {what for t in trace["tasks"] for step in t["steps"] for what, *_ in step["spans"]}


def test_blocking_does_one_task_after_another() -> None:
    """Figures 1 and 4: in one thread, which waits wherever its task does."""
    traced = trace("blocking", "/spin=5ms/delay=100ms/spin=5ms")
    assert len(traced["threads"]) == 1
    assert overlapping(spans(traced, "computing", *WAITS)) == 0
    assert (traced["overlapped_share"], traced["waiting_ms"]) == (0, 0)
    assert traced["blocked_ms"] == pytest.approx(300, abs=1)


def test_threads_wait_at_once_each_with_its_task() -> None:
    """Figure 2: one thread per task."""
    traced = trace("threaded", "/spin=5ms/delay=500ms/spin=5ms")
    assert len(traced["threads"]) == 3
    assert overlapping(spans(traced, *WAITS)) == 3
    assert "waiting" not in whats(traced)
    assert [len({step["thread"] for step in task["steps"]}) for task in traced["tasks"]] == [1] * 3


@pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="no interpreter lock"
)
def test_threads_compute_in_turns() -> None:
    """Figure 2: the system takes the interpreter lock from one and gives it to another."""
    traced = trace("threaded", "/spin=200ms", tasks=2)
    one, other = spans(traced, "computing")
    assert len(one) + len(other) > 2


def test_a_loop_waits_for_many_in_one_thread_that_is_free_meanwhile() -> None:
    """Figure 3."""
    traced = trace("asyncio", "/spin=5ms/delay=500ms/spin=5ms")
    assert len(traced["threads"]) == 1
    assert overlapping(spans(traced, "waiting")) == 3
    assert overlapping(spans(traced, "computing")) == 0
    assert "blocked" not in whats(traced)


def test_a_call_that_blocks_holds_up_a_whole_loop() -> None:
    """Figure 4 once more, in an asynchronous program."""
    traced = trace("asyncio", "/spin=5ms/block=100ms/spin=5ms")
    assert overlapping(spans(traced, "computing", *WAITS)) == 0
    assert traced["waiting_ms"] == 0
    assert len(traced["threads"]) == 1


def test_a_loop_with_threads_lets_calls_block_at_once() -> None:
    traced = trace("asyncio-threads", "/block=500ms")
    assert overlapping(spans(traced, "blocked")) == 3
    assert len(traced["threads"]) == 3


def test_two_processes_wait_for_two_tasks_at_once() -> None:
    traced = trace("prefork", "/delay=300ms", tasks=4, workers=2)
    assert len({thread["process_id"] for thread in traced["threads"]}) == 2
    assert overlapping(spans(traced, "blocked")) in (2, 3)


def test_a_task_that_waits_for_a_unit_waits() -> None:
    """Three holds of 100 ms and one unit: the last waits for 300 ms, and all of them at once."""
    traced = trace("asyncio", "/hold=100ms")
    longest = max(to - at for ((at, to),) in spans(traced, "waiting"))
    assert longest >= 300
    assert overlapping(spans(traced, "waiting")) == 3


def test_a_call_has_an_upstream() -> None:
    traced = trace("asyncio", "/call=100ms")
    assert all(to - at >= 100 for ((at, to),) in spans(traced, "waiting"))


@pytest.mark.parametrize("model", [name for name, each in MODELS.items() if each.available])
def test_what_happens_to_a_task_is_in_order_under_every_model(model: str) -> None:
    traced = trace(model, "/spin=2ms/delay=10ms/block=5ms/spin=2ms")
    for task in traced["tasks"]:
        assert [step["step"] for step in task["steps"]] == ["spin", "delay", "block", "spin"]
        moments = [task["sent_ms"]]
        for step in task["steps"]:
            moments.append(step["began_ms"])
            moments += [moment for _, *span in step["spans"] for moment in span]
            moments.append(step["ended_ms"])
        moments.append(task["replied_ms"])
        assert moments == sorted(moments)


def test_a_server_that_refuses_the_work_or_dies_of_it_is_told() -> None:
    odd = odd_target("odd", "--dies-on", "http://warm-up/", "--dies-after", "0")
    with pytest.raises(TargetError, match=r"odd: (broke off|answered) /"):
        trace_works(odd, Server("odd"), ["/"], 1, cores_here())
    target = driver_target("asyncio", MODELS["asyncio"], Rates(10, 1), None, None)
    with pytest.raises(TargetError, match=r"asyncio: answered /body=64MiB with 'HTTP/1.1 400"):
        trace_works(target, Server("asyncio"), ["/body=64MiB"], 1, cores_here())


def test_a_trace_that_is_missing_or_damaged_is_told(tmp_path: Path) -> None:
    file = tmp_path / "steps"
    with odd_target("odd").launch(Server("odd"), (), None) as process:
        with pytest.raises(TargetError, match=r"odd: left no trace \(.*No such file"):
            steps_in(process, file)
        for damaged in ("{", "5"):
            file.write_text(damaged)
            with pytest.raises(TargetError, match="odd: left no trace"):
                steps_in(process, file)


def test_the_command_leaves_a_figure_and_a_file_that_can_be_drawn_again(tmp_path: Path) -> None:
    out = tmp_path / "t"
    done = crossover("trace", "threaded", "asyncio", "--work", "/delay=20ms", "--tasks", "2",
                     "--out", out)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    first, second, *written = done.stdout.splitlines()
    assert first.startswith("threaded /delay=20ms: ")
    assert first.endswith("2 threads")
    assert second.endswith("1 thread")
    assert written == [f"wrote {out / 'trace'}.{suffix}" for suffix in ("json", "svg", "png")]
    content = json.loads((out / "trace.json").read_text())
    assert [each["model"] for each in content["traces"]] == ["threaded", "asyncio"]
    assert {len(each["tasks"]) for each in content["traces"]} == {2}
    assert set(content["about"]) >= {"computing", "waiting", "blocked", "overlapped_share"}
    again = tmp_path / "again"
    done = crossover("trace", "asyncio", "--redraw", out / "trace.json", "--out", again)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, second)
    svg = (again / "trace.svg").read_text()
    assert "asyncio" in svg
    assert "threaded" not in svg


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nope"], "no model 'nope'; the models are blocking, "),
        (["asyncio", "--work", "/nap=1ms"], "--work: unknown step 'nap' in /nap=1ms"),
        (["asyncio", "--work", "delay=1ms"], "--work: a path begins with a slash"),
        (["asyncio", "--server-cores", "9999"], "server cores: 9999 asked for"),
        (["asyncio", "--tasks", "0"], "Invalid value for '--tasks'"),
        (["asyncio", "--out", "/proc/nowhere"], "cannot write /proc/nowhere"),
        (["asyncio", "--redraw", "/nowhere"], "/nowhere: no such file"),
        (["--redraw", "/nowhere", "--tasks", "2"], "--redraw measures nothing"),
    ],
)
def test_wrong_use_is_one_line(
    words: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(ROOT)
    out = [] if "--out" in words else ["--out", str(tmp_path / "t")]
    assert main(["trace", *words, *out]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"crossover trace: {message}")


def test_a_model_that_is_not_in_a_file_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = ROOT / "results" / "reference" / "trace" / "trace.json"
    assert main(["trace", "nope", "--redraw", str(file), "--out", str(tmp_path)]) == 2
    assert "holds no trace of 'nope'; its models are blocking, " in capfd.readouterr().err
