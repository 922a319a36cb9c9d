"""Are the generator's figures right? Held against servers of which the truth is known.

A server that is stopped for a second amid an open loop of ten at 1,000 req/s: every arrival of that
second waits for its end, and then for those before it. A server that measures the waits of about
50 ms that it delivers: 100 connections get no more than N / (wait + overhead), nor less, where the
overhead is what half as many have. A program that never rests on the generator's core: that
measurement is not valid.
"""

import math
import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.errors import UserError
from bench.measure.ceiling import NULL_SERVER
from bench.measure.cores import CoreChoice, cores_here
from bench.measure.delivered import oversleep_in
from bench.measure.generator import Generator, spin_ns_on
from bench.measure.models import calibrate, known_models
from bench.measure.plan import Server
from bench.measure.process import Process
from bench.measure.targets import driver_target
from bench.trials.pairs import exit_code, parser_of

RATE_RPS = 1_000
LASTS_S = 10.0
FREEZE_AT_S, FREEZE_S = 4.0, 1.0
FREEZE_TOLERANCE = 0.02
CONNECTIONS = 64
MODEL = "uvloop-protocol"
DELAY_S = 0.050
WAITERS = 100
WAIT_TOLERANCE = 0.01


def frozen_response_ms(
    freeze_s: float, backlog_service_s: float, usual_s: float
) -> dict[str, float]:
    """What response times a freeze gives, in closed form: p95, p99 and max in ms.

    Arrival j of the freeze comes j / rate after its begin and is answered, in its turn, at its end
    and j + 1 service times. Those who come later wait for as long as the backlog lasts.
    """
    responses_s = []
    count = round(RATE_RPS * LASTS_S)
    for index in range(count):
        after_s = index / RATE_RPS - FREEZE_AT_S
        if after_s < 0:
            responses_s.append(usual_s)
            continue
        turn = round(after_s * RATE_RPS) + 1
        responses_s.append(max(usual_s, freeze_s + turn * backlog_service_s - after_s))
    responses_s.sort()
    return {
        "p95": responses_s[math.ceil(0.95 * count) - 1] * 1e3,
        "p99": responses_s[math.ceil(0.99 * count) - 1] * 1e3,
        "max": responses_s[-1] * 1e3,
    }


def freeze(cores: CoreChoice) -> bool:
    """Stop the null server for a second; whether the figures are as they have to be."""
    with (
        Process("null server", NULL_SERVER, cores=cores.server) as server,
        Generator(cores.generator) as generator,
    ):
        ready = server.wait_ready()
        url = f"http://{ready.host}:{ready.port}/"
        closed = {"url": url, "connections": CONNECTIONS, "window_s": 1.0, "window_limit_s": 2.0}
        backlog_s = 1 / generator.measure(closed)["throughput_rps"]
        generator.release()
        frozen_s: list[float] = []
        freezer = threading.Thread(target=_stop_for_a_while, args=(ready.pid, frozen_s))
        freezer.start()
        answer = generator.measure(
            {
                "url": url,
                "connections": CONNECTIONS,
                "window_s": LASTS_S,
                "drain_s": 5.0,
                "spin_ns": spin_ns_on(cores),
                "schedule": {"steps": [[RATE_RPS, 3600.0]]},
            }
        )
        freezer.join()
    response, service = answer["response_time_ms"], answer["service_time_ms"]
    expected = frozen_response_ms(frozen_s[0], backlog_s, response["p50"] / 1e3)
    met = bool(answer["sent_in_window"] == answer["scheduled"] == RATE_RPS * LASTS_S)
    for name, value_ms in expected.items():
        off = response[name] / value_ms - 1
        met = met and abs(off) <= FREEZE_TOLERANCE
        print(
            f"server frozen for {frozen_s[0]:.3f} s, response time {name}: {response[name]:.1f} "
            f"ms, closed form {value_ms:.1f} ms ({off:+.2%}; target within {FREEZE_TOLERANCE:.0%})"
            f"; service time, the naive figure: {service[name]:.1f} ms",
            flush=True,
        )
    print(f"  arrivals sent {answer['sent_in_window']} of {answer['scheduled']}: {_word(met)}")
    return met


