"""`python -m clients` as a user and as the harness runs it: output, exit codes, messages."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from clients.__main__ import main
from clients.arguments import parse_duration_s
from clients.batch import load_from
from clients.sample import decode_histogram
from tests.clients.scripted import OK, ScriptedServer, Turn
from tests.conftest import complaints

# Where tests run in the background, their children would ignore interrupts too.
COMMAND = ["env", "--default-signal=INT", sys.executable, "-m", "clients"]
FIGURES = {
    "requests", "served", "completions", "errors", "warmup_s", "settled", "duration_s",
    "throughput_rps",
    "offered_rps", "sent_rps", "response_time_ms", "service_time_ms", "lateness_ms",
    "first_byte_ms", "connect_time_ms", "at_least", "latency_at_least", "in_flight_mean",
    "little_ratio", "bound_ratio", "fairness_jain", "connections_opened", "connections_unserved",
    "connections_starved", "client_cpu_us_per_request", "client_cpu_utilisation",
    "client_waited_for_cpu", "client_peak_rss_bytes", "censored", "owed", "valid",
    "invalid_reasons", "generator_at_fault",
}  # fmt: skip


def patient(turn: Turn) -> None:
    turn.wait(0.010)
    turn.send()


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    """Answers every request correctly after 10 ms."""
    with ScriptedServer(patient) as running:
        yield running


def load(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


# One URL


def test_a_valid_measurement_is_one_json_object_and_exit_code_0(server: ScriptedServer) -> None:
    result = load(server.url, "-c", "2", "-d", "1s", "--delay", "10ms", "--json")
    figures = json.loads(result.stdout)
    assert (complaints(figures), result.stderr) == ([], "")
    assert result.returncode == (0 if figures["valid"] else 3)
    assert result.stdout.count("\n") == 1
    assert set(figures) == {*FIGURES, "timeline", "failed"}
    assert set(figures["errors"]) == {"connect", "timeout", "reset", "protocol", "status", "body"}
    times = figures["response_time_ms"]
    assert list(times) == ["mean", "p50", "p90", "p95", "p99", "p999", "max"]
    assert times["p50"] >= 10
    assert figures["duration_s"] >= 1
    assert figures["throughput_rps"] <= 2 / 0.010 * 1.02


def test_a_measurement_that_cannot_be_believed_is_exit_code_3() -> None:
    with ScriptedServer(lambda turn: turn.send(OK.replace(b"200", b"404"))) as wrong:
        result = load(wrong.url, "-d", "50ms", "--json")
    figures = json.loads(result.stdout)
    assert (result.returncode, figures["valid"]) == (3, False)
    assert figures["invalid_reasons"][0] == "no request completed in the measured window"
    assert figures["throughput_rps"] == 0
    assert figures["errors"]["status"] > 0


def test_without_json_the_figures_are_told_in_words(server: ScriptedServer) -> None:
    result = load(server.url, "-d", "50ms")
    assert result.stdout.startswith("closed loop, 1 connection, keep-alive, 0.")
    for words in ("throughput", "response time", "p99", "errors         none", "generator"):
        assert words in result.stdout


def test_errors_and_reasons_are_told_in_words_too() -> None:
    with ScriptedServer(lambda turn: turn.send(OK if turn.number % 9 else b"?")) as wrong:
        result = load(wrong.url, "-d", "50ms", "--close")
    assert result.returncode == 3
    assert result.stdout.startswith("closed loop, 1 connection, one request each, 0.")
    assert "not valid: errors: " in result.stdout
    assert " protocol" in result.stdout


URL = "http://127.0.0.1:1/"
BAD_USE = {
    "no URL": ([], "give the URL to load"),
    "a URL that is none": (["https://h/"], "only http:// is supported"),
    "an unknown flag": (["--nonsense", URL], "unrecognized arguments: --nonsense"),
    "a shortened flag": (["--conn=2", URL], "unrecognized arguments: --conn=2"),
    "no connections": (["-c", "0", URL], "'0' is not a whole number from 1 to 1000000"),
    "connections in words": (["-c", "two", URL], "'two' is not a whole number"),
    "connections in other digits": (["-c", "\u0663", URL], "is not a whole number"),
    "too many connections": (["-c", "1000001", URL], "'1000001' is not a whole number"),
    "a duration without unit": (["-d", "10", URL], "'10' is not a duration: use for example"),
    "a duration below nothing": (["-d=-1s", URL], "'-1s' is not a duration"),
    "a duration of nothing": (["-d", "0s", URL], "--duration must be more than nothing"),
    "a duration beyond a day": (["-d", "1441m", URL], "'1441m' is longer than a day"),
    "a duration beyond floats": (["-d", "9" * 400 + "s", URL], "is longer than a day"),
    "a timeout in words": (["--timeout", "soon", URL], "'soon' is not a duration"),
    "a timeout of nothing": (["--timeout", "0s", URL], "--timeout must be more than nothing"),
    "a connect timeout of nothing": (
        ["--connect-timeout", "0s", URL],
        "--connect-timeout must be more than nothing",
    ),
    "no method": (["--method", "G ET", URL], "cannot use the method 'G ET'"),
    "no header": (["-H", "X", URL], "cannot use the header 'X': write it as 'Name: value'"),
    "a header of ours": (["-H", "Connection: close", URL], "the generator sets it itself"),
    "a header that injects": (["-H", "X: a\r\nY: b", URL], "cannot use the header"),
    "no such body": (["--body", "@/nowhere", URL], "cannot read the body from /nowhere"),
    "no distribution": (["http://h/delay=~gauss(1ms)"], "'~gauss(1ms)' is not a distribution"),
    "no rate": (["-r", "0", URL], "'0' is not a rate"),
    "steps without times": (["-r", "10,20", URL], "every step needs its time"),
    "poisson in a closed loop": (["--arrivals", "poisson", URL], "--arrivals is of an open loop"),
    "too many processes": (["--processes", "2", URL], "--processes 2 is too many"),
    "no expectation": (["--expect", "p98<5ms", URL], "cannot expect anything of 'p98'"),
    "an unwritable file": (["--csv", "/nowhere/x.csv", URL], "cannot write /nowhere/x.csv"),
    "two URLs": ([URL, URL], f"unrecognized arguments: {URL}"),
    "a host that cannot exist": (["http://a..b/"], "cannot find the host 'a..b'"),
}


@pytest.mark.parametrize(("arguments", "words"), BAD_USE.values(), ids=BAD_USE)
def test_wrong_use_is_one_line_that_says_what_and_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:  # argparse exits, the rest returns
        sys.exit(main(arguments))
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    assert printed.err.startswith("crossover load: ")
    assert words in printed.err
    assert printed.err.count("\n") == 1


def test_wrong_use_of_the_command_itself_is_one_line_without_a_traceback() -> None:
    result = load("-c", "0", "http://h/")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "crossover load: argument -c/--connections: '0' is not a whole number from 1 to 1000000 "
        "(see --help)\n"
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("10s", 10.0), ("1.5s", 1.5), ("2m", 120.0), ("500us", 0.0005), ("0s", 0.0)],
)
def test_durations_have_units(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds)


def test_an_interrupt_ends_a_batch_quietly(server: ScriptedServer) -> None:
    seen = len(server.requests)
    with start("--batch") as process:
        load = {"url": server.url, "connections": 1, "window_s": 60.0}
        ask(process, {"open": "a", "load": load})
        give(process, {"burst": "a"})
        assert server.wait_for(lambda: len(server.requests) > seen)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (130, "", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "2"],
        ["-c", "2", "--processes", "2"],
        ["-r", "50", "--warm-up", "0s", "--processes", "2"],
    ],
    ids=["closed loop", "two processes", "open loop of two processes"],
)
def test_an_interrupt_ends_the_window_and_nothing_measured_is_lost(
    arguments: list[str], server: ScriptedServer
) -> None:
    seen = len(server.requests)
    with start(*arguments, "-d", "60s", "--json", server.url) as process:
        assert server.wait_for(lambda: len(server.requests) > seen + 20)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "")
    figures = json.loads(output)
    assert figures["interrupted"] is True
    assert figures["completions"] > 0
    assert figures["duration_s"] < 30


# Batch mode


def start(*arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def give(process: subprocess.Popen[str], order: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()


def ask(process: subprocess.Popen[str], order: dict[str, Any]) -> dict[str, Any]:
    give(process, order)
    return hear(process)


def hear(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def measure(process: subprocess.Popen[str], load: dict[str, Any]) -> dict[str, Any]:
    """One slice by itself, released at the end."""
    for order in ({"open": "one", "load": load}, {"burst": "one"}):
        assert ask(process, order) == {}
    figures = ask(process, {"finish": "one"})
    assert ask(process, {"release": True}) == {}
    return figures


@pytest.fixture
def batch() -> Iterator[subprocess.Popen[str]]:
    """A generator in batch mode; its input must end it, with exit code 0 and no complaint."""
    process = start("--batch")
    with process:
        yield process
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_a_batch_answers_with_figures_and_histograms(
    batch: subprocess.Popen[str], server: ScriptedServer
) -> None:
    for connections in (1, 3):
        order = {"url": server.url, "connections": connections, "completions_wanted": 30}
        figures = measure(batch, order)
        assert set(figures) == FIGURES | {"response_time_hist", "service_time_hist"}
        histogram = decode_histogram(figures["response_time_hist"])
        assert histogram.get_total_count() == figures["completions"] >= 30


def test_a_batch_measures_the_processes_that_it_is_told_to_watch(
    batch: subprocess.Popen[str], server: ScriptedServer
) -> None:
    order = {"url": server.url, "connections": 1, "watched_pids": [os.getpid()]}
    figures = measure(batch, order)
    assert figures["server_cpu_us_per_request"] > 0
    assert figures["server_cpu_utilisation"] > 0


def test_a_batch_measures_an_upstream_by_the_call(
    batch: subprocess.Popen[str], server: ScriptedServer
) -> None:
    order = {"url": server.url, "connections": 1, "upstream_pids": [os.getpid()]}
    figures = measure(batch, {**order, "calls_per_request": 2})
    used = figures["upstream_cpu_us_per_call"] * 2 * figures["completions"]
    assert used == pytest.approx(
        figures["upstream_cpu_utilisation"] * figures["duration_s"] * 1e6, rel=1e-6
    )
    assert used > 0


def test_a_batch_checks_bodies(batch: subprocess.Popen[str], server: ScriptedServer) -> None:
    order = {"url": server.url, "connections": 1, "window_limit_s": 0.3}
    assert measure(batch, {**order, "body": "ok"})["errors"]["body"] == 0
    assert measure(batch, {**order, "body": "no"})["errors"]["body"] > 0


def test_a_batch_checks_bodies_that_are_no_text(batch: subprocess.Popen[str]) -> None:
    """Bytes come as Latin-1, which has a character for each."""
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\x00"
    with ScriptedServer(lambda turn: turn.send(reply)) as server:
        order = {"url": server.url, "connections": 1, "window_limit_s": 0.3}
        assert measure(batch, {**order, "body": "\xff\x00"})["errors"]["body"] == 0
        assert measure(batch, {**order, "body": "\xfe\x00"})["errors"]["body"] > 0


def test_connections_of_a_batch_stay_open_until_they_are_released(
    batch: subprocess.Popen[str],
) -> None:
    with ScriptedServer(patient) as server:
        for name in ("a", "b"):
            ask(batch, {"open": name, "load": {"url": server.url, "connections": 2}})
            ask(batch, {"burst": name})
        assert (server.accepted, server.ended) == (4, 0)
        assert ask(batch, {"release": True}) == {}
        assert server.wait_for(lambda: server.ended == 4)


def test_slices_of_a_batch_take_turns(batch: subprocess.Popen[str], server: ScriptedServer) -> None:
    """2 bursts of 10 completions each on either: 20 in all, wherever the other came between."""
    load = {"url": server.url, "connections": 1, "window_s": 0.02, "bursts": 2}
    for name in ("a", "b"):
        ask(batch, {"open": name, "load": {**load, "completions_wanted": 20}})
    for name in ("a", "b", "b", "a"):
        assert ask(batch, {"burst": name}) == {}
    for name in ("a", "b"):
        figures = ask(batch, {"finish": name})
        assert figures["completions"] >= 20
        assert figures["duration_s"] >= 0.02
        assert complaints(figures) == []
    ask(batch, {"release": True})


def test_a_batch_that_meets_others_loads_until_all_are_as_far(
    batch: subprocess.Popen[str],
) -> None:
    """Before the window and after it: what is asked then is not of the window."""
    with ScriptedServer() as server:

        def is_loaded() -> bool:
            had = len(server.requests)
            return server.wait_for(lambda: len(server.requests) > had + 200)

        load = {"url": server.url, "connections": 2, "window_s": 0.02, "completions_wanted": 10}
        assert ask(batch, {"open": "a", "load": load}) == {}
        give(batch, {"meet": "a"})
        for reached in ("settled", "measured"):
            assert hear(batch) == {"reached": reached}
            assert is_loaded()
            give(batch, {"go_on": "a"})
        assert hear(batch) == {}
        asked = len(server.requests)
        figures = ask(batch, {"finish": "a"})
        assert 10 <= figures["completions"] <= asked - 400
        assert figures["served"] == asked
        assert len(server.requests) == asked  # quiet again


def test_a_meeting_that_nobody_comes_to_ends_with_the_input() -> None:
    with ScriptedServer() as server, start("--batch") as process:
        load = {"url": server.url, "connections": 1, "window_s": 0.02}
        assert ask(process, {"open": "a", "load": load}) == {}
        give(process, {"meet": "a"})
        assert hear(process) == {"reached": "settled"}
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert [json.loads(line) for line in output.splitlines()] == [{"reached": "measured"}, {}]


def test_only_a_closed_loop_meets_others(
    batch: subprocess.Popen[str], server: ScriptedServer
) -> None:
    schedule = {"steps": [[100, 0.1]]}
    load = {"url": server.url, "connections": 1, "window_s": 0.1, "schedule": schedule}
    assert ask(batch, {"open": "a", "load": load}) == {}
    assert "failed" in ask(batch, {"meet": "a"})
    assert ask(batch, {"release": True}) == {}


def test_a_slice_that_is_not_open_cannot_be_measured(batch: subprocess.Popen[str]) -> None:
    for order in ({"burst": "a"}, {"finish": "a"}, {"dance": "a"}):
        assert ask(batch, order) == {"failed": f"no slice is open for the order {order}"}


def test_what_cannot_be_measured_is_answered_and_the_batch_goes_on(
    batch: subprocess.Popen[str], server: ScriptedServer
) -> None:
    assert ask(batch, {"open": "a", "load": {"url": "https://h/", "connections": 1}}) == {
        "failed": "cannot use the URL 'https://h/': only http:// is supported"
    }
    assert measure(batch, {"url": server.url, "connections": 1})["completions"] > 0


def test_an_order_of_close_mode_asks_the_server_to_close() -> None:
    order = {"url": "http://h/", "connections": 2, "keep_alive": False}
    wanted = load_from(order)
    assert b"Connection: close" in wanted.request.payload
    assert (wanted.connections, wanted.keep_alive) == (2, False)
    assert order["url"] == "http://h/", "the order itself is left as it was"


def test_a_server_that_is_not_there_is_wrong_use() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    done = subprocess.run(
        [*COMMAND, f"http://127.0.0.1:{port}/", "-d", "100ms"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"crossover load: cannot connect to 127.0.0.1 port {port}: Connection refused; "
        "is the server running?\n"
    )
