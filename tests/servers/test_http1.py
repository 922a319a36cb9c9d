"""The connection without its socket: whatever the bytes, and however they are cut."""

import gc
import weakref
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from servers.core.compute import Rates
from servers.core.http1 import Connection
from servers.core.limits import Limits
from servers.core.replies import Catalogue, Exchange
from tests.servers.exchanges import CASES, Case
from tests.servers.wire import get, reply

CATALOGUE = Catalogue(Rates(1.0, 1.0))
LIMITS = Limits()
TIGHT = Limits(target_bytes=16, head_bytes=64, body_bytes=24)
KIB = 1024


def connection(limits: Limits = LIMITS, **settings: bool) -> Connection:
    return Connection(CATALOGUE, limits, **settings)


def exchanges(pieces: Iterable[bytes], limits: Limits = LIMITS, **settings: bool) -> list[Exchange]:
    """Feed pieces to a new connection; return what it yields."""
    fed = connection(limits, **settings)
    return [exchange for piece in pieces for exchange in fed.receive(piece)]


FRAGMENTS = [
    *(case.sent for case in CASES if len(case.sent) < 2 * KIB),
    b"\r\n",
    b"\r\n\r\n",
    b" ",
    b":",
    b"GET ",
    b"POST / HTTP/1.1\r\nHost: a\r\n",
    b"Content-Length: 5\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n",
    b"5\r\nabcde\r\n",
    b"0\r\n\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: x\r\nConnection: upgrade\r\n",
]
streams = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=30), max_size=6).map(b"".join)


@st.composite
def damaged_streams(draw: st.DrawFn) -> bytes:
    """A stream in which a few bytes are missing, or others than they should be."""
    stream = draw(streams)
    start = draw(st.integers(0, len(stream)))
    end = draw(st.integers(start, min(len(stream), start + 3)))
    return stream[:start] + draw(st.binary(max_size=3)) + stream[end:]


@settings(deadline=None)
@given(damaged_streams(), st.data(), st.sampled_from([LIMITS, TIGHT]), st.booleans())
@example(b"GET /delay=1ms/delay=1ms\0 HTTP/1.1\r\n\r\n", None, TIGHT, True)  # wrong in two ways
def test_whole_or_split_anywhere_gives_the_same_exchanges(
    stream: bytes, data: st.DataObject | None, limits: Limits, keep_alive: bool
) -> None:
    places = st.lists(st.integers(0, len(stream)), max_size=8).map(sorted)
    cuts = data.draw(places) if data else range(1, len(stream))
    pieces = [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])]
    whole = exchanges([stream], limits, keep_alive=keep_alive)
    assert exchanges(pieces, limits, keep_alive=keep_alive) == whole
    assert all(not exchange.close for exchange in whole[:-1])


@given(st.lists(st.binary(max_size=200) | damaged_streams(), max_size=5))
def test_no_input_raises(pieces: list[bytes]) -> None:
    exchanges(pieces)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_replies_are_those_of_the_contract(case: Case) -> None:
    received = [case.sent[at : at + 64 * KIB] for at in range(0, len(case.sent), 64 * KIB)]
    assert b"".join(exchange.reply for exchange in exchanges(received)) == b"".join(case.replies)


def test_state_tells_what_the_driver_and_the_client_are_doing() -> None:
    fed = connection()
    assert (fed.waiting, fed.partial, fed.requests) == (True, False, 0)
    list(fed.receive(get()[:10]))
    assert (fed.waiting, fed.partial, fed.requests) == (True, True, 0)
    for _ in fed.receive(get()[10:] + get()[:1]):
        assert (fed.waiting, fed.partial, fed.requests) == (False, True, 1)
    assert (fed.waiting, fed.partial, fed.requests) == (True, True, 1)
    list(fed.receive(get()[1:]))
    assert (fed.waiting, fed.partial, fed.requests) == (True, False, 2)


def test_blank_lines_count_as_a_request_that_has_begun() -> None:
    fed = connection()
    list(fed.receive(b"\r\n"))
    assert fed.partial


@pytest.mark.parametrize(
    ("sent", "unread"),
    [
        (get("/", "Connection: close"), False),
        (get("/", "Connection: close") + get(), True),
        (get(version="2.0"), True),
        (get("a:80", method="CONNECT"), True),
        (get(), False),
    ],
)
def test_bytes_may_be_unread_where_the_client_has_more_to_say(sent: bytes, unread: bool) -> None:
    fed = connection()
    list(fed.receive(sent))
    assert fed.unread is unread


def test_without_keep_alive_the_first_reply_is_the_last() -> None:
    (only,) = exchanges([get() * 3, get()], keep_alive=False)
    assert only.close
    assert only.reply == reply(200, b"done\n", "Connection: close")


@pytest.mark.parametrize(
    "start",
    [
        get()[:-2] + b"X: ",
        b"GET /",
        get("/", "Transfer-Encoding: chunked", method="POST") + b"1;",
        get("/", "Transfer-Encoding: chunked", method="POST") + b"0\r\nX: ",
        b"\r\n",
    ],
)
def test_endless_request_is_refused_after_bounded_bytes(start: bytes) -> None:
    """Its pieces of 1 KiB complete nothing: 16 KiB of head and 64 KiB of slack are 80 pieces."""
    fed = connection()
    list(fed.receive(start))
    piece = b"\r\n" * 512 if start == b"\r\n" else b"x" * KIB
    refusals = [exchange for _ in range(82) for exchange in fed.receive(piece)]
    assert [exchange.reply[9:12] for exchange in refusals] in ([b"431"], [b"414"])
    assert refusals[0].close


def test_body_in_small_pieces_is_no_endless_request() -> None:
    """200 KiB in chunks of one byte take 1.2 MiB on the wire, and are far below the limit."""
    head = get("/", "Transfer-Encoding: chunked", method="POST")
    pieces = [head, *[b"1\r\nx\r\n" * KIB] * 200, b"0\r\n\r\n"]
    assert [exchange.reply for exchange in exchanges(pieces)] == [reply()]


def test_large_piece_that_holds_progress_is_no_endless_request() -> None:
    """A loop may read 256 KiB at once, more than the slack: the head and much of the body."""
    asked = get("/", f"Content-Length: {1024 * KIB}", method="POST") + bytes(1024 * KIB)
    pieces = [asked[at : at + 256 * KIB] for at in range(0, len(asked), 256 * KIB)]
    assert [exchange.reply for exchange in exchanges(pieces)] == [reply()]


def test_thousand_upgrades_in_one_write_are_a_thousand_requests() -> None:
    sent = get("/", "Connection: upgrade", "Upgrade: x") * 1000
    assert [exchange.reply for exchange in exchanges([sent])] == [reply()] * 1000


def test_closed_connection_leaves_no_cycle_for_the_collector() -> None:
    gc.disable()
    try:
        fed = _Referable(CATALOGUE, LIMITS, keep_alive=False)
        gone = weakref.ref(fed)
        list(fed.receive(get()))
        del fed
        assert gone() is None
    finally:
        gc.enable()


class _Referable(Connection):
    """A connection that can be referred to weakly."""
