"""Limits: which number holds connections up, at what throughput and from how many on."""

import pytest
from synthetic import KEEP_ALIVE, write_run
from truth import own

from bench.analyse.frames import cells_frame, trials_frame, with_limits
from bench.analyse.limits import count_of, limit
from bench.analyse.works import asked_s, in_order, kind_of
from bench.present.targets import limits_section, target_rows, workers_text
from bench.store import read_run

PLAIN = {"workers": None, "units": None, "server_cores": 1}
LOOP = {"family": "async", "kind": "driver", "workers": 1, "workers_are": "processes"}
POOL = {"family": "sync", "kind": "driver", "workers": 64, "workers_are": "threads"}
THREADED = {"family": "sync", "kind": "driver", "workers": 1, "workers_are": "processes"}
ONE = THREADED | {"serves_one_at_a_time": True}
FREE = {"python": {"gil": False}}


def point(work, delay_s, **more):
    return PLAIN | {"work": work, "delay_s": delay_s} | more


D20 = point("/delay=20ms", 0.02)
B20 = point("/block=20ms", 0.02)
MIXED = point("/block=5ms/delay=15ms", 0.02)
HELD = point("/hold=5ms/delay=20ms", 0.025)


@pytest.mark.parametrize(
    ("target", "where", "what", "rate_rps", "connections"),
    [
        (ONE, D20, "one request at a time", 50, 1),  # 1 / 20 ms
        (ONE | {"workers": 8}, D20, "8 processes, one request at a time each", 400, 8),
        (POOL, D20, "64 threads", 3200, 64),  # 64 / 20 ms
        (POOL, D20 | {"workers": 16}, "16 threads", 800, 16),  # the point's number goes first
        (THREADED | {"threads": 32}, D20, "32 threads", 1600, 32),
        (THREADED | {"threads": 32, "workers": 2}, D20, "2 processes x 32 threads", 3200, 64),
        (LOOP, B20, "1 loop that a blocking call stops", 50, 1),
        (LOOP, B20 | {"workers": 2}, "2 loops that a blocking call stops", 100, 2),
        (LOOP, MIXED, "1 loop that a blocking call stops", 200, 4),  # 1 / 5 ms; 200 x 20 ms
        (POOL | {"family": "async"}, B20, "64 threads", 3200, 64),  # blocks in its threads
        (LOOP, HELD, "1 unit", 200, 5),  # 1 / 5 ms; 200 x 25 ms
        (LOOP, HELD | {"units": 4}, "4 units", 800, 20),
        (POOL, HELD | {"units": 16}, "64 threads", 2560, 64),  # tighter than 16 / 5 ms
        (LOOP, point("/hash=2ms", 0.0), "1 server core", 500, 1),
        (LOOP, point("/hash=2ms", 0.0, server_cores=2), "2 server cores", 1000, 2),
        (LOOP, point("/spin=2ms", 0.0, server_cores=2), "1 interpreter lock", 500, 1),
        (LOOP | FREE, point("/spin=2ms", 0.0, server_cores=2), "2 server cores", 1000, 2),
        (POOL, point("/spin=2ms", 0.0, server_cores=2), "1 interpreter lock", 500, 1),
    ],
)
def test_the_tightest_number_is_named(target, where, what, rate_rps, connections):
    found = limit(target, where)
    assert found.what == what
    assert found.rate_rps == pytest.approx(rate_rps)
    assert found.connections == pytest.approx(connections)


@pytest.mark.parametrize(
    ("target", "where"),
    [
        (LOOP, D20),
        (THREADED, B20),  # a thread per connection
        ({}, D20),  # a run that says nothing of its targets
        (ONE, point("/", 0.0)),  # how long a request takes is not set by the work
        ({"family": "async", "kind": "command"}, B20),  # a user's server may block elsewhere
        ({"family": "async", "kind": "command"}, HELD),
        (POOL | {"path": "/index.html"}, D20),  # a path that is the same at every point
    ],
)
def test_where_no_number_is_known_nothing_is_claimed(target, where):
    assert limit(target, where) is None


def test_a_users_own_threads_are_a_limit_where_its_path_follows_the_work():
    mine = {"kind": "command", "threads": 10, "path": "/sleep?ms={delay_ms}"}
    assert limit(mine, D20).rate_rps == pytest.approx(500)


GRID = KEEP_ALIVE | {
    "targets": ["thread-pool", "asyncio-threads", "uvloop", "threaded"],
    "works": ["/delay=20ms", "/block=20ms", "/hold=5ms/delay=20ms"],
    "connections": [16, 256],
    "pairs": [],
}


