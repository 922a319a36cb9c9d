"""`crossover fetch`: the clients of slow documents, a program of their own."""

import os
import sys
from typing import Any

import typer

SETTINGS: dict[str, Any] = {
    "context_settings": {"ignore_unknown_options": True, "allow_extra_args": True},
    "add_help_option": False,
}


def fetch(context: typer.Context) -> None:
    """Fetch slow documents under one model, timing each and all."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", "clients.fetch", *context.args])
