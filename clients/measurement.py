"""From what the engine recorded to the figures of one measurement, judged.

The keys of the result are those of `crossover load --json` and of a trials line. The shards of one
load are measured apart and merged here: counts and histograms add up exactly, rates are summed.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from clients.load import Load, Raw
from clients.record import Tally
from clients.sample import Durations, at_least_from, encode_histogram
from clients.verdict import (
    Figures,
    generator_at_fault,
    invalid_reasons,
    jain_index,
    little_ratio,
    starved,
)


def measurement(load: Load, raws: Sequence[Raw], *, histograms: bool = False) -> dict[str, Any]:
    """All figures of one slice, as plain values for JSON; `histograms` adds the encoded ones.

    `raws` are those of the load's shards, in their order. A figure that cannot be formed (a mean of
    nothing) is None.
    """
    tally = merged_tally(raws)
    replies = _merged_replies(load, raws)
    completions = sum(raw.completions for raw in raws)
    throughput_rps = sum(_rate(raw.completions, raw) for raw in raws)
    in_flight_mean = sum(raw.in_flight_area_ns / raw.window_ns for raw in raws if raw.window_ns > 0)
    mean_ns = tally.response.mean_ns
    bounded, at_least = at_least_from(tally.response, tally.censored)
    result: dict[str, Any] = {
        "requests": sum(raw.requests_sent for raw in raws),
        "served": sum(raw.served_total for raw in raws),
        "completions": completions,
        "errors": _errors(raws),
        "warmup_s": max(raw.warmup_ns for raw in raws) / 1e9,
        "settled": sum(raw.bursts_unsettled for raw in raws) * 2 <= load.bursts * len(raws),
        "duration_s": max(raw.window_ns for raw in raws) / 1e9,
        "throughput_rps": throughput_rps,
        "offered_rps": None,
        "sent_rps": None,
        "response_time_ms": bounded.summary_ms(),
        "service_time_ms": tally.service.summary_ms(),
        "lateness_ms": None,
        "first_byte_ms": tally.first_byte.summary_ms(),
        "connect_time_ms": tally.connect.summary_ms(),
        "at_least": at_least,
        "latency_at_least": bool(at_least),
        "in_flight_mean": in_flight_mean,
        "little_ratio": little_ratio(
            throughput_rps, None if mean_ns is None else mean_ns / 1e9, in_flight_mean
        ),
        "bound_ratio": _bound_ratio(load, throughput_rps),
        "fairness_jain": jain_index(replies),
        "connections_opened": len(replies),
        "connections_unserved": replies.count(0),
        "connections_starved": starved(replies),
        "client_cpu_us_per_request": _per(
            sum(raw.client_cpu_ns for raw in raws) / 1e3, completions
        ),
        "client_cpu_utilisation": _highest(_per(raw.client_cpu_ns, raw.window_ns) for raw in raws),
        "client_waited_for_cpu": _highest(
            None if raw.waited_for_cpu_ns is None else _per(raw.waited_for_cpu_ns, raw.window_ns)
            for raw in raws
        ),
        "client_peak_rss_bytes": sum(raw.peak_rss_bytes for raw in raws),
        "censored": tally.censored.recorded,
        "owed": sum(raw.owed for raw in raws),
    }
    if load.schedule is not None:
        result |= _open_loop_figures(raws, tally)
    if load.watched_pids:
        result |= _server_figures(raws, completions)
    if load.upstream_pids and load.calls_per_request:
        result |= _upstream_figures(raws, completions * load.calls_per_request)
    if histograms:
        result["response_time_hist"] = encode_histogram(tally.response.histogram)
        result["service_time_hist"] = encode_histogram(tally.service.histogram)
    return result | _verdict(load, result, is_open=load.schedule is not None)


def merged_tally(raws: Sequence[Raw]) -> Tally:
    """The durations of all shards together."""
    tally = Tally()
    for raw in raws:
        tally.add(raw.tally)
    return tally


def _merged_replies(load: Load, raws: Sequence[Raw]) -> list[int]:
    """How many replies came on each connection that was opened, the shards' dealt out in turn."""
    merged: list[int | None] = [None] * load.connections
    for shard, raw in enumerate(raws):
        merged[shard :: len(raws)] = raw.replies
    return [count for count in merged if count is not None]


