"""The command line of `crossover load` and `python -m clients`: what is asked, as a Load."""

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

from clients.command_line import LONGEST_S, Parser, parse_duration_s
from clients.errors import LoadError
from clients.expectation import Expectation, parse_expectation
from clients.load import Check, Load
from clients.request import build_request
from clients.schedule import ARRIVALS, Schedule

_STEP = re.compile(r"(\d+(?:\.\d+)?)(?::(\d+(?:\.\d+)?(?:us|ms|s|m)))?")
LATE_COMPLETION_S = 1.0
RATE_LIMIT_RPS = 1_000_000
DEFAULT_DURATION_S = 10.0
DEFAULT_WARM_UP_S = 1.0
OPEN_LOOP_CONNECTIONS = 256
MOST_PROCESSES = 64
SPIN_NS = 200_000


def positive(text: str) -> int:
    """A whole number from 1 to a million. Raises argparse's error on anything else."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000000")
    return int(text)


def _status(text: str) -> int:
    if not re.fullmatch(r"[1-5]\d\d", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a status: use 100 to 599")
    return int(text)


def _length(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bytes")
    return int(text)


def parse_rate(text: str) -> tuple[tuple[float, float], ...]:
    """`1000`, or steps `500:10s,1000:10s`, as steps of a Schedule. Raises argparse's error."""
    steps = []
    for part in text.split(","):
        match = _STEP.fullmatch(part.strip())
        if match is None or not 0 < float(match[1]) <= RATE_LIMIT_RPS:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a rate: use 1000, or steps like 500:10s,1000:10s "
                f"(requests per second, up to {RATE_LIMIT_RPS})"
            )
        steps.append((float(match[1]), parse_duration_s(match[2]) if match[2] else 0.0))
    if len(steps) > 1 and not all(duration_s > 0 for _, duration_s in steps):
        raise argparse.ArgumentTypeError(f"{text!r}: every step needs its time, as in 500:10s")
    return tuple(steps)


