"""`python -m servers MODEL`: one server, until SIGTERM. Knows the models only by their table."""

import argparse
import json
import os
import platform
import resource
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from servers.arguments import parser
from servers.core.calls import Calls, Upstream
from servers.core.compute import Rates, calibrate
from servers.core.limits import Limits
from servers.core.listen import open_listener
from servers.core.replies import Catalogue
from servers.core.service import Service
from servers.core.stop import Stop
from servers.core.trace import Trace
from servers.core.units import Turns, Units
from servers.core.workers import Workers
from servers.models import MODELS, Model, Serve, UnavailableError

STDOUT = 1
FEWEST_DESCRIPTORS = 32


class _CannotServeError(Exception):
    """The server cannot start here; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0 after a stop. Exits with 2 on wrong use."""
    arguments = parser()
    args = arguments.parse_args(argv)
    if args.list:
        print(json.dumps([_describe(model) for model in MODELS.values()]))
    elif args.calibrate:
        print(json.dumps(calibrate().described()))
    elif args.model not in MODELS:
        what = f"unknown model {args.model!r}" if args.model else "no model given"
        arguments.error(f"{what}; choose one of {', '.join(MODELS)}")
    else:
        try:
            return _serve(MODELS[args.model], args)
        except (UnavailableError, _CannotServeError) as error:
            arguments.error(str(error))
    return 0


def _serve(model: Model, args: argparse.Namespace) -> int:
    serve = model.load()
    workers = args.workers or model.default_workers
    processes, threads = (workers, 1) if model.workers_are == "processes" else (1, workers)
    rates = _rates(args)
    limits = Limits(
        idle_s=args.idle_timeout, request_s=args.request_timeout, write_s=args.write_timeout
    )
    upstream = _upstream(args, processes)
    _check_descriptors(max(FEWEST_DESCRIPTORS, processes + FEWEST_DESCRIPTORS // 2))
    with _listener(args.host, args.port, limits) as listener:
        offer = _Offer(serve, listener, limits, rates, processes, threads, upstream, args.trace)
        offer.empty_trace()  # before anything is traced that could not be kept
        host, port, *_ = listener.getsockname()
        ready = {"ready": True, "host": host, "port": port, "pid": os.getpid()}
        ready |= {"model": model.name, "workers": workers, **_interpreter()}
        if processes == 1:
            stop = Stop()
            _announce(ready)
            offer.run(Units(args.units), stop)
            return 0
        group = _workers(offer, args.units)
        _announce(ready)
        return group.wait()


def _workers(offer: "_Offer", units: int) -> Workers:
    try:
        return Workers(
            offer.processes, units, lambda side: offer.run(side, Stop()), offer.listener.close
        )
    except OSError as error:
        raise _CannotServeError(
            f"cannot start {offer.processes} workers: {error.strerror}"
        ) from None


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
    trace_file: Path | None

    def run(self, units: Turns, stop: Stop) -> None:
        """Serve until asked to stop."""
        call = Calls(self.upstream).call if self.upstream else None
        trace = Trace(self.rates)
        watch = {"watch_steps": trace.watch} if self.trace_file else {}
        catalogue = Catalogue(self.rates, call, **watch)
        service = Service(
            catalogue, self.limits, units, stop, self.processes, self.threads, self.upstream
        )
        self.serve(self.listener, service)
        if self.trace_file:
            with _writing(self.trace_file):
                trace.append_to(self.trace_file)

    def empty_trace(self) -> None:
        """Begin the file of the trace, which each process adds to at its end."""
        if self.trace_file:
            with _writing(self.trace_file):
                self.trace_file.write_bytes(b"")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _CannotServeError(f"cannot write {path}: {error.strerror}") from None


def _rates(args: argparse.Namespace) -> Rates:
    spin, hashing = args.spin_rounds_per_us, args.hash_rounds_per_us
    if spin and hashing:
        return Rates(spin, hashing)
    measured = calibrate()
    return Rates(spin or measured.spin_per_us, hashing or measured.hash_per_us)


def _upstream(args: argparse.Namespace, processes: int) -> Upstream | None:
    if args.upstream is None:
        return None
    if args.pool < processes:
        raise _CannotServeError(f"--pool {args.pool} leaves none for some of {processes} processes")
    host, port = args.upstream
    return Upstream(host, port, args.pool // processes)


def _interpreter() -> dict[str, object]:
    """What runs here, the lock as the running interpreter reports it after its imports."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "gil": bool(getattr(sys, "_is_gil_enabled", lambda: True)()),
    }


def _check_descriptors(fewest: int) -> None:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed < fewest:
        raise _CannotServeError(
            f"too few file descriptors: {allowed}, a server needs {fewest} (ulimit -n {fewest})"
        )


def _listener(host: str, port: int, limits: Limits) -> socket.socket:
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


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the server was there to be stopped
        sys.exit(130)
