"""Batch mode, for the harness: a JSON order per line in, an answer per line out, until the end."""

import json
import sys
from typing import Any

from clients.closed_engine import ClosedEngine
from clients.errors import LoadError
from clients.load import Check, Load
from clients.measurement import measurement
from clients.meeting import Meeting
from clients.open_engine import OpenEngine
from clients.request import build_request
from clients.schedule import Schedule
from clients.shards import engine_for

Engines = dict[str, ClosedEngine | OpenEngine]


def obey_all() -> int:
    """Obey each order on stdin; what cannot be done is answered with `{"failed": why}`."""
    engines: Engines = {}
    for line in sys.stdin:
        try:
            answer = _obey(json.loads(line), engines)
        except LoadError as error:
            answer = {"failed": str(error)}
        print(json.dumps(answer, allow_nan=False), flush=True)
    return 0


def _obey(order: dict[str, Any], engines: Engines) -> dict[str, Any]:
    """One order: `{"open": NAME, "load": {...}}`, `{"burst": NAME}`, `{"finish": NAME}`.

    `{"meet": NAME}` is a burst of a closed loop at the same time as other generators' (see
    `clients.meeting`). `finish` is answered with the slice's figures. Connections stay open, so
    that the servers can be looked at, until `{"release": true}`.
    """
    match order:
        case {"open": name, "load": fields}:
            engines[name] = engine_for(load_from(fields))
            engines[name].open()
        case {"burst": name} if name in engines:
            engines[name].burst()
        case {"meet": name} if isinstance(engine := engines.get(name), ClosedEngine):
            engine.meeting = Meeting(sys.stdin, sys.stdout)
            engine.burst()
        case {"finish": name} if name in engines:
            return measurement(engines[name].load, [engines[name].finish()], histograms=True)
        case {"release": _}:
            for engine in engines.values():
                engine.close()
            engines.clear()
        case _:
            raise LoadError(f"no slice is open for the order {order}")
    return {}


def load_from(order: dict[str, Any]) -> Load:
    """The Load behind one line of batch input: its fields, and `url`, `seed`, `status`, `body`.

    `status` and `body` are what every reply's have to be, the body's bytes in Latin-1. `schedule`
    has the fields of one.
    """
    order = dict(order)
    keep_alive = order.get("keep_alive", True)
    request = build_request(order.pop("url"), keep_alive=keep_alive, seed=order.pop("seed", 0))
    status, body = order.pop("status", None), order.pop("body", None)
    schedule = order.pop("schedule", None)
    if schedule is not None:
        schedule = Schedule(**schedule | {"steps": tuple(map(tuple, schedule["steps"]))})
    return Load(
        request=request,
        schedule=schedule,
        check=Check(status, None if body is None else body.encode("latin-1")),
        watched_pids=tuple(order.pop("watched_pids", ())),
        upstream_pids=tuple(order.pop("upstream_pids", ())),
        **order,
    )
