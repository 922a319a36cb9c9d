"""`python -m servers MODEL`: one server, until SIGTERM. Knows the models only by their table."""

import argparse
import json
import os
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
        except UnavailableError as error:
            parser.error(str(error))
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error
            parser.error(f"cannot listen on {args.host} port {args.port}: {reason}")


def _serve(args: argparse.Namespace) -> None:
    serve = MODELS[args.model].load()
    limits = Limits(
        idle_s=args.idle_timeout, request_s=args.request_timeout, write_s=args.write_timeout
    )
    rounds = args.spin_rounds_per_us or calibrate_spin()
    service = Service(Catalogue(rounds), limits, args.units, Stop())
    with open_listener(args.host, args.port, limits) as listener:
        host, port, *_ = listener.getsockname()
        ready = {"ready": True, "host": host, "port": port, "pid": os.getpid()}
        print(json.dumps({**ready, "model": args.model}), flush=True)
        serve(listener, service)


def _describe(model: Model) -> dict[str, object]:
    reason = model.why_unavailable()
    return {**asdict(model), "available": reason is None, "why_unavailable": reason}


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m servers", description="Serve slow work under one model.")
    limits = Limits()
    parser.add_argument("model", nargs="?", help=", ".join(MODELS))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=0, help="0, the default: any free one")
    parser.add_argument("--units", type=_units, default=1, help="requests in a hold at once")
    parser.add_argument("--spin-rounds-per-us", type=_rate, help="measured here if not given")
    parser.add_argument("--idle-timeout", type=_seconds, default=limits.idle_s)
    parser.add_argument("--request-timeout", type=_seconds, default=limits.request_s)
    parser.add_argument("--write-timeout", type=_seconds, default=limits.write_s)
    parser.add_argument("--list", action="store_true", help="describe the models as JSON")
    parser.add_argument("--calibrate", action="store_true", help="measure spin rounds as JSON")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _units(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
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
    main()
