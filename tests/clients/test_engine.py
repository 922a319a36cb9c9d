"""The engine against real servers that behave: counts, connections, windows, drains, clean-up."""

import gc
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from clients.closed_engine import ClosedEngine
from clients.errors import LoadError
from clients.load import Load
from clients.measurement import measurement
from clients.request import build_request
from tests.clients.scripted import OK, Script, ScriptedServer, Turn, answer
from tests.clients.slices import completions, load_for, record_of, run, seen

# Counts


@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "close"])
def test_every_request_that_the_server_saw_is_counted_once(keep_alive: bool) -> None:
    raw, server = run(answer, keep_alive=keep_alive)
    assert not seen(raw)
    assert raw.served_total == len(server.requests)
    assert raw.requests_sent == len(server.requests), "none is sent after the window"
    assert completions(raw) == sum(raw.replies) >= 200
    assert raw.tally.response.recorded == raw.tally.service.recorded


def test_keep_alive_mode_opens_each_connection_once() -> None:
    _, server = run(answer, connections=7)
    assert server.accepted == 7


def test_close_mode_opens_a_connection_for_each_request_and_says_so() -> None:
    _, server = run(answer, keep_alive=False)
    assert server.accepted == len(server.requests)
    assert all(b"\r\nConnection: close\r\n" in request for request in server.requests)


def test_a_server_that_closes_after_each_reply_is_followed() -> None:
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    raw, server = run(lambda turn: turn.finish(closing))
    assert not seen(raw)
    assert server.accepted == len(server.requests) == raw.served_total


@pytest.mark.parametrize(
    "reply",
    [
        OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000,
    ],
    ids=["counted", "chunked", "interim", "204", "302", "larger than one receive"],
)
def test_replies_of_every_framing_are_correct_completions(reply: bytes) -> None:
    raw, server = run(lambda turn: turn.send(reply), completions_wanted=50)
    assert not seen(raw)
    assert raw.served_total == len(server.requests)


def test_a_reply_that_only_the_end_of_the_connection_ends_is_correct() -> None:
    raw, server = run(lambda turn: turn.finish(b"HTTP/1.0 200 OK\r\n\r\nok"))
    assert not seen(raw)
    assert raw.served_total == len(server.requests) == server.accepted


def test_no_body_is_waited_for_after_head() -> None:
    raw, server = run(
        lambda turn: turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), method="HEAD"
    )
    assert not seen(raw)
    assert raw.served_total == len(server.requests)
    assert server.requests[0].startswith(b"HEAD / ")


def test_replies_that_differ_in_their_unchecked_bodies_are_all_correct() -> None:
    """As with a counter or a date in the body: same head and size, different bytes."""
    raw, server = run(
        lambda turn: turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n%09d" % turn.number)
    )
    assert not seen(raw)
    assert raw.served_total == len(server.requests)


