"""`crossover serve`: one server by hand."""

import os
import signal
import sys
from typing import Any

import typer

SETTINGS: dict[str, Any] = {
    "context_settings": {"ignore_unknown_options": True, "allow_extra_args": True},
    "add_help_option": False,
}


def serve(context: typer.Context) -> None:
    """Serve one model, until SIGTERM or Ctrl-C."""
    # A server waits for its signals: one that comes while it still loads is kept for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    os.execv(sys.executable, [sys.executable, "-P", "-m", "servers", *context.args])
