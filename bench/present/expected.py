"""What a run's model expects of loads that were not measured, as rows of text.

Knows parameters and loads; what was measured it does not need.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.analyse.model import Load, Parameters, open_response_s, predict
from bench.present.units import count_text, number_text

COLUMNS = (
    "target",
    "connection",
    "connections",
    "per second",
    "mean response",
    "limited by",
    "note",
)


def rows(fitted: Iterable[Parameters], asked: Load, connections: Sequence[int]) -> list[list[str]]:
    """A closed load: a row for each target and number of connections."""
    return [_closed(each, replace(asked, connections=n)) for each in fitted for n in connections]


def open_rows(fitted: Iterable[Parameters], asked: Load, rate_rps: float) -> list[list[str]]:
    """A Poisson rate: a row for each target; over how many connections does not matter."""
    return [_open(each, asked, rate_rps) for each in fitted]


def _closed(fitted: Parameters, load: Load) -> list[str]:
    said = predict(fitted, load)
    return [
        fitted.target,
        fitted.connection,
        count_text(load.connections),
        number_text(said.throughput_rps),
        _time(said.response_s),
        f"{said.limited_by} ({100 * said.reached:.0f}%)",
        f"beyond the {fitted.calibrated_to} it was fitted to" if said.extrapolated else "",
    ]


def _open(fitted: Parameters, load: Load, rate_rps: float) -> list[str]:
    response_s = open_response_s(fitted, load, rate_rps)
    given = number_text(rate_rps) if response_s is not None else "less"
    note = "" if response_s is not None else f"cannot serve {number_text(rate_rps)} a second"
    return [fitted.target, fitted.connection, "any", given, _time(response_s), "", note]


def _time(time_s: float | None) -> str:
    return number_text(None) if time_s is None else f"{number_text(1e3 * time_s)} ms"
