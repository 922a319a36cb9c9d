"""A run with real servers and the real generator: what it saves, and what it survives."""

import math
import random
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from harness import (
    LINE_KEYS,
    Recorder,
    commands_below,
    grid,
    is_alive,
    measure,
    new_run,
    odd_target,
    real_target,
    tiny,
    wait_for,
)
from hdrh.histogram import HdrHistogram

from bench.measure.cores import cores_here
from bench.measure.pace import Clock
from bench.measure.plan import Cell, Point, round_order
from bench.measure.profile import Profile
from bench.measure.runner import Runner
from bench.store import Run


def reasons_of(trials: Sequence[dict[str, Any]], target: str) -> list[str]:
    return [
        reason
        for trial in trials
        if trial["target"] == target
        for reason in trial["invalid_reasons"]
    ]


def measured(trials: Sequence[dict[str, Any]], target: str) -> list[bool]:
    return [bool(trial["throughput_rps"]) for trial in trials if trial["target"] == target]


# What a run leaves

Whole = tuple[list[dict[str, Any]], dict[str, Any], Recorder, Profile]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Two rounds of two points for three models: 2 x (2 + 2) slices."""
    profile = tiny(
        grid("threaded", "uvloop", delays_s=[0.0], connections=[4]),
        grid("blocking", "uvloop", connection="close", delays_s=[0.001], connections=[2]),
        rounds_min=2,
        rounds_max=2,
    )
    watcher = Recorder()
    targets = [real_target(name) for name in profile.targets]
    run = measure(tmp_path_factory.mktemp("run") / "r", profile, targets, watcher)
    return run.trials, run.info, watcher, profile


def test_every_cell_is_measured_once_a_round_in_the_plans_order(whole: Whole) -> None:
    trials, info, watcher, profile = whole
    expected = [round_order(profile, 0), round_order(profile, 1)]
    assert watcher.cells == [*expected[0], *expected[1]]
    assert [trial["target"] for trial in trials] == [cell.target for cell in watcher.cells]
    assert [trial["round"] for trial in trials] == [0] * 4 + [1] * 4
    assert [trial["order"] for trial in trials] == list(range(8))
    assert watcher.rounds == [0, 1]
    assert info["rounds_done"] == 2


def test_every_line_has_the_keys_of_the_schema(whole: Whole) -> None:
    assert [set(trial) ^ LINE_KEYS for trial in whole[0]] == [set()] * 8


def test_every_slice_holds_real_figures(whole: Whole) -> None:
    """3 completions a connection, no error, and what the server used; no speed is expected."""
    for trial in whole[0]:
        assert trial["completions"] >= 3 * trial["connections"] or trial["target"] == "blocking"
        assert trial["completions"] >= 3
        assert sum(trial["errors"].values()) == 0
        assert trial["throughput_rps"] == pytest.approx(trial["completions"] / trial["window_s"])
        assert trial["window_s"] >= 0.05
        assert trial["server_rss_mib"] > 1
        assert trial["server_threads"] >= 1
        assert trial["server_cpu_us_per_request"] > 0
        assert trial["bound_ratio"] is None or trial["bound_ratio"] <= 1.02


def test_the_histograms_hold_every_completion(whole: Whole) -> None:
    for trial in whole[0]:
        for kind in ("response", "service"):
            histogram = HdrHistogram.decode(trial[f"{kind}_time_hist"])
            assert histogram.get_total_count() == trial["completions"]
            highest_ms = histogram.get_max_value() / 1e6
            assert highest_ms == pytest.approx(trial[f"{kind}_time_ms"]["max"], rel=0.01)


def test_time_goes_on_and_what_is_left_comes_to_nothing(whole: Whole) -> None:
    trials, _, watcher, _ = whole
    times_s = [trial["t_s"] for trial in trials]
    assert times_s == sorted(times_s)
    assert all(left_s >= 0 for left_s in watcher.left_s)
    assert watcher.left_s[0] > 0
    assert watcher.left_s[-1] == 0


def test_a_run_without_trouble_says_nothing(whole: Whole) -> None:
    assert whole[2].notices == []


# How many rounds


class Paced(Runner):
    """A runner whose points take the time that the test says, and give what it says."""

    def __init__(self, folder: Path, profile: Profile, costs_s: Sequence[float]) -> None:
        targets = [real_target(name) for name in ("uvloop", "threaded")]
        super().__init__(profile, targets, {1: cores_here()}, new_run(folder), Recorder())
        self.costs_s, self.now_s = costs_s, 0.0
        self.measured: list[list[int]] = []
        self.pace.clock = PacedClock(self)
        self.rng = random.Random(1)

    def _round(self, index: int, points: Collection[Point]) -> bool:
        self.measured.append([])
        for point in sorted(points, key=lambda each: each.connections):
            if not self.pace.fits(point):
                return False
            cost_s = self.costs_s[point.connections - 1]
            self.now_s += cost_s
            self.measured[-1].append(point.connections)
            spread = 0.2 if point.connections % 2 else 0.001
            ratio = math.exp(self.rng.gauss(0, spread))
            self.pace.told(point, cost_s, {"uvloop": 1000.0 * ratio, "threaded": 1000.0})
        return True


class PacedClock(Clock):
    def __init__(self, runner: Paced) -> None:
        super().__init__(0.0, runner.profile.budget_s)
        object.__setattr__(self, "runner", runner)

    def elapsed_s(self) -> float:
        return float(self.runner.now_s)  # type: ignore[attr-defined]


def paced(folder: Path, costs_s: Sequence[float], **limits: Any) -> Paced:
    """A run of a point for each cost; those with an odd number of connections are noisy."""
    connections = range(1, len(costs_s) + 1)
    points = grid("uvloop", "threaded", connections=connections, pairs=[("uvloop", "threaded")])
    runner = Paced(folder, tiny(points, **limits), costs_s)
    runner.measure()
    return runner


def test_a_given_number_of_rounds_is_kept_whatever_it_takes(tmp_path: Path) -> None:
    runner = paced(tmp_path / "r", [10.0, 10.0], rounds_min=4, rounds_max=4, budget_s=5.0)
    assert runner.measured == [[1, 2]] * 4


@pytest.mark.parametrize("budget_s", [30.0, 100.0, 200.0])
@pytest.mark.parametrize("costs_s", [[1.0, 1.0], [2.5, 1.0, 0.5, 3.0]], ids=["alike", "unlike"])
def test_a_budget_is_kept_and_used(
    tmp_path: Path, budget_s: float, costs_s: Sequence[float]
) -> None:
    """It ends no later, and no earlier than by what the longest point takes."""
    runner = paced(tmp_path / "r", costs_s, rounds_min=3, rounds_max=1_000, budget_s=budget_s)
    assert budget_s - max(costs_s) <= runner.now_s <= budget_s


def test_noisy_points_get_the_time_that_quiet_ones_leave(tmp_path: Path) -> None:
    runner = paced(
        tmp_path / "r", [1.0, 1.0, 1.0, 1.0], rounds_min=3, rounds_max=500, budget_s=90.0
    )
    counts = Counter(number for measured in runner.measured for number in measured)
    assert counts[2] == counts[4] == 4
    assert counts[1] + counts[3] >= 80


def test_a_run_ends_early_where_all_is_settled(tmp_path: Path) -> None:
    quiet = grid("uvloop", "threaded", connections=[2], pairs=[("uvloop", "threaded")])
    profile = tiny(quiet, rounds_min=3, rounds_max=500, budget_s=1e6)
    runner = Paced(tmp_path / "r", profile, [1.0, 1.0])
    runner.measure()
    assert runner.rounds_done == 4, "three that agree may do so by luck"


def test_the_most_rounds_are_not_exceeded(tmp_path: Path) -> None:
    runner = paced(tmp_path / "r", [1.0], rounds_min=2, rounds_max=5, budget_s=1e6)
    assert runner.rounds_done == 5


def test_a_round_that_was_cut_counts_for_what_was_whole_in_it_only(tmp_path: Path) -> None:
    """Three rounds were begun; of the point with 2 connections one was whole, of the other none."""
    points = grid("uvloop", "threaded", connections=[1, 2], pairs=[("uvloop", "threaded")])
    runner = Paced(tmp_path / "r", tiny(points, rounds_min=2, rounds_max=3), [1.0, 1.0])
    cells = [
        (0, 2, "uvloop"),
        (0, 2, "threaded"),
        (0, 1, "uvloop"),
        (1, 1, "threaded"),
        (2, 2, "uvloop"),
    ]
    trials = [
        {
            "round": index, "order": order, "t_s": float(order), "target": target, "work": "/",
            "delay_s": 0.0, "connection": "keep-alive", "connections": connections, "workers": None,
            "units": None, "server_cores": 1, "valid": True, "invalid_reasons": [],
            "throughput_rps": 1000.0, "warmup_s": 0.1, "window_s": 0.1,
        }
        for order, (index, connections, target) in enumerate(cells)
    ]  # fmt: skip
    runner.restore(Run(tmp_path, {}, trials, False), [])
    rounds = {
        point.connections: runner.pace.effort.rounds(point) for point in runner.pace.effort.pairs
    }
    assert rounds == {1: 0, 2: 1}
    assert (runner.rounds_done, runner.order) == (3, 5)
    runner.measure()
    counts = Counter(number for measured in runner.measured for number in measured)
    assert counts[1] >= 2
    assert counts[2] >= 1


def test_a_budget_that_is_too_small_for_the_least_rounds_is_told(tmp_path: Path) -> None:
    runner = paced(tmp_path / "r", [10.0, 10.0], rounds_min=4, rounds_max=9, budget_s=25.0)
    assert runner.now_s <= 30.0
    assert isinstance(runner.watcher, Recorder)
    assert runner.watcher.notices[0].startswith("the budget of 25 s did not hold the 4 rounds")


# Targets in trouble

TWO_ROUNDS = {"rounds_min": 2, "rounds_max": 2}


def test_a_target_that_does_not_start_is_marked_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Tried once a round and no more: one that never gets ready takes ten seconds each time."""
    starts = tmp_path / "starts"
    script = f"open({str(starts)!r}, 'a').write('x'); exit('no library')"
    profile = tiny(grid("sick", "well", connections=[1, 2]), **TWO_ROUNDS)
    sick = odd_target("sick")
    sick = type(sick)("sick", sick.model, (sys.executable, "-c", script))
    watcher = Recorder()
    run = measure(tmp_path / "r", profile, [sick, odd_target("well")], watcher)
    reason = "sick: ended with exit code 1; its last output:\n  no library"
    assert reasons_of(run.trials, "sick") == [reason] * 4
    assert measured(run.trials, "well") == [True] * 4
    assert watcher.notices == [reason] * 2
    assert starts.read_text() == "xx"


