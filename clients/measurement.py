"""From what the engine recorded to the figures of one measurement, judged.

The keys of the result are those of `crossover load --json` and of a trials line.
"""

from array import array
from typing import Any

from clients.load import Load, Raw
from clients.sample import Durations, encode_histogram
from clients.verdict import Figures, invalid_reasons, jain_index, little_ratio


def measurement(load: Load, raw: Raw, *, histograms: bool = False) -> dict[str, Any]:
    """All figures of one slice, as plain values for JSON; `histograms` adds the encoded ones.

    A figure that cannot be formed (a mean of nothing) is None.
    """
    response, service = _durations(raw.steady_ns, raw.response_ns, raw.service_ns)
    window_s = raw.window_ns / 1e9
    completions = response.recorded
    throughput_rps = completions / window_s if window_s > 0 else 0.0
    in_flight_mean = raw.in_flight_area_ns / raw.window_ns if raw.window_ns > 0 else 0.0
    mean_s = None if response.mean_ns is None else response.mean_ns / 1e9
    result: dict[str, Any] = {
        "requests": raw.requests_sent,
        "completions": completions,
        "errors": raw.errors,
        "warmup_s": raw.warmup_ns / 1e9,
        "duration_s": window_s,
        "throughput_rps": throughput_rps,
        "offered_rps": None,
        "sent_rps": None,
        "response_time_ms": response.summary_ms(),
        "service_time_ms": service.summary_ms(),
        "lateness_ms": None,
        "latency_at_least": raw.owed > 0 or raw.timeouts_in_window > 0,
        "in_flight_mean": in_flight_mean,
        "little_ratio": little_ratio(throughput_rps, mean_s, in_flight_mean),
        "bound_ratio": _bound_ratio(load, throughput_rps),
        "fairness_jain": jain_index(raw.replies),
        "connections_unserved": raw.replies.count(0),
        "client_cpu_us_per_request": _per(raw.client_cpu_ns / 1e3, completions),
        "client_cpu_utilisation": _per(raw.client_cpu_ns, raw.window_ns),
        "censored": raw.in_flight_at_close + raw.timeouts_in_window,
        "owed": raw.owed,
    }
    if load.watched_pids:
        result |= _server_figures(raw, completions)
    if load.upstream_pids and load.calls_per_request:
        calls = completions * load.calls_per_request
        result["upstream_cpu_us_per_call"] = _per(raw.upstream_cpu_ns / 1e3, calls)
        result["upstream_cpu_utilisation"] = _per(raw.upstream_cpu_ns, raw.window_ns)
    if histograms:
        result["response_time_hist"] = encode_histogram(response.histogram)
        result["service_time_hist"] = encode_histogram(service.histogram)
    return result | _verdict(load, result)


def _durations(
    steady: "array[int]", responses: "array[int]", services: "array[int]"
) -> tuple[Durations, Durations]:
    """Response and service times; `steady` samples are both (sent the moment they were due)."""
    response = Durations()
    response.fold(steady)
    response.fold(responses)
    if not services:
        return response, response
    service = Durations()
    service.fold(steady)
    service.fold(services)
    return response, service


def _bound_ratio(load: Load, throughput_rps: float) -> float | None:
    """Throughput over N / d, the most that N connections can get from replies that wait d."""
    return throughput_rps * load.delay_s / load.connections if load.delay_s > 0 else None


def _server_figures(raw: Raw, completions: int) -> dict[str, Any]:
    return {
        "server_cpu_us_per_request": _per(raw.server_cpu_ns / 1e3, completions),
        "server_cpu_utilisation": _per(raw.server_cpu_ns, raw.window_ns),
    }


def _verdict(load: Load, result: dict[str, Any]) -> dict[str, Any]:
    reasons = invalid_reasons(
        Figures(
            completions=result["completions"],
            completions_wanted=load.completions_least,
            errors=result["errors"],
            client_cpu_utilisation=result["client_cpu_utilisation"],
            upstream_cpu_utilisation=result.get("upstream_cpu_utilisation"),
            bound_ratio=result["bound_ratio"],
            little_ratio=result["little_ratio"],
            connections=load.connections,
            connections_unserved=result["connections_unserved"],
            serves_one_at_a_time=load.serves_one_at_a_time,
            latency_at_least=result["latency_at_least"],
        )
    )
    return {"valid": not reasons, "invalid_reasons": reasons}


def _per(amount: float, count: float) -> float | None:
    return amount / count if count else None
