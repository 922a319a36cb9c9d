"""Verdicts: pairing by round, bounds, invalid rounds, labels and counts, against a known truth."""

import json
import math
import random

import pytest
from synthetic import CLOSE, KEEP_ALIVE, invalid, write_run
from truth import throughput_rps

from bench.analyse.finding import find
from bench.analyse.rounds import Round
from bench.analyse.verdicts import comparisons, declared_pairs, judge, read_comparisons
from bench.store import read_run, write_verdicts

POINT = {"delays_s": [0.05], "connections": [128]}
ONE = KEEP_ALIVE | POINT | {"targets": ["uvloop", "threaded"], "pairs": [["uvloop", "threaded"]]}


def set_values(**by_target):
    """Slices whose throughput and p99 are the given value for their target and round."""

    def change(trial):
        value = by_target[trial["target"]][trial["round"]]
        if value is None:
            return invalid(trial, f"the server died (exit code {trial['round']})")
        return trial | {"throughput_rps": value, "response_time_ms": {"p99": value}}

    return change


def compared(folder, change, rounds, grid=ONE):
    run = read_run(write_run(folder, grids=[grid], rounds=rounds, change=change))
    return {comparison.metric: comparison for comparison in comparisons(run)}


def test_a_ratio_is_taken_within_each_round_so_drift_cancels(tmp_path):
    """The machine halves its speed every round, yet a / b is 2 in each: the interval is a point."""
    change = set_values(uvloop=[800, 400, 200], threaded=[400, 200, 100])
    found = compared(tmp_path, change, 3)["throughput"]
    assert (found.ratio, found.low, found.high) == pytest.approx((2, 2, 2))
    assert (found.verdict, found.label, found.rounds) == ("A", "async", 3)


BUSY = {"valid": False, "invalid_reasons": ["the generator was busy 95% of the window (limit 90%)"]}


def busy_for(*targets, and_also=()):
    """These targets answered faster than the generator could ask, and perhaps more was wrong."""

    def change(trial):
        rps = {"uvloop": 800.0, "threaded": 400.0}[trial["target"]] * 1.001 ** trial["round"]
        trial = trial | {"throughput_rps": rps}
        if trial["target"] not in targets:
            return trial
        return trial | BUSY | {"invalid_reasons": [*BUSY["invalid_reasons"], *and_also]}

    return change


def test_a_lower_bound_of_throughput_decides_where_even_that_is_more(tmp_path):
    found = compared(tmp_path, busy_for("uvloop"), 3)["throughput"]
    assert (found.verdict, found.at_least, found.high) == ("A", True, None)
    assert found.low == pytest.approx(2, rel=0.01)


def test_a_lower_bound_of_the_slower_side_decides_nothing(tmp_path):
    """It gives at least 400 where the other gives 800: it may well give more."""
    found = compared(tmp_path, busy_for("threaded"), 3)["throughput"]
    assert (found.verdict, found.low) == ("undecided", None)
    assert "the throughput of threaded is only known to be at least" in found.reason


def test_two_lower_bounds_decide_nothing(tmp_path):
    found = compared(tmp_path, busy_for("uvloop", "threaded"), 3)["throughput"]
    assert (found.verdict, found.ratio) == ("undecided", None)


def test_a_slice_with_which_more_is_wrong_is_no_bound(tmp_path):
    change = busy_for("uvloop", and_also=["errors: 3 reset"])
    assert compared(tmp_path, change, 3)["throughput"].verdict == "invalid"


def test_a_busy_generator_says_nothing_of_p99(tmp_path):
    assert compared(tmp_path, busy_for("uvloop"), 3)["p99"].verdict == "invalid"


def test_for_p99_less_is_better(tmp_path):
    change = set_values(uvloop=[20, 21], threaded=[10, 10.5])
    found = compared(tmp_path, change, 2)["p99"]
    assert found.ratio == pytest.approx(2)
    assert (found.verdict, found.label) == ("B", "sync")


