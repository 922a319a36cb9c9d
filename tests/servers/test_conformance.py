"""The same exchanges get byte-identical replies from every model, `Connection` header aside."""

import itertools
import re

import pytest

from servers.models import Model
from tests.conftest import Server
from tests.servers.exchanges import CASES, CLOSE, Case
from tests.servers.wire import get, read_exactly, reply, say

_CONNECTION = re.compile(rb"Connection: [a-z-]+\r\n")

WITH_TWO_WORKERS = True


def expected(case: Case, model: Model) -> bytes:
    """A model that serves one connection at a time ends it after its first reply."""
    if not model.serves_one_at_a_time:
        return b"".join(case.replies)
    head, end, body = case.replies[0].rpartition(b"\r\n\r\n")
    return _CONNECTION.sub(b"", head + b"\r\n")[:-2] + f"\r\n{CLOSE}".encode() + end + body


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_exchange_sent_whole(server: Server, model: Model, case: Case) -> None:
    assert say(server.connect(), [case.sent]) == expected(case, model)


@pytest.mark.parametrize(
    "case", [c for c in CASES if len(c.sent) < 300], ids=lambda case: case.name
)
def test_exchange_sent_byte_by_byte(server: Server, model: Model, case: Case) -> None:
    pieces = [case.sent[i : i + 1] for i in range(len(case.sent))]
    assert say(server.connect(), pieces) == expected(case, model)


def test_connection_is_kept_alive_unless_one_is_served_at_a_time(
    server: Server, model: Model
) -> None:
    with server.connect() as client:
        for _ in range(3):
            client.sendall(get())
            if model.serves_one_at_a_time:
                only = reply(200, b"done\n", CLOSE)
                assert read_exactly(client, len(only) + 1) == only
                break
            assert read_exactly(client, len(reply())) == reply()


def test_expect_gets_its_100_before_the_body_is_sent(server: Server) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    with server.connect() as client:
        client.sendall(get("/", "Content-Length: 3", "Expect: 100-continue", method="POST"))
        assert read_exactly(client, len(interim)) == interim
        client.sendall(b"abc")
        assert read_exactly(client, 15) == b"HTTP/1.1 200 OK"


def test_body_of_16_mib_arrives_whole(server: Server) -> None:
    received = say(server.connect(), [get("/body=16MiB")])
    assert received.partition(b"\r\n\r\n")[2] == b"x" * (16 << 20)


def test_request_cut_short_gets_no_reply(server: Server) -> None:
    assert say(server.connect(), [get()[:-2]]) == b""


def test_request_split_in_two_anywhere_gets_one_reply(server: Server, model: Model) -> None:
    case = Case("", get("/body=3"), (reply(200, b"xxx"),))
    for cut, _ in itertools.product(range(1, len(case.sent)), range(2)):
        received = say(server.connect(), [case.sent[:cut], case.sent[cut:]])
        assert received == expected(case, model)