def test_a_target_that_answers_something_else_is_marked(tmp_path: Path) -> None:
    profile = tiny(grid("well", "sick"))
    targets = [odd_target("well"), odd_target("sick", "--body", "other")]
    run = measure(tmp_path / "r", profile, targets)
    (reason,) = reasons_of(run.trials, "sick")
    assert "answered 'other' to a request for / where the models answer 'odd'; its" in reason
    assert measured(run.trials, "well") == [True]


def test_a_target_that_answers_the_work_wrongly_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets `/` right, so it is let in, and answers 404 where work is asked for."""
    monkeypatch.setattr("bench.measure.slice.WINDOW_LIMIT_S", 0.3)
    profile = tiny(grid("well", "sick", delays_s=[0.001]))
    targets = [odd_target("well"), odd_target("sick", "--work-status", "404")]
    run = measure(tmp_path / "r", profile, targets)
    (reason,) = reasons_of(run.trials, "sick")
    assert reason.startswith("sick: answered a request for /delay=1ms with 404; its last output:")
    assert measured(run.trials, "well") == [True]


def test_a_target_that_dies_in_a_slice_is_marked_and_is_fresh_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies of SIGKILL on its 20th delay of a process: in each of the 2 x 2 slices anew."""
    monkeypatch.setattr("bench.measure.slice.WINDOW_LIMIT_S", 0.3)
    profile = tiny(
        grid("sick", "well", delays_s=[0.001], connections=[8, 12]),
        completions_per_connection=20,
        **TWO_ROUNDS,
    )
    sick = odd_target("sick", "--dies-on", "/delay=1ms", "--dies-after", "20")
    watcher = Recorder()
    run = measure(tmp_path / "r", profile, [sick, odd_target("well")], watcher)
    reasons = reasons_of(run.trials, "sick")
    assert len(reasons) == len(watcher.notices) == 4
    assert all("sick: ended with signal SIGKILL" in reason for reason in reasons)
    assert measured(run.trials, "well") == [True] * 4


