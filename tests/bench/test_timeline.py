"""What a trace says: spans, what overlapped, and the sheet that shows it. Made-up traces."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.timeline import Span, conclude, overlapped_ns, spans_of
from bench.errors import UserError
from bench.present.charts import draw_figures
from bench.present.timeline import drawing, in_words, sheet, thread_names
from bench.store import read_traces, write_traces

MS = 1_000_000
SECOND_NS = 1_000_000_000


def step(
    name: str,
    began_ms: float,
    ended_ms: float,
    *pieces: tuple[float, float, float],
    asked_ms: float = 0.0,
    thread: int = 7,
    pid: int = 7,
) -> dict[str, Any]:
    """A line as a server writes it; a piece is from when to when, and its CPU, in ms."""
    return {
        "step": name,
        "asked_s": asked_ms / 1e3,
        "began_ns": SECOND_NS + round(began_ms * MS),
        "ended_ns": SECOND_NS + round(ended_ms * MS),
        "thread": thread,
        "pid": pid,
        "pieces": [
            [thread, SECOND_NS + round(a * MS), SECOND_NS + round(b * MS), round(cpu * MS)]
            for a, b, cpu in pieces
        ],
    }


def task(sent_ms: float, replied_ms: float, *steps: dict[str, Any]) -> dict[str, Any]:
    return {
        "sent_ns": SECOND_NS + round(sent_ms * MS),
        "replied_ns": SECOND_NS + round(replied_ms * MS),
        "steps": list(steps),
    }


def in_ms(spans: list[Span]) -> list[tuple[str, float, float]]:
    return [(s.what, (s.from_ns - SECOND_NS) / MS, (s.to_ns - SECOND_NS) / MS) for s in spans]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # On a timer, its thread free; what comes after the time that was asked is standing in line.
        (step("delay", 0, 35, asked_ms=20), [("waiting", 0, 20)]),
        (step("delay", 0, 19, asked_ms=20), [("waiting", 0, 19)]),
        # The same in a thread that sleeps.
        (step("delay", 0, 21, (0, 21, 0.1), asked_ms=20), [("blocked", 0, 20)]),
        (step("block", 5, 30, (5, 30, 0.1), asked_ms=20), [("blocked", 5, 25)]),
        # Nobody knows when the answer came, or the unit: all of it is the wait.
        (step("call", 0, 35, asked_ms=20), [("waiting", 0, 35)]),
        (step("hold", 0, 35, (15, 35, 0.1), asked_ms=20), [("blocked", 0, 35)]),
        # Pieces that follow each other are one; a gap between two is told.
        (
            step("spin", 0, 9, (0, 1, 1), (1.05, 2, 0.95), (7, 8, 1)),
            [("computing", 0, 2), ("computing", 7, 8)],
        ),
        # A small piece that was interrupted is as long as its CPU time.
        (
            step("spin", 0, 9, (0, 0.1, 0.1), (0.1, 5, 0.1), (5, 5.1, 0.1)),
            [("computing", 0, 0.2), ("computing", 5, 5.1)],
        ),
        # Of a hash it is not known when it had its core.
        (step("hash", 0, 20, (0, 20, 10)), [("sharing", 0, 20)]),
        (step("hash", 0, 20, (0, 20, 19.95)), [("computing", 0, 20)]),
    ],
)
def test_spans_of_a_step(line: dict[str, Any], expected: list[tuple[str, float, float]]) -> None:
    assert in_ms(spans_of(line)) == expected


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=4),
        max_size=4,
    )
)
def test_overlap_is_what_counting_moment_by_moment_gives(
    gaps: list[list[tuple[int, int]]],
) -> None:
    """Spans of one task, by (gap before, length), never overlap; a moment is 1 ns here."""
    tasks = []
    for task_gaps in gaps:
        at, spans = 0, []
        for gap, length in task_gaps:
            spans.append(Span("waiting", at + gap, at + gap + length))
            at += gap + length
        tasks.append(spans)
    counted = sum(
        sum(any(s.from_ns <= ns < s.to_ns for s in spans) for spans in tasks) > 1
        for ns in range(400)
    )
    assert overlapped_ns(tasks) == counted


def test_sharing_a_core_is_not_counted_as_being_at_once() -> None:
    assert overlapped_ns([[Span("sharing", 0, 9)], [Span("sharing", 0, 9)]]) == 0


def two_tasks() -> list[dict[str, Any]]:
    """One waits for 20 ms from 10 on, in which the other computes for 10 in another process."""
    return [
        task(1, 41, step("spin", 2, 10, (2, 10, 8)), step("delay", 10, 30, asked_ms=20)),
        task(1.5, 25, step("spin", 14, 24, (14, 24, 10), thread=9, pid=9)),
    ]


def test_a_trace_is_concluded_in_ms_since_the_first_task_was_sent() -> None:
    concluded = conclude(two_tasks())
    first, second = concluded.pop("tasks")
    assert concluded == {
        "total_ms": 40.0,
        "computing_ms": 18.0,
        "waiting_ms": 20.0,
        "blocked_ms": 0.0,
        "overlapped_share": 0.25,
        "threads": [
            {"thread": 1, "process": 1, "process_id": 7, "thread_id": 7},
            {"thread": 2, "process": 2, "process_id": 9, "thread_id": 9},
        ],
    }
    assert first["steps"][1] == {
        "step": "delay",
        "asked_ms": 20.0,
        "thread": 1,
        "began_ms": 9.0,
        "ended_ms": 29.0,
        "spans": [["waiting", 9.0, 29.0]],
    }
    assert (second["task"], second["sent_ms"], second["replied_ms"]) == (2, 0.5, 24.0)
    assert second["steps"][0]["thread"] == 2


def kept(model: str = "asyncio", work: str = "/spin=8ms/delay=20ms") -> dict[str, Any]:
    return {"model": model, "work": work, **conclude(two_tasks())}


def test_words_tell_the_total_the_parts_and_the_overlap() -> None:
    assert in_words(kept()) == (
        "40.0 ms in all, computing 18.0 ms, waiting 20.0 ms,"
        " two or more at once 25% of the time, 2 processes"
    )
    blocked = conclude([task(0, 20, step("block", 0, 20, (0, 20, 0), asked_ms=20))])
    assert "waiting 20.0 ms (20.0 ms of it with a thread)" in in_words(blocked)
    assert in_words(blocked).endswith(", 1 thread")


def test_threads_are_named_by_what_tells_them_apart() -> None:
    def named(*threads: tuple[int, int]) -> list[str]:
        steps = [step("spin", n, n + 1, thread=t, pid=p) for n, (p, t) in enumerate(threads)]
        return list(thread_names(conclude([task(0, 9, *steps)])).values())

    assert named((5, 5)) == ["thread 1"]
    assert named((5, 6), (5, 7)) == ["thread 1", "thread 2"]
    assert named((5, 5), (6, 6)) == ["process 1", "process 2"]
    assert named((5, 5), (6, 6), (6, 7)) == [
        "process 1, thread 1",
        "process 2, thread 2",
        "process 2, thread 3",
    ]


def test_the_sheet_has_a_row_for_each_model_and_a_column_for_each_work(tmp_path: Path) -> None:
    works = ("/spin=8ms", "/delay=20ms", "/block=20ms")
    traces = [kept(model, work) for model in ("asyncio", "threaded") for work in works]
    figure = sheet(traces)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["asyncio"] * 3 + ["threaded"] * 3
    assert {axes.get_title(loc="right") for axes in figure.axes} == {"40.0 ms in all"}
    (chart,) = draw_figures(tmp_path, [drawing(traces)])
    for words in (*works, "Nothing to wait for", "Something to wait for", "A call that blocks"):
        assert words in chart.svg
    for words in ("process 1", "process 2", "computing", "waiting: its thread is free"):
        assert words in chart.svg
    assert "waiting, and its thread with it" not in chart.svg
    assert "threaded" in chart.alt
    assert (tmp_path / "trace.png").stat().st_size > 10_000


def test_a_task_without_steps_is_an_empty_lane(tmp_path: Path) -> None:
    nothing = {"model": "asyncio", "work": "/", **conclude([task(0, 1)])}
    (chart,) = draw_figures(tmp_path, [drawing([nothing])])
    assert "1.00 ms in all" in chart.svg


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = write_traces(tmp_path / "new" / "folder", {"about": {}}, [kept(), kept("trio")])
    assert read_traces(path) == read_traces(path.parent)
    assert read_traces(path)["traces"] == [kept(), kept("trio")]
    assert len(path.read_text().splitlines()) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("traces"), "lacks traces"),
        (lambda content: content.update(schema=2), "has schema 2"),
        (lambda content: content.update(traces=[]), "holds no trace"),
        (lambda content: content["traces"][0]["tasks"].clear(), "holds no task"),
        (lambda content: content["traces"][0].pop("model"), "lacks traces 1.model"),
        (
            lambda content: content["traces"][0]["tasks"][0]["steps"][0].update(
                spans=[["x", 1, 2]]
            ),
            "spans 1, which must be what a task did",
        ),
    ],
)
def test_a_file_of_another_shape_is_told(change: Any, message: str, tmp_path: Path) -> None:
    content = {"schema": 1, "traces": [kept()]}
    change(content)
    (tmp_path / "trace.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        read_traces(tmp_path)


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"trace\.json: no such file"):
        read_traces(tmp_path)
