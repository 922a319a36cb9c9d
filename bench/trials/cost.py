"""Is the generator as cheap as wrk, and far cheaper than others? CPU per request, interleaved.

All load the same one-worker nginx, which answers 200 from its configuration, over keep-alive
connections; nginx and the generators are pinned to different cores. CPU is what the kernel accounts
to the generator's process, of ours over the window. What is not installed is left out.
"""

import json
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.errors import UserError
from bench.measure.cores import CoreChoice, cores_here
from bench.measure.foreign import answers, free_port
from bench.measure.generator import Generator
from bench.measure.machine import require_descriptors
from bench.measure.process import Process
from bench.trials.pairs import exit_code, parser_of, verdict_line

CONNECTIONS = (64, 512)
SLICE_S = 1
TARGETS = {"wrk": 1.05, "hey": 0.35, "autocannon": 0.35}
# A pair with hey or autocannon costs seconds, and says the same each time.
MOST_PAIRS = {"wrk": 1_000, "hey": 5, "autocannon": 5}
NODE_TOOLS = Path(sys.prefix) / "node" / "node_modules" / ".bin"
NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok\\n"; }} }}
}}
"""


def program(name: str) -> str | None:
    """Where a generator is installed, if it is."""
    return shutil.which(name) or shutil.which(name, path=str(NODE_TOOLS))


def command_of(name: str, path: str, connections: int, url: str) -> list[str]:
    """What runs it for one slice."""
    match name:
        case "wrk":
            return [path, "-t1", f"-c{connections}", f"-d{SLICE_S}s", url]
        case "hey":
            return [path, "-z", f"{SLICE_S}s", "-c", str(connections), url]
        case _:
            return [path, "--json", "-d", str(SLICE_S), "-c", str(connections), url]


def requests_of(name: str, printed: str) -> int:
    """How many requests were answered, from what it printed. UserError if that cannot be read."""
    try:
        if name == "autocannon":
            return int(json.loads(printed)["2xx"])
        pattern = r"(\d+) requests in" if name == "wrk" else r"\[200\]\s+(\d+) responses"
        found = re.search(pattern, printed)
        return int(found[1]) if found else 0
    except (ValueError, KeyError):
        raise UserError(f"cannot read what {name} printed:\n{printed}") from None


def cpu_us_of(name: str, path: str, connections: int, url: str, core: int) -> float:
    """CPU per request of one slice of another generator, in us."""
    command = ["taskset", "-c", str(core), *command_of(name, path, connections, url)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    requests = requests_of(name, done.stdout) if done.returncode == 0 else 0
    if not requests:
        raise UserError(f"{name} measured nothing:\n{done.stdout}{done.stderr}")
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return cpu_s * 1e6 / requests


def own_cpu_us(generator: Generator, connections: int, url: str) -> float:
    """CPU per request of the project's generator, in us."""
    load = {"window_s": SLICE_S, "window_limit_s": SLICE_S + 1}
    answer = generator.measure({"url": url, "connections": connections, **load})
    generator.release()
    if any(answer["errors"].values()):
        raise UserError(f"nginx did not answer every request: {answer['errors']}")
    return float(answer["client_cpu_us_per_request"])


@contextmanager
def nginx_on(cores: CoreChoice) -> Iterator[str]:
    """An nginx of one worker; its URL."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port))
        command = ("nginx", "-p", folder, "-e", f"{folder}/error.log", "-c", config)
        with Process("nginx", command, cores=cores.server) as nginx:
            nginx.wait_until(answers(port))
            yield f"http://127.0.0.1:{port}/"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trial; 0 when the targets are met, 1 when not, 2 when it cannot run."""
    options = parser_of("bench.trials.cost", __doc__).parse_args(argv)
    if shutil.which("nginx") is None:
        print("skipped: nginx is not installed (make system-packages)", file=sys.stderr)
        return 2
    found = {name: path for name in TARGETS if (path := program(name)) is not None}
    for name in TARGETS.keys() - found.keys():
        print(f"{name} is not installed, so it is left out (make load-generators)", file=sys.stderr)
    cores = cores_here()
    require_descriptors(2 * max(CONNECTIONS))
    met = []
    with nginx_on(cores) as url, Generator(cores.generator) as generator:
        for connections in CONNECTIONS:
            for name, path in found.items():

                def theirs(name: str = name, path: str = path, n: int = connections) -> float:
                    return cpu_us_of(name, path, n, url, cores.generator[0])

                def ours(n: int = connections) -> float:
                    return own_cpu_us(generator, n, url)

                pairs = min(options.pairs, MOST_PAIRS[name])
                met.append(compare(name, connections, pairs, ours, theirs))
    return exit_code(missed=not all(met), informative=options.informative)


def compare(
    name: str,
    connections: int,
    pairs: int,
    ours: Callable[[], float],
    theirs: Callable[[], float],
) -> bool:
    """Measure the pairs in alternating order and print what came out; whether the target is met."""
    print(f"{name}, {connections} connections: {pairs} pairs, {2 * pairs} s", file=sys.stderr)
    own_us, their_us = [], []
    for index in range(pairs):
        for which in (0, 1) if index % 2 else (1, 0):
            if which:
                own_us.append(ours())
            else:
                their_us.append(theirs())
    line, met = verdict_line(
        f"generator's CPU per request over {name}'s, {connections} connections "
        f"({statistics.median(own_us):.1f} us, {statistics.median(their_us):.1f} us)",
        [own / their for own, their in zip(own_us, their_us, strict=True)],
        TARGETS[name],
        at_most=True,
    )
    print(line, flush=True)
    return met


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        print(f"bench-generator: {failure}", file=sys.stderr)
        sys.exit(2)
