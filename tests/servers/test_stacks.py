"""Production servers answer as the models do, started as the harness starts them."""

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil
import pytest

from bench.measure.models import Rates
from bench.measure.plan import Server as Settings
from bench.measure.process import Process
from bench.measure.stanza import Stanza, read_stacks
from bench.measure.targets import command_target
from bench.measure.upstream import Upstream

STACKS = read_stacks()
PARAMS = [
    pytest.param(
        stanza,
        id=name,
        marks=pytest.mark.skipif(not model.available, reason=model.why_unavailable or "it can run"),
    )
    for name, stanza in STACKS.items()
    for model in [stanza.model()]
]
TEXT = "text/plain"
STEPS = "a path is made of delay, call, hold, block, spin, hash, body, drip"
LONG = b"x" * 100_000

# Method, path and body of a request; status, length and body of the reply.
EXCHANGES = (
    ("GET", "/", None, 200, 5, b"done\n"),
    ("HEAD", "/", None, 200, 5, b""),
    ("GET", "/delay=20ms", None, 200, 5, b"done\n"),
    ("GET", "/hold=1ms", None, 200, 5, b"done\n"),
    ("GET", "/call=1ms", None, 200, 5, b"done\n"),
    ("GET", "/block=1ms/spin=1ms/hash=1ms/body=3", None, 200, 3, b"xxx"),
    ("GET", "/body=0", None, 200, 0, b""),
    ("GET", "/body=100KiB", None, 200, 102_400, b"x" * 102_400),
    ("GET", "/body=10/drip=3x1ms", None, 200, 10, b"x" * 10),
    ("HEAD", "/body=10/drip=3x1ms", None, 200, 10, b""),
    ("GET", "/body=0/drip=3x1ms", None, 200, 0, b""),
    ("POST", "/body=3", LONG, 200, 3, b"xxx"),
    ("GET", "/x", None, 400, None, f"unknown step 'x'; {STEPS}\n".encode()),
    ("HEAD", "/x", None, 400, len(f"unknown step 'x'; {STEPS}\n"), b""),
    (
        "GET",
        "/body=1?x",
        None,
        400,
        None,
        b"'1?x' is not a size: a whole number of bytes, KiB or MiB\n",
    ),
    ("PUT", "/", b"abc", 405, None, b"PUT is not served here\n"),
    ("GET", "/", None, 200, 5, b"done\n"),
)


@dataclass
class Stack:
    stanza: Stanza
    process: Process
    port: int

    def client(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def get(self, path: str) -> bytes:
        """Ask on a connection of its own; return the body."""
        client = self.client()
        try:
            client.request("GET", path)
            return client.getresponse().read()
        finally:
            client.close()


def start(stanza: Stanza, upstream: str | None = None, workers: int | None = None) -> Stack:
    target = command_target(stanza.name, stanza, stanza.model(), Rates(10.0, 1.0))
    process = target.launch(Settings(stanza.name, workers), (), upstream)
    return Stack(stanza, process, process.wait_ready(60).port)


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    process = Upstream(())
    process.start()
    assert process.address is not None
    yield process.address
    process.stop()


@pytest.fixture(scope="module", params=PARAMS)
def stack(request: pytest.FixtureRequest, upstream: str) -> Iterator[Stack]:
    started = start(request.param, upstream)
    with started.process:
        yield started


@pytest.fixture
def keeping(stack: Stack) -> Stack:
    if stack.stanza.serves_one_at_a_time:
        pytest.skip("it serves one connection at a time, and keeps none")
    return stack


def test_exchanges_on_one_connection(stack: Stack) -> None:
    client = stack.client()
    for method, path, sent, status, length, body in EXCHANGES:
        client.request(method, path, sent)
        reply = client.getresponse()
        what = f"{method} {path}"
        assert (what, reply.status, reply.read()) == (what, status, body)
        assert (what, reply.getheader("Content-Type")) == (what, TEXT)
        expected = len(body) if length is None else length
        assert (what, reply.getheader("Content-Length")) == (what, str(expected))
        assert reply.getheader("Allow") == ("GET, HEAD, POST" if status == 405 else None)
        assert reply.will_close is stack.stanza.serves_one_at_a_time
    client.close()


def test_connection_is_kept_for_any_number_of_requests(keeping: Stack) -> None:
    """hypercorn closes after 1,000 if it is not told otherwise."""
    client = keeping.client()
    for _ in range(1100):
        client.request("GET", "/")
        reply = client.getresponse()
        assert (reply.read(), reply.will_close) == (b"done\n", False)
    client.close()


def test_any_number_of_connections_is_kept(keeping: Stack) -> None:
    """cheroot keeps 10 if it is not told otherwise, waitress 100; and 64 threads serve them all."""
    clients = [keeping.client() for _ in range(128)]
    for _ in range(2):
        for client in clients:
            client.request("GET", "/")
            reply = client.getresponse()
            assert (reply.read(), reply.will_close) == (b"done\n", False)
    for client in clients:
        client.close()


def test_64_requests_wait_together(keeping: Stack) -> None:
    """One after another they would take 64 x 500 ms = 32 s."""
    with ThreadPoolExecutor(64) as pool:
        began_s = time.monotonic()
        bodies = list(pool.map(keeping.get, ["/delay=500ms"] * 64))
        assert time.monotonic() - began_s < 16
    assert bodies == [b"done\n"] * 64


def test_calls_wait_together(keeping: Stack) -> None:
    with ThreadPoolExecutor(32) as pool:
        began_s = time.monotonic()
        assert list(pool.map(keeping.get, ["/call=500ms"] * 32)) == [b"done\n"] * 32
        assert time.monotonic() - began_s < 8


def test_those_who_hold_the_only_unit_take_turns(stack: Stack) -> None:
    with ThreadPoolExecutor(4) as pool:
        began_s = time.monotonic()
        assert list(pool.map(stack.get, ["/hold=50ms"] * 4)) == [b"done\n"] * 4
        assert time.monotonic() - began_s >= 4 * 0.05


def test_drip_comes_in_pieces(stack: Stack) -> None:
    client = stack.client()
    client.request("GET", "/body=6/drip=3x500ms")
    reply = client.getresponse()
    assert reply.read1(6) == b"xxx"
    assert reply.read() == b"xxx"
    client.close()


def test_kill_leaves_nothing(stack: Stack) -> None:
    another = start(stack.stanza)
    pids = another.process.pids()
    another.process.kill()
    assert pids
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


@pytest.mark.parametrize("name", [n for n, s in STACKS.items() if s.fills_in("workers")])
def test_hold_is_refused_where_processes_would_not_share_the_units(name: str) -> None:
    stanza = STACKS[name]
    if not stanza.model().available:
        pytest.skip(stanza.model().why_unavailable or "")
    stack = start(stanza, workers=2)
    try:
        assert stack.get("/hold=1ms").startswith(b"a hold needs a single process")
    finally:
        stack.process.kill()


@pytest.mark.parametrize(("name", "stanza"), STACKS.items())
def test_stack_says_how_many_it_serves_at_once(name: str, stanza: Stanza) -> None:
    """The report shows it: one process, with 64 threads, or one, or no limit."""
    assert stanza.workers == 1
    threads = 1 if stanza.serves_one_at_a_time else 64
    assert stanza.threads == (None if stanza.family == "async" else threads)
    assert stanza.title
