"""What a server spends on a request outside its sockets: parsing it and finding the reply."""

import itertools

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from servers.core.compute import Rates
from servers.core.http1 import Connection
from servers.core.limits import Limits
from servers.core.replies import KEEP, Catalogue, Exchange

RATES = Rates(10.0, 1.0)
REQUEST = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"
BROWSER = (
    b"GET /delay=20ms HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nConnection: keep-alive\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\nDNT: 1\r\n\r\n"
)
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024

REQUESTS = {
    "no work": REQUEST % b"/",
    "two steps": REQUEST % b"/delay=20ms/spin=500us",
    "browser": BROWSER,
    "post 1 KiB": POST,
    "16 pipelined": REQUEST % b"/" * 16,
}


@pytest.fixture
def connection() -> Connection:
    return Connection(Catalogue(RATES), Limits())


@pytest.mark.parametrize("data", REQUESTS.values(), ids=REQUESTS)
def test_a_request_to_its_exchange(
    benchmark: BenchmarkFixture, connection: Connection, data: bytes
) -> None:
    """From the bytes of one receive to what there is to do, for targets seen before."""
    exchanges: list[Exchange] = benchmark(lambda: list(connection.receive(data)))
    assert len(exchanges) == data.count(b" HTTP/1.1\r\n")
    assert all(exchange.reply.startswith(b"HTTP/1.1 200 OK\r\n") for exchange in exchanges)


def test_a_request_byte_by_byte(benchmark: BenchmarkFixture, connection: Connection) -> None:
    """What a trickling client costs: as many receives as the request has bytes."""
    pieces = [bytes([byte]) for byte in REQUEST % b"/"]
    exchanges = benchmark(lambda: [e for piece in pieces for e in connection.receive(piece)])
    assert len(exchanges) == 1


def test_the_reply_to_a_known_target(benchmark: BenchmarkFixture) -> None:
    """The reply is rendered once; then it is looked up."""
    catalogue = Catalogue(RATES)
    exchanges = benchmark(lambda: catalogue.exchanges(b"GET", b"/delay=20ms", KEEP))
    assert exchanges is catalogue.exchanges(b"GET", b"/delay=20ms", KEEP)


def test_the_reply_to_a_new_target(benchmark: BenchmarkFixture) -> None:
    """Parsing the steps and rendering the reply, for a target never asked before."""
    catalogue = Catalogue(RATES)
    targets = (b"/delay=%dus/spin=500us" % us for us in itertools.count(1))
    exchanges = benchmark(lambda: catalogue.exchanges(b"GET", next(targets), KEEP))
    assert [len(exchange.steps) for exchange in exchanges] == [2]