def test_the_ratio_over_rounds_is_the_geometric_mean(tmp_path):
    change = set_values(uvloop=[1, 4], threaded=[1, 1])
    found = compared(tmp_path, change, 2)["throughput"]
    assert found.ratio == pytest.approx(2)  # sqrt(1 * 4)
    assert found.verdict == "undecided"
    assert "contains 1" in found.reason


def test_one_round_decides_nothing_and_says_why(tmp_path):
    found = compared(tmp_path, set_values(uvloop=[9], threaded=[1]), 1)["throughput"]
    assert (found.verdict, found.low, found.high) == ("undecided", None, None)
    assert "one round" in found.reason


def test_a_round_counts_only_if_both_sides_are_valid(tmp_path):
    change = set_values(uvloop=[2, 2, None, 2], threaded=[1, 1, 1, 1])
    found = compared(tmp_path, change, 4)["throughput"]
    assert (found.verdict, found.rounds) == ("A", 3)


@pytest.mark.parametrize("uvloop", [[2, 2, None, None, None], [2, None, 2, None, None, None]])
def test_under_half_of_the_rounds_valid_is_invalid_with_the_commonest_reason(tmp_path, uvloop):
    change = set_values(uvloop=uvloop, threaded=[1] * len(uvloop))
    found = compared(tmp_path, change, len(uvloop))["throughput"]
    assert (found.verdict, found.label, found.ratio) == ("invalid", "invalid", None)
    assert f"2 of {len(uvloop)} rounds valid; uvloop: the server died" in found.reason


def test_one_valid_round_of_two_is_invalid(tmp_path):
    found = compared(tmp_path, set_values(uvloop=[2, None], threaded=[1, 1]), 2)["throughput"]
    assert found.verdict == "invalid"


def test_a_round_cut_by_an_interruption_is_no_invalid_round(tmp_path):
    def change(trial):
        cut = trial["round"] == 2 and trial["target"] == "threaded"
        return None if cut else set_values(uvloop=[2, 2, 2], threaded=[1, 1, 1])(trial)

    found = compared(tmp_path, change, 3)["throughput"]
    assert (found.verdict, found.rounds) == ("A", 2)


def test_a_point_that_only_one_target_reached_is_invalid(tmp_path):
    found = compared(tmp_path, lambda t: t if t["target"] == "uvloop" else None, 3)["p99"]
    assert (found.verdict, found.rounds) == ("invalid", 0)
    assert "never measured in the same round" in found.reason


def test_a_valid_slice_without_a_p99_gives_no_p99_verdict(tmp_path):
    found = compared(tmp_path, lambda t: t | {"response_time_ms": {"p99": None}}, 3)
    assert found["p99"].verdict == "invalid"
    assert "no p99 was measured" in found["p99"].reason
    assert found["throughput"].verdict != "invalid"


def at_least(*targets, **values):
    """Latency of these targets is a lower bound."""
    return lambda t: set_values(**values)(t) | {"latency_at_least": t["target"] in targets}


def test_a_bound_that_decides_by_itself_is_a_verdict_with_one_end(tmp_path):
    """threaded's p99 is at least 4 times uvloop's: a / b is at most 1/4, so uvloop is better."""
    change = at_least("threaded", uvloop=[1, 1, 1], threaded=[4, 4, 4])
    found = compared(tmp_path, change, 3)["p99"]
    assert (found.verdict, found.label, found.at_least) == ("A", "async", True)
    assert found.low is None
    assert found.high == pytest.approx(0.25)


def test_a_bound_on_the_other_side_of_the_truth_decides_nothing(tmp_path):
    """uvloop's p99 is at least a quarter of threaded's: it may as well be ten times that."""
    change = at_least("uvloop", uvloop=[1, 1, 1], threaded=[4, 4, 4])
    found = compared(tmp_path, change, 3)["p99"]
    assert (found.verdict, found.high) == ("undecided", None)
    assert "uvloop is only known to be at least" in found.reason


