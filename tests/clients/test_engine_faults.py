"""The engine against servers that misbehave: each fault in its class, none as throughput."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

from clients.closed_engine import ClosedEngine
from clients.load import Check, Load, Raw
from clients.request import build_request
from tests.clients.scripted import OK, ScriptedServer, Turn
from tests.clients.slices import completions, load_for, run, seen

EVERY = 25
WRONG = OK.replace(b"200 OK", b"500 Oh")


def every_25th(fault: Callable[[Turn], None]) -> Callable[[Turn], None]:
    """Correct replies, but the fault for every 25th request that the server gets."""

    def script(turn: Turn) -> None:
        if turn.number % EVERY:
            turn.send()
        else:
            fault(turn)

    return script


def close_properly(reply: bytes) -> bytes:
    return reply.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


def reset_amid_the_reply(turn: Turn) -> None:
    turn.send(OK[:-1])
    turn.reset()


FAULTS: dict[str, tuple[str, Callable[[Turn], None]]] = {
    "wrong status": ("status", lambda turn: turn.send(WRONG)),
    "wrong status, then the end": ("status", lambda turn: turn.finish(close_properly(WRONG))),
    "wrong body": ("body", lambda turn: turn.send(OK.replace(b"ok", b"ko"))),
    "longer body": ("body", lambda turn: turn.send(OK.replace(b": 2", b": 3") + b"!")),
    "no body": ("body", lambda turn: turn.send(b"HTTP/1.1 204 No Content\r\n\r\n")),
    "truncated head": ("reset", lambda turn: turn.finish(OK[:20])),
    "truncated body": ("reset", lambda turn: turn.finish(OK[:-1])),
    "nothing but the end": ("reset", lambda turn: turn.finish()),
    "reset": ("reset", Turn.reset),
    "reset amid the reply": ("reset", reset_amid_the_reply),
    "garbage": ("protocol", lambda turn: turn.send(b"\x16\x03\x01 no HTTP\r\n\r\n")),
    "garbage after the reply": ("protocol", lambda turn: turn.send(OK + b"garbage")),
    "two replies": ("protocol", lambda turn: turn.send(OK * 2)),
    "two lengths": (
        "protocol",
        lambda turn: turn.send(OK.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n")),
    ),
    "switched protocols": (
        "protocol",
        lambda turn: turn.send(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + OK),
    ),
}
every_fault = pytest.mark.parametrize(("kind", "fault"), FAULTS.values(), ids=FAULTS)


def check_counts(raw: Raw, server: ScriptedServer, kind: str) -> None:
    """Of the server's first n requests n // 25 went wrong; all others were correct."""
    wrong = len(server.requests) // EVERY
    assert wrong > 0
    assert seen(raw) == {kind: wrong}
    assert raw.served_total == len(server.requests) - wrong
    assert completions(raw) == sum(raw.replies) <= raw.served_total
    assert raw.owed == 0


@every_fault
@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "close"])
def test_each_fault_is_counted_in_its_class_and_never_as_throughput(
    kind: str, fault: Callable[[Turn], None], keep_alive: bool
) -> None:
    with ScriptedServer(every_25th(fault)) as server:
        raw = ClosedEngine(load_for(server, keep_alive=keep_alive, check=Check(body=b"ok"))).run()
    check_counts(raw, server, kind)


def test_a_wrong_body_is_found_byte_by_byte_too() -> None:
    def trickle(turn: Turn) -> None:
        for byte in OK if turn.number % EVERY else OK.replace(b"ok", b"ko"):
            turn.send(bytes([byte]))

    with ScriptedServer(trickle) as server:
        raw = ClosedEngine(load_for(server, check=Check(body=b"ok"), completions_wanted=60)).run()
    check_counts(raw, server, "body")


def test_bodies_are_not_checked_where_none_is_expected() -> None:
    raw, server = run(every_25th(lambda turn: turn.send(OK.replace(b"ok", b"ko"))))
    assert not seen(raw)
    assert raw.served_total == len(server.requests)


