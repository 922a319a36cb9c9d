"""Writes run folders with a known truth, so that every conclusion has a right answer.

The truth is in `truth`; rounds and slices add log-normal noise to it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hdrh.histogram import HdrHistogram
from truth import FAMILIES, cap_rps, cpu_s, model_of, own, throughput_rps, wait_s

Trial = dict[str, Any]

ERRORS = {"connect": 0, "timeout": 0, "reset": 0, "protocol": 0, "status": 0, "body": 0}
KEEP_ALIVE = {
    "connection": "keep-alive",
    "targets": ["threaded", "asyncio", "uvloop", "trio"],
    "delays_s": [0.0, 0.005, 0.05],
    "connections": [1, 16, 128, 1024],
    "pairs": [["uvloop", "threaded"], ["asyncio", "threaded"], ["trio", "threaded"]],
}
CLOSE = {
    "connection": "close",
    "targets": ["blocking", "threaded", "uvloop"],
    "delays_s": [0.0, 0.005, 0.05],
    "connections": [1, 16, 128, 1024],
    "pairs": [["threaded", "blocking"], ["uvloop", "blocking"]],
}


def write_run(
    folder: Path,
    *,
    name: str = "quick-20261123-171500",
    grids: Sequence[Mapping[str, Any]] = (KEEP_ALIVE, CLOSE),
    rounds: int = 6,
    seed: int = 1,
    noise: float = 0.02,
    state: str = "complete",
    change: Callable[[Trial], Trial | None] = lambda trial: trial,
    speed: float = 1.0,
    config: Mapping[str, Any] | None = None,
    old: bool = True,
) -> Path:
    """Write run.json and trials.jsonl. `change` may alter each slice, or drop it with None.

    `old` runs set workers to 1 at every point and say nothing of a target's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    info = run_info(name, grids, rounds, seed, state)
    info["config"] |= config or {}
    if not old:
        info["targets"] = [target | own(target["name"]) for target in info["targets"]]
    (folder / "run.json").write_text(json.dumps(info, allow_nan=False))
    given = {} if old else {"workers": None}
    changed = (change(trial | given) for trial in trials(grids, rounds, seed, noise, speed))
    lines = (json.dumps(trial, allow_nan=False) + "\n" for trial in changed if trial)
    (folder / "trials.jsonl").write_text("".join(lines))
    return folder


def run_info(
    name: str, grids: Sequence[Mapping[str, Any]], rounds: int, seed: int, state: str
) -> dict[str, Any]:
    names = dict.fromkeys(target for grid in grids for target in grid["targets"])
    return {
        "schema": 1,
        "name": name,
        "profile": "quick",
        "title": "Should my Python service be async? A first answer in five minutes.",
        "config": {
            "seed": seed,
            "rounds_min": 6,
            "rounds_max": 50,
            "budget_s": 270.0,
            "margin": 0.05,
            "confidence": 0.95,
            "window_s": 0.25,
            "completions_per_connection": 10,
            "completions_one_at_a_time": 20,
            "request_timeout_s": 60.0,
            "grids": list(grids),
        },
        "targets": [_target(target) for target in names],
        "server_cores": [0],
        "generator_cores": [1],
        "shared_core": False,
        "spin_rounds_per_us": 41.2,
        "git": {"commit": "0123abc" * 5 + "01234", "dirty": True},
        "machine": {
            "cpu": {"model": "Example CPU @ 2.50GHz", "cores": 2, "governor": None},
            "kernel": "6.1.0",
            "memory_mib": 24000,
            "limits": {"descriptors": 65536, "somaxconn": 4096},
            "load_average": [0.1, 0.2, 0.3],
        },
        "python": {
            "version": "3.11.7",
            "implementation": "CPython",
            "executable": "/usr/bin/python3",
            "gil": True,
        },
        "packages": {"uvloop": "0.23.0", "trio": "0.35.0"},
        "started": "2026-11-23T17:15:00+00:00",
        "ended": "2026-11-23T17:19:30+00:00" if state == "complete" else None,
        "state": state,
        "rounds_done": rounds,
        "notes": [],
    }


def _target(name: str) -> dict[str, Any]:
    model = model_of(name)
    return {
        "name": name,
        "model": model,
        "family": FAMILIES[model],
        "serves_one_at_a_time": model in ("blocking", "prefork"),
        "command": ["python", "-m", "servers", model],
    }


def trials(
    grids: Sequence[Mapping[str, Any]], rounds: int, seed: int, noise: float, speed: float
) -> Iterator[Trial]:
    """Slices of all rounds, targets of a point in seeded random order."""
    generator = random.Random(seed)
    order = 0
    for number in range(rounds):
        targets = dict.fromkeys(target for grid in grids for target in grid["targets"])
        luck = {target: generator.gauss(0, noise) for target in targets}
        for grid in grids:
            for target, work, connections in _cells(grid, generator):
                log = luck[target] + generator.gauss(0, noise)
                delay_s = wait_s(work)
                rate = speed * throughput_rps(target, delay_s, connections, work) * 2.718281828**log
                rate = min(rate, cap_rps(target, work))
                rate = min(rate, connections / delay_s) if delay_s else rate
                cell = (target, work, connections, grid["connection"])
                yield {"round": number, "order": order, **_trial(cell, rate, order)}
                order += 1


