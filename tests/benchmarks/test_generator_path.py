"""What the generator spends on a reply: framing it, the engine's step for it, folding its time."""

import random
import select
import socket
from array import array
from collections.abc import Callable, Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from clients.closed_engine import ClosedEngine
from clients.load import Load
from clients.request import build_request
from clients.response import Reply, ResponseFramer
from clients.sample import Durations, decode_histogram, encode_histogram

CONNECTIONS = 64
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"
DATED = REPLY.replace(b"\r\n\r\n", b"\r\nDate: Thu, 01 Jan 1970 00:00:%02d GMT\r\n\r\n")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok\n\r\n0\r\n\r\n"


# Framing


@pytest.mark.parametrize("data", [REPLY, CHUNKED], ids=["content length", "chunked"])
def test_framing_a_reply(benchmark: BenchmarkFixture, data: bytes) -> None:
    """A reply in one piece, its head seen before."""
    framer = ResponseFramer()
    reply: Reply | None = benchmark(framer.feed, data)
    assert reply is not None
    assert reply.body_bytes == 3


def test_framing_a_reply_with_a_new_head(benchmark: BenchmarkFixture) -> None:
    """100 heads in turn are more than are remembered, so each is parsed."""
    replies = [REPLY.replace(b"text", b"text%d" % i) for i in range(100)]
    framer = ResponseFramer()
    benchmark(lambda: [framer.feed(data) for data in replies])


def test_framing_a_reply_byte_by_byte(benchmark: BenchmarkFixture) -> None:
    """As many feeds as the reply has bytes."""
    framer = ResponseFramer()
    pieces = [bytes([byte]) for byte in REPLY]
    assert benchmark(lambda: [framer.feed(piece) for piece in pieces])[-1] is not None


# The engine's step: 64 connections have a reply waiting; receive, time and send on each. Packets
# keep their borders on these sockets, so that no server has to run in between.


class Peers:
    """The server's ends of 64 connections; each round they take the requests and answer them."""

    def __init__(self, replies: Callable[[int], bytes]) -> None:
        pairs = [
            socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(CONNECTIONS)
        ]
        self.near = [near for near, _ in pairs]
        self.far = [far for _, far in pairs]
        self.replies = replies
        self.answered = 0

    def answer(self) -> None:
        for far in self.far:
            if self.answered >= CONNECTIONS:
                far.recv(65_536)
            far.send(self.replies(self.answered))
            self.answered += 1

    def close(self) -> None:
        for sock in (*self.near, *self.far):
            sock.close()


@pytest.fixture
def peers(request: pytest.FixtureRequest) -> Iterator[Peers]:
    peers = Peers(request.param)
    yield peers
    peers.close()


def engine_on(peers: Peers) -> ClosedEngine:
    """An engine in the midst of a window, with one request outstanding on each connection."""
    engine = ClosedEngine(Load(build_request("http://127.0.0.1:8000/"), connections=CONNECTIONS))
    for conn, near in zip(engine.loop.connections, peers.near, strict=True):
        near.setblocking(False)
        conn.sock, conn.fd, conn.recv, conn.send = near, near.fileno(), near.recv, near.send
        conn.events = select.EPOLLIN
        conn.used = conn.served = conn.outstanding = conn.steady = True
        engine.loop.by_fd[conn.fd] = conn
        engine.loop.epoll.register(conn.fd, conn.events)
    engine.record.in_flight, engine.loop.unserved = CONNECTIONS, 0
    engine.loop.good, engine.loop.good_head = REPLY, REPLY[:-3]
    return engine


same = pytest.mark.parametrize("peers", [lambda _: REPLY], ids=["same"], indirect=True)
different = pytest.mark.parametrize(
    "peers",
    [
        lambda nth: REPLY[:-3] + b"%03d" % (nth % 1000),
        lambda nth: DATED % (nth % 60),
        lambda nth: CHUNKED.replace(b"ok\n", b"%03d" % (nth % 1000)),
    ],
    ids=["another body", "a new date", "chunked"],
    indirect=True,
)


def per_round(benchmark: BenchmarkFixture, peers: Peers, work: Callable[[], None]) -> None:
    benchmark.extra_info["replies_per_round"] = CONNECTIONS
    pedantic: Callable[..., None] = benchmark.pedantic
    pedantic(work, setup=peers.answer, rounds=300, warmup_rounds=20)


def measure_engine(benchmark: BenchmarkFixture, peers: Peers) -> ClosedEngine:
    engine = engine_on(peers)

    def serve_all() -> None:
        done = engine.record.served_total + CONNECTIONS
        recorded = engine.record.completions + CONNECTIONS
        engine.loop.pump(lambda _: engine.record.completions >= recorded)
        assert engine.record.served_total == done

    per_round(benchmark, peers, serve_all)
    engine.close()
    assert not any(engine.record.errors.values())
    return engine


@same
def test_64_replies_with_the_least_code(benchmark: BenchmarkFixture, peers: Peers) -> None:
    """The floor: an epoll loop that receives and sends, and neither looks nor counts."""
    epoll = select.epoll()
    by_fd = {near.fileno(): (near.recv, near.send) for near in peers.near}
    for fd in by_fd:
        epoll.register(fd, select.EPOLLIN)

    def serve_all() -> None:
        done = 0
        while done < CONNECTIONS:
            for fd, _ in epoll.poll():
                receive, send = by_fd[fd]
                receive(65_536)
                send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n")
                done += 1

    per_round(benchmark, peers, serve_all)
    epoll.close()


@same
def test_64_replies_like_the_last_one(benchmark: BenchmarkFixture, peers: Peers) -> None:
    """The engine's fast path."""
    engine = measure_engine(benchmark, peers)
    assert not engine.record.response_ns, "none left the fast path"


@different
def test_64_replies_unlike_the_last_one(benchmark: BenchmarkFixture, peers: Peers) -> None:
    """Replies that have to be looked at."""
    engine = measure_engine(benchmark, peers)
    assert engine.record.response_ns


# At the end of a slice


@pytest.fixture(scope="module")
def samples() -> "array[int]":
    """100,000 response times in ns around 1 ms, with a tail."""
    rng = random.Random(1)
    return array("q", (round(rng.lognormvariate(13.8, 0.5)) for _ in range(100_000)))


def test_folding_100_000_samples(benchmark: BenchmarkFixture, samples: "array[int]") -> None:
    def fold() -> Durations:
        durations = Durations()
        durations.fold(samples)
        return durations

    assert benchmark(fold).recorded == 100_000


def test_recording_1_000_samples_one_by_one(
    benchmark: BenchmarkFixture, samples: "array[int]"
) -> None:
    """What folding in bulk saves."""
    histogram = Durations().histogram
    few = samples[:1_000]
    benchmark(lambda: [histogram.record_value(sample) for sample in few])


def test_encoding_a_histogram(benchmark: BenchmarkFixture, samples: "array[int]") -> None:
    durations = Durations()
    durations.fold(samples)
    text = benchmark(encode_histogram, durations.histogram)
    assert decode_histogram(text).get_total_count() == 100_000
