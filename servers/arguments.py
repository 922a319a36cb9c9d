"""The command line of a server: its flags, and what each may be. Knows the models' names only."""

import argparse
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from servers.core.limits import Limits
from servers.core.work import BadWorkError, parse_seconds
from servers.models import MODELS

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


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser; it exits with status 2 and one line on wrong use."""
    arguments = _Parser(
        prog="crossover serve",
        description="Serve slow work under one model.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    limits = Limits()
    arguments.add_argument("model", nargs="?", help=", ".join(MODELS))
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=_port, default=0, help="0, the default: any free one")
    arguments.add_argument("--workers", type=_workers, metavar="N",
                           help="processes that share the port, or the threads of a model with a"
                                " fixed number (default: the model's own)")  # fmt: skip
    arguments.add_argument("--units", type=_count, default=1, help="requests in a hold at once")
    arguments.add_argument("--upstream", type=_address, metavar="HOST:PORT",
                           help="what a call asks: python -m servers.upstream")  # fmt: skip
    arguments.add_argument("--pool", type=_count, default=DEFAULT_POOL, metavar="N",
                           help="most connections to the upstream, shared out among processes"
                                f" (default {DEFAULT_POOL})")  # fmt: skip
    arguments.add_argument("--spin-rounds-per-us", type=_rate, help="measured here if not given")
    arguments.add_argument("--hash-rounds-per-us", type=_rate, help="measured here if not given")
    for name, default_s, limit in (
        ("--idle-timeout", limits.idle_s, "for nothing of the next request"),
        ("--request-timeout", limits.request_s, "for a request that has begun"),
        ("--write-timeout", limits.write_s, "for a reply that nobody takes"),
    ):
        arguments.add_argument(name, type=_seconds, default=default_s, metavar="T",
                               help=f"{limit} (default {default_s:g}s)")  # fmt: skip
    arguments.add_argument("--trace", type=Path, metavar="FILE",
                           help="write down what each step did and when, at the end")  # fmt: skip
    arguments.add_argument("--list", action="store_true", help="describe the models as JSON")
    arguments.add_argument("--calibrate", action="store_true", help="measure rounds as JSON")
    return arguments


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
    host = host.removeprefix("[").removesuffix("]")  # as IPv6 addresses are written
    with suppress(UnicodeError):  # no host has such a name
        if colon and host.encode("idna"):
            return host, _port(port)
    raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")


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
