"""Is the open loop punctual? How late requests are sent, though a connection is free.

Windows of two seconds at each rate, against the null server. A window during which the hypervisor
took time from us is marked; it counts like the others.
"""

import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from bench.errors import UserError
from bench.measure.ceiling import CONNECTIONS, NULL_SERVER
from bench.measure.cores import cores_here
from bench.measure.generator import Generator, spin_ns_on
from bench.measure.machine import steal_s
from bench.measure.process import Process
from bench.trials.pairs import exit_code, median_interval, parser_of

RATES_RPS = (2_000, 20_000)
WINDOW_S = 2.0
TARGET_US = 250.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trial; 0 when the targets are met, 1 when not, 2 when it cannot run."""
    parser = parser_of("bench.trials.punctuality", __doc__)
    parser.add_argument("--windows", type=int, default=10, help="how many at each rate")
    options = parser.parse_args(argv)
    cores = cores_here()
    met = []
    with Process("null server", NULL_SERVER, cores=cores.server) as server:
        ready = server.wait_ready()
        with Generator(cores.generator) as generator:
            for rate_rps in RATES_RPS:
                for spin_ns in (0, spin_ns_on(cores)):
                    load = {
                        "url": f"http://{ready.host}:{ready.port}/",
                        "connections": CONNECTIONS,
                        "warmup_s": 0.3,
                        "window_s": WINDOW_S,
                        "spin_ns": spin_ns,
                        "schedule": {"steps": [[rate_rps, 3600.0]], "arrivals": "poisson"},
                    }
                    met.append(at_rate(generator, load, rate_rps, options.windows, cores.generator))
    return exit_code(missed=not all(met), informative=options.informative)


def at_rate(
    generator: Generator, load: dict[str, Any], rate_rps: int, windows: int, cores: Sequence[int]
) -> bool:
    """Measure the windows at one rate and print what came out; whether the target is met."""
    late_us, unsent, stolen = [], 0, 0
    for seed in range(windows):
        stolen_s, began_s = steal_s(cores), time.monotonic()
        load["schedule"]["seed"] = seed
        answer = generator.measure(load)
        generator.release()
        late_us.append(answer["own_lateness_ms"]["p99"] * 1e3)
        unsent += answer["scheduled"] - answer["sent_in_window"]
        after_s = steal_s(cores)
        if stolen_s is not None and after_s is not None and after_s > stolen_s:
            stolen += 1
            share = (after_s - stolen_s) / (time.monotonic() - began_s)
            print(f"window {seed + 1}: {share:.1%} stolen, p99 {late_us[-1]:.0f} us")
    median_us = statistics.median(late_us)
    low, high = median_interval(late_us)
    met = median_us <= TARGET_US and unsent == 0
    print(
        f"lateness p99 at {rate_rps} req/s, {'spinning' if load['spin_ns'] else 'sleeping'}: "
        f"{median_us:.0f} us [{low:.0f}, {high:.0f}] median of {windows} windows, {stolen} with "
        f"steal; arrivals not sent: {unsent}; target at most {TARGET_US:.0f} us and none: "
        f"{'met' if met else 'MISSED'}",
        flush=True,
    )
    return met


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        print(f"bench-generator: {failure}", file=sys.stderr)
        sys.exit(2)
