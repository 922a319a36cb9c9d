"""`python -m servers MODEL`: one server, until SIGTERM. Knows the models only by their table."""

import argparse
import json
import os
import resource
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import NoReturn

from servers.core.limits import Limits
from servers.core.listen import open_listener
from servers.core.replies import Catalogue
from servers.core.service import Service
from servers.core.stop import Stop
from servers.core.work import BadWorkError, calibrate_spin, parse_seconds
from servers.models import MODELS, Model, UnavailableError

STDOUT = 1
FEWEST_DESCRIPTORS = 32
DIGITS = 9
EPILOG = """\
The path of a request is its work, step by step: /delay=20ms/spin=500us/body=4KiB
  delay=T   wait on a timer             hold=T    wait while holding one of the units
  block=T   block the thread it is in   spin=T    use CPU, keeping the interpreter lock
  body=N    the size of the reply, in bytes, KiB or MiB
T is a time with us, ms or s, up to 60s. / asks for nothing.
"""


class _CannotServeError(Exception):
    """The server cannot start here; the message says why."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line. Exits with 0 after a stop, with 2 on wrong use."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.list:
        print(json.dumps([_describe(model) for model in MODELS.values()]))
    elif args.calibrate:
        print(json.dumps({"spin_rounds_per_us": calibrate_spin()}))
    elif args.model not in MODELS:
        what = f"unknown model {args.model!r}" if args.model else "no model given"
        parser.error(f"{what}; choose one of {', '.join(MODELS)}")
    else:
        try:
            _serve(args)
        except (UnavailableError, _CannotServeError) as error:
            parser.error(str(error))


def _serve(args: argparse.Namespace) -> None:
    serve = MODELS[args.model].load()
    limits = Limits(
        idle_s=args.idle_timeout, request_s=args.request_timeout, write_s=args.write_timeout
    )
    rounds = args.spin_rounds_per_us or calibrate_spin()
    service = Service(Catalogue(rounds), limits, args.units, Stop())
    with _listener(args.host, args.port, limits) as listener:
        host, port, *_ = listener.getsockname()
        ready = {"ready": True, "host": host, "port": port, "pid": os.getpid()}
        _announce({**ready, "model": args.model})
        serve(listener, service)


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
    parser.add_argument("--units", type=_units, default=1, help="requests in a hold at once")
    parser.add_argument("--spin-rounds-per-us", type=_rate, help="measured here if not given")
    for name, default_s, limit in (
        ("--idle-timeout", limits.idle_s, "for nothing of the next request"),
        ("--request-timeout", limits.request_s, "for a request that has begun"),
        ("--write-timeout", limits.write_s, "for a reply that nobody takes"),
    ):
        parser.add_argument(name, type=_seconds, default=default_s, metavar="T",
                            help=f"{limit} (default {default_s:g}s)")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="describe the models as JSON")
    parser.add_argument("--calibrate", action="store_true", help="measure spin rounds as JSON")
    return parser


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= DIGITS


def _port(text: str) -> int:
    if not _is_whole(text) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _units(text: str) -> int:
    if not _is_whole(text) or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number from 1 to {10**DIGITS - 1}"
        )
    return int(text)


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
        main()
    except KeyboardInterrupt:  # before the server was there to be stopped
        sys.exit(130)