def _stop_for_a_while(pid: int, frozen_s: list[float]) -> None:
    time.sleep(FREEZE_AT_S)
    os.kill(pid, signal.SIGSTOP)
    began_s = time.monotonic()
    time.sleep(FREEZE_S)
    os.kill(pid, signal.SIGCONT)
    frozen_s.append(time.monotonic() - began_s)


def waits(cores: CoreChoice) -> bool:
    """Hold throughput against the waits that the server says that it delivered."""
    fewer = _measured_waits(cores, WAITERS // 2)
    many = _measured_waits(cores, WAITERS)
    overhead_s = fewer["response_s"] - fewer["wait_s"]
    expected_rps = WAITERS / (many["wait_s"] + overhead_s)
    off = many["throughput_rps"] / expected_rps - 1
    met = abs(off) <= WAIT_TOLERANCE
    print(
        f"{WAITERS} connections on waits of {many['wait_s'] * 1e3:.3f} ms with an overhead of "
        f"{overhead_s * 1e3:.3f} ms: {many['throughput_rps']:.1f} req/s, N / (wait + overhead) is "
        f"{expected_rps:.1f} ({off:+.2%}; target within {WAIT_TOLERANCE:.0%}): {_word(met)}",
        flush=True,
    )
    return met


def _measured_waits(cores: CoreChoice, connections: int) -> dict[str, float]:
    target = driver_target(MODEL, known_models()[MODEL], calibrate(), None, None)
    load: dict[str, Any] = {"connections": connections, "delay_s": DELAY_S, "window_s": 5.0}
    with TemporaryDirectory(prefix="crossover-") as folder, Generator(cores.generator) as generator:
        file = Path(folder) / "steps.jsonl"
        with target.traced(file).launch(Server(MODEL), cores.server, None) as process:
            ready = process.wait_ready()
            url = f"http://{ready.host}:{ready.port}/delay={DELAY_S * 1e3:g}ms"
            answer = generator.measure({**load, "url": url, "window_limit_s": 8.0})
            generator.release()
            process.stop()
            over_ns = oversleep_in(process, file)
    return {
        "wait_s": DELAY_S + statistics.fmean(over_ns) / 1e9,
        "response_s": answer["response_time_ms"]["mean"] / 1e3,
        "throughput_rps": answer["throughput_rps"],
    }


def hog(cores: CoreChoice) -> bool:
    """Have a program compute on the core of server and generator; whether that is noticed."""
    core = cores.generator
    endless = (sys.executable, "-c", "print('{}', flush=True)\nwhile True: pass")
    found = {}
    for beside in (False, True):
        with (
            Process("null server", NULL_SERVER, cores=core) as server,
            Generator(core) as generator,
            Process("hog", endless if beside else ("sleep", "60"), cores=core),
        ):
            ready = server.wait_ready()
            answer = generator.measure(
                {
                    "url": f"http://{ready.host}:{ready.port}/",
                    "connections": 8,
                    "window_s": 2.0,
                    "schedule": {"steps": [[500, 3600.0]], "arrivals": "poisson"},
                }
            )
        found[beside] = answer["invalid_reasons"]
        print(
            f"{'with a hog' if beside else 'alone'} on one core at 500 req/s: service time p99 "
            f"{answer['service_time_ms']['p99']:.2f} ms, {'; '.join(found[beside]) or 'valid'}",
            flush=True,
        )
    met = bool(found[True])
    print(f"  a hog beside it makes the measurement invalid: {_word(met)}")
    return met


def _word(met: bool) -> str:
    return "met" if met else "MISSED"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trial; 0 when the targets are met, 1 when not, 2 when it cannot run."""
    options = parser_of("bench.trials.exactness", __doc__).parse_args(argv)
    cores = cores_here()
    met = [freeze(cores), waits(cores), hog(cores)]
    return exit_code(missed=not all(met), informative=options.informative)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        print(f"bench-generator: {failure}", file=sys.stderr)
        sys.exit(2)
