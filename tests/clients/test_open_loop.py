"""The open loop against real servers: every arrival is sent, and its wait is response time."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count, takewhile
from typing import Any

import pytest

from clients.load import Check, Load, Raw, Shard
from clients.measurement import measurement
from clients.open_engine import OpenEngine
from clients.request import build_request
from clients.schedule import Schedule
from tests.clients.scripted import OK, Script, ScriptedServer, Turn, answer
from tests.clients.slices import seen

MS = 1_000_000


def load_for(
    server: ScriptedServer, rate_rps: float, arrivals: str = "constant", **fields: Any
) -> Load:
    """Half a second of a rate, with limits too long ever to matter."""
    plain = {"connections": 8, "window_s": 0.5, "drain_s": 30.0, "connect_timeout_s": 30.0}
    schedule = Schedule(((rate_rps, 3600.0),), arrivals)
    request = build_request(server.url, keep_alive=fields.get("keep_alive", True))
    return Load(request, **{**plain, "schedule": schedule, **fields})


def run(script: Script, rate_rps: float = 200, **fields: Any) -> tuple[Raw, ScriptedServer]:
    with ScriptedServer(script) as server:
        return OpenEngine(load_for(server, rate_rps, **fields)).run(), server


@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "close"])
@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_every_arrival_of_the_schedule_is_sent_once(keep_alive: bool, arrivals: str) -> None:
    raw, server = run(answer, 400, keep_alive=keep_alive, arrivals=arrivals, warmup_s=0.1)
    offsets = Schedule(((400, 3600.0),), arrivals).offsets_ns()
    of_all = list(takewhile(lambda at: at < 600 * MS, offsets))
    of_window = [at for at in of_all if at >= 100 * MS]
    assert not seen(raw)
    assert len(server.requests) == raw.requests_sent == len(of_all)
    assert raw.scheduled == raw.tally.response.recorded == len(of_window)
    assert raw.tally.late.recorded + raw.tally.waited.recorded == len(of_window)
    assert raw.owed == 0


def test_the_requests_come_when_the_schedule_says_so_whatever_the_replies_do() -> None:
    """No reply is sent before all 50 requests have come: a closed loop would never get there."""
    everyone = threading.Event()

    def together(turn: Turn) -> None:
        if turn.number == 50:
            everyone.set()
        everyone.wait(20)
        turn.send()

    raw, server = run(together, 100, connections=60)
    assert len(server.requests) == 50
    assert server.accepted == 50, "each found none free"
    assert not seen(raw)


def test_waiting_for_a_connection_is_response_time_but_not_service_time() -> None:
    """One connection, 20 ms a reply, an arrival every 5 ms: the k-th waits for about k x 15 ms."""
    raw, _ = run(lambda turn: (turn.wait(0.02), turn.send())[1], 200, connections=1, window_s=0.2)
    tally = raw.tally
    assert tally.response.recorded == 40
    assert tally.service.maximum_ns < tally.response.maximum_ns
    assert tally.response.maximum_ns >= 39 * 15 * MS
    assert tally.response.total_ns >= sum(k * 15 + 20 for k in range(40)) * MS
    assert tally.waited.recorded >= 39
    assert raw.sent_in_window < raw.scheduled


@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "close"])
def test_who_waits_for_a_connection_is_sent_in_the_order_of_the_schedule(keep_alive: bool) -> None:
    def slowly(turn: Turn) -> None:
        turn.wait(0.01)
        if keep_alive:
            turn.send()
        else:
            turn.finish(OK)

    with ScriptedServer(slowly) as server:
        load = load_for(server, 200, connections=1, window_s=0.3, keep_alive=keep_alive)
        request = build_request(f"{server.url}delay=~exp(20ms)", keep_alive=keep_alive)
        OpenEngine(replace(load, request=request)).run()
    assert [each.split()[1] for each in server.requests] == [
        payload.split()[1] for payload in request.payloads[: len(server.requests)]
    ]
    assert len(server.requests) == 60


def test_an_epoll_that_select_cannot_take_is_waited_for_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("clients.open.SELECT_LIMIT", 0)
    raw, server = run(answer, 100)
    assert raw.tally.response.recorded == len(server.requests) == 50


def test_no_more_connections_are_opened_than_the_schedule_needs() -> None:
    raw, server = run(answer, 20, connections=100)
    assert server.accepted < 10
    assert [each for each in raw.replies if each is not None] != []
    assert len(raw.replies) == 100


def test_connections_are_used_in_turn() -> None:
    """Two have to be opened while the first reply is awaited; then each serves every other one."""
    held = threading.Event()

    def first_waits(turn: Turn) -> None:
        if turn.number == 1:
            held.wait(20)
        elif turn.number == 2:
            held.set()
        turn.send()

    raw, server = run(first_waits, 100)
    counts = [each for each in raw.replies if each is not None]
    assert server.accepted == len(counts)
    assert max(counts) - min(counts) <= 2


def test_what_is_not_answered_in_time_is_a_lower_bound_and_is_not_lost() -> None:
    raw, _ = run(
        lambda turn: turn.stall() if turn.number == 30 else turn.send(),
        100,
        drain_s=0.1,
        window_s=0.5,
    )
    assert (raw.owed, raw.tally.censored.recorded) == (1, 1)
    assert raw.tally.response.recorded == raw.scheduled - 1
    assert raw.tally.censored.minimum_ns >= 200 * MS
    load = Load(build_request("http://h/"), 8, schedule=Schedule(((100, 1.0),)))
    result = measurement(load, [raw])
    assert result["at_least"] == ["mean", "p99", "p999", "max"]
    assert result["response_time_ms"]["max"] >= 200


def test_requests_that_never_got_a_connection_are_lower_bounds_too() -> None:
    raw, _ = run(lambda turn: turn.stall(), 100, connections=2, drain_s=0.1)
    assert raw.tally.response.recorded == 0
    assert raw.owed == raw.tally.censored.recorded == raw.scheduled == 50
    assert raw.sent_in_window == 2


FAULTS: dict[str, tuple[Script, str]] = {
    "wrong status": (lambda turn: turn.send(OK.replace(b"200", b"500")), "status"),
    "wrong body": (lambda turn: turn.send(OK.replace(b"ok", b"no")), "body"),
    "truncated": (lambda turn: turn.finish(OK[:-1]), "reset"),
    "reset": (lambda turn: turn.reset(), "reset"),
    "garbage": (lambda turn: turn.send(b"what?\r\n\r\n"), "protocol"),
    "garbage after the reply": (lambda turn: turn.send(OK + b"more"), "protocol"),
    "never": (lambda turn: turn.stall(), "timeout"),
}


@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "close"])
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_counted_in_its_class_and_never_as_throughput(
    fault: str, keep_alive: bool
) -> None:
    """Every tenth request is answered like this; all others rightly, whatever happens to it."""
    script, kind = FAULTS[fault]

    def sometimes(turn: Turn) -> None:
        if turn.number % 10 == 5:
            script(turn)
        elif keep_alive:
            turn.send()
        else:
            turn.finish(OK)

    raw, server = run(
        sometimes, 200, connections=50, keep_alive=keep_alive, request_timeout_s=0.5,
        check=Check(body=b"ok"),
    )  # fmt: skip
    assert len(server.requests) == raw.scheduled == 100
    assert seen(raw) == {kind: 10}
    assert raw.tally.response.recorded == 90
    assert raw.owed == 0


def test_garbage_on_an_idle_connection_is_an_error_of_its_own() -> None:
    """The reply is right, and 20 ms later something follows that nobody asked for."""

    def late_junk(turn: Turn) -> None:
        turn.send()
        if turn.number == 10:
            turn.wait(0.02)
            turn.send(b"junk")

    raw, _ = run(late_junk, 20, connections=4)
    assert seen(raw) == {"protocol": 1}


def test_a_reply_that_comes_twice_is_one_completion_and_one_error() -> None:
    """The second comes on the idle connection, and looks just like the last good reply."""

    def twice(turn: Turn) -> None:
        turn.send()
        if turn.number % 4 == 0:
            turn.wait(0.02)
            turn.send()

    raw, server = run(twice, 20, connections=1, window_s=1.0)
    assert raw.tally.response.recorded == raw.scheduled == len(server.requests) == 20
    assert set(seen(raw)) == {"protocol"}
    assert 4 <= raw.errors["protocol"] <= 5
    assert raw.in_flight_area_ns > 0


def test_refused_arrivals_are_not_called_sent() -> None:
    with ScriptedServer() as server:
        load = load_for(server, 100)
    assert OpenEngine(load).run().sent_in_window == 0


def test_a_reply_one_byte_at_a_time_has_its_first_byte_long_before_its_last() -> None:
    def trickle(turn: Turn) -> None:
        turn.send(OK[:1])
        turn.wait(0.03)
        for byte in OK[1:]:
            turn.send(bytes([byte]))

    raw, _ = run(trickle, 50, connections=20)
    assert not seen(raw)
    assert raw.tally.first_byte.recorded == raw.tally.response.recorded == 25
    assert raw.tally.service.total_ns - raw.tally.first_byte.total_ns >= 25 * 29 * MS


def test_refused_connections_fail_each_arrival_and_none_hangs() -> None:
    with ScriptedServer() as server:
        load = load_for(server, 100)
    raw = OpenEngine(load).run()
    assert seen(raw) == {"connect": 50}
    assert raw.scheduled == 50


def test_an_idle_connection_that_the_server_gives_up_is_opened_anew() -> None:
    def once(turn: Turn) -> None:
        turn.finish(OK)  # without announcing it

    raw, server = run(once, 50)
    assert raw.tally.response.recorded + sum(raw.errors.values()) == 25
    assert raw.tally.response.recorded >= 20, "a request may be sent at the very moment of the end"
    assert server.accepted >= 20


# Shards


def test_the_shards_of_a_load_send_together_exactly_what_the_whole_sends() -> None:
    with ScriptedServer() as server:
        whole = load_for(server, 300, "poisson", connections=7)
        raws = [OpenEngine(replace(whole, shard=Shard(i, 3))).run() for i in range(3)]
        together = len(server.requests)
    expected = len(list(takewhile(lambda at: at < 500 * MS, whole.schedule.offsets_ns())))
    assert together == sum(raw.scheduled for raw in raws) == expected
    assert [len(raw.replies) for raw in raws] == [3, 2, 2]
    result = measurement(whole, raws)
    assert result["scheduled"] == expected
    assert result["response_time_ms"]["max"] == max(
        round(raw.tally.response.maximum_ns / 1e6, 6) for raw in raws
    )


def test_requests_drawn_from_a_distribution_are_the_same_for_every_target() -> None:
    paths = []
    for shards in (1, 1, 2):
        with ScriptedServer() as server:
            load = load_for(server, 100)
            url = f"{server.url}delay=~exp(20ms)/"
            load = replace(load, request=build_request(url, seed=3))
            for index in range(shards):
                OpenEngine(replace(load, shard=Shard(index, shards))).run()
            paths.append(sorted(request.split()[1] for request in server.requests))
    assert paths[0] == paths[1] == paths[2]
    assert len(set(paths[0])) == 50
    assert paths[0][0].startswith(b"/delay=")
    assert paths[0][0].endswith(b"us/")


# Being late


def pausing(at_tick: int, pause_s: float) -> Callable[[int], None]:
    """The generator does nothing for a while at one of its ticks, as if it had no core."""
    ticks = count(1)
    return lambda _: time.sleep(pause_s) if next(ticks) == at_tick else None


@pytest.mark.parametrize("catch_up", [False, True], ids=["twice the rate", "at once"])
def test_what_is_late_by_our_own_fault_is_sent_at_twice_the_rate_or_at_once(
    catch_up: bool,
) -> None:
    """A pause of 0.3 s at 100 req/s leaves 30 arrivals overdue, by 300, 290, ... ms."""
    with ScriptedServer() as server:
        engine = OpenEngine(load_for(server, 100, window_s=1.0, catch_up=catch_up))
        engine.loop.on_tick = pausing(4, 0.3)
        raw = engine.run()
    own = raw.tally.late
    own.add(raw.tally.noticed)
    assert raw.scheduled == raw.tally.response.recorded == own.recorded == 100
    assert own.maximum_ns >= 290 * MS
    assert (own.total_ns > 6_500 * MS) == (not catch_up)
