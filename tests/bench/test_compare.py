"""crossover compare: ratios of runs that share nothing, and what is not claimed of them."""

import json

import pytest
from synthetic import CLOSE, invalid, write_run

from bench.analyse.frames import trials_frame
from bench.analyse.unpaired import cell_ratios
from bench.cli.compare import compare
from bench.errors import UserError
from bench.present.compare import CAUTION, write_comparison
from bench.store import read_run

SMALL = CLOSE | {"delays_s": [0.05], "connections": [16]}
GRID = CLOSE | {"delays_s": [0.0, 0.05], "connections": [16, 128]}


def run_at(folder, place, **more):
    name = more.pop("name", place)
    return write_run(folder / place, name=name, grids=[more.pop("grid", GRID)], **more)


def ratios(first, second):
    frames = [trials_frame(read_run(folder)) for folder in (first, second)]
    return {
        (ratio.metric, ratio.cell["target"], ratio.cell["work"], ratio.cell["connections"]): ratio
        for ratio in cell_ratios(*frames)
    }


def test_a_faster_second_run_has_ratios_above_one_where_cpu_is_the_limit(tmp_path):
    first = run_at(tmp_path, "a", rounds=6)
    second = run_at(tmp_path, "b", rounds=6, seed=2, speed=1.3)
    found = ratios(first, second)
    assert len(found) == 2 * 3 * 2 * 2  # metrics, targets, delays, connections
    saturated = found["throughput", "uvloop", "/", 128]
    assert saturated.apart
    assert saturated.interval.low < 1.3 < saturated.interval.high
    waiting = found["throughput", "uvloop", "/delay=50ms", 16]
    assert waiting.interval.estimate < 1.05  # bound by N / d, however fast the server


def test_runs_are_not_paired_even_if_their_rounds_have_the_same_numbers(tmp_path):
    """Noise that both runs share round by round would cancel in pairs; here it must widen."""
    first = run_at(tmp_path, "a", rounds=4, noise=0.2)
    second = run_at(tmp_path, "b", rounds=4, noise=0.2, speed=1.1)
    ratio = ratios(first, second)["throughput", "uvloop", "/", 16]
    assert ratio.interval.estimate == pytest.approx(1.1)
    assert not ratio.apart
    assert ratio.interval.high > 1.2


def test_lower_bounds_and_dead_servers_give_no_ratio(tmp_path):
    first = run_at(tmp_path, "a", rounds=2)
    died = run_at(
        tmp_path,
        "b",
        rounds=2,
        change=lambda t: invalid(t, "died") if t["target"] == "uvloop" else t,
    )
    found = ratios(first, died)
    assert found["p99", "blocking", "/delay=50ms", 128].interval is None
    assert "at least" in found["p99", "blocking", "/delay=50ms", 128].reason
    assert "no valid slice" in found["throughput", "uvloop", "/", 16].reason
    assert found["throughput", "blocking", "/delay=50ms", 128].interval


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    first = run_at(folder, "a", rounds=3)
    second = run_at(folder, "b", rounds=3, seed=2, speed=1.3, state="interrupted")
    info = json.loads((second / "run.json").read_text())
    info["packages"]["uvloop"] = "0.99.0"
    (second / "run.json").write_text(json.dumps(info))
    return first, second


def test_it_prints_the_table_the_caution_and_what_differs(pair, capsys):
    compare(list(pair))
    out = capsys.readouterr().out
    assert CAUTION in out
    assert "differs: packages.uvloop: 0.23.0 | 0.99.0" in out
    assert "differs: config.seed: 1 | 2" in out
    assert "kernel" not in out  # the same in both
    assert "b is not complete (interrupted)." in out
    assert f"wrote {pair[0].parent / 'compare-a-b' / 'compare.html'}" in out


