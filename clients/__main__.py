"""`python -m clients`: load one URL, or (`--batch`) measure the slices that arrive on stdin.

Batch mode is for the harness: a JSON object per line in, one per line out, until the input ends.
"""

import argparse
import json
import re
import socket
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from clients.engine import Engine
from clients.errors import LoadError
from clients.load import Load
from clients.measurement import measurement
from clients.request import build_request

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m)")
_UNIT_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
LATE_COMPLETION_S = 1.0
DURATION_LIMIT_S = 86_400.0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Wrong use in one line, without the usage that argparse would print before it."""
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def parse_duration_s(text: str) -> float:
    """`250ms`, `10s`, `2m` in seconds, up to a day. Raises argparse's error on anything else."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a duration: use for example 250ms or 10s"
        )
    duration_s = float(match[1]) * _UNIT_S[match[2]]
    if duration_s > DURATION_LIMIT_S:
        raise argparse.ArgumentTypeError(f"{text!r} is longer than a day")
    return duration_s


def positive(text: str) -> int:
    """A whole number from 1 to a million. Raises argparse's error on anything else."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000000")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The command line of `crossover load` and `python -m clients`."""
    arguments = _Parser(
        prog="crossover load",
        description="Load an HTTP/1.1 server in a closed loop and judge the measurement.",
        epilog="Exit codes: 0 a valid measurement, 2 wrong use, 3 one not to be believed.",
        allow_abbrev=False,
    )
    arguments.add_argument("url", nargs="?", metavar="URL", help="what to request, http:// only")
    arguments.add_argument("-c", "--connections", type=positive, default=1, metavar="N",
                           help="connections, each one request at a time (default 1)")  # fmt: skip
    arguments.add_argument("-d", "--duration", type=parse_duration_s, default=10.0, metavar="T",
                           help="how long to measure after warming up (default 10s)")  # fmt: skip
    arguments.add_argument("--close", action="store_true",
                           help="a new connection for every request")  # fmt: skip
    arguments.add_argument("--method", choices=("GET", "HEAD"), default="GET")
    arguments.add_argument("--delay", type=parse_duration_s, default=0.0, metavar="T",
                           help="how long the server is known to wait: starts are spread over it "
                                "and throughput is held against N / T")  # fmt: skip
    arguments.add_argument("--timeout", type=parse_duration_s, default=60.0, metavar="T",
                           help="give a request up after this long (default 60s)")  # fmt: skip
    arguments.add_argument("--connect-timeout", type=parse_duration_s, default=5.0, metavar="T",
                           help="give up connecting after this long (default 5s)")  # fmt: skip
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    arguments.add_argument("--batch", action="store_true", help=argparse.SUPPRESS)
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    arguments = parser()
    options = arguments.parse_args(argv)
    if options.url is None and not options.batch:
        arguments.error("give the URL to load, for example http://127.0.0.1:8000/")
    try:
        return _batch() if options.batch else _single(options)
    except LoadError as error:
        print(f"crossover load: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _single(options: argparse.Namespace) -> int:
    load = _load_of(options)
    engine = Engine(load)
    _require_server(load)
    result = measurement(load, engine.run())
    print(json.dumps(result, allow_nan=False) if options.json else in_words(load, result))
    return 0 if result["valid"] else 3


def _load_of(options: argparse.Namespace) -> Load:
    for name in ("duration", "timeout", "connect_timeout"):
        if getattr(options, name) <= 0:
            raise LoadError(f"--{name.replace('_', '-')} must be more than nothing")
    return Load(
        request=build_request(options.url, keep_alive=not options.close, method=options.method),
        connections=options.connections,
        keep_alive=not options.close,
        delay_s=options.delay,
        window_s=options.duration,
        window_limit_s=options.duration + max(LATE_COMPLETION_S, 2 * options.delay),
        drain_s=2 * options.delay + 0.5,
        connect_timeout_s=options.connect_timeout,
        request_timeout_s=options.timeout,
    )


def _require_server(load: Load) -> None:
    """Raise LoadError where nothing accepts connections: there is nothing to measure."""
    address = (load.request.host, load.request.port)
    try:
        socket.create_connection(address, timeout=load.connect_timeout_s).close()
    except OSError as error:
        reason = error.strerror or error
        raise LoadError(
            f"cannot connect to {address[0]} port {address[1]}: {reason}; is the server running?"
        ) from None


def _batch() -> int:
    """Obey each order on stdin; what cannot be done is answered with `{"failed": why}`."""
    engines: dict[str, Engine] = {}
    for line in sys.stdin:
        try:
            answer = _obey(json.loads(line), engines)
        except LoadError as error:
            answer = {"failed": str(error)}
        print(json.dumps(answer, allow_nan=False), flush=True)
    return 0


def _obey(order: dict[str, Any], engines: dict[str, Engine]) -> dict[str, Any]:
    """One order: `{"open": NAME, "load": {...}}`, `{"burst": NAME}`, `{"finish": NAME}`.

    `finish` is answered with the slice's figures. Connections stay open, so that the servers can be
    looked at, until `{"release": true}`.
    """
    match order:
        case {"open": name, "load": fields}:
            engines[name] = Engine(load_from(fields))
            engines[name].open()
        case {"burst": name} if name in engines:
            engines[name].burst()
        case {"finish": name} if name in engines:
            return measurement(engines[name].load, engines[name].finish(), histograms=True)
        case {"release": _}:
            for engine in engines.values():
                engine.close()
            engines.clear()
        case _:
            raise LoadError(f"no slice is open for the order {order}")
    return {}


def load_from(order: dict[str, Any]) -> Load:
    """The Load behind one line of batch input: its fields, `url` and `body` for two of them.

    A body is bytes in Latin-1.
    """
    order = dict(order)
    keep_alive = order.get("keep_alive", True)
    request = build_request(order.pop("url"), keep_alive=keep_alive)
    body = order.pop("body", None)
    return Load(
        request=request,
        expected_body=None if body is None else body.encode("latin-1"),
        watched_pids=tuple(order.pop("watched_pids", ())),
        upstream_pids=tuple(order.pop("upstream_pids", ())),
        **order,
    )


def in_words(load: Load, result: dict[str, Any]) -> str:
    """The measurement as a short table for the terminal."""
    lines = [
        f"{load.connections} connections, "
        f"{'keep-alive' if load.keep_alive else 'one request each'}, {result['duration_s']:.2f} s",
        f"  throughput     {result['throughput_rps']:12.1f} req/s",
    ]
    for name in ("response_time", "service_time"):
        times = result[f"{name}_ms"]
        if times and (name == "response_time" or times != result["response_time_ms"]):
            label = name.replace("_", " ")
            least = "at least " if result["latency_at_least"] else ""
            figures = "  ".join(f"{key} {value:.3f}" for key, value in times.items())
            lines.append(f"  {label:14} {least}{figures} ms")
    errors = ", ".join(f"{count} {kind}" for kind, count in result["errors"].items() if count)
    lines.append(f"  errors         {errors or 'none'}")
    if result["client_cpu_us_per_request"] is not None:
        lines.append(
            f"  generator      {result['client_cpu_us_per_request']:.1f} us CPU a request, "
            f"busy {result['client_cpu_utilisation']:.0%}"
        )
    lines += [f"  not valid: {reason}" for reason in result["invalid_reasons"]] or ["  valid"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
