"""Figures: each is written twice, readable without colour, and shows bounds and gaps as such."""

import re
from dataclasses import replace

import pytest
from matplotlib.colors import to_hex
from matplotlib.image import imread
from synthetic import CLOSE, invalid, write_run
from truth import MODELS

from bench.analyse.frames import cells_frame, trials_frame, with_limits
from bench.analyse.verdicts import comparisons
from bench.errors import UserError
from bench.present.charts import draw_curves, draw_maps
from bench.present.curves import nines, spread
from bench.present.maps import HATCHES, crossover_map
from bench.present.style import NEITHER, styles
from bench.present.svg import inline
from bench.store import read_run

GRID = CLOSE | {"delays_s": [0.0, 0.05], "connections": [16, 128]}
KINDS = ("throughput", "latency-by-connections", "latency-by-delay", "percentiles", "resources")


def died_at_128(trial):
    lost = trial["target"] == "uvloop" and trial["connections"] == 128
    return invalid(trial, "the server died") if lost else trial


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run = read_run(write_run(folder, grids=[GRID], rounds=3, change=died_at_128))
    trials = trials_frame(run)
    looks = styles(["blocking", "threaded", "uvloop"])
    charts = draw_maps(folder / "charts", comparisons(run))
    charts += draw_curves(folder / "charts", trials, cells_frame(trials), looks)
    return folder / "charts", {chart.name: chart for chart in charts}


def test_every_figure_is_there_as_svg_and_png(drawn):
    folder, charts = drawn
    maps = ["map-threaded-blocking-close", "map-uvloop-blocking-close"]
    assert list(charts) == [*maps, *(f"{kind}-close" for kind in KINDS)]
    for name in charts:
        assert (folder / f"{name}.svg").read_text() == charts[name].svg
        height, width, _ = imread(folder / f"{name}.png").shape
        assert width > 800
        assert height > 300


def test_a_map_says_ratio_interval_and_verdict_in_every_square(drawn):
    svg = drawn[1]["map-uvloop-blocking-close"].svg
    words = [line.strip() for line in svg.split("\n")]
    assert svg.count(">invalid<") == 4  # 2 delays at 128 connections, two metrics
    assert svg.count(">async<") == 2  # throughput and p99 at 50 ms and 16 connections
    assert any("[" in word and "]" in word for word in words)


def test_undecided_and_invalid_squares_are_hatched_differently(drawn):
    assert len(set(HATCHES.values())) == len(HATCHES) == 2
    assert "url(#h" in drawn[1]["map-uvloop-blocking-close"].svg


def test_a_lower_bound_is_marked_in_the_latency_figures_only(drawn):
    for kind in ("latency-by-connections", "latency-by-delay", "percentiles"):
        assert "at least (replies still owed)" in drawn[1][f"{kind}-close"].svg
    assert "at least" not in drawn[1]["throughput-close"].svg


def test_the_physical_bound_is_in_the_throughput_figure(drawn):
    assert "bound: connections / delay" in drawn[1]["throughput-close"].svg


def test_drawing_twice_gives_the_same_bytes(tmp_path):
    run = read_run(write_run(tmp_path, grids=[GRID], rounds=2))
    first, second = (draw_maps(tmp_path / name, comparisons(run)) for name in ("a", "b"))
    assert [chart.svg for chart in first] == [chart.svg for chart in second]


def test_colour_is_for_the_better_side_in_both_metrics(tmp_path):
    """uvloop has more throughput (ratio above 1) and a shorter p99 (below 1): both are blue."""
    run = read_run(write_run(tmp_path, grids=[GRID | {"delays_s": [0.05]}], rounds=2))
    mine = [c for c in comparisons(run) if c.a == "uvloop" and c.connections == 16]
    colours = [panel.patches[0].get_facecolor() for panel in crossover_map(mine).axes]
    assert len(colours) == 2
    for red, _, blue, _ in colours:
        assert blue > red


def test_nothing_valid_draws_no_empty_figure(tmp_path):
    def change(trial):
        return invalid(trial, "busy")

    run = read_run(write_run(tmp_path, grids=[GRID], rounds=2, change=change))
    trials = trials_frame(run)
    looks = styles(GRID["targets"])
    assert draw_curves(tmp_path, trials, cells_frame(trials), looks) == []
    assert len(draw_maps(tmp_path, comparisons(run))) == 2


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    run = read_run(write_run(tmp_path, grids=[GRID], rounds=2))
    (tmp_path / "charts").write_text("a file is in the way")
    with pytest.raises(UserError, match=r"cannot write the figures in .*charts"):
        draw_maps(tmp_path / "charts", comparisons(run))