def _expectation(text: str) -> Expectation:
    try:
        return parse_expectation(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parser() -> argparse.ArgumentParser:
    """All options."""
    # fmt: off
    arguments = Parser(
        prog="crossover load",
        description="Load an HTTP/1.1 server and judge the measurement. Without --rate in a closed "
                    "loop: each connection asks again when its reply has come. With --rate in an "
                    "open loop: requests start when the schedule says so, and waiting for a "
                    "connection is response time.",
        epilog="Exit codes: 0 a valid measurement, 1 an expectation that failed, 2 wrong use, "
               "3 a measurement that is not to be believed.",
        allow_abbrev=False,
    )
    add = arguments.add_argument
    add("url", nargs="?", metavar="URL",
        help="what to request, http:// only; ~exp(20ms), ~uniform(10ms,30ms) or "
             "~lognormal(20ms,0.5) in its path is a time drawn for each request")
    add("-c", "--connections", type=positive, metavar="N",
        help="connections, each one request at a time (default 1); in an open loop at most so "
             f"many (default {OPEN_LOOP_CONNECTIONS})")
    add("-d", "--duration", type=parse_duration_s, metavar="T",
        help="how long to measure after warming up (default 10s, or all the steps of --rate)")
    add("-r", "--rate", type=parse_rate, metavar="R",
        help="open loop: so many requests a second, or steps like 500:10s,1000:10s")
    add("--arrivals", choices=ARRIVALS, help="of the open loop (default constant)")
    add("--seed", type=int, default=0, metavar="N",
        help="for all that is drawn; the same seed gives the same load (default 0)")
    add("--warm-up", type=parse_duration_s, metavar="T",
        help="open loop: how long to follow the schedule before measuring (default 1s)")
    add("--catch-up", action="store_true", default=None,
        help="open loop: send at once what is late because the generator was held up, not at twice "
             "the rate")
    add("--spin", action=argparse.BooleanOptionalAction,
        help="open loop: do not sleep for the last 0.2 ms before an arrival (default: where there "
             "are more cores than processes)")
    add("--processes", type=positive, default=1, metavar="N",
        help="share the load out among so many processes (default 1)")
    add("--close", action="store_true", help="a new connection for every request")
    add("-X", "--method", default="GET", metavar="M")
    add("-H", "--header", action="append", default=[], metavar="'NAME: VALUE'",
        help="may be repeated")
    add("--body", metavar="TEXT|@FILE", help="what to send as a body")
    add("--status", type=_status, metavar="N", help="the one right status (default 200 to 399)")
    add("--contains", metavar="TEXT", help="what a right reply's body contains")
    add("--length", type=_length, metavar="BYTES", help="how long a right reply's body is")
    add("--delay", type=parse_duration_s, default=0.0, metavar="T",
        help="how long the server is known to wait: starts are spread over it and throughput is "
             "held against N / T")
    add("--timeout", type=parse_duration_s, default=60.0, metavar="T",
        help="give a request up after this long (default 60s)")
    add("--connect-timeout", type=parse_duration_s, default=5.0, metavar="T",
        help="give up connecting after this long (default 5s)")
    add("--expect", type=_expectation, action="append", default=[], metavar="'p99<50ms'",
        help="exit with 1 where it does not hold: a time, throughput>900, errors==0 or "
             "errors<0.1%%; may be repeated")
    add("--json", action="store_true", help="print one JSON object")
    add("--csv", type=Path, metavar="FILE", help="write a row for every second")
    add("--hgrm", type=Path, metavar="FILE",
        help="write the response times' percentiles as HdrHistogram's tools plot them")
    add("--plot", type=Path, metavar="FILE", help="draw latency and timeline: .png, .svg or .pdf")
    add("--samples", type=Path, metavar="FILE.npz",
        help="keep the clocks of every request; costs memory, and some us a request")
    add("--with", dest="adapter", choices=("wrk", "wrk2"),
        help="have another generator do it, for a cross-check")
    add("--batch", action="store_true", help=argparse.SUPPRESS)
    # fmt: on
    return arguments


def load_of(options: argparse.Namespace) -> Load:
    """The load that is asked for. Raises LoadError where the options do not go together."""
    _require(options)
    is_open = options.rate is not None
    steps_s = sum(duration_s for _, duration_s in options.rate or ())
    duration_s = options.duration or steps_s or DEFAULT_DURATION_S
    warm_up_s = DEFAULT_WARM_UP_S if options.warm_up is None else options.warm_up
    return Load(
        request=build_request(
            options.url,
            keep_alive=not options.close,
            method=options.method,
            headers=options.header,
            body=_body(options.body),
            seed=options.seed,
        ),
        connections=options.connections or (OPEN_LOOP_CONNECTIONS if is_open else 1),
        keep_alive=not options.close,
        schedule=_schedule(options, warm_up_s) if is_open else None,
        catch_up=bool(options.catch_up),
        spin_ns=SPIN_NS if _spins(options) else 0,
        delay_s=options.delay,
        warmup_s=warm_up_s,
        window_s=duration_s,
        window_limit_s=duration_s + max(LATE_COMPLETION_S, 2 * options.delay),
        drain_s=2 * options.delay + (LATE_COMPLETION_S if is_open else 0.5),
        connect_timeout_s=options.connect_timeout,
        request_timeout_s=options.timeout,
        check=Check(
            status=options.status,
            contains=None if options.contains is None else options.contains.encode(),
            length=options.length,
        ),
    )


def _require(options: argparse.Namespace) -> None:
    for name in ("duration", "timeout", "connect_timeout"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise LoadError(f"--{name.replace('_', '-')} must be more than nothing")
    if options.rate is None:
        for name in ("arrivals", "warm_up", "catch_up", "spin"):
            if getattr(options, name) is not None:
                raise LoadError(
                    f"--{name.replace('_', '-')} is of an open loop: give --rate as well"
                )
    connections = options.connections or (OPEN_LOOP_CONNECTIONS if options.rate else 1)
    if options.processes > min(connections, MOST_PROCESSES):
        raise LoadError(
            f"--processes {options.processes} is too many: at most one for each of the "
            f"{connections} connections, and {MOST_PROCESSES}"
        )


def _spins(options: argparse.Namespace) -> bool:
    if options.spin is None:
        return len(os.sched_getaffinity(0)) > int(options.processes)
    return bool(options.spin)


def _schedule(options: argparse.Namespace, warm_up_s: float) -> Schedule:
    """The steps asked for, after a warm-up at the first of their rates."""
    (first_rps, first_s), *others = options.rate
    endless = first_s == 0.0
    first = (first_rps, LONGEST_S if endless else first_s + warm_up_s)
    return Schedule((first, *others), options.arrivals or "constant", options.seed)


def _body(text: str | None) -> bytes | None:
    if text is None or not text.startswith("@"):
        return None if text is None else text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise LoadError(f"cannot read the body from {text[1:]}: {error.strerror}") from None


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options given; leaves with code 2 and one line where they are wrong."""
    arguments = parser()
    options = arguments.parse_args(argv)
    if options.url is None and not options.batch:
        arguments.error("give the URL to load, for example http://127.0.0.1:8000/")
    return options
