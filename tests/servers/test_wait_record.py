"""Every model can be asked to write down how long its delays really took."""

import json
from pathlib import Path

from servers.models import Model
from tests.conftest import StartServer
from tests.servers.wire import get, read_to_end


def test_each_delay_is_recorded_once_with_its_oversleep(
    model: Model, start_server: StartServer, tmp_path: Path
) -> None:
    file = tmp_path / "waits.json"
    flags = ("--workers", "1") if model.workers_are == "processes" else ()
    server = start_server(model.name, *flags, "--record-waits", str(file))
    for _ in range(5):
        with server.connect() as client:
            client.sendall(get("/delay=20ms/spin=1ms/delay=20ms", "Connection: close"))
            assert read_to_end(client).startswith(b"HTTP/1.1 200 OK")
    server.ask_to_stop()
    assert server.wait() == 0
    recorded = json.loads(file.read_text())
    assert recorded["asked_s"] == [0.02]
    assert len(recorded["oversleep_ns"]) == 10
    assert all(late_ns > -2_000_000 for late_ns in recorded["oversleep_ns"])
    assert sorted(recorded["oversleep_ns"])[5] < 20_000_000
