"""Short loads on scripted servers, and what their records add up to."""

from dataclasses import replace
from typing import Any

from clients.closed_engine import ClosedEngine
from clients.load import Load, Raw
from clients.record import Record
from clients.request import build_request
from tests.clients.scripted import Script, ScriptedServer

SHORT = Load(
    build_request("http://unused/"),
    connections=4,
    window_s=0.05,
    completions_wanted=200,
    warmup_limit_s=30.0,
    drain_s=30.0,
)


def load_for(server: ScriptedServer, *, method: str = "GET", **fields: Any) -> Load:
    """A load short enough for a test, whose limits are too long ever to matter in it."""
    load = replace(SHORT, **fields)
    request = build_request(server.url, keep_alive=load.keep_alive, method=method)
    return replace(load, request=request)


def run(script: Script, **fields: Any) -> tuple[Raw, ScriptedServer]:
    """Load a server that follows the script; both are over when this returns."""
    with ScriptedServer(script) as server:
        return ClosedEngine(load_for(server, **fields)).run(), server


def record_of(script: Script, **fields: Any) -> Record:
    """What the loop noted in a window, before anything is made of it."""
    with ScriptedServer(script) as server:
        engine = ClosedEngine(load_for(server, **fields))
        try:
            engine.open()
            engine.burst()
        finally:
            engine.close()
        return engine.record


def completions(raw: Raw) -> int:
    """The correct replies of the window."""
    assert raw.tally.response.recorded == raw.completions
    return raw.completions


def seen(raw: Raw) -> dict[str, int]:
    """The classes of errors that occurred."""
    return {kind: count for kind, count in raw.errors.items() if count}
