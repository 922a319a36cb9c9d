"""What `crossover load` leaves: rows for every second, files, figures, exit codes."""

import contextlib
import csv
import json
import os
import pty
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.schedule import Schedule
from tests.clients.scripted import OK, ScriptedServer, Turn, answer

COMMAND = [sys.executable, "-m", "clients"]


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(answer) as running:
        yield running


def load(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


def figures(*arguments: str | Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(load(*arguments, "--json").stdout)
    return result


def test_every_second_has_a_row_and_the_rows_add_up(server: ScriptedServer, tmp_path: Path) -> None:
    file = tmp_path / "seconds.csv"
    result = figures(server.url, "-r", "200", "-d", "3s", "--warm-up", "0s", "--csv", file)
    rows = result["timeline"]
    assert [row["second"] for row in rows] == list(range(len(rows)))
    assert len(rows) >= 2
    replies = sum(row["throughput_rps"] * row["length_s"] for row in rows)
    assert replies == pytest.approx(200 * sum(row["length_s"] for row in rows), rel=0.2)
    assert all(row["p50_ms"] <= row["p99_ms"] <= row["max_ms"] for row in rows)
    with file.open() as written:
        assert [int(row["second"]) for row in csv.DictReader(written)] == list(range(len(rows)))


def test_the_seconds_of_several_processes_are_one_row_each(server: ScriptedServer) -> None:
    result = figures(
        server.url, "-r", "300", "--arrivals", "poisson", "-d", "3s", "--warm-up", "0s",
        "--processes", "2", "-c", "8",
    )  # fmt: skip
    schedule = Schedule(((300, 3600.0),), "poisson")
    expected = len(list(takewhile(lambda at: at < 3_000_000_000, schedule.offsets_ns())))
    assert result["scheduled"] == expected
    assert [row["second"] for row in result["timeline"]] == list(range(len(result["timeline"])))
    assert sum(row["sent_rps"] * row["length_s"] for row in result["timeline"]) > expected / 2


def test_steps_of_the_rate_last_as_long_as_they_say(server: ScriptedServer) -> None:
    result = figures(server.url, "-r", "50:1s,200:1s", "--warm-up", "0s")
    assert result["scheduled"] == 250
    assert result["duration_s"] == pytest.approx(2.0, abs=0.5)


def test_percentiles_are_written_for_hdr_histograms_own_tools(
    server: ScriptedServer, tmp_path: Path
) -> None:
    file = tmp_path / "times.hgrm"
    result = figures(server.url, "-c", "2", "-d", "300ms", "--hgrm", file)
    lines = file.read_text().splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    summary = " ".join(lines[-3:])
    assert f"Total count    = {result['completions']:>12}"[-12:].strip() in summary


def test_the_clocks_of_every_request_are_kept_where_asked_for(
    server: ScriptedServer, tmp_path: Path
) -> None:
    file = tmp_path / "all.npz"
    result = figures(
        server.url, "-r", "100", "-d", "1s", "--samples", file, "--processes", "2", "-c", "8"
    )
    with np.load(file) as samples:
        assert len(samples["intended_ns"]) == result["scheduled"]
        assert not samples["outcome"].any()
        assert samples["outcomes"][0] == "correct"
        assert (np.diff(samples["intended_ns"]) == 10_000_000).all(), "the shards' in one order"
        for earlier, later in (("intended_ns", "sent_ns"), ("sent_ns", "first_byte_ns"),
                               ("first_byte_ns", "done_ns")):  # fmt: skip
            assert (samples[earlier] <= samples[later]).all()
        response_ms = (samples["done_ns"] - samples["intended_ns"]).max() / 1e6
    assert result["response_time_ms"]["max"] == pytest.approx(response_ms)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_figure_is_drawn(server: ScriptedServer, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"load.{ending}"
    load(server.url, "-r", "100", "-d", "1200ms", "--warm-up", "0s", "--plot", file)
    assert file.read_bytes()[:5] == {"png": b"\x89PNG\r", "svg": b"<?xml"}[ending]


def test_a_figure_of_an_unknown_kind_is_wrong_use(server: ScriptedServer, tmp_path: Path) -> None:
    result = load(server.url, "-d", "50ms", "--plot", tmp_path / "load.nonsense")
    assert result.returncode == 2
    assert "cannot draw" in result.stderr
    assert "Traceback" not in result.stderr


# On a terminal


def test_seconds_are_shown_as_they_come_on_a_terminal_only(server: ScriptedServer) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, server.url, "-d", "2s", "--json"], stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    with process:
        while select.select([ours], [], [], 20)[0]:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
        output = process.communicate()[0]
    os.close(ours)
    assert b"req/s" in shown
    assert b"s left" in shown
    assert json.loads(output)["completions"] > 0
    assert load(server.url, "-d", "1100ms").stderr == ""


# Requests


def test_method_headers_and_body_are_sent_as_given(tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"x" * 7)
    seen: list[bytes] = []

    def take(turn: Turn) -> None:
        seen.append(turn.request)
        turn.finish(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    with ScriptedServer(take) as server:
        load(
            server.url, "-X", "DELETE", "-H", "X-Name: a b", "-H", "Host: elsewhere", "-d", "50ms"
        )  # fmt: skip
    head = seen[0].split(b"\r\n")
    assert head[0] == b"DELETE / HTTP/1.1"
    assert b"X-Name: a b" in head
    assert [line for line in head if line.startswith(b"Host:")] == [b"Host: elsewhere"]


@pytest.mark.parametrize(
    ("flags", "reply", "kind"),
    [
        (["--status", "201"], OK, "status"),
        (["--contains", "yes"], OK, "body"),
        (["--length", "3"], OK, "body"),
    ],
)
def test_a_reply_that_fails_a_check_is_an_error(flags: list[str], reply: bytes, kind: str) -> None:
    with ScriptedServer(lambda turn: turn.send(reply)) as server:
        result = figures(server.url, "-d", "50ms", *flags)
    assert result["errors"][kind] > 0
    assert result["completions"] == 0


@pytest.mark.parametrize(
    "flags", [["--status", "200"], ["--contains", "k"], ["--length", "2"]], ids=" ".join
)
def test_a_reply_that_meets_its_checks_is_right(server: ScriptedServer, flags: list[str]) -> None:
    result = figures(server.url, "-d", "50ms", *flags)
    assert not any(result["errors"].values())
    assert result["completions"] > 0


def test_a_body_that_only_sometimes_contains_the_text_is_looked_at_each_time() -> None:
    """Head and size are the same, so only the bytes tell."""
    with ScriptedServer(
        lambda turn: turn.send(OK if turn.number % 2 else OK.replace(b"ok", b"no"))
    ) as server:
        result = figures(server.url, "-d", "100ms", "--contains", "ok")
    assert result["errors"]["body"] == pytest.approx(result["requests"] / 2, abs=2)


@pytest.mark.parametrize("rate", [[], ["-r", "40", "--warm-up", "0s"]], ids=["closed", "open"])
def test_a_reply_before_the_whole_request_ends_its_connection(
    tmp_path: Path, rate: list[str]
) -> None:
    """The server answers at the head and takes the body afterwards: no request may begin in it."""
    body = tmp_path / "body"
    body.write_bytes(b"b" * 30_000_000)
    seen: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            data = sock.recv(65_536)
            sock.sendall(OK)
            time.sleep(0.01)
            while data:
                seen.append(data)
                data = sock.recv(65_536)

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        result = figures(url, "-X", "POST", "--body", f"@{body}", "-c", "2", "-d", "500ms", *rate)
        listener.shutdown(socket.SHUT_RDWR)
    assert result["completions"] > 2, result
    assert not any(b"POST" in data for data in seen if not data.startswith(b"POST"))


@pytest.mark.parametrize("flags", [["--json"], []], ids=["json", "words"])
def test_output_that_cannot_be_written_is_one_line(
    server: ScriptedServer, flags: list[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, server.url, "-d", "50ms", *flags],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "crossover load: cannot write the output: No space left on device\n"


def test_figures_are_printed_though_a_file_cannot_be_written(server: ScriptedServer) -> None:
    done = load(server.url, "-d", "50ms", "--csv", "/dev/full")
    assert done.returncode == 2
    assert "throughput" in done.stdout
    assert "cannot write /dev/full" in done.stderr


def test_no_second_is_a_sliver(server: ScriptedServer) -> None:
    for row in figures(server.url, "-d", "1s")["timeline"]:
        assert row["length_s"] >= 0.5


def test_lower_bounds_are_in_the_percentiles_that_are_written(tmp_path: Path) -> None:
    file = tmp_path / "x.hgrm"
    with ScriptedServer(lambda turn: turn.send() if turn.number < 20 else turn.stall()) as slow:
        result = figures(
            slow.url, "-r", "100", "-d", "500ms", "--warm-up", "0s", "-c", "2", "--hgrm", file
        )
    text = file.read_text()
    assert result["censored"] > 0
    assert f"#[{result['censored']} of these are lower bounds" in text
    assert f"TotalCount     = {result['scheduled']:12.3f}]" in text
    assert result["lateness_at_least"]


# Exit codes


def test_errors_that_are_expected_are_no_reason_against_a_measurement() -> None:
    with ScriptedServer(
        lambda turn: turn.send(OK if turn.number % 50 else OK.replace(b"200", b"500"))
    ) as server:
        flags = ("-d", "300ms", "-c", "2", "--json")
        accepted = json.loads(load(server.url, *flags, "--expect", "errors<10%").stdout)
        refused = json.loads(load(server.url, *flags).stdout)
    assert not [each for each in accepted["invalid_reasons"] if each.startswith("errors")]
    assert [each for each in refused["invalid_reasons"] if each.startswith("errors")]


def test_an_expectation_that_fails_is_exit_code_1_and_told(server: ScriptedServer) -> None:
    good = load(server.url, "-d", "200ms", "--expect", "p99<20s", "--expect", "errors==0")
    assert good.returncode in (0, 3), "3 where the machine was too busy to measure"
    bad = load(server.url, "-d", "200ms", "--expect", "throughput>10000000")
    assert bad.returncode in (1, 3)
    assert "failed: throughput>10000000: it is" in bad.stdout


def test_errors_fail_an_expectation_though_the_measurement_is_invalid() -> None:
    with ScriptedServer(lambda turn: turn.send(OK.replace(b"200", b"500"))) as server:
        result = load(server.url, "-d", "50ms", "--expect", "errors==0")
    assert result.returncode == 1
    assert "failed: errors==0" in result.stdout


def test_times_that_cannot_be_believed_fail_no_expectation() -> None:
    with ScriptedServer(
        lambda turn: turn.send() if turn.number % 2 else turn.send(OK.replace(b"200", b"500"))
    ) as server:
        result = load(server.url, "-d", "50ms", "--expect", "p99<1us")
    assert result.returncode == 3


# Starvation


def pinned(turn: Turn) -> None:
    if turn.connection <= 3:  # the first is only to see whether the server is there
        turn.send()
    else:
        turn.stall()


def test_connections_that_a_server_lets_wait_for_ever_are_named() -> None:
    """Two threads, each of which stays with its connection: the other six get nothing."""
    with ScriptedServer(pinned) as server:
        result = load(server.url, "-c", "8", "-d", "200ms", "--timeout", "60s")
    assert result.returncode == 3
    assert "6 of 8 connections were served nothing" in result.stdout
    assert "the connections were served unequally" in result.stdout
    assert "starved        6 connections: number 2, 3, 4, 5, 6, 7" in result.stdout