def test_server_settings_that_are_not_plain_get_figures_of_their_own(tmp_path):
    def change(trial):
        return trial | {"workers": 4, "units": 8} if trial["delay_s"] else trial

    run = read_run(write_run(tmp_path, grids=[GRID], rounds=2, change=change))
    trials = trials_frame(run)
    charts = draw_curves(tmp_path, trials, cells_frame(trials), styles(GRID["targets"]))
    names = {chart.name for chart in charts}
    assert {"throughput-close-1-worker", "throughput-close-4-workers-8-units"} <= names


WORKS = CLOSE | {
    "targets": ["threaded", "thread-pool", "uvloop", "uvloop@3.13t"],
    "works": ["/", "/delay=20ms", "/block=20ms", "/hold=5ms/delay=20ms"],
    "connections": [16, 256],
    "pairs": [["uvloop", "threaded"]],
}


def drawn_works(folder, change=lambda trial: trial):
    write_run(folder, grids=[WORKS], rounds=2, old=False, change=change)
    run = read_run(folder)
    trials = trials_frame(run)
    cells = with_limits(cells_frame(trials), run.info["targets"])
    charts = draw_curves(folder / "charts", trials, cells, styles(WORKS["targets"]))
    charts += draw_maps(folder / "charts", comparisons(run))
    return {chart.name: chart.svg for chart in charts}


def test_each_kind_of_work_has_figures_of_its_own(tmp_path):
    charts = drawn_works(tmp_path)
    throughputs = [name for name in charts if name.startswith("throughput")]
    names = ["throughput-close", "throughput-close-block", "throughput-close-hold-delay"]
    assert throughputs == names
    assert "delay 20 ms" in charts["throughput-close"]
    assert "/block=20ms" not in charts["throughput-close"]
    assert "(connection: close, work: block)" in charts["throughput-close-block"]
    assert "latency-by-delay-close" in charts
    assert "latency-by-delay-close-block" not in charts  # one time only


def test_a_target_that_leaves_workers_to_itself_is_drawn_whatever_its_own_number(tmp_path):
    svg = drawn_works(tmp_path)["throughput-close"]
    assert "workers" not in svg
    assert all(target in svg for target in WORKS["targets"])


def test_the_throughput_figure_names_the_numbers_that_are_the_limit(tmp_path):
    charts = drawn_works(tmp_path)
    assert ">64 threads<" in charts["throughput-close"]
    assert ">64 threads<" in charts["throughput-close-block"]
    assert ">1 loop that a blocking call stops<" in charts["throughput-close-block"]
    assert ">1 unit<" in charts["throughput-close-hold-delay"]
    assert "limit: places / time" in charts["throughput-close"]


def test_a_map_has_a_row_for_each_work_of_one_delay_and_for_each_setting(tmp_path):
    def change(trial):
        cores = 2 if trial["connections"] == 256 else 1
        return trial | {"server_cores": cores}

    svg = drawn_works(tmp_path, change)["map-uvloop-threaded-close"]
    assert svg.count(">(/block=20ms<") + svg.count(">(/block=20ms)<") == 2 * 2  # cores, metrics
    assert svg.count(">1 server core<") == svg.count(">2 server cores<") == 2 * 4  # metrics, works
    assert "wait (work)" in svg


def test_own_numbers_and_a_set_number_of_workers_are_not_one_figure(tmp_path):
    def change(trial):
        return trial | {"workers": 1} if trial["connections"] == 256 else trial

    charts = drawn_works(tmp_path, change)
    assert {"throughput-close", "throughput-close-1-worker"} <= set(charts)


def test_cells_whose_server_shares_a_core_with_the_generator_are_marked(tmp_path):
    charts = drawn_works(tmp_path, lambda trial: trial | {"shared_core": True})
    assert "server and generator share a core" in charts["throughput-close"]
    charts = drawn_works(tmp_path)
    assert "share a core" not in charts["throughput-close"]


