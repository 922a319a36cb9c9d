"""What the interactive part of the report knows: cells and comparisons as one block of JSON.

Pure: frames and findings in, plain values out. Conclusions come from the analysis as they are;
the page's scripts choose and draw, and must not judge. Values are kept in columns, and text in
columns by its number in a list, so that a thousand cells take a few hundred KiB.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import pandas as pd
from markupsafe import Markup

from bench.analyse.calibration import load_of
from bench.analyse.frames import percentile_curve
from bench.analyse.medians import cell_intervals
from bench.analyse.model import Parameters
from bench.analyse.rounds import alike
from bench.analyse.verdicts import FALSE_DISCOVERIES, Comparison
from bench.analyse.works import in_order, kind_of
from bench.present.style import A_BETTER, B_BETTER, INVALID, NEITHER, Style
from bench.present.units import work_text
from bench.store import CELL_KEYS

PERCENTILES = (50, 75, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.99)
_DIGITS = 4
_LATENCIES = ("mean", "p50", "p90", "p95", "p99", "p999")
_MEDIANS = (
    *(f"response_time_{name}_ms" for name in _LATENCIES),
    "server_cpu_us_per_request",
    "server_rss_mib",
)
_OF_CELLS = (
    *CELL_KEYS,
    "slices",
    "invalid",
    "rounds",
    "at_least",
    "shared_core",
    "throughput_rps",
    "throughput_low_rps",
    "throughput_high_rps",
    *_MEDIANS,
    "bound_ratio",
    "limit_rps",
    "limit_connections",
    "limit_what",
)
_OF_THE_POINT = ("connections", "workers", "units")
_LATENCY_TITLES = {"mean": "mean", "p999": "p99.9"}
# matplotlib's markers by the names that plotly has for them.
_SYMBOLS = {
    "X": "x", "s": "square", "D": "diamond", "P": "cross", "h": "hexagon", "^": "triangle-up",
    "<": "triangle-left", "d": "diamond-tall", "o": "circle", ">": "triangle-right",
    "v": "triangle-down", "p": "pentagon", "*": "star", "8": "octagon", "H": "hexagon2",
}  # fmt: skip


def explorer_data(
    trials: pd.DataFrame,
    cells: pd.DataFrame,
    compared: Sequence[Comparison],
    targets: Iterable[Mapping[str, Any]],
    looks: Mapping[str, Style],
    confidence: float,
    parameters: Sequence[Parameters] = (),
) -> dict[str, Any]:
    """All that the explorer shows. `cells` are with their limits, `targets` those of run.json.

    `parameters` are of the queueing model, for every target that it could be fitted to.
    """
    families = {target["name"]: target.get("family", "") for target in targets}
    works = cells.drop_duplicates("work")
    known = [(str(w), float(d)) for w, d in zip(works["work"], works["delay_s"], strict=True)]
    return {
        "confidence": round(100 * confidence),
        "false_discoveries": round(100 * FALSE_DISCOVERIES),
        "colours": {"a": A_BETTER, "b": B_BETTER, "neither": NEITHER, "invalid": INVALID},
        "metrics": metrics(),
        "percentiles": PERCENTILES,
        "works": [
            {
                "path": work,
                "words": work_text(work, delay_s),
                "kind": kind_of(work),
                "load": _load(work, delay_s),
            }
            for work, delay_s in sorted(known, key=lambda pair: in_order(*pair))
        ],
        "targets": [
            {"name": name, "family": families.get(name, ""), **_look(style)}
            for name, style in looks.items()
        ],
        "cells": _cell_columns(trials, cells, confidence),
        "comparisons": _columns(
            {f.name: [getattr(c, f.name) for c in compared] for f in fields(Comparison)}
        ),
        "parameters": [_rounded(each.as_json()) for each in parameters],
    }


def _load(work: str, delay_s: float) -> dict[str, Any]:
    """What one request of a work asks for, as the model takes it."""
    load = asdict(load_of({"work": work, "delay_s": delay_s, "connections": 1, "workers": None}))
    return {name: value for name, value in load.items() if name not in _OF_THE_POINT}


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with the digits of a curve that matter."""
    return {
        name: [[_plain(x, 6), _plain(y, 6)] for x, y in value] if isinstance(value, list) else value
        for name, value in values.items()
    }


