"""A slice: what the generator is asked for a cell, and the line that its answer becomes."""

import json
from dataclasses import replace
from typing import Any

import pytest
from harness import CELL_KEYS, LINE_KEYS, grid, tiny

from bench.measure.plan import Cell, Point
from bench.measure.profile import work_of
from bench.measure.slice import bursts_of, drain_s, failed_trial, order_for, trial_of
from bench.measure.usage import Usage

PLACE = {"round": 2, "order": 13, "t_s": 12.3, "shared_core": False}
TIMES = {"mean": 1.0, "p50": 1.0, "p90": 1.1, "p95": 1.2, "p99": 1.5, "p999": 2.0, "max": 2.1}
ANSWER = {
    "requests": 1290,
    "completions": 640,
    "errors": {"connect": 0, "timeout": 0, "reset": 0, "protocol": 0, "status": 0, "body": 0},
    "warmup_s": 0.07,
    "settled": True,
    "duration_s": 0.31,
    "throughput_rps": 2064.5,
    "response_time_ms": TIMES,
    "service_time_ms": TIMES,
    "response_time_hist": "HIST",
    "service_time_hist": "HIST",
    "lateness_ms": None,
    "latency_at_least": False,
    "in_flight_mean": 63.9,
    "little_ratio": 0.998,
    "bound_ratio": 0.93,
    "fairness_jain": 0.99,
    "connections_unserved": 0,
    "client_cpu_us_per_request": 11.2,
    "client_cpu_utilisation": 0.43,
    "server_cpu_us_per_request": 48.1,
    "server_cpu_utilisation": 0.99,
    "upstream_cpu_us_per_call": None,
    "censored": 64,
    "owed": 0,
    "valid": True,
    "invalid_reasons": [],
    "offered_rps": None,  # of open loops: not a key of a line yet
}
USE = Usage(
    cpu_s=1.5,
    rss_bytes=32 * 2**20,
    processes=1,
    threads=3,
    thread_switches={1: (70, 2), 2: (30, 1)},
)


def cell(delay_s: float = 0.005, connection: str = "keep-alive", connections: int = 64) -> Cell:
    return Cell(Point(work_of(delay_s), delay_s, connection, connections), "uvloop")


def order(cell: Cell, *, one: bool = False, **options: Any) -> dict[str, Any]:
    profile = tiny(**{"completions_per_connection": 10, "completions_one_at_a_time": 20} | options)
    return order_for(
        cell.point,
        profile,
        host="127.0.0.1",
        port=4711,
        one_at_a_time=one,
        body="hello",
        watched_pids=[42],
    )


def line(use: Usage | None = USE, **changes: Any) -> dict[str, Any]:
    return trial_of(cell(), ANSWER | changes, use=use, steal_ratio=0.001, place=PLACE)


def test_the_order_says_where_what_and_over_how_many_connections_of_which_kind() -> None:
    asked = order(cell())
    assert asked["url"] == "http://127.0.0.1:4711/delay=5ms"
    assert (asked["connections"], asked["keep_alive"], asked["delay_s"]) == (64, True, 0.005)
    assert (asked["body"], asked["watched_pids"]) == ("hello", [42])
    assert order(cell(connection="close"))["keep_alive"] is False
    json.dumps(asked, allow_nan=False)


def test_the_window_holds_ten_completions_per_connection() -> None:
    """10 x 64 = 640, or 0.25 s if that is longer."""
    asked = order(cell(), window_s=0.25)
    assert (asked["completions_wanted"], asked["window_s"]) == (640, 0.25)


def test_twenty_completions_in_all_do_where_one_is_served_at_a_time() -> None:
    asked = order(cell(), one=True)
    assert (asked["completions_wanted"], asked["serves_one_at_a_time"]) == (20, True)


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 10.0])
@pytest.mark.parametrize("window_s", [0.05, 0.25, 60.0])
def test_the_time_limit_leaves_room_for_the_whole_window(delay_s: float, window_s: float) -> None:
    """10 completions of each connection take 10 delays at least; a long window its own length."""
    asked = order(cell(delay_s), window_s=window_s)
    assert asked["window_limit_s"] > max(window_s, 10 * delay_s)