def _errors(raws: Sequence[Raw]) -> dict[str, int]:
    return {kind: sum(raw.errors[kind] for raw in raws) for kind in raws[0].errors}


def _bound_ratio(load: Load, throughput_rps: float) -> float | None:
    """Throughput over N / d, the most that N connections can get from replies that wait d."""
    return throughput_rps * load.delay_s / load.connections if load.delay_s > 0 else None


def _open_loop_figures(raws: Sequence[Raw], tally: Tally) -> dict[str, Any]:
    lateness = Durations()
    lateness.add(tally.late)
    lateness.add(tally.waited)
    bounded, lateness_at_least = at_least_from(lateness, tally.unsent)
    own = Durations()
    own.add(tally.late)
    own.add(tally.noticed)
    return {
        "scheduled": sum(raw.scheduled for raw in raws),
        "sent_in_window": sum(raw.sent_in_window for raw in raws),
        "offered_rps": sum(_rate(raw.scheduled, raw) for raw in raws),
        "sent_rps": sum(_rate(raw.sent_in_window, raw) for raw in raws),
        "lateness_ms": bounded.summary_ms(),
        "lateness_at_least": lateness_at_least,
        "own_lateness_ms": own.summary_ms(),
        "queued": tally.waited.recorded,
    }


def _server_figures(raws: Sequence[Raw], completions: int) -> dict[str, Any]:
    cpu_ns = raws[0].server_cpu_ns
    return {
        "server_cpu_us_per_request": _per(cpu_ns / 1e3, completions),
        "server_cpu_utilisation": _per(cpu_ns, raws[0].window_ns),
    }


def _upstream_figures(raws: Sequence[Raw], calls: int) -> dict[str, Any]:
    cpu_ns = raws[0].upstream_cpu_ns
    return {
        "upstream_cpu_us_per_call": _per(cpu_ns / 1e3, calls),
        "upstream_cpu_utilisation": _per(cpu_ns, raws[0].window_ns),
    }


def _verdict(load: Load, result: dict[str, Any], *, is_open: bool) -> dict[str, Any]:
    response, late = result["response_time_ms"], result.get("own_lateness_ms")
    figures = Figures(
        completions=result["completions"],
        completions_wanted=load.completions_least,
        errors=result["errors"],
        client_cpu_utilisation=result["client_cpu_utilisation"],
        upstream_cpu_utilisation=result.get("upstream_cpu_utilisation"),
        client_waited_for_cpu=None if load.shares_core else result["client_waited_for_cpu"],
        bound_ratio=result["bound_ratio"],
        little_ratio=result["little_ratio"],
        fairness_jain=result["fairness_jain"],
        connections=result["connections_opened"],
        connections_unserved=result["connections_unserved"],
        connections_starved=len(result["connections_starved"]),
        serves_one_at_a_time=load.serves_one_at_a_time,
        latency_at_least=result["latency_at_least"],
        is_open=is_open,
        scheduled=result.get("scheduled", 0),
        sent=result.get("sent_in_window", 0),
        own_lateness_p99_ms=late["p99"] if late else None,
        response_p50_ms=response["p50"] if response else None,
    )
    reasons = invalid_reasons(figures)
    return {
        "valid": not reasons,
        "invalid_reasons": reasons,
        "generator_at_fault": generator_at_fault(figures),
    }


def _rate(count: int, raw: Raw) -> float:
    """So many in the window, per second."""
    return count / (raw.window_ns / 1e9) if raw.window_ns > 0 else 0.0


def _per(amount: float, count: float) -> float | None:
    return amount / count if count else None


def _highest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