def metrics() -> list[dict[str, Any]]:
    """What can be chosen: name, words, unit, its columns, and which way is better."""
    throughput = {
        "name": "throughput",
        "title": "Throughput",
        "unit": "requests/s",
        "column": "throughput_rps",
        "low": "throughput_low_rps",
        "high": "throughput_high_rps",
        "better": "more",
        "log": True,
    }
    latencies = [
        _median(
            name,
            f"Response time, {_LATENCY_TITLES.get(name, name)}",
            "ms",
            f"response_time_{name}_ms",
            log=True,
        )
        for name in _LATENCIES
    ]
    cpu = _median("cpu", "Server CPU per request", "us", "server_cpu_us_per_request", log=False)
    memory = _median("memory", "Server memory", "MiB", "server_rss_mib", log=False)
    return [throughput, *latencies, cpu, memory]


def _median(name: str, title: str, unit: str, column: str, *, log: bool) -> dict[str, Any]:
    ends = {"low": f"{column}_low", "high": f"{column}_high"}
    return {
        "name": name, "title": title, "unit": unit, "column": column, **ends,
        "better": "less", "log": log,
    }  # fmt: skip


def as_json(data: Mapping[str, Any]) -> Markup:
    """JSON that can stand in a script element: no markup in it, whatever a name holds."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _look(style: Style) -> dict[str, Any]:
    marker = str(style.marker)
    symbol = _SYMBOLS.get(marker, "circle") + ("-open" if style.hollow else "")
    return {"color": style.color, "symbol": symbol, "dash": _dash(style)}


def _dash(style: Style) -> str:
    """Lengths in pixels: matplotlib's are in widths of the line."""
    if style.dash == "-":
        return "solid"
    return ",".join(f"{2 * length:g}px" for length in style.dash[1])


def _cell_columns(
    trials: pd.DataFrame, cells: pd.DataFrame, confidence: float
) -> dict[str, list[Any] | dict[str, Any]]:
    ends = cell_intervals(trials, _MEDIANS, confidence)
    curves = [
        _curve(group) for _, group in trials.groupby(list(CELL_KEYS), dropna=False, sort=False)
    ]
    columns = {name: list(cells[name]) for name in _OF_CELLS}
    columns |= {name: list(ends[name]) for name in ends.columns if name not in CELL_KEYS}
    columns["reasons"] = [
        "; ".join(f"{reason} ({count}x)" for reason, count in alike(reasons))
        for reasons in cells["reasons"]
    ]
    return {**_columns(columns), "curve": curves}


def _curve(slices: pd.DataFrame) -> list[float | None]:
    """The response time at each percentile in ms, None where too few requests tell."""
    chosen = slices[slices["valid"] & slices["response_time_hist"].notna()]
    return [_plain(value) for value in percentile_curve(chosen["response_time_hist"], PERCENTILES)]


def _columns(columns: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    return {name: _column([_plain(value) for value in values]) for name, values in columns.items()}


def _column(values: list[Any]) -> list[Any] | dict[str, Any]:
    """The values, or for text: the distinct ones, and the number of each."""
    if not any(isinstance(value, str) for value in values):
        return values
    known = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return {"of": list(known), "at": [known[value] for value in values]}


def _plain(value: Any, digits: int = _DIGITS) -> Any:
    """A value as JSON has it, floats to some significant figures, None for what is not known."""
    if isinstance(value, str | bool) or value is None:
        return value
    number = float(value)
    if not math.isfinite(number):
        return None
    if number.is_integer():
        return int(number)
    return float(f"{number:.{digits}g}")
