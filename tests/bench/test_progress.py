"""What a run shows while it measures, off a terminal."""

from dataclasses import replace
from typing import Any

import pytest
from harness import grid, tiny

from bench.cli.progress import Progress
from bench.measure.plan import round_order

PROFILE = tiny(
    grid("threaded", "uvloop", connections=[1, 64]),
    grid("threaded", connection="close", connections=[64]),
    grid("uvloop", connections=[64]),  # again: measured once
    budget_s=260.0,
)
TRIAL = {"throughput_rps": 12345.6, "valid": True}


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_a_run_begins_with_how_much_and_how_long_and_its_notices(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Progress(PROFILE, ["trio is left out: it needs [trio]"]):
        pass
    assert shown(capsys) == [
        "Tiny: 5 cells a round, about 4:20",
        "note: trio is left out: it needs [trio]",
    ]


def test_off_a_terminal_there_is_a_line_a_round_and_none_a_slice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Progress(PROFILE, []) as progress:
        progress.round_begins(0, 2)
        for cell in round_order(PROFILE, 0):
            progress.slice_ends(cell, TRIAL, 3.0)
        progress.round_begins(1, 2)
    assert [line.partition(" after")[0] for line in shown(capsys)[1:]] == [
        "round 1 begins",
        "round 2 begins",
    ]


def test_a_terminal_that_cannot_move_its_cursor_gets_lines_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Progress(PROFILE, []) as progress:
        progress.round_begins(0, 2)
    assert shown(capsys)[-1].startswith("round 1 begins")


@pytest.mark.parametrize(
    "trial",
    [
        TRIAL,
        {"throughput_rps": None, "valid": False},
        {"throughput_rps": 0.0, "valid": False},
        {"throughput_rps": 5.0, "valid": False},
    ],
)
def test_a_slice_is_shown_with_its_cell_its_result_and_the_time_left(trial: dict[str, Any]) -> None:
    cell = next(c for c in round_order(PROFILE, 0) if c.point.connection == "close")
    with Progress(PROFILE, []) as progress:
        progress.slice_ends(cell, trial, 75.4)
        where = progress.bar.tasks[0].fields["where"]
    result = "12,346 req/s" if trial["valid"] else "not valid"
    assert where == f"1:15 left   threaded / x 64 close: {result}"


def test_the_cells_of_every_axis_are_counted_and_the_server_of_each_is_named() -> None:
    """2 targets x 2 numbers of workers x 2 numbers of server cores."""
    profile = tiny(grid("threaded", "uvloop", workers=[None, 2], server_cores=[1, 2]))
    with Progress(profile, []) as progress:
        assert progress.cells == 8
        for cell in round_order(profile, 0):
            progress.slice_ends(cell, TRIAL, 0.0)
            where = progress.bar.tasks[0].fields["where"]
            assert f"left   {cell.server} / x 1: " in where


def test_the_delivered_delay_is_announced_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(replace(PROFILE, delivered_delay_s=0.02), []) as progress:
        progress.waits_begin("uvloop", "idle")
    assert shown(capsys) == [
        "Tiny: 5 cells a round, about 4:20, and the delivered delay after it",
        "delivered delay: uvloop, idle",
    ]