def test_cells_have_their_limit_beside_what_was_measured(tmp_path):
    run = read_run(write_run(tmp_path, grids=[GRID], rounds=2, old=False))
    cells = with_limits(cells_frame(trials_frame(run)), run.info["targets"])
    rows = cells.set_index(["target", "work", "connections"])
    assert rows.loc["thread-pool", "/delay=20ms", 256]["limit_rps"] == 3200
    assert rows.loc["uvloop", "/delay=20ms", 256].isna()["limit_rps"]
    known = cells[cells["limit_rps"].notna()]
    assert (known["throughput_rps"] <= known["limit_rps"] * 1.02).all()


def test_words_name_the_number_and_share_it_between_targets(tmp_path):
    run = read_run(write_run(tmp_path, grids=[GRID], rounds=1, old=False))
    said = limits_section(run).sentences
    assert said == [
        "thread-pool and asyncio-threads: 64 threads. With more than 64 connections that is the"
        " limit: 3,200 a second at 20 ms and 3,200 a second at 20 ms (/block=20ms).",
        "Every target: 1 unit. With more than 5 connections that is the limit:"
        " 200 a second at 25 ms (/hold=5ms/delay=20ms).",
        "uvloop: 1 loop that a blocking call stops. With more than 1 connection that is the limit:"
        " 50.0 a second at 20 ms (/block=20ms).",
    ]


def test_a_number_that_no_measured_connections_reach_is_not_called_the_limit(tmp_path):
    grid = GRID | {"works": ["/delay=20ms"], "connections": [16, 64]}
    run = read_run(write_run(tmp_path, grids=[grid], rounds=1, old=False))
    assert limits_section(run).sentences == []


def test_what_one_core_hides_is_told(tmp_path):
    grid = GRID | {"targets": ["uvloop", "uvloop@3.13t"], "works": ["/"]}
    run = read_run(write_run(tmp_path, grids=[grid], rounds=1, old=False))
    (sentence,) = limits_section(run).sentences
    assert "1 core" in sentence
    assert "uvloop@3.13t" in sentence


def test_what_a_call_costs_the_upstream_is_told(tmp_path):
    def change(trial):
        return trial | {"upstream_cpu_us_per_call": 20.0 + trial["round"]}

    grid = GRID | {"targets": ["uvloop"], "works": ["/call=20ms"]}
    run = read_run(write_run(tmp_path, grids=[grid], rounds=3, old=False, change=change))
    (sentence,) = limits_section(run).sentences
    assert sentence.startswith("The upstream used 21.0 us of CPU per call (median over 6 slices)")


def test_the_table_of_targets_has_their_own_numbers_and_interpreters(tmp_path):
    grid = GRID | {"targets": ["thread-pool", "prefork", "gunicorn-gthread", "uvloop@3.13t"]}
    run = read_run(write_run(tmp_path, grids=[grid], rounds=1, old=False))
    rows = {row[0]: row[1:] for row in target_rows(run)}
    assert rows["thread-pool"][3] == "64 threads"
    assert rows["prefork"][3] == "8 processes, one request at a time each"
    assert rows["gunicorn-gthread"][2:4] == ["stack", "1 process x 64 threads"]
    assert rows["uvloop@3.13t"][4:6] == ["CPython 3.13.7", "off"]
    assert rows["uvloop@3.13t"][1] == "async"


def test_an_old_run_has_a_table_of_targets_as_far_as_it_knows(tmp_path):
    run = read_run(write_run(tmp_path, grids=[KEEP_ALIVE], rounds=1))
    rows = {row[0]: row[1:] for row in target_rows(run)}
    assert rows["uvloop"] == ["uvloop", "async", "-", "-", "-", "-", "python -m servers uvloop"]
    assert workers_text(own("uvloop")) == "1 process"
    alone = own("blocking") | {"serves_one_at_a_time": True}
    assert workers_text(alone) == "1 process, one request at a time"


def test_paths_are_read_as_far_as_conclusions_need():
    assert asked_s("/") == {}
    assert asked_s("/delay=20ms/spin=500us/delay=1.5s") == {"delay": 1.52, "spin": 0.0005}
    assert asked_s("/body=64KiB/drip=100x2ms") == {"body": 0, "drip": 0}
    assert [kind_of(work) for work in ("/", "/delay=1s", "/hold=5ms/delay=1s")] == [
        "delay",
        "delay",
        "hold+delay",
    ]
    works = [("/hash=10ms", 0.0), ("/block=20ms", 0.02), ("/hash=2ms", 0.0), ("/delay=20ms", 0.02)]
    in_words = [work for work, _ in sorted(works, key=lambda pair: in_order(*pair))]
    assert in_words == ["/hash=2ms", "/hash=10ms", "/delay=20ms", "/block=20ms"]


def test_counts_with_their_nouns():
    assert [count_of(1, "process"), count_of(2, "process")] == ["1 process", "2 processes"]
    assert count_of(1024, "unit") == "1,024 units"
