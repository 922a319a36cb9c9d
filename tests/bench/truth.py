"""The truth behind synthetic runs: what each target costs and how many requests it serves at once.

A target needs s seconds of CPU per request (threads need more of it the more connections there
are), so throughput is min(N / (d + s), 1 / s), and K / (d + s) where it serves K at once.
"""

from __future__ import annotations

from typing import Any

# family, CPU seconds per request, own workers, what they are, threads of each process
_MODELS: dict[str, tuple[str, float, int | None, str, int | None]] = {
    "blocking": ("sync", 45e-6, 1, "processes", None),
    "prefork": ("sync", 50e-6, 8, "processes", None),
    "threaded": ("sync", 60e-6, 1, "processes", None),
    "thread-pool": ("sync", 65e-6, 64, "threads", None),
    "selectors": ("async", 62e-6, 1, "processes", None),
    "asyncio": ("async", 90e-6, 1, "processes", None),
    "uvloop": ("async", 55e-6, 1, "processes", None),
    "asyncio-protocol": ("async", 70e-6, 1, "processes", None),
    "uvloop-protocol": ("async", 40e-6, 1, "processes", None),
    "asyncio-threads": ("async", 150e-6, 64, "threads", None),
    "trio": ("async", 160e-6, 1, "processes", None),
    "twisted": ("async", 140e-6, 1, "processes", None),
    "gevent": ("async", 80e-6, 1, "processes", None),
    "gunicorn-gthread": ("sync", 240e-6, 1, "processes", 64),
    "uvicorn-uvloop": ("async", 130e-6, 1, "processes", None),
}
MODELS = tuple(_MODELS)[:13]
FAMILIES = {model: family for model, (family, *_) in _MODELS.items()}
CPU_S = {model: cost for model, (_, cost, *_) in _MODELS.items()}

LADDER = {
    "rungs": [
        "gunicorn-gthread",
        "thread-pool",
        "asyncio-protocol",
        "uvloop-protocol",
        "uvicorn-uvloop",
    ],
    "steps": [
        "HTTP and framework code",
        "concurrency model",
        "event loop",
        "HTTP and framework code",
    ],
}


def model_of(target: str) -> str:
    """The model of `uvloop#2` and `uvloop@3.13t`."""
    return target.split("#")[0].split("@")[0]


def cpu_s(target: str, connections: int) -> float:
    """The true CPU time of one request; a thread per connection costs more the more there are."""
    base = CPU_S[model_of(target)] * (0.9 if "@" in target else 1)
    return base * (1 + (connections / 700 if model_of(target) == "threaded" else 0))


def cap_rps(target: str, work: str) -> float:
    """The true most that a target's number of places lets through, without its CPU time."""
    family, _, workers, workers_are, threads = _MODELS[model_of(target)]
    if "hold" in work:
        return 1 / wait_s(f"/{work.split('/')[1]}")
    if target in ("blocking", "prefork") or workers_are == "threads":
        places = float(workers or 1)
    elif threads:
        places = threads
    else:
        places = 1 if "block" in work and family == "async" else float("inf")
    return places / wait_s(work) if wait_s(work) else float("inf")


def throughput_rps(target: str, delay_s: float, connections: int, work: str = "") -> float:
    """The true throughput: bound by waiting, by places and by one core of CPU."""
    cost = cpu_s(target, connections)
    rate = min(connections / (delay_s + cost), 1 / cost)
    cap = cap_rps(target, work or f"/delay={delay_s * 1e3:g}ms")
    return min(rate, 1 / (1 / cap + cost))


def own(name: str) -> dict[str, Any]:
    """What run.json says of a target's own numbers and its interpreter."""
    _, _, workers, workers_are, threads = _MODELS[model_of(name)]
    label = name.partition("@")[2] or "3.11"
    is_stack = name in LADDER["rungs"] and name not in MODELS
    return {
        "kind": "stack" if is_stack else "driver",
        "workers": workers,
        "workers_are": workers_are,
        "threads": threads,
        "python": {
            "version": f"{label.rstrip('t')}.7",
            "implementation": "CPython",
            "gil": not label.endswith("t"),
        },
        "path": None,
        "title": f"{name}, its framework and its server" if is_stack else None,
    }


def wait_s(work: str) -> float:
    """The waits of a path, all in whole milliseconds here."""
    steps = [step.partition("=") for step in work.split("/")[1:]]
    waits = (step[2] for step in steps if step[0] in ("delay", "call", "block", "hold"))
    return sum(float(wait.removesuffix("ms")) / 1e3 for wait in waits)
