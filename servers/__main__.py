"""`python -m servers MODEL`: one server, until SIGTERM. Knows the models only by their table."""

import argparse
import json
import os
import platform
import resource
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from servers.core.calls import Calls, Upstream
from servers.core.compute import Rates, calibrate
from servers.core.limits import Limits
from servers.core.listen import open_listener
from servers.core.replies import Catalogue
from servers.core.service import Service
from servers.core.stop import Stop
from servers.core.units import Turns, Units
from servers.core.wait_record import WaitRecord
from servers.core.work import BadWorkError, parse_seconds
from servers.core.workers import Workers
from servers.models import MODELS, Model, Serve, UnavailableError

STDOUT = 1
FEWEST_DESCRIPTORS = 32
MOST_WORKERS = 10_000
DEFAULT_POOL = 1024
DIGITS = 9
EPILOG = """\
The path of a request is its work, step by step: /delay=20ms/spin=500us/body=4KiB
  delay=T   wait on a timer             spin=T    use CPU, keeping the interpreter lock
  call=T    wait for the upstream       hash=T    use CPU, with the lock released
  hold=T    wait while holding a unit   body=N    the size of the reply
  block=T   block the thread it is in   drip=NxT  send the body N bytes at a time, every T
T is a time with us, ms or s, up to 60s; N is in bytes, KiB or MiB. / asks for nothing.
"""


class _CannotServeError(Exception):
    """The server cannot start here; the message says why."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0 after a stop. Exits with 2 on wrong use."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.list:
        print(json.dumps([_describe(model) for model in MODELS.values()]))
    elif args.calibrate:
        print(json.dumps(calibrate().described()))
    elif args.model not in MODELS:
        what = f"unknown model {args.model!r}" if args.model else "no model given"
        parser.error(f"{what}; choose one of {', '.join(MODELS)}")
    else:
        try:
            return _serve(MODELS[args.model], args)
        except (UnavailableError, _CannotServeError) as error:
            parser.error(str(error))
    return 0


def _serve(model: Model, args: argparse.Namespace) -> int:
    serve = model.load()
    workers = args.workers or model.default_workers
    processes, threads = (workers, 1) if model.workers_are == "processes" else (1, workers)
    rates = _rates(args)
    limits = Limits(
        idle_s=args.idle_timeout, request_s=args.request_timeout, write_s=args.write_timeout
    )
    with _listener(args.host, args.port, limits) as listener:
        upstream = _upstream(args, processes)
        offer = _Offer(serve, listener, limits, rates, processes, threads, upstream)
        host, port, *_ = listener.getsockname()
        ready = {"ready": True, "host": host, "port": port, "pid": os.getpid()}
        ready |= {"model": model.name, "workers": workers, **_interpreter()}
        if processes == 1:
            return _serve_alone(offer, args, ready)
        if args.record_waits:
            raise _CannotServeError("--record-waits is for a single process: --workers 1")
        group = Workers(
            processes, args.units, lambda units: offer.run(units, Stop()), listener.close
        )
        _announce(ready)
        return group.wait()


def _serve_alone(offer: "_Offer", args: argparse.Namespace, ready: dict[str, object]) -> int:
    stop = Stop()
    record = WaitRecord() if args.record_waits else None
    _announce(ready)
    offer.run(Units(args.units), stop, record)
    if record is not None:
        record.write(args.record_waits)
    return 0


@dataclass(frozen=True, slots=True)
class _Offer:
    """What every process of a server serves with."""

    serve: Serve
    listener: socket.socket
    limits: Limits
    rates: Rates
    processes: int
    threads: int
    upstream: Upstream | None

    def run(self, units: Turns, stop: Stop, record: WaitRecord | None = None) -> None:
        """Serve until asked to stop."""
        call = Calls(self.upstream).call if self.upstream else None
        watch = {} if record is None else {"watch_steps": record.watch}
        catalogue = Catalogue(self.rates, call, **watch)
        service = Service(
            catalogue, self.limits, units, stop, self.processes, self.threads, self.upstream
        )
        self.serve(self.listener, service)


def _rates(args: argparse.Namespace) -> Rates:
    spin, hashing = args.spin_rounds_per_us, args.hash_rounds_per_us
    if spin and hashing:
        return Rates(spin, hashing)
    measured = calibrate()
    return Rates(spin or measured.spin_per_us, hashing or measured.hash_per_us)


def _upstream(args: argparse.Namespace, processes: int) -> Upstream | None:
    if args.upstream is None:
        return None
    host, port = args.upstream
    return Upstream(host, port, max(1, args.pool // processes))


def _interpreter() -> dict[str, object]:
    """What runs here, the lock as the running interpreter reports it after its imports."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "gil": bool(getattr(sys, "_is_gil_enabled", lambda: True)()),
    }


