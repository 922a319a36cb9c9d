"""What a read costs: a model that fetches memory anew for each would look slow by bad luck."""

from pathlib import Path

import psutil
import pytest

from servers.models import MODELS
from tests.conftest import Server, StartServer
from tests.servers.wire import get

CONNECTIONS = 256
TURNS = 12
# One model at a time: asked before it has served anybody else, since its heap remembers that.
KEEPING_ALIVE = [
    name
    for name, model in MODELS.items()
    if not model.serves_one_at_a_time and not model.why_unavailable()
]


def page_faults(process: psutil.Process) -> int:
    """Pages that were mapped without reading a disk, of all its threads."""
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[7])


def ask_all(server: Server, turns: int) -> int:
    """So many requests on each connection, all at once; how many page faults they took."""
    before = sum(map(page_faults, server.processes()))
    for _ in range(turns):
        for client in server.clients:
            client.sendall(get())
        for client in server.clients:
            assert client.recv(65536).endswith(b"done\n")
    return sum(map(page_faults, server.processes())) - before


@pytest.mark.parametrize("model", KEEPING_ALIVE)
def test_reading_fetches_no_memory_anew(start_server: StartServer, model: str) -> None:
    server = start_server(model)
    for _ in range(CONNECTIONS):
        server.connect()
    ask_all(server, TURNS)  # stacks and buffers that stay
    assert ask_all(server, TURNS) < 0.5 * CONNECTIONS * TURNS