def test_many_targets_have_their_legend_beside_the_panels(tmp_path):
    few = drawn_works(tmp_path / "few")["throughput-close-block"]
    grid = WORKS | {"targets": list(MODELS)}
    run = read_run(write_run(tmp_path / "many", grids=[grid], rounds=1, old=False))
    trials = trials_frame(run)
    cells = cells_frame(trials)
    charts = draw_curves(tmp_path / "charts", trials, cells, styles(MODELS))
    many = next(chart.svg for chart in charts if chart.name == "throughput-close-block")

    def width_pt(svg):
        return float(re.search(r'viewBox="\S+ \S+ (\S+)', svg)[1])

    assert width_pt(many) > width_pt(few) + 72
    assert all(model in many for model in MODELS)


def test_another_interpreter_keeps_colour_and_marker_with_a_dash_of_its_own():
    looks = styles(["uvloop", "uvloop@3.13", "uvloop@3.13t", "mine", "mine@3.13"])
    same = [looks[name] for name in ("uvloop", "uvloop@3.13", "uvloop@3.13t")]
    assert len({(look.color, look.marker) for look in same}) == 1
    assert len({str(look.dash) for look in same}) == 3
    assert [look.hollow for look in same] == [False, True, True]
    assert looks["mine@3.13"].marker == looks["mine"].marker != looks["uvloop"].marker


def test_every_known_and_many_unknown_targets_look_different_without_colour():
    models = ["blocking", "threaded", "asyncio", "uvloop", "trio"]
    looks = styles([*models, "uvloop#2", *(f"mine-{n}" for n in range(20))])
    shapes = {(look.marker, str(look.dash), look.hollow) for look in looks.values()}
    assert len(shapes) == len(looks)
    assert len(styles([f"stack-{n}" for n in range(40)])) == 40


def test_a_copy_keeps_colour_and_marker_and_is_hollow():
    looks = styles(["uvloop", "uvloop#2"])
    assert looks["uvloop"].color == looks["uvloop#2"].color
    assert looks["uvloop"].marker == looks["uvloop#2"].marker
    assert looks["uvloop#2"].hollow
    assert styles(["uvloop"], copy=2)["uvloop"].dash != styles(["uvloop"], copy=1)["uvloop"].dash


def test_an_inlined_figure_follows_the_page_and_shares_it(drawn):
    chart = drawn[1]["throughput-close"]
    element = inline(chart.svg, "one", 'a "quoted" <alt>')
    assert element.startswith('<svg role="img" aria-label="a &quot;quoted&quot; &lt;alt&gt;"')
    assert "currentColor" in element
    assert "#ffffff" not in element
    ids = re.findall(r'\bid="([^"]+)"', element)
    others = re.findall(r'\bid="([^"]+)"', inline(chart.svg, "two", ""))
    referred = re.findall(r'(?:href="#|url\(#)([^")]+)', element)
    assert ids
    assert not set(ids) & set(others)
    assert set(referred) <= set(ids)
    assert "<metadata>" not in element


def test_an_inlined_figure_takes_about_half_as_many_bytes_and_shows_the_same(drawn):
    chart = drawn[1]["throughput-close"]
    element = inline(chart.svg, "one", "")
    assert len(element) < 0.65 * len(chart.svg)
    assert not re.search(r"\d\.\d{3}", element)  # a hundredth of a point is seen by nobody
    for shape in ("text", "use"):
        assert element.count(f"<{shape}") == chart.svg.count(f"<{shape}")


def test_an_axis_of_nines():
    assert [nines(p) for p in (0, 90, 99, 99.9)] == pytest.approx([0, 1, 2, 3])


def test_spread_keeps_both_ends():
    assert spread([1, 2, 3], 4) == [1, 2, 3]
    assert spread(list(range(10)), 4) == [0, 3, 6, 9]


def test_only_what_stands_among_all_comparisons_has_a_colour(tmp_path):
    """The square of an old run, which does not say so, keeps its colour."""
    run = read_run(write_run(tmp_path, grids=[GRID | {"delays_s": [0.05]}], rounds=2))
    one = next(c for c in comparisons(run) if c.a == "uvloop" and c.connections == 16)
    one = replace(one, ratio=2.0, low=1.5, high=2.5, verdict="A")
    colours = {
        on_map: to_hex(
            crossover_map([replace(one, on_map=on_map)]).axes[0].patches[0].get_facecolor()
        )
        for on_map in (True, False, None)
    }
    assert colours[False] == NEITHER
    assert colours[True] == colours[None] != NEITHER
