"""What a trace says: when each task was computing and when it waited, and what overlapped. Pure.

A task *computes* while its thread uses CPU for one of its steps, and *waits* from handing a wait
over until that is over; it is *blocked* where its thread waits with it and can do nothing else.
In the rest of its time nothing is done for it: it stands in line, or is on its way. Times come in
nanoseconds of one clock and leave in milliseconds since the first task was sent. Must not know
where a trace comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any, Literal

What = Literal["computing", "sharing", "waiting", "blocked"]
COMPUTED = ("spin", "hash")
# The waits of which it is known when they were over: what comes after is standing in line.
TIMED = ("delay", "block")
# Shorter interruptions of computing are not told: they are interrupts, and reading the clock.
MERGED_NS = 100_000
# What an interrupted piece may have computed to be drawn at its start: a piece of a spin has less.
PLACED_NS = 500_000

ABOUT = {
    "*_ms": "milliseconds; of moments: since the first task of the trace was sent",
    "tasks": "requests that were sent at one moment, each on a connection of its own",
    "sent_ms": "when it was sent by the client",
    "replied_ms": "when the client had its reply",
    "steps": "what the task asked for, in order; began_ms and ended_ms: from handing a step to the"
    " driver until the driver asked for what follows",
    "spans": "what a task did in a step: [what, from_ms, to_ms]",
    "computing": "the thread used CPU for the step, by its own CPU clock, read every 0.1 ms of a"
    " spin; interruptions below 0.1 ms are left out",
    "sharing": "the thread used CPU for a part of this time, and had no core in another; which was"
    " when is not known, because a hash is one call",
    "waiting": "it waited, and its thread could do something else",
    "blocked": "it waited, and its thread with it",
    "otherwise": "between sent_ms and replied_ms nothing was done for it: it stood in line for a"
    " connection, a thread, the interpreter lock or a core, or was on its way",
    "thread": "what carried the step out: a number of the trace's `threads`",
    "computing_ms": "CPU time of the steps of all tasks; waiting_ms and blocked_ms: sums of spans",
    "overlapped_share": "the share of total_ms in which two tasks or more computed, waited or were"
    " blocked; sharing does not count",
}


@dataclass(frozen=True)
class Span:
    """What a task did from one moment to another."""

    what: What
    from_ns: int
    to_ns: int


def conclude(tasks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A trace as it is kept: tasks with their spans, threads, and what they sum up to.

    A task has `sent_ns`, `replied_ns` and `steps` as a server wrote them.
    """
    zero_ns = min(task["sent_ns"] for task in tasks)
    threads = _threads(tasks)
    steps_of = [task["steps"] for task in tasks]
    spans = [[spans_of(step) for step in steps] for steps in steps_of]
    flat = [[span for step in steps for span in step] for steps in spans]
    total_ns = max(task["replied_ns"] for task in tasks) - zero_ns

    def ms(moment_ns: int) -> float:
        return float(round((moment_ns - zero_ns) / 1e6, 3))

    return {
        "total_ms": round(total_ns / 1e6, 3),
        "computing_ms": round(sum(map(_cpu_ns, chain(*steps_of))) / 1e6, 3),
        "waiting_ms": _sum_ms(flat, "waiting"),
        "blocked_ms": _sum_ms(flat, "blocked"),
        "overlapped_share": round(overlapped_ns(flat) / total_ns, 4),
        "threads": [
            {"thread": number, "process": process, "process_id": pid, "thread_id": thread}
            for (pid, thread), (number, process) in threads.items()
        ],
        "tasks": [
            {
                "task": number,
                "sent_ms": ms(task["sent_ns"]),
                "replied_ms": ms(task["replied_ns"]),
                "steps": [
                    {
                        "step": step["step"],
                        "asked_ms": round(step["asked_s"] * 1e3, 3),
                        "thread": threads[step["pid"], step["thread"]][0],
                        "began_ms": ms(step["began_ns"]),
                        "ended_ms": ms(step["ended_ns"]),
                        "spans": [[s.what, ms(s.from_ns), ms(s.to_ns)] for s in done],
                    }
                    for step, done in zip(task["steps"], spans_of_steps, strict=True)
                ],
            }
            for number, (task, spans_of_steps) in enumerate(zip(tasks, spans, strict=True), 1)
        ],
    }


def spans_of(step: Mapping[str, Any]) -> list[Span]:
    """What a task did in one step, a line of a server's trace."""
    began_ns, ended_ns, pieces = step["began_ns"], step["ended_ns"], step["pieces"]
    if step["step"] in COMPUTED:
        return list(_computing(pieces))
    over_ns = began_ns + round(step["asked_s"] * 1e9) if step["step"] in TIMED else ended_ns
    return [Span("blocked" if pieces else "waiting", began_ns, min(over_ns, ended_ns))]


def overlapped_ns(tasks: Iterable[Sequence[Span]]) -> int:
    """For how long two tasks or more surely did something at once; those of one never do."""
    edges = sorted(
        (moment_ns, change)
        for spans in tasks
        for span in spans
        if span.what != "sharing"
        for moment_ns, change in ((span.from_ns, 1), (span.to_ns, -1))
    )
    busy = overlapped = 0
    for (moment_ns, change), (next_ns, _) in pairwise(edges):
        busy += change
        overlapped += next_ns - moment_ns if busy > 1 else 0
    return overlapped


def _computing(pieces: Iterable[Sequence[int]]) -> Iterator[Span]:
    """Spans of pieces, those that follow each other joined."""
    current: Span | None = None
    for span in map(_piece, pieces):
        near = current is not None and span.from_ns - current.to_ns < MERGED_NS
        if current is not None and near and current.what == span.what:
            current = replace(current, to_ns=span.to_ns)
            continue
        if current is not None:
            yield current
        current = span
    if current is not None:
        yield current


def _piece(piece: Sequence[int]) -> Span:
    """A small piece that was interrupted is as long as its CPU time: it is not known where."""
    _, began_ns, ended_ns, cpu_ns = piece
    if ended_ns - began_ns - cpu_ns < MERGED_NS:
        return Span("computing", began_ns, ended_ns)
    if cpu_ns < PLACED_NS:
        return Span("computing", began_ns, began_ns + cpu_ns)
    return Span("sharing", began_ns, ended_ns)


def _cpu_ns(step: Mapping[str, Any]) -> int:
    computed = step["pieces"] if step["step"] in COMPUTED else ()
    return sum(cpu_ns for _, _, _, cpu_ns in computed)


def _sum_ms(tasks: Iterable[Sequence[Span]], what: What) -> float:
    total_ns = sum(s.to_ns - s.from_ns for spans in tasks for s in spans if s.what == what)
    return round(total_ns / 1e6, 3)


def _threads(tasks: Iterable[Mapping[str, Any]]) -> dict[tuple[int, int], tuple[int, int]]:
    """(pid, thread id) of what carried steps out, as (thread, process) counted as they began."""
    steps = [step for task in tasks for step in task["steps"]]
    known: dict[tuple[int, int], tuple[int, int]] = {}
    processes: dict[int, int] = {}
    for step in sorted(steps, key=lambda step: step["began_ns"]):
        process = processes.setdefault(step["pid"], len(processes) + 1)
        known.setdefault((step["pid"], step["thread"]), (len(known) + 1, process))
    return known
