"""Models that the loop calls back: what streams and tasks do by themselves is theirs to do."""

import contextlib
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT, StartServer
from tests.servers.wire import get, read_exactly, reply

CALLED_BACK = ["asyncio-protocol", "uvloop-protocol", "asyncio-threads", "twisted"]
MIB = 1 << 20


@pytest.mark.parametrize("model", CALLED_BACK)
def test_what_comes_during_the_work_is_left_to_the_network(
    start_server: StartServer, model: str
) -> None:
    """While a request waits, no more than the buffers hold is taken; then all is answered."""
    server = start_server(model)
    ask, answer = get("/", "X: " + "x" * 8000), reply()
    with server.connect() as client:
        client.sendall(get())
        assert read_exactly(client, len(answer)) == answer
        before_bytes = server.memory_bytes()
        client.sendall(get("/delay=1s"))
        time.sleep(0.1)  # lets it begin
        client.setblocking(False)
        sent, flood = 0, ask * 1000
        until_s = time.monotonic() + 0.5
        while time.monotonic() < until_s and sent < 64 * MIB:
            with contextlib.suppress(BlockingIOError):
                sent += client.send(flood[sent % len(ask) :])
        assert sent < 32 * MIB
        assert server.memory_bytes() - before_bytes < 4 * MIB
        client.settimeout(10)
        whole = sent // len(ask)
        assert read_exactly(client, len(answer) * (1 + whole)) == answer * (1 + whole)


def test_every_request_is_carried_out_in_a_thread(start_server: StartServer) -> None:
    """Even one that asks for nothing: as many at once take as many threads."""
    server = start_server("asyncio-threads", "--workers", "3")
    before = server.threads()
    for count in range(1, 6):
        with server.connect() as client:
            client.sendall(get())
            assert read_exactly(client, len(reply())) == reply()
        if count == 1:
            assert server.threads() == before + 1
    clients = [server.connect() for _ in range(5)]
    for client in clients:
        client.sendall(get("/delay=50ms"))
    for client in clients:
        assert read_exactly(client, len(reply())) == reply()
    assert server.threads() == before + 3


def test_no_reactor_is_made_before_the_processes_are() -> None:
    """Each has its own: they would share the descriptor on which a reactor waits."""
    loaded = (
        "import servers.twisted_protocol, sys; print('twisted.internet.reactor' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
