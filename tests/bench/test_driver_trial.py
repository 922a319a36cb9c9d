"""The trial of drivers against production servers: who meets whom, and what counts as met."""

import subprocess
import sys

import pytest

from bench.errors import UserError
from bench.measure.plan import Cell, Point, cells_by_point
from bench.measure.profile import Model
from bench.measure.stanza import read_stacks
from bench.trials.contests import CONTESTS, NOT_PYTHON, SHORT, Contest, available, chosen
from bench.trials.drivers import Progress, Row
from servers.models import MODELS

POINT = Point("/delay=20ms", 0.02, "keep-alive", 64)
STACKS = read_stacks()


def model(name: str, why_unavailable: str | None = None) -> Model:
    return Model(name, "async", False, why_unavailable is None, why_unavailable)


def words(row: Row) -> str:
    return " ".join(str(row).split())


def names(contests: list[Contest]) -> list[tuple[str, ...]]:
    return [(contest.driver, *contest.stacks) for contest in contests]


def test_every_model_and_every_stack_is_in_a_contest() -> None:
    assert {contest.driver for contest in CONTESTS} == set(MODELS)
    assert {stack for contest in CONTESTS for stack in contest.stacks} == set(STACKS)
    assert set(NOT_PYTHON) == {name for name in STACKS if name.startswith("granian")}


@pytest.mark.parametrize("contest", CONTESTS, ids=lambda contest: contest.driver)
def test_what_serves_one_at_a_time_is_met_in_close_mode_by_its_like(contest: Contest) -> None:
    one = MODELS[contest.driver].serves_one_at_a_time
    assert (contest.connection == "close") is one
    assert all(STACKS[stack].serves_one_at_a_time is one for stack in contest.stacks)


def test_contest_is_measured_at_two_delays_and_two_numbers_of_connections() -> None:
    profile = Contest("prefork", ("gunicorn-sync",), "close", workers=8).profile(15, (64, 512))
    points = [cells[0].point for cells in cells_by_point(profile)]
    assert [(p.work, p.connections, p.connection, p.workers) for p in points] == [
        ("/", 64, "close", 8),
        ("/", 512, "close", 8),
        ("/delay=20ms", 64, "close", 8),
        ("/delay=20ms", 512, "close", 8),
    ]
    assert (profile.rounds_min, profile.rounds_max) == (15, 15)
    assert profile.targets == ("prefork", "gunicorn-sync")


def test_only_names_drivers_or_stacks() -> None:
    assert names(chosen(["trio"], short=False)) == [("trio", "hypercorn-trio")]
    assert names(chosen(["gevent", "cheroot"], short=False)) == [
        ("threaded", "cheroot"),
        ("thread-pool", "cheroot"),
        ("gevent", "gunicorn-gevent"),
    ]
    assert names(chosen(["uvloop", "granian-asgi"], short=False)) == [
        ("uvloop", "granian-asgi"),
        ("uvloop-protocol", "granian-asgi"),
    ]
    with pytest.raises(UserError, match="--only nginx: the names are asyncio, "):
        chosen(["nginx"], short=False)


def test_short_form_is_one_stack_for_each_of_a_few_drivers() -> None:
    short = chosen([], short=True)
    assert [contest.driver for contest in short] == list(SHORT)
    assert all(len(contest.stacks) == 1 for contest in short)


def test_what_is_not_here_is_left_out_and_said() -> None:
    contests = [Contest("a", ("s", "t")), Contest("b", ("t",)), Contest("c", ("s",))]
    models = {"a": model("a"), "s": model("s"), "t": model("t", "it needs t"), "b": model("b")}
    held, notices = available(contests, models)
    assert names(held) == [("a", "s")]
    assert notices == ["skipped: t: it needs t", "skipped: c: it is not there"]


@pytest.mark.parametrize(
    ("ratios", "met", "shown"),
    [
        ([1.2, 0.9, 0.8], True, "0.900 [0.800, 1.200] met"),
        ([0.99, 0.9, 0.8], False, "0.900 [0.800, 0.990] MISSED"),
        ([2.0], True, "2.000 [2.000, 2.000] met, 2 lost"),
        ([], False, "no valid pair"),
    ],
)
def test_a_row_is_met_unless_its_interval_is_wholly_below_1(
    ratios: list[float], met: bool, shown: str
) -> None:
    row = Row("trio", "hypercorn-trio", POINT, ratios, 3)
    assert row.met is met
    assert row.counts
    assert words(row).endswith(f"20 ms x 64 {shown}")


def test_a_server_that_is_not_python_is_shown_and_does_not_count() -> None:
    row = Row("uvloop", "granian-asgi", POINT, [0.5, 0.5], 2)
    assert not row.counts
    assert words(row).endswith("0.500 [0.500, 0.500] not Python")


def test_ratios_are_of_the_pairs_in_which_both_slices_are_valid(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of three rounds the second lacks the stack's slice: 200/100 and 300/100 are left."""
    contest = Contest("trio", ("hypercorn-trio",))
    profile = contest.profile(3, (64,))
    progress = Progress(12, name="trio")
    for index, (ours, theirs) in enumerate([(200, 100), (200, None), (300, 100)]):
        progress.round_begins(index, 2)
        for target, rps in (("trio", ours), ("hypercorn-trio", theirs)):
            reasons = [] if rps else ["the server died"]
            trial = {"throughput_rps": rps, "valid": not reasons, "invalid_reasons": reasons}
            progress.slice_ends(Cell(POINT, target), trial, 0.0)
    rows = progress.rows(contest, profile)
    assert [(row.point.work, list(row.ratios)) for row in rows] == [
        ("/", []),
        ("/delay=20ms", [2.0, 3.0]),
    ]
    said = capsys.readouterr().err
    assert "trio, pair 1: " in said
    assert "note: hypercorn-trio, /delay=20ms x 64: the server died" in said


def test_a_driver_that_is_faster_than_the_generator_counts_with_what_it_gave_at_least() -> None:
    """A stack that is, says nothing: its true ratio may be smaller."""
    busy = {"valid": False, "invalid_reasons": ["the generator was busy 95% of the window"]}
    slow = {"valid": True, "invalid_reasons": []}
    contest = Contest("trio", ("hypercorn-trio",))
    for fast, expected in (("trio", [3.0]), ("hypercorn-trio", [])):
        progress = Progress(2, name="trio", driver="trio")
        progress.round_begins(0, 2)
        for target, rps in (("trio", 300.0), ("hypercorn-trio", 100.0)):
            trial = (busy if target == fast else slow) | {"throughput_rps": rps}
            progress.slice_ends(Cell(POINT, target), trial, 0.0)
        row = next(r for r in progress.rows(contest, contest.profile(1, (64,))) if r.point == POINT)
        assert (row.ratios, row.is_least) == (expected, fast == "trio")
    assert "at least" in str(Row("a", "b", POINT, [3.0], 1, is_least=True))


def run_trial(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.trials.drivers", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(not STACKS["gunicorn-sync"].model().available, reason="needs gunicorn")
def test_a_real_contest() -> None:
    done = run_trial("--pairs", "1", "--short", "--only", "blocking", "--informative")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("blocking / ")]
    assert len(rows) == 2
    assert "wholly below 1 against a server in Python" in done.stdout
    assert "blocking against gunicorn-sync, pair 1: " in done.stderr


def test_an_unknown_name_is_wrong_use() -> None:
    done = run_trial("--only", "nginx")
    assert done.returncode == 2
    assert done.stderr.startswith("bench-drivers: --only nginx: the names are ")
