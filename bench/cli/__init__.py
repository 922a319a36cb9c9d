"""The way into the command line: whatever happens ends in an exit code, with a line of words.

Imports next to nothing, so that Ctrl-C is answered from the start; the commands are in `commands`.
"""

import errno
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import UserError

INTERRUPTED = 130
READER_GONE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 fine, 1 failed, 2 wrong use, 3 inconclusive."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _complete_streams()
    try:
        from bench.cli.commands import call

        return call(arguments)
    except UserError as error:
        return _complain(arguments, str(error), error.exit_code)
    except KeyboardInterrupt:
        return _complain([], "interrupted", INTERRUPTED)
    except BrokenPipeError:
        _write_nowhere()
        return READER_GONE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return _own_fault(arguments)
        _write_nowhere()
        return _complain(arguments, f"cannot write the output: {error.strerror}; free the disk", 2)
    except Exception:  # where 1 would be an answer: "head is slower"
        return _own_fault(arguments)


def _own_fault(arguments: Sequence[str]) -> int:
    """Show an exception that nobody expected; the exit code is that of what could not be done."""
    import traceback

    traceback.print_exc()
    return _complain(arguments, "failed unexpectedly; the lines above say where", 2)


def _complete_streams() -> None:
    """Leave no standard stream closed or picky.

    The number of a closed one would go to the next pipe to a server, and be lost to the server's
    own streams. What a terminal cannot show is written as an escape.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode)  # noqa: SIM115
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="backslashreplace")


def _write_nowhere() -> None:
    """Nobody takes stdout any more: what Python still writes to it on leaving must not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(arguments: Sequence[str], message: str, exit_code: int) -> int:
    command = f" {arguments[0]}" if arguments and not arguments[0].startswith("-") else ""
    print(f"crossover{command}: {message}", file=sys.stderr)
    return exit_code
