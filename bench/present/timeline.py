"""Timelines: what each task of a trace did when, as the figures of the introduction draw it.

A lane is a task and time runs to the right. A panel is a model under a work; all panels share
their axis, so lengths compare. Knows traces as they are kept in trace.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bench.present.charts import Drawing
from bench.present.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MUTED,
    OCHRE,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    VERMILION,
    dress,
    new_figure,
    title,
)
from bench.present.units import list_text, number_text

Trace = Mapping[str, Any]

# By thread, in the order in which they began.
COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, OCHRE, GREY)
_BLOCKED, _WAITING = "#a4abb2", "#e3e7ea"
_WORDS = {
    "computing": "computing",
    "sharing": "computing for a part of it",
    "waiting": "waiting: its thread is free",
    "blocked": "waiting, and its thread with it",
}
_HEIGHT = 0.72
_LANE_INCHES = 0.15
_COLUMN_INCHES = 4.1
_WAITS = {"delay", "call", "hold", "drip"}
# What of the axis is kept free at its right, for names of threads.
_ROOM = 0.2


def drawing(traces: Sequence[Trace]) -> Drawing:
    """The sheet of some traces: a row for each model, a column for each work."""
    models, works = _names(traces, "model"), _names(traces, "work")
    alt = (
        f"Timelines of {len(traces[0]['tasks'])} tasks that are sent at once, under"
        f" {list_text(models)}, for the work {list_text(works)}: when each computed and when it"
        " waited, and in which thread; trace.json has the same."
    )
    return Drawing("trace", alt, partial(sheet, traces))


def sheet(traces: Sequence[Trace]) -> Figure:
    """Small multiples with one axis of time."""
    models, works = _names(traces, "model"), _names(traces, "work")
    tasks = max(len(trace["tasks"]) for trace in traces)
    row_inches = 0.32 + _LANE_INCHES * tasks
    figure = new_figure(max(0.3 + _COLUMN_INCHES * len(works), 8.2), 1.8 + row_inches * len(models))
    grid = figure.subplots(len(models), len(works), squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat:
        axes.set_axis_off()
    longest_ms = max(trace["total_ms"] for trace in traces)
    for trace in traces:
        row, column = models.index(trace["model"]), works.index(trace["work"])
        _panel(grid[row][column], trace)
    for axes, work in zip(grid[0], works, strict=True):
        axes.annotate(
            f"{_asked(work)}\n{work}", (0, 1), (0, 20), xycoords="axes fraction",
            textcoords="offset points", fontsize=10, fontweight="bold", color=INK,
        )  # fmt: skip
    for axes in grid[-1]:
        axes.set_xlabel("time since the tasks were sent, ms", color=INK)
        axes.tick_params(labelbottom=True)
    grid[0][0].set_xlim(-0.01 * longest_ms, longest_ms * (1 + _ROOM))
    grid[0][0].xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    grid[0][0].set_ylim(tasks + 0.5, 0.5)
    title(
        figure,
        f"What {tasks} tasks do that are sent at once",
        "a lane is a task, a colour is a thread or a process, named at the end of its lane",
    )
    figure.legend(
        handles=list(_keys(traces)), loc="outside lower left", frameon=False, fontsize=9,
        ncols=5 if len(works) > 2 else 3, labelcolor=INK,
    )  # fmt: skip
    return figure


def in_words(trace: Trace) -> str:
    """One line: how long all took, and what of it was computing, waiting, and at once."""
    blocked_ms = trace["blocked_ms"]
    waiting = f"waiting {number_text(trace['waiting_ms'] + blocked_ms)} ms"
    if blocked_ms:
        waiting += f" ({number_text(blocked_ms)} ms of it with a thread)"
    return (
        f"{number_text(trace['total_ms'])} ms in all,"
        f" computing {number_text(trace['computing_ms'])} ms, {waiting},"
        f" two or more at once {trace['overlapped_share']:.0%} of the time, {who(trace)}"
    )


def who(trace: Trace) -> str:
    """1 thread; 3 threads; 3 threads in 2 processes."""
    threads = len(trace["threads"])
    processes = len({thread["process"] for thread in trace["threads"]})
    if processes > 1 and threads == processes:
        return f"{processes} processes"
    text = f"{threads} thread{'' if threads == 1 else 's'}"
    return text if processes < 2 else f"{text} in {processes} processes"


def thread_names(trace: Trace) -> dict[int, str]:
    """What each thread is called: by its number, or its process where each has just one."""
    threads = trace["threads"]
    processes = len({thread["process"] for thread in threads})
    names = {}
    for each in threads:
        thread, process = f"thread {each['thread']}", f"process {each['process']}"
        alone = process if processes == len(threads) else f"{process}, {thread}"
        names[each["thread"]] = alone if processes > 1 else thread
    return names


def _names(traces: Sequence[Trace], key: str) -> list[str]:
    return list(dict.fromkeys(trace[key] for trace in traces))


def _asked(work: str) -> str:
    """What a work is an example of."""
    steps = {step.partition("=")[0] for step in work.split("/")}
    if "block" in steps:
        return "A call that blocks its thread"
    return "Something to wait for" if steps & _WAITS else "Nothing to wait for"


def _panel(axes: Axes, trace: Trace) -> None:
    axes.set_axis_on()
    dress(axes)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    axes.set_title(trace["model"], loc="left", fontsize=9.5, color=INK, pad=3)
    axes.set_title(
        f"{number_text(trace['total_ms'])} ms in all", loc="right", fontsize=9.5, color=INK, pad=3
    )
    names = thread_names(trace)
    for task in trace["tasks"]:
        lane = task["task"]
        ends = [task["sent_ms"], task["replied_ms"]]
        axes.plot(ends, [lane, lane], color=INK, linewidth=0.9, marker="|", markersize=5, zorder=2)
        for step in task["steps"]:
            _step(axes, lane, step)
        threads = dict.fromkeys(step["thread"] for step in task["steps"])
        axes.annotate(
            ", ".join(names.get(thread, f"thread {thread}") for thread in threads),
            (task["replied_ms"], lane), (5, 0), textcoords="offset points", va="center",
            fontsize=8, color=INK,
        )  # fmt: skip


def _step(axes: Axes, lane: int, step: Mapping[str, Any]) -> None:
    for what, from_ms, to_ms in step["spans"]:
        axes.broken_barh(
            [(from_ms, to_ms - from_ms)], (lane - _HEIGHT / 2, _HEIGHT), zorder=3,
            **_look(what, step["thread"]),
        )  # fmt: skip


def _look(what: str, thread: int) -> dict[str, Any]:
    color = COLORS[(thread - 1) % len(COLORS)]
    looks: dict[str, dict[str, Any]] = {
        "computing": {"facecolor": color},
        "sharing": {"facecolor": PAPER, "edgecolor": color, "linewidth": 0.8, "hatch": "|||||"},
        "waiting": {"facecolor": _WAITING, "edgecolor": MUTED, "linewidth": 0.4, "linestyle": ":"},
        "blocked": {"facecolor": _BLOCKED, "edgecolor": PAPER, "linewidth": 0, "hatch": "/////"},
    }
    return looks[what]


def _keys(traces: Sequence[Trace]) -> Iterator[Patch | Line2D]:
    steps = [step for trace in traces for task in trace["tasks"] for step in task["steps"]]
    drawn = {what for step in steps for what, _, _ in step["spans"]}
    for what, words in _WORDS.items():
        if what in drawn:
            yield Patch(label=words, **_look(what, 1))
    look: Mapping[str, Any] = {"color": INK, "linewidth": 0.9, "marker": "|", "markersize": 5}
    yield Line2D([], [], label="sent and not answered: in line, or on its way", **look)
