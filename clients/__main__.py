"""`python -m clients`: load one URL, or (`--batch`) measure the slices that arrive on stdin."""

import signal
import sys
from collections.abc import Sequence

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code.

    Everything is imported in here, so that Ctrl-C is answered from the start.
    """
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        from clients.arguments import parse
        from clients.errors import LoadError

        options = parse(argv)
        try:
            if options.batch:
                from clients.batch import obey_all

                return obey_all()
            from clients.single import run

            return run(options)
        except LoadError as error:
            print(f"crossover load: {error}", file=sys.stderr)
            return 2
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