def test_two_bounds_say_nothing_about_their_ratio(tmp_path):
    change = at_least("uvloop", "threaded", uvloop=[1, 1, 1], threaded=[9, 9, 9])
    found = compared(tmp_path, change, 3)
    assert (found["p99"].verdict, found["p99"].ratio) == ("undecided", None)
    assert found["throughput"].verdict == "B"  # bounds on latency say nothing of throughput


def test_bounds_are_never_equal(tmp_path):
    change = at_least("uvloop", uvloop=[1, 1, 1], threaded=[1, 1, 1])
    assert compared(tmp_path, change, 3)["p99"].verdict == "undecided"


def test_targets_of_one_family_are_called_by_name(tmp_path):
    grid = (
        CLOSE | POINT | {"targets": ["blocking", "threaded"], "pairs": [["threaded", "blocking"]]}
    )
    change = set_values(threaded=[2, 2], blocking=[1, 1])
    assert compared(tmp_path, change, 2, grid)["throughput"].label == "threaded"


def test_an_a_a_run_compares_a_target_with_its_copy(tmp_path):
    grid = ONE | {"targets": ["uvloop", "uvloop#2"], "pairs": [["uvloop", "uvloop#2"]]}
    change = set_values(**{"uvloop": [1, 1], "uvloop#2": [1.2, 1.2]})
    assert compared(tmp_path, change, 2, grid)["throughput"].label == "uvloop#2"


def test_only_declared_pairs_are_judged_and_in_their_own_mode(tmp_path):
    run = read_run(write_run(tmp_path, rounds=2))
    found = {(c.a, c.b, c.connection) for c in comparisons(run)}
    declared = {(a, b, g["connection"]) for g in (KEEP_ALIVE, CLOSE) for a, b in g["pairs"]}
    assert found == declared


def test_no_verdict_of_a_quiet_run_contradicts_the_truth(tmp_path):
    run = read_run(write_run(tmp_path, rounds=8, noise=0.01))
    for c in comparisons(run):
        if c.metric == "throughput":
            truth = math.log(
                throughput_rps(c.a, c.delay_s, c.connections)
                / throughput_rps(c.b, c.delay_s, c.connections)
            )
            wrong = {"A": truth < 0, "B": truth > 0, "equal": abs(truth) > math.log(1.05)}
            assert not wrong.get(c.verdict, False), c


def test_the_summary_counts_what_was_decided_and_what_was_never_measured(tmp_path):
    def change(trial):
        return None if trial["connections"] == 1024 else trial

    run = read_run(write_run(tmp_path, rounds=6, change=change, grids=[KEEP_ALIVE]))
    verdicts = judge(run)
    totals = verdicts["summary"]["totals"]["throughput"]
    assert totals["comparisons"] == 3 * 3 * 3  # pairs x delays x connections left
    assert totals["not_measured"] == 3 * 3
    assert totals["decided"] + totals["undecided"] + totals["invalid"] == 27
    pair = verdicts["summary"]["pairs"][0]
    assert (pair["a"], pair["b"], pair["connection"]) == ("uvloop", "threaded", "keep-alive")
    assert pair["decided"] == pair["A"] + pair["B"] + pair["equal"]


def test_every_axis_of_a_grid_counts_as_points_declared(tmp_path):
    grid = ONE | {"works": ["/", "/block=20ms"], "workers": [None, 2], "server_cores": [1, 2]}
    run = read_run(write_run(tmp_path, rounds=1, grids=[grid], old=False))
    assert declared_pairs(run) == {("uvloop", "threaded", "keep-alive"): 2 * 1 * 2 * 2}


def test_works_of_one_delay_are_points_of_their_own_plain_delay_first(tmp_path):
    grid = ONE | {"works": ["/block=20ms", "/delay=20ms", "/"]}
    run = read_run(write_run(tmp_path, rounds=2, grids=[grid], old=False))
    works = [c.work for c in comparisons(run) if c.metric == "throughput"]
    assert works == ["/", "/delay=20ms", "/block=20ms"]
    assert {c.workers for c in comparisons(run)} == {None}


