"""What the generator itself can do here: how much, how fast, how punctually.

Measured against the null server, which answers every request at once. A figure of a target that
comes near these says more about the generator than about the target.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.measure.cores import CoreChoice
from bench.measure.generator import Generator, spin_ns_on
from bench.measure.models import SERVERS
from bench.measure.process import Process

NULL_SERVER = (SERVERS[0], "-P", "-m", "servers.null_server")
CONNECTIONS = 64
RATES_RPS = (2_000, 20_000)
WARM_UP_S = 0.3


def measure_ceiling(
    cores: CoreChoice, window_s: float, told: Callable[[str], None]
) -> dict[str, Any]:
    """The generator's figures, each over `window_s`; `told` hears what is being measured.

    Keys: `cpu_us_per_request` and `throughput_rps` of a closed loop over 64 connections, the
    `ceiling_rps` at which the generator would be busy all the time; the `floor_ms` of a response
    time, over one connection; and `lateness_ms` by rate. Raises TargetError.
    """
    with Process("null server", NULL_SERVER, cores=cores.server) as server:
        ready = server.wait_ready()
        url = f"http://{ready.host}:{ready.port}/"
        with Generator(cores.generator) as generator:
            answers = {}
            for name, load in _loads(url, window_s, spin_ns_on(cores)):
                told(name)
                answers[name] = generator.measure(load)
                generator.release()
    return _figures(answers)


def _loads(url: str, window_s: float, spin_ns: int) -> Iterator[tuple[str, dict[str, Any]]]:
    closed = {"url": url, "window_s": window_s, "window_limit_s": window_s + 1.0}
    yield "closed loop, 64 connections", {**closed, "connections": CONNECTIONS}
    yield "closed loop, 1 connection", {**closed, "connections": 1}
    for rate_rps in RATES_RPS:
        yield (
            f"open loop, {rate_rps} req/s",
            {
                "url": url,
                "connections": CONNECTIONS,
                "window_s": window_s,
                "warmup_s": WARM_UP_S,
                "spin_ns": spin_ns,
                "schedule": {"steps": [[rate_rps, 86_400.0]], "arrivals": "poisson", "seed": 0},
            },
        )


def _figures(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    closed, single, *opened = answers.values()
    cpu_us = closed["client_cpu_us_per_request"]
    return {
        "cpu_us_per_request": cpu_us,
        "throughput_rps": closed["throughput_rps"],
        "ceiling_rps": None if not cpu_us else 1e6 / cpu_us,
        "floor_ms": _some(single["response_time_ms"]),
        "lateness_ms": {
            str(rate_rps): _some(answer["own_lateness_ms"])
            for rate_rps, answer in zip(RATES_RPS, opened, strict=True)
        },
    }


def _some(times: Mapping[str, float] | None) -> dict[str, float | None]:
    return {name: None if times is None else times[name] for name in ("p50", "p99", "max")}