@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "close"])
def test_a_reply_that_never_comes_is_a_timeout_and_its_connection_is_given_up(
    keep_alive: bool,
) -> None:
    """The third connection's first request stalls for good; it starts again after 0.2 s.

    All four connect before any reply is read, so the third of them has not been served yet.
    """

    def stall_on_the_third(turn: Turn) -> None:
        if (turn.connection, turn.nth_on_connection) == (3, 1):
            turn.stall()
        turn.send()

    with ScriptedServer(stall_on_the_third) as server:
        raw = ClosedEngine(
            load_for(server, keep_alive=keep_alive, request_timeout_s=0.2, window_s=0.5)
        ).run()
    assert seen(raw) == {"timeout": 1}
    assert raw.tally.censored.recorded == 0, "the connection was not yet served"
    assert raw.served_total == len(server.requests) - 1
    assert min(raw.replies) > 0
    if keep_alive:
        assert server.accepted == 5


def test_a_timeout_in_the_window_is_censored() -> None:
    def stall_once_warm(turn: Turn) -> None:
        if turn.number == 50:
            turn.stall()
        turn.send()

    with ScriptedServer(stall_once_warm) as server:
        raw = ClosedEngine(load_for(server, request_timeout_s=0.1, window_s=0.5)).run()
    assert raw.tally.censored.recorded == raw.errors["timeout"] == 1
    assert raw.owed == 0


def test_a_reply_that_trickles_without_end_is_a_timeout() -> None:
    """Bytes keep coming, but a request has only so long in all."""

    def endless_chunks(turn: Turn) -> None:
        turn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not turn.server.stopping.wait(0.01):
            turn.send(b"1\r\nx\r\n")

    with ScriptedServer(endless_chunks) as server:
        raw = ClosedEngine(hopeless(server.port, request_timeout_s=0.1)).run()
    assert set(seen(raw)) == {"timeout"}
    assert raw.served_total == 0


def hopeless(port: int, **fields: Any) -> Load:
    """A load on something that never answers: half a second of trying."""
    limits = {"warmup_limit_s": 0.2, "window_limit_s": 0.3, "drain_s": 0.0}
    return Load(build_request(f"http://127.0.0.1:{port}/"), connections=4, **(limits | fields))


@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "close"])
def test_a_refused_connection_is_a_connect_error_and_is_tried_again(keep_alive: bool) -> None:
    with socket.socket() as bound_but_not_listening:
        bound_but_not_listening.bind(("127.0.0.1", 0))
        port = bound_but_not_listening.getsockname()[1]
        raw = ClosedEngine(hopeless(port, keep_alive=keep_alive)).run()
    assert set(seen(raw)) == {"connect"}
    assert raw.errors["connect"] > 4, "each of four connections tried again"
    assert (raw.requests_sent, raw.served_total, completions(raw), raw.owed) == (0, 0, 0, 0)


@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "close"])
def test_a_server_that_accepts_and_never_answers_gives_timeouts_only(keep_alive: bool) -> None:
    with ScriptedServer(Turn.stall) as server:
        raw = ClosedEngine(
            hopeless(server.port, keep_alive=keep_alive, request_timeout_s=0.1)
        ).run()
    assert set(seen(raw)) == {"timeout"}
    assert raw.errors["timeout"] >= 4
    assert (raw.served_total, completions(raw)) == (0, 0)


@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "close"])
def test_an_accept_queue_that_stays_full_gives_connect_errors(keep_alive: bool) -> None:
    """A backlog of 0 holds one connection; the next handshakes are not answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        raw = ClosedEngine(hopeless(port, keep_alive=keep_alive, connect_timeout_s=0.1)).run()
    assert raw.errors["connect"] > 0
    assert completions(raw) == 0


def test_a_server_that_stops_listening_amid_the_slice_is_survived() -> None:
    """Connected clients are cut off after 300 requests; new connections are then refused."""

    def stop_after_300(turn: Turn) -> None:
        if turn.number >= 300:
            turn.server.stop_listening()
            turn.reset()
        turn.send()

    with ScriptedServer(stop_after_300) as server:
        raw = ClosedEngine(
            load_for(server, window_limit_s=0.5, completions_wanted=1_000_000, drain_s=0.1)
        ).run()
    assert raw.errors["reset"] == 4
    assert raw.errors["connect"] > 0
    assert raw.served_total == 299
