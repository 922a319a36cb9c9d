"""Every model can be asked to write down what each of its steps did and when."""

import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from servers.core.compute import Rates
from servers.core.trace import Trace
from servers.core.work import parse
from servers.models import Model
from tests.conftest import Server, StartServer
from tests.servers.wire import get, read_to_end

WITH_TWO_WORKERS = True
COMPUTED = ("spin", "hash")

Lines = list[dict[str, Any]]


@pytest.fixture
def trace_of(tmp_path: Path, start_server: StartServer) -> Callable[..., Lines]:
    """What a model has written when each of some paths was asked for, all at once."""

    def ask(model: Model, *paths: str) -> Lines:
        file = tmp_path / "steps.jsonl"
        server: Server = start_server(model, "--trace", str(file))
        clients = [server.connect() for _ in paths]
        for client, path in zip(clients, paths, strict=True):
            client.sendall(get(path, "Connection: close"))
        for client in clients:
            assert read_to_end(client).startswith(b"HTTP/1.1 200 OK")
        server.ask_to_stop()
        assert server.wait() == 0
        return [json.loads(line) for line in file.read_text().splitlines()]

    return ask


def test_each_delay_is_traced_once_with_what_it_really_took(
    model: Model, trace_of: Callable[..., Lines]
) -> None:
    lines = trace_of(model, *["/delay=20ms/spin=1ms/delay=20ms"] * 5)
    assert Counter(line["step"] for line in lines) == {"delay": 10, "spin": 5}
    delays = [line for line in lines if line["step"] == "delay"]
    late_ns = sorted(line["ended_ns"] - line["began_ns"] - 20_000_000 for line in delays)
    assert late_ns[0] > -2_000_000
    assert {line["asked_s"] for line in delays} == {0.02}


def test_the_steps_of_a_task_are_in_order_and_so_are_their_pieces(
    model: Model, trace_of: Callable[..., Lines]
) -> None:
    paths = [f"/delay={n}ms/spin=2ms/block=5ms/hash=1ms/hold=1ms" for n in (5, 6, 7)]
    lines = trace_of(model, *paths)
    assert {line["target"] for line in lines} == set(paths)
    for path in paths:
        mine = [line for line in lines if line["target"] == path]
        assert [line["step"] for line in mine] == ["delay", "spin", "block", "hash", "hold"]
        assert len({(line["pid"], line["exchange"], line["thread"]) for line in mine}) == 1
        for line, following in pairwise(mine):
            assert line["began_ns"] <= line["ended_ns"] <= following["began_ns"]
        for line in mine:
            moments = [moment for piece in line["pieces"] for moment in piece[1:3]]
            assert [line["began_ns"], *moments, line["ended_ns"]] == sorted(
                [line["began_ns"], *moments, line["ended_ns"]]
            )
            assert all(piece[0] == line["thread"] for piece in line["pieces"])
            assert bool(line["pieces"]) or line["step"] in ("delay", "hold")


def test_pieces_say_whether_a_wait_took_its_thread(
    model: Model, trace_of: Callable[..., Lines]
) -> None:
    """An event loop sets a timer and does something else; what runs in threads sleeps in one."""
    (delay,) = trace_of(model, "/delay=5ms")
    in_a_thread = model.family == "sync" or model.name == "asyncio-threads"
    assert bool(delay["pieces"]) == in_a_thread


def test_each_piece_of_a_reply_that_drips_waits_once(
    model: Model, trace_of: Callable[..., Lines]
) -> None:
    lines = trace_of(model, "/spin=1ms/body=10/drip=4x2ms")
    assert [line["step"] for line in lines] == ["spin", "delay", "delay"]
    assert len({line["exchange"] for line in lines}) == 3


def test_a_spin_is_cut_into_pieces_of_the_same_rounds_in_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At 10 rounds a microsecond 250 us are 2,500 rounds, and 100 us are 1,000."""
    computed: list[int] = []
    monkeypatch.setattr("servers.core.trace.spin", computed.append)
    rates = Rates(10.0, 1.0)
    for step in Trace(rates).watch(b"/", parse("/spin=250us", rates).steps):
        step.run()
    assert computed == [1000, 1000, 500]


def test_no_more_is_kept_than_memory_allows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("servers.core.trace.MOST_STEPS", 2)
    rates = Rates(1.0, 1.0)
    trace = Trace(rates)
    steps = trace.watch(b"/", parse("/delay=1ms", rates).steps)
    assert [len(list(steps)) for _ in range(3)] == [1, 1, 1]
    trace.append_to(tmp_path / "steps")
    trace.append_to(tmp_path / "steps")
    lines = [json.loads(line) for line in (tmp_path / "steps").read_text().splitlines()]
    assert [line["exchange"] for line in lines] == [1, 2, 1, 2]
