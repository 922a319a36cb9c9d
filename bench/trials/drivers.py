"""Are the drivers no straw men? Each against a production server of its family, interleaved.

64 keep-alive connections, nothing to wait for, server and generator pinned to different cores. The
production servers run the least possible ASGI and WSGI application, with no access log.
"""

import importlib.util
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from bench.errors import UserError
from bench.measure.cores import CoreChoice, cores_here
from bench.measure.foreign import start_foreign
from bench.measure.generator import Generator
from bench.measure.process import Process
from bench.trials.pairs import exit_code, parser_of, verdict_line

CONNECTIONS = 64
WINDOW_S = 0.5
PEERS = {
    "uvicorn": (
        "uvicorn bench.trials.peers:asgi --port {port} --loop uvloop --http httptools "
        "--no-access-log --log-level warning --lifespan off"
    ),
    "gunicorn": (
        "gunicorn bench.trials.peers:wsgi --bind 127.0.0.1:{port} --workers 1 "
        "--worker-class gthread --threads 64 --keep-alive 60 --log-level warning"
    ),
}
CONTESTS = (("uvloop", "uvicorn", 1.5), ("threaded", "gunicorn", 3.0))


def start_model(model: str, cores: CoreChoice) -> tuple[Process, int]:
    """A driver, ready, and its port."""
    process = Process(model, (sys.executable, "-m", "servers", model), cores=cores.server)
    return process, process.wait_ready().port


def start_peer(name: str, cores: CoreChoice) -> tuple[Process, int]:
    """A production server, ready, and its port."""
    words = (sys.executable, "-m", *PEERS[name].split())
    return start_foreign(name, words, cores=cores.server)


def throughput_rps(generator: Generator, name: str, port: int) -> float:
    """Throughput of one slice. Raises UserError when a request fails."""
    answer = generator.measure(
        {
            "url": f"http://127.0.0.1:{port}/",
            "connections": CONNECTIONS,
            "window_s": WINDOW_S,
            "completions_wanted": 10 * CONNECTIONS,
        }
    )
    generator.release()
    if any(answer["errors"].values()):
        raise UserError(f"{name} did not answer every request: {answer['errors']}")
    if not answer["valid"]:
        print(f"note: {name}: {'; '.join(answer['invalid_reasons'])}", file=sys.stderr)
    return float(answer["throughput_rps"])


def contest(
    generator: Generator, cores: CoreChoice, ours: str, theirs: str, pairs: int
) -> list[float]:
    """Throughput ratios ours / theirs, one a pair of slices, alternating who goes first."""
    with ExitStack() as stack:
        ports = {}
        for name, start in ((ours, start_model), (theirs, start_peer)):
            process, ports[name] = start(name, cores)
            stack.enter_context(process)
        ratios = []
        for index in range(pairs):
            order = (ours, theirs) if index % 2 else (theirs, ours)
            rps = {name: throughput_rps(generator, name, ports[name]) for name in order}
            ratios.append(rps[ours] / rps[theirs])
            print(f"pair {index + 1}: {ours} {rps[ours]:.0f}, {theirs} {rps[theirs]:.0f} req/s")
    return ratios


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trial; 0 when all targets are met, 1 when not, 2 when it cannot run."""
    options = parser_of("bench.trials.drivers", __doc__).parse_args(argv)
    for peer in PEERS:
        if importlib.util.find_spec(peer) is None:
            print(f"skipped: {peer} is not installed (pip install '.[peers]')", file=sys.stderr)
            return 2
    cores = cores_here()
    missed = False
    with Generator(cores.generator) as generator:
        for ours, theirs, target in CONTESTS:
            ratios = contest(generator, cores, ours, theirs, options.pairs)
            line, met = verdict_line(
                f"{ours} over {theirs}, throughput at {CONNECTIONS} connections",
                ratios,
                target,
                at_most=False,
            )
            print(line, flush=True)
            missed |= not met
    return exit_code(missed=missed, informative=options.informative)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        print(f"bench-drivers: {failure}", file=sys.stderr)
        sys.exit(2)
