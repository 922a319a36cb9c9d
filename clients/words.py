"""A measurement in words: the table for the terminal; its percentiles for HdrHistogram's tools."""

import re
from io import BytesIO
from pathlib import Path
from typing import Any

from clients.errors import LoadError
from clients.load import Load
from clients.sample import Durations, at_least_from

_TIMES = {
    "response_time_ms": "response time",
    "service_time_ms": "service time",
    "lateness_ms": "lateness",
    "first_byte_ms": "first byte",
    "connect_time_ms": "connecting",
}
_COLUMNS = ("mean", "p50", "p90", "p99", "p999", "max")
_BOUNDED = {"response_time_ms": "at_least", "lateness_ms": "lateness_at_least"}
SHOWN_STARVED = 8


def in_words(load: Load, result: dict[str, Any]) -> str:
    """The measurement as a short table."""
    lines = [_what(load, result), _rates(result)]
    if result.get("interrupted"):
        lines.insert(1, "  interrupted: these are the figures up to then")
    shown = [(name, result.get(name)) for name in _TIMES]
    # In a closed loop on open connections the three are the same.
    same = {"service_time_ms", "first_byte_ms"} if load.schedule is None else set()
    rows = [
        (name, times)
        for name, times in shown
        if times and not (name in same and times == result["response_time_ms"])
    ]
    if rows:
        lines.append(f"  {'ms':16}" + "".join(f"{column:>12}" for column in _COLUMNS))
    for name, times in rows:
        touched = result.get(_BOUNDED.get(name, ""), [])
        cells = [_cell(times[column], column in touched) for column in _COLUMNS]
        lines.append(f"  {_TIMES[name]:16}" + "".join(f"{cell:>12}" for cell in cells))
    if result["at_least"]:
        many = f"{result['censored']} request{'s were' if result['censored'] != 1 else ' was'}"
        lines.append(f"  (≥: at least so much; {many} not over yet, or given up)")
    errors = ", ".join(f"{count} {kind}" for kind, count in result["errors"].items() if count)
    lines.append(f"  errors         {errors or 'none'}")
    if result["in_flight_mean"] is not None:
        lines.append(f"  in flight      {result['in_flight_mean']:.1f} on average")
    lines += _connections(result) + _generator(result)
    lines += [f"  not valid: {reason}" for reason in result["invalid_reasons"]] or ["  valid"]
    return "\n".join(lines)


def _cell(time_ms: float | None, at_least: bool) -> str:
    if time_ms is None:
        return "-"
    return f"{'≥ ' if at_least else ''}{time_ms:.3f}"


def _what(load: Load, result: dict[str, Any]) -> str:
    connections = f"{load.connections} connection{'s' * (load.connections != 1)}"
    each = "keep-alive" if load.keep_alive else "one request each"
    loop = f"closed loop, {connections}"
    if load.schedule is not None:
        loop = f"open loop, {load.schedule.arrivals} arrivals, up to {connections}"
    return f"{loop}, {each}, {result['duration_s']:.2f} s"


def _rates(result: dict[str, Any]) -> str:
    line = f"  throughput     {result['throughput_rps']:12.1f} req/s"
    if result["offered_rps"] is not None:
        line += f"  (offered {result['offered_rps']:.1f}, sent {result['sent_rps']:.1f})"
    return line


def _connections(result: dict[str, Any]) -> list[str]:
    starved = result.get("connections_starved")
    if not starved or result["valid"]:
        return []
    numbers = ", ".join(map(str, starved[:SHOWN_STARVED]))
    more = ", ..." if len(starved) > SHOWN_STARVED else ""
    return [f"  starved        {len(starved)} connections: number {numbers}{more}"]


def _generator(result: dict[str, Any]) -> list[str]:
    if result["client_cpu_us_per_request"] is None:
        return []
    waited = result.get("client_waited_for_cpu")
    return [
        f"  generator      {result['client_cpu_us_per_request']:.1f} us CPU a request, busy "
        f"{result['client_cpu_utilisation']:.0%}"
        + ("" if waited is None else f", {waited:.1%} waiting for a core")
    ]


def write_hgrm(path: Path, known: Durations, censored: Durations) -> None:
    """Write the percentile distribution in ms, as HdrHistogram's plotters read it.

    Raises LoadError where that cannot be done.
    """
    bounded, at_least = at_least_from(known, censored)
    histogram, text = bounded.histogram, BytesIO()
    histogram.output_percentile_distribution(text, 1e6)
    # The library scales every number but the last one of this line.
    spread = f"StdDeviation   = {histogram.get_stddev() / 1e6:>12.3f}".encode()
    lines = re.sub(rb"StdDeviation\s+=\s+[\d.]+", spread, text.getvalue())
    if at_least:
        note = f"#[{censored.recorded} of these are lower bounds: not over yet, or given up]\n"
        lines += note.encode()
    try:
        path.write_bytes(lines)
    except OSError as error:
        raise LoadError(f"cannot write {path}: {error.strerror}") from None
