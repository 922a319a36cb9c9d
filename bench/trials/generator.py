"""Is the generator as cheap as wrk? CPU per request of both against one-worker nginx, interleaved.

nginx and the generators are pinned to different cores, 64 keep-alive connections, nginx answers 200
from its configuration. wrk's CPU is what the kernel accounts to it, the generator's is its own CPU
clock over the window.
"""

import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.errors import UserError
from bench.measure.cores import cores_here
from bench.measure.foreign import answers, free_port
from bench.measure.generator import Generator
from bench.measure.process import Process
from bench.trials.pairs import exit_code, parser_of, verdict_line

CONNECTIONS = 64
SLICE_S = 1
TARGET = 1.25
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


def wrk_cpu_us(port: int, core: int) -> float:
    """CPU per request of one run of wrk, in us."""
    url = f"http://127.0.0.1:{port}/"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SLICE_S}s", url]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["taskset", "-c", str(core), *command], capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    requests = re.search(r"(\d+) requests in", done.stdout)
    if requests is None:
        raise UserError(f"cannot read what wrk printed:\n{done.stdout}")
    return cpu_s * 1e6 / int(requests[1])


def own_cpu_us(generator: Generator, port: int) -> float:
    """CPU per request of the project's generator, in us."""
    answer = generator.measure(
        {
            "url": f"http://127.0.0.1:{port}/",
            "connections": CONNECTIONS,
            "window_s": SLICE_S,
            "window_limit_s": SLICE_S + 1,
        }
    )
    generator.release()
    if any(answer["errors"].values()):
        raise UserError(f"nginx did not answer every request: {answer['errors']}")
    return float(answer["client_cpu_us_per_request"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trial; 0 when the target is met, 1 when not, 2 when it cannot run."""
    options = parser_of("bench.trials.generator", __doc__).parse_args(argv)
    for tool in ("wrk", "nginx"):
        if shutil.which(tool) is None:
            print(f"skipped: {tool} is not installed (make system-packages)", file=sys.stderr)
            return 2
    cores = cores_here()
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port))
        command = ("nginx", "-p", folder, "-e", f"{folder}/error.log", "-c", config)
        with (
            Process("nginx", command, cores=cores.server) as nginx,
            Generator(cores.generator) as generator,
        ):
            nginx.wait_until(answers(port))
            met = report(generator, port, cores.generator[0], options.pairs)
    return exit_code(missed=not met, informative=options.informative)


def report(generator: Generator, port: int, core: int, pairs: int) -> bool:
    """Measure the pairs in alternating order and print them; whether the target is met."""
    ours, theirs = [], []
    for index in range(pairs):
        for which in (0, 1) if index % 2 else (1, 0):
            if which:
                ours.append(own_cpu_us(generator, port))
            else:
                theirs.append(wrk_cpu_us(port, core))
        print(f"pair {index + 1}: {ours[-1]:.2f} us, wrk {theirs[-1]:.2f} us", flush=True)
    ratios = [own / wrk for own, wrk in zip(ours, theirs, strict=True)]
    line, met = verdict_line(
        f"generator's CPU per request over wrk's, {CONNECTIONS} connections",
        ratios,
        TARGET,
        at_most=True,
    )
    print(line)
    return met


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        print(f"bench-generator: {failure}", file=sys.stderr)
        sys.exit(2)
