"""The framer gives the replies that the bytes hold, however the network cut them."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.response import HEAD_LIMIT_BYTES, ProtocolError, Reply, ResponseFramer, TruncatedError


@dataclass(frozen=True)
class Case:
    """The bytes of one whole reply and what is in them."""

    name: str
    data: bytes
    status: int = 200
    body: bytes = b"hello"
    keep_alive: bool = True
    to_head: bool = False
    until_close: bool = False


STATUS = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 5\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

CASES = [
    Case("content length", STATUS + LENGTH + b"\r\nhello"),
    Case("no reason phrase", b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello"),
    Case("no body", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, b""),
    Case("odd case and spaces", STATUS + b"cONTENT-lENGTH: \t5\t\r\n\r\nhello"),
    Case("empty field", STATUS + b"X:\r\n" + LENGTH + b"\r\nhello"),
    Case("the same length twice", STATUS + LENGTH * 2 + b"\r\nhello"),
    Case("the same length in a list", STATUS + b"Content-Length: 5, 5\r\n\r\nhello"),
    Case("a body like a head", STATUS + b"Content-Length: 4\r\n\r\n\r\n\r\n", body=b"\r\n\r\n"),
    Case("one chunk", CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"),
    Case("many chunks", CHUNKED + b"1\r\nh\r\n3\r\nell\r\n01\r\no\r\n000\r\n\r\n"),
    Case("chunk extensions", CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0 ; last\r\n\r\n'),
    Case("trailers", CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n"),
    Case("hexadecimal sizes", CHUNKED + b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
         body=b"0123456789" * 2),
    Case("chunks that hold line ends", CHUNKED + b"4\r\n\r\n\r\n\r\n0\r\n\r\n", body=b"\r\n\r\n"),
    Case("chunked wins over a length",
         STATUS + b"Content-Length: 99\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n"
         b"5\r\nhello\r\n0\r\n\r\n"),
    Case("codings on two lines",
         STATUS + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"5\r\nhello\r\n0\r\n\r\n"),
    Case("until the end", STATUS + b"\r\nhello", keep_alive=False, until_close=True),
    Case("until the end, empty", b"HTTP/1.0 200 OK\r\n\r\n",
         body=b"", keep_alive=False, until_close=True),
    Case("connection close", STATUS + LENGTH + b"Connection: foo, Close\r\n\r\nhello",
         keep_alive=False),
    Case("HTTP/1.0 closes", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", keep_alive=False),
    Case("HTTP/1.0 that stays",
         b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello"),
    Case("to HEAD", STATUS + LENGTH + b"\r\n", body=b"", to_head=True),
    Case("to HEAD, chunked", CHUNKED, body=b"", to_head=True),
    Case("204 with a length", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, b""),
    Case("304 with a length", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
    Case("after 100", b"HTTP/1.1 100 Continue\r\n\r\n" + STATUS + LENGTH + b"\r\nhello"),
    Case("after 102 and 103",
         b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\nContent-Length: 9\r\n\r\n"
         + STATUS + LENGTH + b"\r\nhello"),
    Case("as long a head as is allowed",
         (STATUS + LENGTH + b"X: ").ljust(HEAD_LIMIT_BYTES - 4, b"x")
         + b"\r\n\r\nhello"),
]  # fmt: skip

BAD = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "the start of something else": b"HTTX",
    "an empty line first": b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n\r\n",
    "letters for a status": b"HTTP/1.1 abc OK\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 99 OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status below 100": b"HTTP/1.1 099 OK\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "switched protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "a line without a colon": b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    "a line without a name": b"HTTP/1.1 200 OK\r\n: 5\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
    "a folded line": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "two lengths in a list": b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    "a signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
    "an empty length": b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
    "an endless length": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "a coding that is not chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "chunked, but not last": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    "no chunk size": CHUNKED + b"\r\n",
    "a chunk size in words": CHUNKED + b"five\r\n",
    "a prefixed chunk size": CHUNKED + b"0x5\r\nhello\r\n",
    "a signed chunk size": CHUNKED + b"-5\r\n",
    "an endless chunk size": CHUNKED + b"1" * 16 + b"\r\n",
    "a chunk longer than its size": CHUNKED + b"4\r\nhello\r\n",
    "a chunk line too long": CHUNKED + b"5;" + b"x" * 4096 + b"\r\n",
    "a trailer too long": CHUNKED + b"0\r\nX: " + b"x" * 4096 + b"\r\n\r\n",
    "a head too long": b"HTTP/1.1 200 OK\r\nX: ".ljust(HEAD_LIMIT_BYTES - 3, b"x") + b"\r\n\r\n",
}

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_bad = pytest.mark.parametrize("data", BAD.values(), ids=BAD)


def framer_for(case: Case) -> ResponseFramer:
    return ResponseFramer(keep_body=True, to_head=case.to_head)


def feed_all(framer: ResponseFramer, pieces: Iterable[bytes]) -> Reply | None:
    """Feed the pieces; the reply must come with the last of them, or not at all."""
    reply = None
    for piece in pieces:
        assert reply is None, "the reply came before its last piece"
        reply = framer.feed(piece)
    return reply


def finish(framer: ResponseFramer, case: Case, reply: Reply | None) -> Reply:
    """The reply so far; where only the end of the stream completes it, after that end."""
    if case.until_close:
        assert reply is None
        return framer.end()
    assert reply is not None
    return reply


def one_by_one(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def check(case: Case, reply: Reply) -> None:
    assert (reply.status, reply.body) == (case.status, case.body)
    assert reply.body_bytes == len(case.body)
    assert reply.keep_alive is case.keep_alive


@every_case
def test_a_reply_fed_whole_is_given_at_once(case: Case) -> None:
    framer = framer_for(case)
    check(case, finish(framer, case, framer.feed(case.data)))


@every_case
def test_a_reply_fed_byte_by_byte_is_given_with_its_last_byte(case: Case) -> None:
    framer = framer_for(case)
    check(case, finish(framer, case, feed_all(framer, one_by_one(case.data))))


@every_case
def test_bytes_after_a_reply_are_an_error_or_else_part_of_a_body_without_end(case: Case) -> None:
    framer = framer_for(case)
    if case.until_close:
        framer.feed(case.data + b"more")
        assert framer.end().body == case.body + b"more"
    else:
        with pytest.raises(ProtocolError, match="4 bytes follow"):
            framer.feed(case.data + b"more")


@every_case
def test_a_reply_cut_short_anywhere_is_truncated(case: Case) -> None:
    body_without_end = len(case.body) if case.until_close else 0
    for size in range(0, len(case.data) - body_without_end, 1 + len(case.data) // 500):
        framer = framer_for(case)
        assert framer.feed(case.data[:size]) is None
        with pytest.raises(TruncatedError):
            framer.end()


@every_case
def test_the_same_framer_then_frames_the_next_reply(case: Case) -> None:
    framer = framer_for(case)
    finish(framer, case, framer.feed(case.data))
    framer.reset()
    check(case, finish(framer, case, framer.feed(case.data)))


@every_case
def test_bodies_are_counted_but_kept_only_when_asked_for(case: Case) -> None:
    framer = ResponseFramer(keep_body=False, to_head=case.to_head)
    reply = finish(framer, case, framer.feed(case.data))
    assert reply.body is None
    assert reply.body_bytes == len(case.body)


@every_bad
def test_bytes_that_are_no_reply_are_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        ResponseFramer().feed(data)


@every_bad
def test_they_are_one_byte_by_byte_as_well(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        feed_all(ResponseFramer(), one_by_one(data))


def test_a_head_that_never_ends_is_refused_at_the_limit() -> None:
    framer = ResponseFramer()
    assert framer.feed(b"HTTP/1.1 200 OK\r\nX: ".ljust(HEAD_LIMIT_BYTES, b"x")) is None
    with pytest.raises(ProtocolError, match="exceeds 65536 bytes"):
        framer.feed(b"x")


def test_garbage_is_refused_at_its_first_wrong_byte() -> None:
    with pytest.raises(ProtocolError, match=r"expected an HTTP/1.x status line, got b'HTTQ'"):
        feed_all(ResponseFramer(), one_by_one(b"HTTQ"))


def test_sizes_are_of_the_final_head_and_the_decoded_body() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    reply = ResponseFramer().feed(b"HTTP/1.1 100 C\r\n\r\n" + head + b"3\r\nabc\r\n0\r\n\r\n")
    assert reply == Reply(200, True, head_bytes=len(head), body_bytes=3, body=None)


def test_many_different_heads_are_each_read_as_they_are() -> None:
    """Heads are memoised, 64 at a time; 200 different ones cannot all be."""
    framer = ResponseFramer()
    for size in [*range(200), *range(200)]:
        reply = framer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        assert reply is not None
        assert reply.body_bytes == size


# Properties

names = st.text("abcXYZ-", min_size=1, max_size=8).map(lambda name: b"X-" + name.encode())
values = st.text("abc 019,;=", max_size=12).map(str.encode)
fields = st.lists(st.tuples(names, values), max_size=3).map(
    lambda pairs: b"".join(b"%s: %s\r\n" % pair for pair in pairs)
)
bodies = st.binary(max_size=40)


@st.composite
def counted_replies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    body = draw(bodies)
    head = b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n" % (draw(fields), len(body))
    return head + body, body


@st.composite
def chunked_replies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    chunks = draw(st.lists(st.binary(min_size=1, max_size=12), max_size=4))
    extension = draw(st.sampled_from([b"", b";a", b' ;b="c d"']))
    framed = b"".join(b"%x%s\r\n%s\r\n" % (len(c), extension, c) for c in chunks)
    head = b"HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n" % draw(fields)
    return head + framed + b"0" + extension + b"\r\n" + draw(fields) + b"\r\n", b"".join(chunks)


interims = st.lists(
    st.builds(lambda f: b"HTTP/1.1 103 Early Hints\r\n" + f + b"\r\n", fields), max_size=2
).map(b"".join)
replies = st.tuples(interims, counted_replies() | chunked_replies()).map(
    lambda drawn: (drawn[0] + drawn[1][0], drawn[1][1])
)
cuts = st.lists(st.integers(0, 400), max_size=6)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(place for place in at if place < len(data))})
    return [data[a:b] for a, b in pairwise(places)]


@settings(deadline=None)
@given(replies, cuts)
def test_a_reply_split_anywhere_is_the_same_reply(
    reply: tuple[bytes, bytes], at: list[int]
) -> None:
    data, body = reply
    framed = feed_all(ResponseFramer(keep_body=True), cut(data, at))
    assert framed == ResponseFramer(keep_body=True).feed(data)
    assert framed is not None
    assert (framed.status, framed.body, framed.keep_alive) == (200, body, True)


def outcome(pieces: list[bytes], *, to_head: bool) -> object:
    """What comes of the pieces: a reply, or the class of the error. Any other error escapes."""
    framer = ResponseFramer(keep_body=True, to_head=to_head)
    try:
        for index, piece in enumerate(pieces):
            reply = framer.feed(piece)
            if reply is not None:
                return reply if index == len(pieces) - 1 else ProtocolError
        return framer.end()
    except (ProtocolError, TruncatedError) as error:
        return type(error)


SMALL = [data for data in (*(case.data for case in CASES), *BAD.values()) if len(data) < 1024]


@st.composite
def damaged_replies(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(SMALL) | replies.map(lambda drawn: drawn[0]))
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 3)))
    return data[:start] + draw(st.binary(max_size=3)) + data[end:]


@settings(deadline=None)
@given(damaged_replies() | st.binary(max_size=60), cuts, st.booleans())
def test_whatever_arrives_gives_a_reply_or_one_of_the_two_errors_however_it_is_cut(
    data: bytes, at: list[int], to_head: bool
) -> None:
    assert outcome(cut(data, at), to_head=to_head) == outcome([data], to_head=to_head)