def test_it_overlays_both_runs_in_the_same_figures(pair):
    compared = write_comparison(pair, pair[0].parent / "out")
    folder = compared.page.parent
    assert folder.name == "out"
    charts = sorted(path.name for path in (folder / "charts").glob("*.png"))
    assert "throughput-close.png" in charts
    assert "percentiles-close.png" in charts
    svg = (folder / "charts" / "throughput-close.svg").read_text()
    assert "uvloop (a)" in svg
    assert "uvloop (b)" in svg
    page = compared.page.read_text()
    assert "share no rounds" in page
    assert page.count("<svg") == len(charts)


def test_three_runs_are_all_held_against_the_first(pair, tmp_path):
    third = run_at(tmp_path, "c", rounds=2, grid=SMALL)
    compared = write_comparison([*pair, third], tmp_path / "out")
    assert {row.runs for row in compared.rows} == {"b / a", "c / a"}


def test_a_run_can_be_compared_with_itself_under_two_names(tmp_path):
    run = run_at(tmp_path, "a", rounds=2, grid=SMALL)
    compared = write_comparison([run, run], tmp_path / "out")
    assert compared.names == ["a", "a-2"]
    assert {row.says for row in compared.rows if row.metric == "throughput"} == {"not told apart"}
    assert compared.differences == []


def test_names_of_runs_may_hold_what_formats_and_formulas_are_made_of(tmp_path):
    first = run_at(tmp_path, "a", name="{0} {x} $a^^$", rounds=1, grid=SMALL)
    second = run_at(tmp_path, "b", name="%s <b> $_$", rounds=1, grid=SMALL)
    page = write_comparison([first, second], tmp_path / "out").page.read_text()
    assert "threaded ({0} {x} $a^^$)" in page
    assert "%s &lt;b&gt; $_$" in page


def test_one_round_each_gives_ratios_without_intervals(tmp_path):
    runs = [run_at(tmp_path, name, rounds=1, grid=SMALL) for name in ("a", "b")]
    compared = write_comparison(runs, tmp_path / "out")
    says = {row.says for row in compared.rows if row.metric == "throughput"}
    assert says == {"one round: no interval"}


def test_runs_without_a_common_cell_are_refused_with_what_each_has(tmp_path):
    first = run_at(tmp_path, "a", rounds=1)
    second = run_at(tmp_path, "b", rounds=1, grid=GRID | {"connections": [7]})
    with pytest.raises(UserError, match=r"a and b have no cell in common.*16/128.*connections 7"):
        write_comparison([first, second], tmp_path / "out")
    assert not (tmp_path / "out").exists()


POOLS = SMALL | {"targets": ["thread-pool", "uvloop"], "pairs": []}


def test_no_number_of_workers_is_the_targets_own(tmp_path):
    """An old run says 1 for everybody: true of uvloop, but not of thread-pool with its 64."""
    old = run_at(tmp_path, "a", rounds=2, grid=POOLS)
    new = run_at(tmp_path, "b", rounds=2, grid=POOLS, old=False)
    assert {target for _, target, _, _ in ratios(old, new)} == {"uvloop"}
    assert {target for _, target, _, _ in ratios(new, new)} == {"thread-pool", "uvloop"}


def test_runs_with_and_without_a_set_number_share_their_figures(tmp_path):
    old = run_at(tmp_path, "a", rounds=2, grid=POOLS)
    new = run_at(tmp_path, "b", rounds=2, grid=POOLS, old=False)
    page = write_comparison([old, new], tmp_path / "out").page
    charts = [path.name for path in (page.parent / "charts").glob("throughput*.svg")]
    assert charts == ["throughput-close.svg"]


def test_works_of_one_delay_are_rows_of_their_own(tmp_path):
    grid = SMALL | {"works": ["/delay=20ms", "/block=20ms"]}
    run = run_at(tmp_path, "a", rounds=2, grid=grid, old=False)
    rows = write_comparison([run, run], tmp_path / "out").rows
    assert {row.work for row in rows} == {"20 ms", "20 ms (/block=20ms)"}


def test_one_run_is_not_enough(tmp_path):
    with pytest.raises(UserError, match="two runs or more"):
        write_comparison([tmp_path])