@pytest.mark.parametrize(("delay_s", "wait_s"), [(0.0, 0.5), (0.05, 0.5), (1.0, 2.0)])
def test_what_is_owed_two_delays_later_is_owed(delay_s: float, wait_s: float) -> None:
    assert drain_s(delay_s) == order(cell(delay_s))["drain_s"] == wait_s


def test_a_line_has_every_key_of_the_schema_and_no_other() -> None:
    assert set(line()) == LINE_KEYS
    assert set(failed_trial(cell(), "why", PLACE)) == LINE_KEYS


def test_a_line_says_which_cell_when_and_what() -> None:
    trial = line()
    assert {key: trial[key] for key in PLACE} == PLACE
    assert {key: trial[key] for key in CELL_KEYS} == cell().keys()
    taken = (set(ANSWER) & LINE_KEYS) - {"invalid_reasons"}
    assert {key: trial[key] for key in taken} == {key: ANSWER[key] for key in taken}
    assert trial["window_s"] == ANSWER["duration_s"]
    assert trial["steal_ratio"] == 0.001


def test_a_line_holds_what_the_server_used() -> None:
    trial = line()
    assert (trial["server_rss_mib"], trial["server_threads"]) == (32, 3)
    assert trial["server_voluntary_switches"] == 70 + 30
    assert trial["server_involuntary_switches"] == 2 + 1


def test_what_the_server_used_is_null_where_it_is_not_known() -> None:
    trial = line(use=None)
    assert trial["server_rss_mib"] is trial["server_threads"] is None
    assert trial["server_voluntary_switches"] is trial["server_involuntary_switches"] is None
    assert set(trial) == LINE_KEYS


@pytest.mark.parametrize(("owed", "replaced"), [(0, False), (1, True), (30, True)])
def test_a_target_that_owes_replies_is_marked_as_replaced(owed: int, replaced: bool) -> None:
    assert line(owed=owed)["target_replaced"] is replaced


def test_an_invalid_slice_keeps_its_figures_and_its_reasons() -> None:
    trial = line(valid=False, invalid_reasons=["the generator was busy"])
    assert (trial["valid"], trial["invalid_reasons"]) == (False, ["the generator was busy"])
    assert trial["throughput_rps"] == 2064.5


def test_a_slice_that_could_not_be_measured_has_its_place_and_its_reason_only() -> None:
    trial = failed_trial(cell(), "uvloop: is gone", PLACE)
    known = {**PLACE, **cell().keys(), "valid": False, "target_replaced": True}
    known["invalid_reasons"] = ["uvloop: is gone"]
    assert {key: value for key, value in trial.items() if value is not None} == {
        key: value for key, value in known.items() if value is not None
    }


@pytest.mark.parametrize("trial", [line(), line(use=None), failed_trial(cell(), "why", PLACE)])
def test_a_line_is_json_without_nan(trial: dict[str, Any]) -> None:
    assert json.loads(json.dumps(trial, allow_nan=False)) == trial


@pytest.mark.parametrize(
    ("delay_s", "connections", "bursts"),
    [
        (0.0, 1, 5),  # 250 ms in bursts of 50 ms
        (0.0, 128, 4),  # 0.4 ms a connection: 51 ms
        (0.0, 512, 1),  # 205 ms
        (0.005, 16, 2),  # 20 delays of 5 ms = 100 ms each
        (0.05, 16, 1),  # 20 delays are longer than the window
    ],
)
def test_a_slice_is_cut_into_as_many_bursts_as_allowed(
    delay_s: float, connections: int, bursts: int
) -> None:
    profile = replace(tiny(grid("threaded")), window_s=0.25)
    assert bursts_of(Point("/", delay_s, "keep-alive", connections), profile) == bursts