def test_a_reply_may_come_one_byte_at_a_time() -> None:
    def trickle(turn: Turn) -> None:
        for byte in OK:
            turn.send(bytes([byte]))

    raw, server = run(trickle, completions_wanted=50)
    assert not seen(raw)
    assert raw.served_total == len(server.requests)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (b"2\r\nok\r\n0\r\n\r\n", b"4\r\nokok\r\n0\r\n\r\n"),
        (b"2\r\nok\r\n0\r\n\r\n", b"2\r\nok\r\n2\r\nok\r\n0\r\n\r\n"),
    ],
    ids=["longer chunk", "more chunks"],
)
def test_a_chunked_reply_is_not_over_because_as_many_bytes_as_last_time_came(
    short: bytes, long: bytes
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    def in_two_pieces(turn: Turn) -> None:
        if turn.number % 2:
            turn.send(head + short)
        else:
            turn.send(head + long[: len(short)])
            turn.wait(0.02)
            turn.send(long[len(short) :])

    raw, server = run(in_two_pieces, connections=1, completions_wanted=6)
    assert not seen(raw)
    assert raw.served_total == len(server.requests)


def test_a_reply_after_an_interim_one_is_not_over_because_as_many_bytes_came() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\n" + b"X: y\r\n" * 20 + b"\r\n"

    def in_two_pieces(turn: Turn) -> None:
        if turn.number % 2:
            turn.send(interim + OK)
        else:
            turn.send(interim + OK.replace(b": 2", b": 4"))
            turn.wait(0.02)
            turn.send(b"ok")

    raw, server = run(in_two_pieces, connections=1, completions_wanted=6)
    assert not seen(raw)
    assert raw.served_total == len(server.requests)


def test_a_server_that_hangs_up_on_idle_connections_is_reconnected_to_without_an_error() -> None:
    """Connections 3 and 4 of 4 start 0.2 s and 0.3 s after they were hung up on."""
    with ScriptedServer(hang_up_on=lambda connection: connection in (3, 4)) as server:
        raw = ClosedEngine(load_for(server, delay_s=0.4)).run()
    assert not seen(raw)
    assert server.accepted == 6
    assert min(raw.replies) > 0


def test_a_request_larger_than_the_socket_takes_at_once_is_sent_whole() -> None:
    """The server reads nothing for a while, so that 8 MB cannot all be on their way."""
    with ScriptedServer() as server:
        load = load_for(server, connections=2, completions_wanted=4)
        long = replace(load.request, payloads=(b"GET /" + b"x" * 8_000_000 + b" HTTP/1.1\r\n\r\n",))
        raw = ClosedEngine(replace(load, request=long)).run()
        assert not seen(raw)
        assert raw.served_total == raw.requests_sent == len(server.requests)
        assert set(server.requests) == {long.payload}


def test_a_loopback_server_on_ipv6_is_reached() -> None:
    with ScriptedServer(host="::1") as server:
        raw = ClosedEngine(load_for(server)).run()
    assert not seen(raw)


# The window


def wait_10_ms(turn: Turn) -> None:
    turn.wait(0.010)
    turn.send()


def test_throughput_obeys_the_physical_bound_and_littles_law() -> None:
    """A reply takes 10 ms at least, so a connection completes 101 in a second at most: 1.01 N/d.

    Throughput x mean response time is the number in flight, but for one reply of a hundred per
    connection at each end of the window.
    """
    with ScriptedServer(wait_10_ms) as server:
        load = load_for(server, connections=8, delay_s=0.010, window_s=1.0)
        raw = ClosedEngine(load).run()
    result = measurement(load, [raw])
    assert raw.window_ns >= 1_000_000_000
    assert result["throughput_rps"] == completions(raw) / (raw.window_ns / 1e9)
    assert 0 < result["bound_ratio"] <= 1.02
    assert result["little_ratio"] == pytest.approx(1.0, abs=0.05)
    assert result["in_flight_mean"] == pytest.approx(8, rel=0.01)


def test_response_times_are_at_least_what_the_server_waited() -> None:
    raw, _ = run(wait_10_ms, delay_s=0.010, completions_wanted=20)
    assert raw.tally.service.minimum_ns >= 10_000_000


def test_the_window_holds_neither_the_warm_up_nor_the_drain() -> None:
    raw, server = run(answer, connections=16)
    assert raw.in_flight_area_ns == 16 * raw.window_ns, "each always has a request outstanding"
    assert completions(raw) == sum(raw.replies)
    assert completions(raw) <= len(server.requests) - 33 - 16, "33 warm up, 16 are drained"


@pytest.mark.parametrize("one_at_a_time", [False, True])
def test_the_warm_up_ends_when_every_connection_has_been_served(one_at_a_time: bool) -> None:
    """Not before: the last connection's first reply takes 0.3 s. And not at its limit of 30 s."""

    def slow_to_the_third(turn: Turn) -> None:
        turn.wait(0.3 if (turn.connection, turn.nth_on_connection) == (3, 1) else 0)
        turn.send()

    raw, _ = run(slow_to_the_third, connections=3, serves_one_at_a_time=one_at_a_time)
    assert 300_000_000 <= raw.warmup_ns < 30_000_000_000


def test_the_warm_up_ends_even_when_first_replies_are_wrong() -> None:
    """A connection counts as served with its first correct reply, whatever came before."""

    def wrong_at_first(turn: Turn) -> None:
        wrong = turn.nth_on_connection == 1 and turn.connection > 1
        turn.send(OK.replace(b"200", b"500") if wrong else OK)

    raw, _ = run(wrong_at_first, connections=4)
    assert seen(raw) == {"status": 3}
    assert raw.warmup_ns < 30_000_000_000


def test_the_warm_up_ends_when_as_many_requests_failed_as_there_are_connections() -> None:
    """So that nobody waits 30 s to hear that the server knows no such page."""
    raw, _ = run(lambda turn: turn.send(OK.replace(b"200", b"404")), window_limit_s=0.1)
    assert raw.errors["status"] >= 4
    assert raw.warmup_ns < 30_000_000_000


def test_each_connection_is_served_once_before_any_is_served_twice() -> None:
    """The last starts 0.2 s after the first, which is answered at once and has to wait for it.

    A server that is busy with the connections it has may accept the others late.
    """
    turns: list[int] = []

    def note(turn: Turn) -> None:
        turns.append(turn.nth_on_connection)
        turn.send()

    run(note, connections=80, delay_s=0.2)
    assert turns[:80] == [1] * 80


def test_the_warm_up_gives_up_at_its_limit() -> None:
    """Connection 2 is never answered, so it is never served and its reply stays owed."""

    def never_the_second(turn: Turn) -> None:
        if turn.connection == 2:
            turn.stall()
        turn.send()

    with ScriptedServer(never_the_second) as server:
        start_s = time.monotonic()
        raw = ClosedEngine(load_for(server, connections=2, warmup_limit_s=0.2, drain_s=0.5)).run()
        elapsed_s = time.monotonic() - start_s
    assert elapsed_s >= 0.2 + 0.5, "all of the limit, and all of the drain"
    assert raw.replies[1] == 0 < raw.replies[0]
    assert raw.owed == raw.tally.censored.recorded == 1


def test_the_window_lasts_until_both_its_time_and_its_completions_are_reached() -> None:
    raw, _ = run(wait_10_ms, connections=1, window_s=0.0, completions_wanted=5)
    assert completions(raw) == 5, "time is over at once, so the fifth completion closes it"
    raw, _ = run(wait_10_ms, connections=1, window_s=0.1, completions_wanted=1)
    assert raw.window_ns >= 100_000_000


def test_the_window_gives_up_at_its_limit() -> None:
    with ScriptedServer(wait_10_ms) as server:
        load = load_for(server, connections=1, window_limit_s=0.3, completions_wanted=1_000_000)
        start_s = time.monotonic()
        raw = ClosedEngine(load).run()
        elapsed_s = time.monotonic() - start_s
    assert elapsed_s >= 0.3, "well after the 0.05 s that the window lasts at least"
    assert 0 < completions(raw) <= 31


def test_starts_are_spread_over_one_delay() -> None:
    """Four connections over 0.4 s: the fourth's first request is due at 0.3 s."""
    raw, _ = run(answer, delay_s=0.4)
    assert raw.warmup_ns >= 300_000_000


def test_time_spent_connecting_is_response_time_but_not_service_time() -> None:
    record = record_of(answer, keep_alive=False)
    assert not record.steady_ns
    assert len(record.response_ns) >= 200
    assert all(r > s for r, s in zip(record.response_ns, record.service_ns, strict=True))
    assert min(record.connect_ns) > 0


def test_the_first_reply_on_a_new_connection_counts_the_time_spent_connecting() -> None:
    """Even if it equals the last good one: here all first replies do, and no second one."""
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

    def close_after_two(turn: Turn) -> None:
        if turn.nth_on_connection == 1:
            turn.send()
        else:
            turn.finish(closing)

    record = record_of(close_after_two)
    assert not record.steady_ns
    assert len(record.response_ns) >= 200
    assert len(record.connect_ns) >= record.served_total // 2


def test_the_fast_path_takes_the_replies_that_look_like_the_last_one() -> None:
    record = record_of(answer)
    assert len(record.steady_ns) == record.completions >= 200


# Drain


@contextmanager
def drip_server() -> Iterator[ScriptedServer]:
    """Serves one connection at a time, closes after each reply, and takes 20 ms for each."""

    def slowly(turn: Turn) -> None:
        turn.wait(0.020)
        turn.finish(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    with ScriptedServer(slowly, one_at_a_time=True) as server:
        yield server


def one_at_a_time_load(server: ScriptedServer, drain_s: float) -> Load:
    return load_for(
        server, keep_alive=False, connections=10, delay_s=0.02, completions_wanted=5,
        serves_one_at_a_time=True, drain_s=drain_s,
    )  # fmt: skip


def test_what_is_still_outstanding_after_the_drain_is_owed() -> None:
    """Ten connections always have a request in the queue; with no time to drain all are owed."""
    with drip_server() as server:
        load = one_at_a_time_load(server, drain_s=0.0)
        raw = ClosedEngine(load).run()
    assert raw.owed == 10
    assert measurement(load, [raw])["latency_at_least"]
    assert measurement(load, [raw])["censored"] == 10


def test_a_drain_ends_as_soon_as_nothing_is_owed() -> None:
    with drip_server() as server:
        load = one_at_a_time_load(server, drain_s=30.0)
        raw = ClosedEngine(load).run()
        assert raw.owed == 0
        assert raw.served_total == len(server.requests)
        assert not seen(raw)
        assert not measurement(load, [raw])["latency_at_least"]


# What is left behind


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize(
    "script", [answer, Turn.reset, Turn.stall], ids=["answers", "resets", "stalls"]
)
@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "close"])
def test_no_descriptor_is_left_open(script: Script, keep_alive: bool) -> None:
    before = open_descriptors()
    with ScriptedServer(script) as server:
        load = load_for(server, keep_alive=keep_alive, warmup_limit_s=0.1)
        engine = ClosedEngine(replace(load, window_limit_s=0.1, drain_s=0.0))
        engine.run()
    assert open_descriptors() == before, "while the engine is still there"
    assert engine.record.sent > 0


