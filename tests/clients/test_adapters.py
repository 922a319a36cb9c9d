"""Other generators behind our own figures: what they print is read, and what is missing is told."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from clients.adapters.wrk import figures
from clients.errors import LoadError
from clients.verdict import ERROR_KINDS
from tests.clients.scripted import ScriptedServer, answer

WRK = """Running 2s test @ http://127.0.0.1:8000/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.25ms  150.21us   2.61ms   92.71%
    Req/Sec    51.13k     2.04k   53.22k    85.00%
  Latency Distribution
     50%    1.22ms
     75%    1.27ms
     90%    1.33ms
     99%  950.00us
  101721 requests in 2.00s, 6.60MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 21
Requests/sec:  50860.50
Transfer/sec:      3.30MB
"""


def test_what_wrk_prints_is_read_under_our_own_names() -> None:
    read = figures(WRK, cpu_s=1.0, lasted_s=2.0)
    assert (read["requests"], read["completions"], read["duration_s"]) == (101_721, 101_700, 2.0)
    assert read["throughput_rps"] == 50_850.0
    assert read["errors"] == dict.fromkeys(ERROR_KINDS, 0) | {
        "connect": 1, "reset": 5, "timeout": 4, "status": 21,
    }  # fmt: skip
    times = read["response_time_ms"]
    assert times.pop("p95") is times.pop("p999") is None, "it does not tell"
    assert times == pytest.approx(
        {"mean": 1.25, "p50": 1.22, "p90": 1.33, "p99": 0.95, "max": 2.61}
    )
    assert read["client_cpu_utilisation"] == 0.5
    assert read["client_cpu_us_per_request"] == pytest.approx(1e6 / 101_721)
    assert not read["valid"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clients", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_wrk_itself_loads_a_server_and_both_generators_agree_on_what_they_ask() -> None:
    with ScriptedServer(answer) as server:
        done = run(server.url + "a?b=c", "-c", "2", "-d", "1s", "--with", "wrk", "--json")
        asked_by_wrk = server.requests[-1].split(b"\r\n")[0]
        posted = run(server.url, "-X", "OPTIONS", "-d", "1s", "--with", "wrk")
        posted_by_wrk = server.requests[-1].split(b"\r\n")[0]
    read: dict[str, Any] = json.loads(done.stdout)
    assert read["completions"] > 0
    assert read["response_time_ms"]["p50"] > 0
    assert asked_by_wrk == b"GET /a?b=c HTTP/1.1"
    assert posted.returncode == 0, posted.stderr
    assert posted_by_wrk == b"OPTIONS / HTTP/1.1"


@pytest.mark.skipif(shutil.which("wrk2") is not None, reason="wrk2 is installed")
def test_a_generator_that_is_missing_is_told_in_a_line() -> None:
    done = run("http://127.0.0.1:1/", "-r", "10", "--with", "wrk2")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "crossover load: wrk2 is not installed, so this cross-check is left out\n"
    )


def test_what_another_generator_cannot_do_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from clients.adapters import wrk
    from clients.arguments import load_of, parse

    monkeypatch.setattr(wrk, "_find", lambda name: name)
    for name, flags, words in (
        ("wrk", ["-r", "10"], "wrk has no open loop"),
        ("wrk2", [], "wrk2 has an open loop only"),
        ("wrk2", ["-r", "10", "--arrivals", "poisson"], "wrk2 knows a constant rate only"),
    ):
        load = load_of(parse(["http://h/", *flags]))
        with pytest.raises(LoadError, match=words):
            wrk.run_adapter(name, load)