def _cells(grid: Mapping[str, Any], generator: random.Random) -> Iterator[tuple[str, str, int]]:
    works = grid.get("works") or [
        f"/delay={delay_s * 1e3:g}ms" if delay_s else "/" for delay_s in grid["delays_s"]
    ]
    for work in works:
        for connections in grid["connections"]:
            for target in generator.sample(grid["targets"], len(grid["targets"])):
                yield target, work, connections


def _trial(cell: tuple[str, str, int, str], rate: float, order: int) -> Trial:
    target, work, connections, connection = cell
    delay_s = wait_s(work)
    response_ms = 1e3 * connections / rate
    histogram = _histogram(max(round(response_ms, 2), 0.01), round(delay_s * 1e3, 2))
    latency = _latency(response_ms, delay_s * 1e3)
    owing = target == "blocking" and delay_s > 0 and connections > 16
    cost = cpu_s(target, connections)
    return {
        "t_s": order * 0.5,
        "target": target,
        "work": work,
        "delay_s": delay_s,
        "connection": connection,
        "connections": connections,
        "workers": 1,
        "units": None,
        "server_cores": 1,
        "requests": int(rate * 0.4) + connections,
        "completions": max(20, int(rate * 0.31)),
        "window_s": 0.31,
        "warmup_s": 0.07,
        "settled": True,
        "throughput_rps": rate,
        "errors": ERRORS,
        "response_time_hist": histogram,
        "service_time_hist": histogram,
        "response_time_ms": latency,
        "service_time_ms": latency,
        "lateness_ms": None,
        "latency_at_least": owing,
        "censored": connections,
        "owed": connections if owing else 0,
        "in_flight_mean": connections * 0.99,
        "little_ratio": 0.998,
        "bound_ratio": rate / (connections / delay_s) if delay_s else None,
        "fairness_jain": 0.99,
        "connections_unserved": 0,
        "client_cpu_us_per_request": 11.2,
        "client_cpu_utilisation": min(0.9, 11.2e-6 * rate),
        "server_cpu_us_per_request": 1e6 * cost,
        "server_cpu_utilisation": min(1.0, cost * rate),
        "server_rss_mib": 24 + connections * (0.03 if target == "threaded" else 0.008),
        "server_threads": 1 + connections if target == "threaded" else 1,
        "server_voluntary_switches": 100,
        "server_involuntary_switches": 3,
        "steal_ratio": 0.001,
        "target_replaced": owing,
        "valid": True,
        "invalid_reasons": [],
    }


def _latency(mean_ms: float, floor_ms: float) -> dict[str, float]:
    """Percentiles of the delay plus an exponential rest, by -ln(1 - p) times its mean."""
    rest = max(mean_ms - floor_ms, 0.01)
    tails = {"p50": 0.693, "p90": 2.303, "p95": 2.996, "p99": 4.605, "p999": 6.908, "max": 8.0}
    return {"mean": mean_ms, **{name: floor_ms + rest * tail for name, tail in tails.items()}}


@cache
def _histogram(mean_ms: float, floor_ms: float) -> str:
    histogram = HdrHistogram(1, 120_000_000_000, 3)
    generator = random.Random(0)
    rest = max(mean_ms - floor_ms, 0.01)
    for _ in range(200):
        histogram.record_value(int(1e6 * (floor_ms + generator.expovariate(1 / rest))))
    return str(histogram.encode().decode())


def invalid(trial: Trial, reason: str) -> Trial:
    """The slice of a target that died: no numbers, and why."""
    lost = ("throughput_rps", "response_time_ms", "service_time_ms", "response_time_hist")
    return trial | dict.fromkeys(lost) | {"valid": False, "invalid_reasons": [reason]}


def write_waits(folder: Path, targets: Sequence[str], asked_s: float = 0.02) -> None:
    """waits.jsonl: each target idle and loaded; trio is the latest, selectors wakes too early."""
    lines = []
    for number, target in enumerate(targets):
        for load in ("idle", "loaded"):
            middle = (60 + 10 * number) * (8 if load == "loaded" else 1)
            middle *= 40 if target == "trio" else 1
            shares = {"p1": 0.4, "p10": 0.7, "p50": 1, "p90": 1.6, "p99": 4, "p999": 9, "max": 20}
            oversleep = {name: middle * share for name, share in shares.items()}
            early = -900.0 if target == "selectors" else middle * 0.3
            lines.append(
                {
                    "target": target,
                    "asked_s": asked_s,
                    "connections": 1 if load == "idle" else 256,
                    "load": load,
                    "samples": 500 if load == "idle" else 40_000,
                    "oversleep_us": {"min": early, **oversleep},
                }
            )
    (folder / "waits.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
