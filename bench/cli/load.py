"""`crossover load`: the generator alone, as a program of its own."""

import os
import signal
import sys
from typing import Any

import typer

SETTINGS: dict[str, Any] = {
    "context_settings": {"ignore_unknown_options": True, "allow_extra_args": True},
    "add_help_option": False,
}


def load(context: typer.Context) -> None:
    """Load any HTTP/1.1 server and judge the measurement."""
    # The generator answers Ctrl-C; what comes while it still loads is kept for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.execv(sys.executable, [sys.executable, "-P", "-m", "clients", *context.args])
