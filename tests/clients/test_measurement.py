"""Figures of a slice, from records whose arithmetic is known."""

import json
import os
import time
from dataclasses import replace

import pytest

from clients.cpu_clock import cpu_ns
from clients.load import Load, Raw
from clients.measurement import measurement
from clients.record import Record, Tally
from clients.request import build_request
from clients.sample import decode_histogram
from clients.verdict import ERROR_KINDS

LOAD = Load(build_request("http://127.0.0.1:8000/"), connections=4, delay_s=0.010)
MS = 1_000_000
DOCUMENTED_KEYS = [
    "requests", "errors", "duration_s", "throughput_rps", "offered_rps", "sent_rps",
    "response_time_ms", "service_time_ms", "lateness_ms", "in_flight_mean", "little_ratio",
    "fairness_jain", "connections_unserved", "client_cpu_us_per_request",
    "client_cpu_utilisation", "censored", "valid", "invalid_reasons",
]  # fmt: skip


def folded(record: Record) -> Tally:
    tally = Tally()
    record.fold_into(tally)
    return tally


def censored(*bounds_ms: float) -> Tally:
    """The durations of `raw`, and such lower bounds of others."""
    tally = raw().tally
    tally.censored.fold([round(ms * MS) for ms in bounds_ms])
    return tally


def raw() -> Raw:
    """Four connections x 10 ms for a second: 98 replies each, 10.2 ms a reply on average."""
    record = Record()
    record.steady_ns.extend([10 * MS] * 200)
    record.response_ns.extend([10_400_000] * 192)
    record.service_ns.extend([10 * MS] * 192)
    record.first_byte_ns.extend([9 * MS] * 192)
    return Raw(
        tally=folded(record),
        completions=392,
        replies=[98] * 4,
        warmup_ns=20 * MS,
        window_ns=1000 * MS,
        in_flight_area_ns=4 * 1000 * MS,
        client_cpu_ns=39_200_000,
        server_cpu_ns=78_400_000,
        upstream_cpu_ns=19_600_000,
        requests_sent=404,
        served_total=404,
        errors=dict.fromkeys(ERROR_KINDS, 0),
        owed=0,
    )


@pytest.mark.parametrize(("unsettled", "settled"), [(0, True), (2, True), (3, False), (4, False)])
def test_a_slice_is_settled_where_at_most_half_of_its_bursts_were_not(
    unsettled: int, settled: bool
) -> None:
    result = measurement(replace(LOAD, bursts=4), [replace(raw(), bursts_unsettled=unsettled)])
    assert result["settled"] is settled


def test_figures_of_a_second_with_392_completions() -> None:
    result = measurement(LOAD, [raw()])
    assert (result["completions"], result["throughput_rps"]) == (392, 392.0)
    assert (result["warmup_s"], result["duration_s"]) == (0.02, 1.0)
    assert result["in_flight_mean"] == 4.0
    assert result["bound_ratio"] == pytest.approx(392 / (4 / 0.010))
    mean_s = (200 * 0.010 + 192 * 0.0104) / 392
    assert result["little_ratio"] == pytest.approx(392 * mean_s / 4)
    assert result["response_time_ms"]["mean"] == pytest.approx(mean_s * 1e3)
    assert result["service_time_ms"]["mean"] == pytest.approx(10.0)
    assert result["client_cpu_us_per_request"] == pytest.approx(100.0)
    assert result["client_cpu_utilisation"] == pytest.approx(0.0392)
    assert (result["fairness_jain"], result["connections_unserved"]) == (1.0, 0)
    assert (result["valid"], result["invalid_reasons"]) == (True, [])


def test_the_keys_of_a_load_report_are_all_there_and_are_json() -> None:
    result = measurement(LOAD, [raw()])
    assert set(DOCUMENTED_KEYS) <= set(result)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_a_reply_in_one_piece_is_response_service_and_first_byte_in_one() -> None:
    record = Record()
    record.steady_ns.extend([10 * MS] * 3)
    result = measurement(LOAD, [replace(raw(), tally=folded(record), completions=3)])
    assert result["service_time_ms"] == result["response_time_ms"] == result["first_byte_ms"]
    assert result["response_time_ms"]["max"] == 10.0


