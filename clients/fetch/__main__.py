"""`python -m clients.fetch MODEL URL...`: fetch slow documents, and tell when each came.

A client, and with it its library, is imported only when it is asked for.
"""

import argparse
import importlib
import importlib.util
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence

from clients.command_line import Parser, parse_duration_s
from clients.errors import LoadError
from clients.fetch.arrivals import Arrivals, Piece
from clients.fetch.document import Document
from clients.fetch.outcome import in_figures, in_words

CLIENTS = {
    "sequential": "clients.fetch.sequential",
    "threaded": "clients.fetch.threaded",
    "selectors": "clients.fetch.selectors_loop",
    "asyncio": "clients.fetch.asyncio_streams",
    "trio": "clients.fetch.trio_nursery",
    "twisted": "clients.fetch.twisted_protocol",
}
TO_INSTALL = frozenset({"trio", "twisted"})
"""Models whose library, of the same name, has to be installed."""

READER_GONE = 141
EPILOG = """\
models:
  sequential  one document after another
  threaded    a thread per document
  selectors   an event loop written by hand
  asyncio     a task per document, asyncio streams
  trio        a trio task per document
  twisted     Twisted's reactor and a protocol per document

Exit codes: 0 all documents are there, 1 some are not, 2 wrong use, 130 interrupted.
"""


def parser() -> argparse.ArgumentParser:
    """The command line of `crossover fetch`."""
    arguments = Parser(
        prog="crossover fetch",
        usage="crossover fetch [options] MODEL URL [URL ...]",
        description="Fetch slow documents under one model, and time each and all.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    arguments.add_argument("model", nargs="?", metavar="MODEL", help="one of those below")
    arguments.add_argument("urls", nargs="*", metavar="URL", help="a document, http:// only")
    arguments.add_argument("--timeout", type=_timeout_s, default=60.0, metavar="T",
                           help="give up on a document of which nothing comes for this long"
                                " (default 60s)")  # fmt: skip
    arguments.add_argument("--pieces", action="store_true",
                           help="print a line for each piece, as it comes")  # fmt: skip
    arguments.add_argument("--show", action="store_true",
                           help="print the documents, at the end")  # fmt: skip
    arguments.add_argument("--json", action="store_true",
                           help="print one JSON object, which holds the pieces and the documents"
                                " where they are asked for")  # fmt: skip
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code. Exits with 2 on wrong use."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what a terminal cannot show
    arguments = parser()
    options = arguments.parse_intermixed_args(argv)
    if options.model not in CLIENTS:
        what = f"unknown model {options.model!r}" if options.model else "no model given"
        arguments.error(f"{what}; choose one of {', '.join(CLIENTS)}")
    if not options.urls:
        arguments.error("give the URLs of the documents, for example http://127.0.0.1:8000/")
    try:
        return _fetch(options)
    except LoadError as error:
        arguments.exit(2, f"{arguments.prog}: {error}\n")
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        _write_nowhere()
        if isinstance(error, BrokenPipeError):
            return READER_GONE
        arguments.exit(2, f"{arguments.prog}: cannot write the output: {error.strerror}\n")


def _fetch(options: argparse.Namespace) -> int:
    fetch = _client(options.model)
    printer = _Printer()
    arrivals = Arrivals(printer.print if options.pieces and not options.json else None)
    documents = [Document(n, url, arrivals) for n, url in enumerate(options.urls, start=1)]
    try:
        fetch(documents, options.timeout)
    except KeyboardInterrupt:
        raise printer.error or KeyboardInterrupt from None
    except OSError as error:  # not of one document: that is told with the document
        raise LoadError(f"cannot run {options.model}: {error.strerror or error}") from None
    if options.json:
        figures = in_figures(
            documents, arrivals.pieces, with_pieces=options.pieces, with_texts=options.show
        )
        print(json.dumps({"model": options.model, **figures}, allow_nan=False), flush=True)
    else:
        print(in_words(documents, arrivals.pieces, with_texts=options.show), flush=True)
    return 1 if any(document.failure for document in documents) else 0


def _client(model: str) -> Callable[[Sequence[Document], float], None]:
    if model in TO_INSTALL and importlib.util.find_spec(model) is None:
        raise LoadError(f"model {model} needs {model}: pip install {model}")
    fetch: Callable[[Sequence[Document], float], None]
    fetch = importlib.import_module(CLIENTS[model]).fetch
    return fetch


def _timeout_s(text: str) -> float:
    timeout_s = parse_duration_s(text)
    if not timeout_s:
        raise argparse.ArgumentTypeError(f"{text!r} is no time at all")
    return timeout_s


def _write_nowhere() -> None:
    """What Python still writes to stdout on leaving must not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Printer:
    """Prints each piece as it comes. Where nobody takes the lines, it interrupts the client.

    Without `print`: a thread that Ctrl-C leaves behind must not hold the lock of stdout.
    """

    def __init__(self) -> None:
        self.error: OSError | None = None

    def print(self, piece: Piece) -> None:
        """Print one."""
        line = f"{piece.at_s:8.3f} s  document {piece.document}  {piece.size_bytes} bytes\n"
        if self.error is None and sys.stdout is not None:
            try:
                os.write(sys.stdout.fileno(), line.encode())
            except OSError as error:
                self.error = error
                os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