def test_a_target_that_owes_replies_is_replaced(tmp_path: Path) -> None:
    """32 connections x 50 ms one at a time: 1.6 s of work is owed, 0.5 s is waited for it.

    With one connection 50 ms are owed at most, and nothing is left when they are over.
    """
    cells = grid("blocking", connection="close", delays_s=[0.05], connections=[32, 1])
    seed = next(
        seed
        for seed in range(100)
        if round_order(tiny(cells, seed=seed), 0)[0].point.connections == 32
    )
    servers: list[list[int]] = []

    def look(cell: Cell) -> None:
        servers.append([each.pid for each in commands_below("-m servers blocking")])

    run = measure(tmp_path / "r", tiny(cells, seed=seed), [real_target("blocking")], Recorder(look))
    owing, fresh = run.trials
    assert owing["owed"] > 0
    assert (owing["target_replaced"], owing["latency_at_least"]) == (True, True)
    assert servers[0] == []
    assert (fresh["owed"], fresh["target_replaced"], fresh["latency_at_least"]) == (0, False, False)
    assert servers[1] != []


# The generator in trouble


def test_a_generator_that_is_killed_is_replaced(tmp_path: Path) -> None:
    def kill_once(cell: Cell) -> None:
        if len(watcher.cells) == 1:
            (process,) = commands_below("-m clients --batch")
            process.kill()
            wait_for(lambda: not is_alive(process), "the generator is still there")

    watcher = Recorder(kill_once)
    profile = tiny(grid("a", "b", connections=[1, 2]))
    run = measure(tmp_path / "r", profile, [odd_target("a"), odd_target("b")], watcher)
    lost = [trial for trial in run.trials if not trial["throughput_rps"]]
    assert [trial["order"] for trial in lost] == [2], "the next to be opened"
    assert lost[0]["invalid_reasons"][0].startswith("generator: ended with signal SIGKILL")
    assert len(watcher.notices) == 1


FAILS_ONCE = """
import os, sys
import clients.__main__ as real

def lines(file):
    for line in file:
        if {when} and not os.path.exists({flag!r}):
            open({flag!r}, "w").close()
            sys.exit("out of luck")
        yield line

sys.stdin = lines(sys.stdin)
real.main(["--batch"])
"""


@pytest.mark.parametrize("when", ["True", "'release' in line"])
def test_a_generator_that_fails_while_warming_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """On its first line, which asks for a warm-up, or on its second, which releases it."""
    script = FAILS_ONCE.format(when=when, flag=str(tmp_path / "flag"))
    monkeypatch.setattr("bench.measure.generator.COMMAND", (sys.executable, "-c", script))
    watcher = Recorder()
    run = measure(tmp_path / "r", tiny(grid("a", "b")), [odd_target("a"), odd_target("b")], watcher)
    assert Counter(trial["target"] for trial in run.trials) == {"a": 1, "b": 1}
    assert measured(run.trials, "a") == measured(run.trials, "b") == [True]
    assert len(watcher.notices) == 1
    assert "out of luck" in watcher.notices[0]