def test_connections_stay_open_after_measuring_until_they_are_closed() -> None:
    """So that a server's memory can be read while it holds them."""
    with ScriptedServer() as server:
        engine = ClosedEngine(load_for(server))
        engine.measure()
        assert (server.accepted, server.ended) == (4, 0)
        engine.close()
        assert server.wait_for(lambda: server.ended == 4)


@pytest.mark.parametrize("enabled", [True, False], ids=["on", "off"])
def test_garbage_collection_is_off_while_measuring_and_then_as_it_was(enabled: bool) -> None:
    during = set()

    def observe(turn: Turn) -> None:
        during.add(gc.isenabled())
        turn.send()

    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        run(observe)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()
    assert during == {False}


# What cannot even begin


def test_a_host_that_cannot_be_found_is_one_clear_line() -> None:
    for host in ("[fe80::1%no-such-link]", "a..b", "x" * 64):
        with pytest.raises(LoadError, match="cannot find the host") as caught:
            ClosedEngine(Load(build_request(f"http://{host}/"), connections=1))
        assert "\n" not in str(caught.value)


def with_open_files(soft: int, hard: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    limits = f'ulimit -S -n {soft}; ulimit -H -n {hard}; exec "$@"'
    command = ["sh", "-c", limits, "sh", sys.executable, "-m", "clients", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_too_few_descriptors_are_one_clear_line_that_says_how_many_are_needed() -> None:
    result = with_open_files(64, 64, "http://127.0.0.1:1/", "-c", "100")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "crossover load: needs 120 open files but the limit is 64: "
        "use fewer connections or raise it (ulimit -n 120)\n"
    )


def test_a_soft_limit_of_descriptors_is_raised_as_far_as_needed() -> None:
    with ScriptedServer() as server:
        result = with_open_files(64, 1000, server.url, "-c", "100", "-d", "50ms", "--json")
        assert result.returncode in (0, 3), result.stderr
        assert server.accepted == 101, "the first looked whether the server is there"


def test_the_limit_of_descriptors_is_left_alone_where_it_suffices() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    run(answer)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