def test_histograms_hold_every_completion_once() -> None:
    result = measurement(LOAD, [raw()], histograms=True)
    response = decode_histogram(result["response_time_hist"])
    service = decode_histogram(result["service_time_hist"])
    assert (response.get_total_count(), service.get_total_count()) == (392, 392)
    assert response.get_value_at_percentile(100.0) == pytest.approx(10.4 * MS, rel=1e-3)
    assert service.get_value_at_percentile(100.0) == pytest.approx(10.0 * MS, rel=1e-3)


def test_the_server_is_charged_per_completion_only_where_it_was_watched() -> None:
    assert "server_cpu_us_per_request" not in measurement(LOAD, [raw()])
    result = measurement(replace(LOAD, watched_pids=(1,)), [raw()])
    assert result["server_cpu_us_per_request"] == pytest.approx(200.0)
    assert result["server_cpu_utilisation"] == pytest.approx(0.0784)


def test_the_upstream_is_charged_per_call_only_where_there_is_one() -> None:
    """19.6 ms of CPU for 392 completions that called twice each."""
    calls = replace(LOAD, upstream_pids=(1,), calls_per_request=2)
    assert measurement(calls, [raw()])["upstream_cpu_us_per_call"] == pytest.approx(25.0)
    assert "upstream_cpu_us_per_call" not in measurement(LOAD, [raw()])
    assert "upstream_cpu_us_per_call" not in measurement(replace(LOAD, upstream_pids=(1,)), [raw()])


def test_what_the_upstream_uses_of_the_generators_core_counts_as_busy() -> None:
    """60% and 35% of the window: neither alone is too much."""
    busy = replace(raw(), client_cpu_ns=600 * MS, upstream_cpu_ns=350 * MS)
    calls = replace(LOAD, upstream_pids=(1,), calls_per_request=1)
    assert measurement(LOAD, [busy])["valid"]
    assert measurement(calls, [busy])["invalid_reasons"] == [
        "generator and upstream were busy 95% of the window (limit 90%)"
    ]


def test_a_percentile_is_at_least_where_a_reply_that_was_not_seen_may_touch_it() -> None:
    """392 replies within 10.4 ms, and one request given up after 50 ms."""
    assert measurement(LOAD, [raw()])["at_least"] == []
    result = measurement(LOAD, [replace(raw(), owed=1, tally=censored(50))])
    assert result["at_least"] == ["mean", "p999", "max"]
    assert result["response_time_ms"]["max"] == 50.0
    assert result["response_time_ms"]["p99"] == pytest.approx(10.4, rel=1e-3)
    assert result["latency_at_least"]


def test_a_bound_below_all_replies_touches_every_percentile() -> None:
    result = measurement(LOAD, [replace(raw(), tally=censored(1))])
    assert result["at_least"] == ["mean", "p50", "p90", "p95", "p99", "p999", "max"]


def test_requests_that_nobody_saw_to_their_end_are_counted() -> None:
    result = measurement(LOAD, [replace(raw(), owed=4, tally=censored(50, 60, 70, 80))])
    assert (result["censored"], result["owed"]) == (4, 4)


def test_a_slice_in_which_nothing_happened_has_no_figures_and_is_not_valid() -> None:
    empty = replace(
        raw(),
        tally=Tally(),
        completions=0,
        replies=[0] * 4,
        window_ns=0,
        in_flight_area_ns=0,
    )
    result = measurement(LOAD, [empty], histograms=True)
    for name in ("response_time_ms", "little_ratio", "fairness_jain", "client_cpu_us_per_request"):
        assert result[name] is None
    assert result["throughput_rps"] == 0.0
    assert result["invalid_reasons"][0] == "no request completed in the measured window"
    json.dumps(result, allow_nan=False)


def test_the_cpu_clock_of_a_process_is_its_own_in_ns() -> None:
    before = time.process_time_ns()
    seen = cpu_ns([os.getpid()])
    assert before <= seen <= time.process_time_ns()


def test_the_cpu_of_two_processes_is_their_sum() -> None:
    here = os.getpid()
    once = cpu_ns([here])
    assert 2 * once <= cpu_ns([here, here]) <= 2 * cpu_ns([here])


def test_a_process_that_has_ended_has_used_nothing() -> None:
    pid = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(pid, 0)
    assert cpu_ns([pid]) == 0
    assert cpu_ns([]) == 0
