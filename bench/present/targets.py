"""What was measured: the table of targets, and the numbers that limit them in words.

Workers, threads and interpreters are named here for each target, so that no default hides. Knows
run.json; the arithmetic of limits is not its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from bench.analyse.limits import Limit, count_of, limit
from bench.analyse.works import in_order
from bench.present.panels import spread
from bench.present.units import NOTHING, count_text, list_text, number_text, work_text
from bench.present.words import Section
from bench.store import POINT_KEYS, Run

Target = Mapping[str, Any]
TARGETS_TABLE = (
    ("name", False),
    ("what it is", False),
    ("family", False),
    ("kind", False),
    ("workers", False),
    ("interpreter", False),
    ("GIL", False),
    ("command", False),
)
_MOST_RATES = 4
_GIL = {True: "on", False: "off", None: NOTHING}


def target_rows(run: Run) -> list[list[str]]:
    """A row per target, in the order of the run."""
    return [
        [
            target["name"],
            target.get("title") or target.get("model") or NOTHING,
            target.get("family") or NOTHING,
            target.get("kind") or NOTHING,
            workers_text(target),
            interpreter_text(target.get("python") or {}),
            _GIL[(target.get("python") or {}).get("gil")],
            " ".join(target.get("command") or []),
        ]
        for target in run.info["targets"]
    ]


def workers_text(target: Target) -> str:
    """A target's own number: 64 threads, 2 processes x 32 threads, 1 process."""
    workers, threads = target.get("workers"), target.get("threads")
    if target.get("workers_are") == "threads":
        return count_of(workers, "thread") if workers else NOTHING
    known = [count_of(workers, "process")] if workers else []
    known += [count_of(threads, "thread")] if threads else []
    each = " each" if (workers or 1) > 1 else ""
    one = f", one request at a time{each}" if target.get("serves_one_at_a_time") else ""
    return f"{' x '.join(known)}{one}" if known else NOTHING


def interpreter_text(python: Mapping[str, Any]) -> str:
    """CPython 3.13.0, as the running interpreter said of itself."""
    return " ".join(filter(None, (python.get("implementation"), python.get("version")))) or NOTHING


def limits_section(run: Run) -> Section:
    """Every number that limits a target somewhere in the run, and the throughput that it allows."""
    return Section("Which number is the limit", [*_limits(run), *_one_core(run), *_upstream(run)])


def _limits(run: Run) -> Iterator[str]:
    """A sentence for each limit; targets with the same limits share it."""
    targets = {target["name"]: target for target in run.info["targets"]}
    found: dict[tuple[str, str], dict[tuple[str, float], Limit]] = {}
    for name, point in _points(run):
        known = limit(targets.get(name, {}), point)
        if known and known.connections < point["connections"]:
            work = point["work"], point["delay_s"]
            found.setdefault((name, known.what), {}).setdefault(work, known)
    cells = [(name, point["work"]) for name, point in _points(run)]
    together: dict[tuple[Any, ...], list[str]] = {}
    for (name, what), by_work in found.items():
        together.setdefault((what, tuple(by_work.items())), []).append(name)
    for (what, by_work), names in together.items():
        works = {work for (work, _), _ in by_work}
        everybody = {name for name, work in cells if work in works} <= set(names)
        who = "Every target" if everybody and len(names) > 1 else list_text(names)
        yield _sentence(who, what, dict(by_work))


def _sentence(who: str, what: str, by_work: Mapping[tuple[str, float], Limit]) -> str:
    works = spread(sorted(by_work, key=lambda work: in_order(*work)), _MOST_RATES)
    limits = [by_work[work] for work in works]
    rates = [
        f"{number_text(found.rate_rps)} a second at {work_text(*work)}"
        for found, work in zip(limits, works, strict=True)
    ]
    first = min(found.connections for found in limits)
    return (
        f"{who}: {what}. With more than {count_text(first)}"
        f" connection{'' if round(first) == 1 else 's'} that is the limit: {list_text(rates)}."
    )


def _points(run: Run) -> list[tuple[str, dict[str, Any]]]:
    """(target, point) of every cell, by target as the run lists them and by work."""
    order = {target["name"]: number for number, target in enumerate(run.info["targets"])}
    keys = {(t["target"], tuple(t[key] for key in POINT_KEYS)) for t in run.trials}
    points = [(name, dict(zip(POINT_KEYS, key, strict=True))) for name, key in keys]
    return sorted(
        points,
        key=lambda known: (
            order.get(known[0], len(order)),
            known[0],
            in_order(known[1]["work"], known[1]["delay_s"]),
            *(known[1][key] or 0 for key in ("workers", "units", "server_cores")),
        ),
    )


def _one_core(run: Run) -> Iterator[str]:
    """What one core hides: several processes, and interpreters without a lock."""
    one_core = {trial["target"] for trial in run.trials if trial["server_cores"] == 1}
    several = [
        target["name"]
        for target in run.info["targets"]
        if target["name"] in one_core
        and ((target.get("python") or {}).get("gil") is False or _processes(target) > 1)
    ]
    if several:
        yield (
            f"Where servers had 1 core, that is the limit of CPU work for {list_text(several)} as"
            " well: several processes, or threads without an interpreter lock, add none."
        )


def _upstream(run: Run) -> Iterator[str]:
    """What a call cost the upstream, which is no part of any target."""
    costs = [cost for trial in run.trials if (cost := trial.get("upstream_cpu_us_per_call"))]
    if costs:
        yield (
            f"The upstream used {number_text(median(costs))} us of CPU per call (median over"
            f" {count_text(len(costs))} slices); its CPU counts with the generator's."
        )


def _processes(target: Target) -> int:
    return 1 if target.get("workers_are") == "threads" else target.get("workers") or 1