def test_a_pair_is_judged_at_the_points_of_the_grids_that_declare_it(tmp_path):
    """Another grid has one of the targets at 4 workers, which was never a question of this pair."""
    one = ONE | {"workers": [None]}
    other = one | {"targets": ["uvloop", "trio"], "pairs": [["uvloop", "trio"]], "workers": [4]}

    def change(trial):
        return trial | {"workers": 4 if trial["order"] % 4 > 1 else None}  # the second grid's

    run = read_run(write_run(tmp_path, rounds=2, grids=[one, other], change=change))
    found = {(c.b, c.workers) for c in comparisons(run)}
    assert found == {("threaded", None), ("trio", 4)}
    assert {c.verdict for c in comparisons(run)} - {"invalid"}


def test_verdicts_survive_their_file(tmp_path):
    run = read_run(write_run(tmp_path, rounds=2))
    verdicts = judge(run)
    stored = json.loads(write_verdicts(tmp_path, verdicts).read_text())
    assert read_comparisons(stored) == comparisons(run)


@pytest.mark.parametrize(
    ("path", "verdict"), [("/index.html", "invalid"), ("/slow?{delay_ms}", "A")]
)
def test_a_target_that_is_asked_the_same_at_all_delays_is_not_compared_where_others_wait(
    tmp_path, path, verdict
):
    change = set_values(uvloop=[800, 400, 200], threaded=[400, 200, 100])
    run = read_run(write_run(tmp_path, grids=[ONE], rounds=3, change=change))
    run.info["targets"][0]["path"] = path
    found = comparisons(run)[0]
    assert found.verdict == verdict
    if verdict == "invalid":
        assert found.reason.startswith("one of them is asked for /index.html whatever the delay")


def test_each_comparison_says_whether_it_stands_among_all_of_its_metric(tmp_path):
    """40 at 5% by themselves: some equals are called. One error rate for all leaves fewer."""
    grid = ONE | {"connections": list(range(1, 61))}

    def change(trial):
        noise = random.Random(f"a {trial['order']}").gauss(0, 0.1)
        ahead = 2.0 if trial["target"] == "uvloop" and trial["connections"] > 50 else 1.0
        return trial | {"throughput_rps": 1000.0 * ahead * math.exp(noise)}

    verdicts = judge(read_run(write_run(tmp_path / "r", grids=[grid], rounds=6, change=change)))
    rows = [c for c in verdicts["comparisons"] if c["metric"] == "throughput"]
    called = [c for c in rows if c["verdict"] in ("A", "B")]
    coloured = [c["connections"] for c in rows if c["on_map"]]
    assert set(range(51, 61)) <= set(coloured)
    assert len(coloured) < len(called), "some equals are called by their own interval alone"
    assert all(c["p"] <= 0.05 for c in called)
    assert verdicts["false_discoveries"] == 0.05


def test_files_of_older_versions_have_no_p_and_are_read(tmp_path):
    verdicts = judge(read_run(write_run(tmp_path / "r", rounds=2)))
    old = [
        {key: value for key, value in c.items() if key not in ("p", "on_map")}
        for c in verdicts["comparisons"]
    ]
    read = read_comparisons({"comparisons": old})
    assert {(c.p, c.on_map) for c in read} == {(None, None)}


def test_a_difference_towards_an_end_that_is_not_known_is_no_evidence():
    bounded = [Round(0.5 + n / 100, (), False, True, n) for n in range(4)]
    assert find(bounded, "throughput", "a", "b", 0.95, 0.05).p == 1.0
    other = [Round(-0.5 - n / 100, (), False, True, n) for n in range(4)]
    assert find(other, "throughput", "a", "b", 0.95, 0.05).p < 0.001
