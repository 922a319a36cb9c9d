"""crossover predict: what the model of a run expects of loads that were not measured."""

from __future__ import annotations

import pytest
from model_vectors import LOOP, POOL
from synthetic import KEEP_ALIVE, write_run

from bench.analyse.model import Load, open_response_s, predict
from bench.cli import main
from bench.present.expected import COLUMNS, open_rows, rows

LOAD = Load(64, delay_s=0.02, waits=1)


def told(capfd, *words):
    """The lines that hold a target, as words."""
    assert main(["predict", *map(str, words)]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    lines = [line.split() for line in out.splitlines()]
    return [line for line in lines if len(line) > 3 and line[0] != "target"]


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path / "run", grids=[KEEP_ALIVE], old=False, rounds=2)


def test_every_target_at_every_number_of_connections(folder, capfd):
    lines = told(capfd, folder, "--work", "/delay=10ms/spin=1ms", "--connections", "4, 64")
    assert [(line[0], line[2]) for line in lines] == [
        (target, count)
        for target in ("threaded", "asyncio", "uvloop", "trio")
        for count in ("4", "64")
    ]
    # 1 ms of CPU each: at most 1,000 a second, and 4 that wait 10 ms too give about 4 / 11 ms.
    assert all(300 < float(line[3].replace(",", "")) < 370 for line in lines[::2])
    assert all(850 < float(line[3].replace(",", "")) < 1000 for line in lines[1::2])
    assert all("CPU" in line for line in lines[1::2])


def test_only_some_and_a_rate(folder, capfd):
    (line,) = told(capfd, folder, "--models", "trio", "--rate", "100", "--work", "/delay=50ms")
    assert line[:4] == ["trio", "keep-alive", "any", "100"]
    assert 50 < float(line[4]) < 52


def test_rows_say_what_the_model_says():
    (row,) = rows([LOOP], LOAD, [512])
    said = predict(LOOP, Load(512, delay_s=0.02, waits=1))
    assert len(row) == len(COLUMNS)
    assert row[:4] == ["asyncio", "keep-alive", "512", f"{said.throughput_rps:,.0f}"]
    assert row[6] == "beyond the 256 it was fitted to"
    assert rows([LOOP], LOAD, [64])[0][6] == ""


def test_a_rate_that_cannot_be_served_is_said():
    """64 threads and 20 ms: less than 3,200 a second."""
    (served,) = open_rows([POOL], LOAD, 1_000.0)
    assert served[4] == f"{1e3 * open_response_s(POOL, LOAD, 1_000.0):.1f} ms"
    (refused,) = open_rows([POOL], LOAD, 4_000.0)
    assert refused[3:] == ["less", "-", "", "cannot serve 4,000 a second"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--work", "/foo=1ms"], "--work: unknown step 'foo'"),
        (["--connections", "0"], "--connections: must be a whole number"),
        (["--connections", "many"], "--connections: must be a whole number"),
        (["--rate", "5", "--connections", "5"], "give --connections or --rate"),
        (["--models", "a,"], "--models 'a,': name targets"),
        (["--models", "nope"], "no model of nope: this run has threaded, asyncio, uvloop, trio"),
    ],
)
def test_wrong_use_is_told(folder, capfd, words, complaint):
    assert main(["predict", str(folder), *words]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(f"crossover predict: {complaint}")


def test_a_run_without_anything_to_fit_says_what_it_needs(tmp_path, capfd):
    folder = write_run(tmp_path, grids=[KEEP_ALIVE | {"delays_s": [0.005]}], rounds=2)
    assert main(["predict", str(folder)]) == 2
    assert "it needs some with no delay at all" in capfd.readouterr().err
