"""How far does one generator process go? Many connections at once, and a long time.

15,000 keep-alive connections to `uvloop` and to `trio` with a wait of a second: all of them are
served, and what each costs the generator and the server in memory is told. Then an open loop at
10,000 req/s for ten minutes: after the first minute the generator's memory grows no more.
"""

import sys
import threading
import time
from collections.abc import Sequence

from bench.errors import UserError
from bench.measure.ceiling import NULL_SERVER
from bench.measure.cores import CoreChoice, cores_here
from bench.measure.generator import Generator, spin_ns_on
from bench.measure.machine import require_descriptors
from bench.measure.models import calibrate, known_models
from bench.measure.process import Process
from bench.measure.targets import driver_target
from bench.trials.pairs import exit_code, parser_of

MODELS = ("uvloop", "trio")
DELAY_S = 1.0
RATE_RPS = 10_000
SPARE_DESCRIPTORS = 200
MOST_GROWTH_BYTES = 1 << 20
LOOK_EVERY_S = 1.0


def many(model: str, connections: int, cores: CoreChoice) -> bool:
    """Load a model over so many connections; whether each was served and nothing failed."""
    target = driver_target(model, known_models()[model], calibrate(), None, None)
    with (
        Process(model, [*target.command], cores=cores.server) as server,
        Generator(cores.generator) as generator,
    ):
        ready = server.wait_ready()
        server_before = server.sample().rss_bytes
        generator_before = generator.rss_bytes()
        answer = generator.measure(
            {
                "url": f"http://{ready.host}:{ready.port}/delay={DELAY_S:g}s",
                "connections": connections,
                "delay_s": DELAY_S,
                "window_s": 5.0,
                "window_limit_s": 60.0,
                "warmup_limit_s": 60.0,
                "completions_wanted": 3 * connections,
                "drain_s": 5.0,
            }
        )
        server_kib = (server.sample().rss_bytes - server_before) / connections / 1024
        generator_kib = (generator.rss_bytes() - generator_before) / connections / 1024
        generator.release()
    failed = sum(answer["errors"].values())
    met = failed == 0 and not answer["connections_unserved"]
    print(
        f"{model}: {connections} connections, {answer['throughput_rps']:.0f} req/s, "
        f"{answer['connections_unserved']} unserved, {failed} errors; RSS per connection: "
        f"generator {generator_kib:.1f} KiB, server {server_kib:.1f} KiB; generator busy "
        f"{answer['client_cpu_utilisation']:.0%}; target all served: {'met' if met else 'MISSED'}",
        flush=True,
    )
    return met


def long(minutes: float, cores: CoreChoice) -> bool:
    """Load for so long; whether memory is at its end what it was after the first minute."""
    lasts_s = 60 * minutes
    settled_s = min(60.0, lasts_s / 2)
    rss_bytes: list[tuple[float, int]] = []
    over = threading.Event()
    with (
        Process("null server", NULL_SERVER, cores=cores.server) as server,
        Generator(cores.generator) as generator,
    ):
        ready = server.wait_ready()
        began_s = time.monotonic()

        def watch() -> None:
            while not over.wait(LOOK_EVERY_S):
                rss_bytes.append((time.monotonic() - began_s, generator.rss_bytes()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            answer = generator.measure(
                {
                    "url": f"http://{ready.host}:{ready.port}/",
                    "connections": 64,
                    "window_s": lasts_s,
                    "spin_ns": spin_ns_on(cores),
                    "schedule": {"steps": [[RATE_RPS, 86_400.0]], "arrivals": "poisson"},
                }
            )
        finally:
            over.set()
            watcher.join()
    settled = [rss for at_s, rss in rss_bytes if at_s <= settled_s]
    growth_bytes = max(rss for _, rss in rss_bytes) - max(settled)
    sent, scheduled = answer["sent_in_window"], answer["scheduled"]
    met = growth_bytes <= MOST_GROWTH_BYTES and sent == scheduled
    print(
        f"{minutes:g} min at {RATE_RPS} req/s: {sent} of {scheduled} arrivals sent, p99 "
        f"{answer['response_time_ms']['p99']:.3f} ms; RSS {max(settled) / 2**20:.1f} MiB after "
        f"{settled_s:.0f} s, {growth_bytes / 2**20:+.2f} MiB in the rest; target at most "
        f"+{MOST_GROWTH_BYTES / 2**20:.0f}: {'met' if met else 'MISSED'}",
        flush=True,
    )
    return met


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trial; 0 when the targets are met, 1 when not, 2 when it cannot run."""
    parser = parser_of("bench.trials.scale", __doc__)
    parser.add_argument("--connections", type=int, default=15_000)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args(argv)
    cores = cores_here()
    require_descriptors(options.connections + SPARE_DESCRIPTORS)
    met = [many(model, options.connections, cores) for model in MODELS]
    print(f"loading for {options.minutes:g} min", file=sys.stderr)
    met.append(long(options.minutes, cores))
    return exit_code(missed=not all(met), informative=options.informative)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        print(f"bench-scale: {failure}", file=sys.stderr)
        sys.exit(2)
