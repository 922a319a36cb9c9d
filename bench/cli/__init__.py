"""The command line: one module per command, put together here.

Commands parse, call and print. Heavy libraries are imported by the command that needs them.
"""

import os
import sys
from collections.abc import Sequence

import typer
from typer.main import get_command

from bench.cli import compare, gate, load, report, run, serve
from bench.errors import UserError

app = typer.Typer(
    name="crossover",
    help="Should my Python service be async? Measure it on this machine.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("gate")(gate.gate)
app.command("load", **load.SETTINGS)(load.load)
app.command("serve", **serve.SETTINGS)(serve.serve)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 fine, 1 failed, 2 wrong use, 3 inconclusive."""
    command = get_command(app)
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        return _complain(arguments, "say which command: see crossover --help", 2)
    try:
        outcome = command.main(arguments, prog_name="crossover", standalone_mode=False)
        sys.stdout.flush()
    except UserError as error:
        return _complain(arguments, str(error), error.exit_code)
    except typer.Exit as leaving:
        return leaving.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("crossover: interrupted", file=sys.stderr)
        return 130
    except (BrokenPipeError, SystemExit):  # typer leaves with 1 then, which means a regression here
        _write_nowhere()
        return 141
    except Exception as error:
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        return _complain(arguments, message(), 2)
    return outcome if isinstance(outcome, int) else 0


def _write_nowhere() -> None:
    """Nobody reads stdout any more: what Python still writes to it on leaving must not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(arguments: Sequence[str], message: str, exit_code: int) -> int:
    command = f" {arguments[0]}" if arguments and not arguments[0].startswith("-") else ""
    print(f"crossover{command}: {message}", file=sys.stderr)
    return exit_code
