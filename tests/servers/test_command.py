"""`python -m servers`: what it prints, and how it refuses."""

import json
import platform
import socket
import subprocess
import sys

import pytest

from servers.core.work import Kind
from servers.models import MODELS, Model, UnavailableError
from tests.conftest import ROOT, StartServer
from tests.servers.wire import get, reply, say


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "servers", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_list_describes_every_model() -> None:
    rows = {row["name"]: row for row in json.loads(run("--list").stdout)}
    assert list(rows) == list(MODELS)
    assert rows["uvloop"]["driver"] == rows["asyncio"]["driver"] == "servers.asyncio_streams"
    assert [name for name, row in rows.items() if row["serves_one_at_a_time"]] == [
        "blocking",
        "prefork",
    ]
    assert {row["family"] for row in rows.values()} == {"sync", "async"}
    assert all(row["available"] is (row["why_unavailable"] is None) for row in rows.values())


def test_calibration_is_a_plausible_rate() -> None:
    rates = json.loads(run("--calibrate").stdout)
    assert set(rates) == {"spin_rounds_per_us", "hash_rounds_per_us"}
    assert all(0.05 < rate < 1000 for rate in rates.values())


def test_ready_line_says_where_and_what(start_server: StartServer) -> None:
    server = start_server("threaded")
    assert server.ready["ready"] is True
    assert server.ready["host"] == "127.0.0.1"
    assert server.ready["pid"] == server.process.pid
    assert server.ready["model"] == "threaded"
    assert server.ready["workers"] == 1
    assert server.ready["python"] == platform.python_version()
    assert server.ready["implementation"] == platform.python_implementation()
    assert server.ready["gil"] is True


def test_ipv6(start_server: StartServer) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    server = start_server("asyncio", "--host", "::1")
    with socket.create_connection(("::1", server.port), 10) as client:
        assert say(client, [get()]) == reply()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), f"no model given; choose one of {', '.join(MODELS)}"),
        (
            ("nope",),
            f"unknown model 'nope'; choose one of {', '.join(MODELS)}",
        ),
        (
            ("trio", "--units", "0"),
            "argument --units: '0' is not a whole number from 1 to 999999999",
        ),
        (
            ("trio", "--workers", "10001"),
            "argument --workers: '10001' is not a whole number from 1 to 10000",
        ),
        (("trio", "--upstream", "9000"), "argument --upstream: '9000' is not HOST:PORT"),
        (
            ("trio", "--upstream", "x" * 300 + ":80"),
            f"argument --upstream: '{'x' * 300}:80' is not HOST:PORT",
        ),
        (
            ("prefork", "--upstream", "localhost:80", "--pool", "7"),
            "--pool 7 leaves none for some of 8 processes",
        ),
        (
            ("trio", "--trace", "/nowhere/x"),
            "cannot write /nowhere/x: No such file or directory",
        ),
        (
            ("trio", "--units", "x"),
            "argument --units: 'x' is not a whole number from 1 to 999999999",
        ),
        (("trio", "--port", "70000"), "argument --port: '70000' is not a port from 0 to 65535"),
        (
            ("trio", "--idle-timeout", "10"),
            "argument --idle-timeout: '10' is not a time: a number with us, ms or s, such as 20ms",
        ),
        (
            ("trio", "--write-timeout", "0s"),
            "argument --write-timeout: a timeout is longer than zero",
        ),
        (
            ("trio", "--spin-rounds-per-us", "nan"),
            "argument --spin-rounds-per-us: 'nan' is not a number of rounds per microsecond",
        ),
        (
            ("trio", "--port", "9" * 5000),
            f"argument --port: '{'9' * 5000}' is not a port from 0 to 65535",
        ),
        (("trio", "--host", "x" * 300), f"cannot listen on {'x' * 300} port 0: no such host"),
        (("trio", "--host", ""), "cannot listen on '' port 0: Name or service not known"),
        (("trio", "--nope"), "unrecognized arguments: --nope"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"crossover serve: {message}\n"


def test_port_in_use_is_one_line_and_status_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("blocking", "--port", str(port))
    assert done.returncode == 2
    assert done.stderr == (
        f"crossover serve: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
    )


@pytest.mark.parametrize("model", sorted(MODELS))
def test_too_few_file_descriptors_are_one_line_and_status_2(model: str) -> None:
    """An event loop takes up to 16 before it has served anybody."""
    command = ["bash", "-c", 'ulimit -n 16 && exec "$@"', "bash", sys.executable, "-m", "servers"]
    done = subprocess.run(
        [*command, model], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "crossover serve: too few file descriptors: 16, a server needs 32 (ulimit -n 32)\n"
    )


def test_descriptors_are_needed_for_every_worker() -> None:
    command = ["bash", "-c", 'ulimit -n 100 && exec "$@"', "bash", sys.executable, "-m", "servers"]
    done = subprocess.run(
        [*command, "prefork", "--workers", "10000"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "crossover serve: too few file descriptors: 100, a server needs 10016 (ulimit -n 10016)\n"
    )


def test_help_says_what_a_request_may_ask_for() -> None:
    shown = run("--help").stdout
    assert all(f"{kind.value}=T" in shown for kind in Kind)
    assert "body=N" in shown


def test_missing_library_disables_its_model_alone() -> None:
    model = Model("x", "async", "servers.trio_nursery", library="no_such_library")
    message = "model x needs no_such_library: pip install no_such_library"
    assert model.why_unavailable() == message
    with pytest.raises(UnavailableError, match=message):
        model.load()


def test_only_the_driver_asked_for_is_imported() -> None:
    loaded = "import servers.__main__, sys; print({'trio', 'uvloop', 'asyncio'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_every_row_of_the_table_is_listed_under_its_own_name() -> None:
    assert all(name == model.name for name, model in MODELS.items())
