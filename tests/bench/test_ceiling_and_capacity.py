"""`crossover doctor --generator` and `crossover capacity`, on real servers."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from servers.null_server import REPLY
from tests.clients.scripted import ScriptedServer, answer

ROOT = Path(__file__).parent.parent.parent


def crossover(*arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=ROOT
    )


def test_the_generators_own_figures_are_told_and_are_json() -> None:
    done = crossover("doctor", "--generator", "--seconds", "0.2", "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["ceiling_rps"] == pytest.approx(1e6 / told["cpu_us_per_request"])
    assert 0 < told["floor_ms"]["p50"] <= told["floor_ms"]["p99"]
    assert set(told["lateness_ms"]) == {"2000", "20000"}
    words = crossover("doctor", "--generator", "--seconds", "0.2").stdout
    for word in ("ceiling", "floor", "lateness"):
        assert word in words


FAST = ("--trial", "300ms", "--repeats", "0", "-c", "4", "--arrivals", "constant")


def test_the_capacity_of_a_model_is_near_what_its_wait_allows() -> None:
    """4 connections x 50 ms: no more than 80 req/s can be answered, and 40 can be in any case."""
    done = crossover(
        "capacity",
        "threaded",
        "--work",
        "/delay=50ms",
        "--slo",
        "p99<500ms",
        *FAST,
        "--json",
    )
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode in (0, 3), done.stderr
    assert told["limited_by"] in ("server", "generator")
    if told["limited_by"] == "server":
        assert told["capacity_rps"] < 100
    assert len(told["trials"]) >= 3
    assert "trial 1:" in done.stderr


def test_the_capacity_of_a_url_that_never_meets_it_is_none() -> None:
    with ScriptedServer(answer) as server:
        done = crossover("capacity", server.url, "--slo", "p50<1us", *FAST)
    assert done.returncode == 3
    assert done.stdout.startswith("no rate meets p50<1us") or "not known" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["asyncio", "--slo", "p99"], "--slo: 'p99' is not an expectation"),
        (["nonsense", "--slo", "p99<1s"], "'nonsense' is no model, stack or URL"),
        (["http://", "--slo", "p99<1s"], "it needs a host"),
        (["http://127.0.0.1:1/", "--slo", "p99<1s"], "cannot connect to http://127.0.0.1:1/"),
        (["asyncio", "--slo", "p99<1s", "-c", "0"], "--connections 0"),
        (["asyncio", "--slo", "p99<1s", "--arrivals", "bursty"], "--arrivals bursty"),
        (["asyncio", "--slo", "p99<1s", "--trial", "2"], "--trial"),
        (["asyncio", "--slo", "p99<1s", "--work", "delay"], "--work"),
        (["asyncio"], "Missing option '--slo'"),
        (["x=exit 3 {port}", "--slo", "p99<1s"], "x"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(arguments: list[str], words: str) -> None:
    done = crossover("capacity", *arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_null_server_answers_whatever_it_is_asked() -> None:
    command = [sys.executable, "-m", "servers.null_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=os.environ) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            with socket.create_connection(("127.0.0.1", ready["port"]), 10) as client:
                client.sendall(b"GET /what HTTP/1.1\r\nHost: h\r\n\r\n")
                assert client.recv(65_536) == REPLY
        finally:
            process.terminate()
    assert process.returncode == 0