def _listener(host: str, port: int, limits: Limits) -> socket.socket:
    fewest, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if fewest < FEWEST_DESCRIPTORS:
        raise _CannotServeError(
            f"too few file descriptors: {fewest}, a server needs {FEWEST_DESCRIPTORS}"
            f" (ulimit -n {FEWEST_DESCRIPTORS})"
        )
    try:
        return open_listener(host, port, limits)
    except (OSError, UnicodeError) as error:  # UnicodeError: no host has such a name
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else getattr(error, "strerror", "no such host")
        raise _CannotServeError(
            f"cannot listen on {host or repr(host)} port {port}: {reason}"
        ) from None


def _announce(ready: dict[str, object]) -> None:
    try:
        os.write(STDOUT, json.dumps(ready).encode() + b"\n")
    except OSError as error:
        raise _CannotServeError(f"cannot write the ready line: {error.strerror}") from None


def _describe(model: Model) -> dict[str, object]:
    reason = model.why_unavailable()
    return {**asdict(model), "available": reason is None, "why_unavailable": reason}


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="crossover serve",
        description="Serve slow work under one model.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    limits = Limits()
    parser.add_argument("model", nargs="?", help=", ".join(MODELS))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=0, help="0, the default: any free one")
    parser.add_argument("--workers", type=_workers, metavar="N",
                        help="processes that share the port, or the threads of a model with a"
                             " fixed number (default: the model's own)")  # fmt: skip
    parser.add_argument("--units", type=_count, default=1, help="requests in a hold at once")
    parser.add_argument("--upstream", type=_address, metavar="HOST:PORT",
                        help="what a call asks: python -m servers.upstream")  # fmt: skip
    parser.add_argument("--pool", type=_count, default=DEFAULT_POOL, metavar="N",
                        help="most connections to the upstream, shared out among processes"
                             f" (default {DEFAULT_POOL})")  # fmt: skip
    parser.add_argument("--spin-rounds-per-us", type=_rate, help="measured here if not given")
    parser.add_argument("--hash-rounds-per-us", type=_rate, help="measured here if not given")
    for name, default_s, limit in (
        ("--idle-timeout", limits.idle_s, "for nothing of the next request"),
        ("--request-timeout", limits.request_s, "for a request that has begun"),
        ("--write-timeout", limits.write_s, "for a reply that nobody takes"),
    ):
        parser.add_argument(name, type=_seconds, default=default_s, metavar="T",
                            help=f"{limit} (default {default_s:g}s)")  # fmt: skip
    parser.add_argument("--record-waits", type=Path, metavar="FILE",
                        help="write down how long each delay took, at the end")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="describe the models as JSON")
    parser.add_argument("--calibrate", action="store_true", help="measure rounds as JSON")
    return parser


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= DIGITS


def _port(text: str) -> int:
    if not _is_whole(text) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _count(text: str, most: int = 10**DIGITS - 1) -> int:
    if not _is_whole(text) or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most}")
    return int(text)


def _workers(text: str) -> int:
    return _count(text, MOST_WORKERS)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, _port(port)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rounds per microsecond")
    return rate


def _seconds(text: str) -> float:
    try:
        seconds = parse_seconds(text)
    except BadWorkError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not seconds:
        raise argparse.ArgumentTypeError("a timeout is longer than zero")
    return seconds


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the server was there to be stopped
        sys.exit(130)
