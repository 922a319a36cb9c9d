"""The commands, put together: one module each.

They parse, call and print. Heavy libraries are imported by the command that needs them.
"""

import sys
from collections.abc import Sequence

import typer
from typer.main import get_command

from bench.cli import (
    capacity,
    compare,
    doctor,
    export,
    fetch,
    gate,
    load,
    predict,
    report,
    run,
    serve,
    trace,
)
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
app.command("predict")(predict.predict)
app.command("export")(export.export)
app.command("gate")(gate.gate)
app.command("load", **load.SETTINGS)(load.load)
app.command("fetch", **fetch.SETTINGS)(fetch.fetch)
app.command("capacity")(capacity.capacity)
app.command("doctor")(doctor.doctor)
app.command("trace")(trace.trace)
app.command("serve", **serve.SETTINGS)(serve.serve)


def call(arguments: Sequence[str]) -> int:
    """Run one command; its exit code.

    Raises UserError for wrong use, KeyboardInterrupt, or BrokenPipeError when nobody reads.
    """
    if not arguments:
        raise UserError("say which command: see crossover --help")
    try:
        outcome = get_command(app).main(
            list(arguments), prog_name="crossover", standalone_mode=False
        )
        sys.stdout.flush()
    except typer.Exit as leaving:
        return leaving.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SystemExit:  # typer leaves like this where nobody reads
        raise BrokenPipeError from None
    except Exception as error:
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        raise UserError(f"{message()} (see {_help_of(arguments)})") from None
    return outcome if isinstance(outcome, int) else 0


def _help_of(arguments: Sequence[str]) -> str:
    known = {command.name for command in app.registered_commands}
    return f"crossover {arguments[0]} --help" if arguments[0] in known else "crossover --help"
