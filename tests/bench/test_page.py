"""The report in a browser: what a reader does with it, by mouse, keyboard and on a small screen.

Skipped, with the reason, where no browser is installed.
"""

import json
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect
from synthetic import CLOSE, KEEP_ALIVE, invalid, write_run

from bench.present.report import write_report
from bench.trials.browser import NO_BROWSER, READY, browser, find_browser

pytestmark = pytest.mark.skipif(find_browser() is None, reason=NO_BROWSER)

VECTORS = Path(__file__).parent / "model_vectors.json"
SIZES = {"wide": (1440, 900), "narrow": (390, 844)}
COUNTS = [1, 16, 128, 1024]
HELD = CLOSE | {
    "connection": "keep-alive",
    "targets": ["thread-pool", "asyncio"],
    "works": ["/hold=5ms"],
    "delays_s": [0.005],
    "pairs": [["asyncio", "thread-pool"]],
    "units": [1, 8],
}


def starved(trial):
    """Threads starve at 1,024 connections without a wait, and units come in two sizes."""
    if trial["work"] == "/hold=5ms":
        return trial | {"units": 8 if trial["round"] % 2 else 1}
    if trial["target"] == "threaded" and trial["connections"] == 1024 and not trial["delay_s"]:
        return invalid(trial, "40 of 1024 connections <were> served nothing")
    return trial


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, grids=[KEEP_ALIVE, CLOSE, HELD], rounds=8, change=starved)
    return write_report(folder).page


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A run without pairs in which nothing was valid."""
    folder = tmp_path_factory.mktemp("bare")
    grid = CLOSE | {"pairs": [], "connections": [16]}
    write_run(folder, grids=[grid], rounds=2, change=lambda t: invalid(t, "generator busy"))
    return write_report(folder).page


@pytest.fixture(scope="module")
def started():
    with browser() as running:
        yield running


def until(holds, timeout_s=10.0):
    """Whether something comes to hold: charts follow a slider when it rests.

    Not by the page's own waiting, which needs an eval that the page forbids.
    """
    end_s = time.monotonic() + timeout_s
    while not (held := holds()) and time.monotonic() < end_s:
        time.sleep(0.02)
    return held


class Visit:
    """An opened page, and all that it complained of or asked for."""

    def __init__(self, started, file, size="wide", **settings):
        width, height = SIZES[size]
        self.context = started.new_context(viewport={"width": width, "height": height}, **settings)
        self.page = self.context.new_page()
        self.complaints, self.requests = [], []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.route("**/*", self._record)
        self.page.goto(file.as_uri())
        if settings.get("java_script_enabled", True):
            self.page.wait_for_selector(READY, state="attached")

    def _record(self, route):
        self.requests.append(route.request.url)
        if route.request.url.startswith("file:"):
            route.continue_()
        else:
            route.abort()

    def tile(self, down, across):
        return self.page.locator(f'#map td[data-down="{down}"][data-across="{across}"]')

    def drawn(self, chart):
        """The traces of a chart: names with their values."""
        code = "id => document.getElementById(id).data.map(t => [t.name, [...t.x], [...t.y]])"
        return {name: (x, y) for name, x, y in self.page.evaluate(code, chart)}

    def choose(self, name, label):
        self.page.locator(f"#choose-{name}").select_option(label=label)


@pytest.fixture
def visit(started, report, request):
    visits = []

    def open_page(size="wide", file=report, **settings):
        visits.append(Visit(started, file, size, **settings))
        return visits[-1]

    yield open_page
    for each in visits:
        if each.context.browser:
            each.context.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_asks_for_nothing_complains_of_nothing_and_fits(visit, report, size, scheme):
    seen = visit(size, color_scheme=scheme)
    for chart in ("curves", "percentiles", "what-if-throughput", "what-if-response"):
        expect(seen.page.locator(f"#{chart} .main-svg").first).to_be_visible()
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    assert seen.requests == [report.as_uri()]
    assert seen.complaints == []


def test_a_run_without_pairs_or_valid_slices_can_be_explored(visit, bare):
    seen = visit(file=bare)
    expect(seen.page.locator("#map-title")).to_have_text("Map of throughput: blocking")
    expect(seen.page.locator("#detail")).to_contain_text("generator busy (2x)")
    expect(seen.page.locator("#curves-none")).to_be_visible()
    expect(seen.page.locator("#what-if")).to_be_hidden()
    assert seen.complaints == []


def test_the_map_says_what_was_judged(visit, report):
    verdicts = json.loads((report.parent / "verdicts.json").read_text())
    mine = [
        c
        for c in verdicts["comparisons"]
        if (c["a"], c["b"], c["connection"]) == ("uvloop", "threaded", "keep-alive")
        and c["metric"] == "throughput"
    ]
    seen = visit()
    assert len(mine) == 3 * len(COUNTS)
    for c in mine:
        text = seen.tile(c["work"], c["connections"]).inner_text()
        if c["verdict"] == "invalid":
            assert "invalid" in text
        else:
            assert f"{c['ratio']:.2f}" in text
            assert c["label"] in text


def test_a_tile_that_is_pointed_at_tells_its_interval_rounds_slices_and_reasons(visit):
    seen = visit()
    detail = seen.page.locator("#detail")
    before = detail.inner_text()
    seen.tile("/", 1024).hover()
    expect(detail).to_contain_text("uvloop against threaded at 0 ms x 1,024 connections")
    text = detail.inner_text()
    assert "40 of 1024 connections <were> served nothing (8x)" in text  # text, never markup
    assert "0 of 8 slices valid" in text
    assert "8 of 8 slices valid" in text
    assert re.search(r"\[[\d,.]+, [\d,.]+\]", text)
    seen.tile("/delay=5ms", 128).hover()
    expect(detail).to_contain_text("Physical bound N / d: 25,600 requests/s")
    expect(detail).to_contain_text("8 rounds")
    seen.page.locator("#explore h2").hover()
    expect(detail).to_have_text(before, use_inner_text=True)


def test_arrow_keys_move_over_the_map_and_are_heard(visit):
    seen = visit()
    detail = seen.page.locator("#detail")
    expect(detail).to_have_attribute("aria-live", "polite")
    seen.tile("/", 1).click()
    assert seen.page.evaluate("document.activeElement.dataset.across") == "1"
    for key, down, across in (
        ("ArrowRight", "/", "16"),
        ("ArrowDown", "/delay=5ms", "16"),
        ("End", "/delay=5ms", "1024"),
        ("ArrowRight", "/delay=5ms", "1024"),  # no further
        ("Control+Home", "/", "1"),
        ("ArrowUp", "/", "1"),
        ("Control+End", "/delay=50ms", "1024"),
    ):
        seen.page.keyboard.press(key)
        focused = seen.page.evaluate("({...document.activeElement.dataset})")
        assert focused == {"down": down, "across": across}, key
    expect(detail).to_contain_text("50 ms x 1,024 connections")
    expect(seen.page.locator("#curves-title")).to_have_text("Throughput at 50 ms")
    assert seen.page.locator('#map td[tabindex="0"]').count() == 1
    assert seen.page.locator("#map td:focus-visible").count() == 1


def test_selectors_change_metric_pair_axes_and_mode(visit):
    seen = visit()
    title = seen.page.locator("#map-title")
    seen.choose("metric", "Response time, p99")
    expect(title).to_have_text("Map of response time, p99: uvloop against threaded")
    seen.choose("metric", "Response time, p50")
    expect(seen.page.locator("#map-key")).to_contain_text("No verdict was given on it")
    seen.choose("metric", "Throughput")
    seen.choose("across", "work")
    heads = seen.page.locator("#map thead th").all_inner_texts()
    assert heads[1:] == ["0 ms", "5 ms", "50 ms"]
    assert set(seen.drawn("curves")) >= {"uvloop", "threaded", "physical bound N / d"}
    seen.choose("subject", "uvloop against blocking")
    expect(title).to_have_text("Map of throughput: uvloop against blocking")
    seen.choose("subject", "threaded")
    seen.choose("fixed-connection", "close")
    expect(seen.page.locator("#detail")).to_contain_text("threaded at")
    expect(seen.page.locator("#detail")).to_contain_text("close")
    seen.choose("subject", "asyncio against thread-pool")
    seen.choose("down", "units")
    heads = seen.page.locator("#map tbody th").all_inner_texts()
    assert heads == ["1", "8"]
    assert seen.complaints == []


def test_curves_draw_the_physical_bound_and_the_model(visit):
    seen = visit()
    seen.tile("/delay=5ms", 16).click()
    drawn = seen.drawn("curves")
    x, y = drawn["physical bound N / d"]
    assert (x, y) == (COUNTS, [count / 0.005 for count in COUNTS])
    assert "model: uvloop" in drawn
    assert drawn["uvloop"][0] == COUNTS
    percentiles = seen.drawn("percentiles")
    assert set(percentiles) == {"uvloop", "threaded"}


def test_lines_are_chosen_by_checkboxes(visit):
    seen = visit()
    seen.page.get_by_role("checkbox", name="trio").check()
    assert "trio" in seen.drawn("curves")
    seen.page.get_by_role("checkbox", name="threaded").uncheck()
    assert "threaded" not in seen.drawn("curves")
    seen.page.get_by_role("button", name="all", exact=True).click()
    assert {"threaded", "asyncio", "uvloop", "trio"} <= set(seen.drawn("percentiles"))


def test_sliders_ask_the_model_and_mark_what_lies_beyond(visit):
    seen = visit()
    rows = seen.page.locator("#what-if-rows tr")
    delay, connections = (seen.page.locator(f"#what-if-{n}") for n in ("delay_s", "connections"))
    names = set(seen.page.locator("#what-if-rows th").all_inner_texts())
    assert {"uvloop", "threaded", "asyncio", "trio"} <= names
    connections.press("Home")  # one connection that waits: no more than 1 / d for anybody
    for _ in range(30):
        if delay.get_attribute("aria-valuetext") == "50 ms":
            break
        delay.press("ArrowRight")
    for text in rows.locator("td:nth-child(2)").all_inner_texts():
        assert 15 < float(text) <= 20
    assert "within what was measured" in rows.filter(has_text="uvloop").inner_text()
    delay.press("End")
    words = rows.filter(has_text="uvloop").inner_text()
    assert "extrapolated: no wait over 50 ms was measured" in words
    connections.press("End")
    assert "it was fitted to" in rows.filter(has_text="uvloop").inner_text()
    expect(seen.page.locator("#what-if-words")).to_contain_text("Predicted, requests/s:")
    chosen = "document.getElementById('what-if-throughput').layout.shapes[0].x0"
    assert until(lambda: seen.page.evaluate(chosen) > 1000)
    assert seen.complaints == []


def test_units_and_cpu_limit_what_the_model_gives(visit):
    seen = visit()
    row = seen.page.locator("#what-if-rows tr").filter(has_text="uvloop")
    units, cpu = (seen.page.locator(f"#what-if-{name}") for name in ("units", "cpu_s"))
    units.press("ArrowRight")  # one unit, held while waiting
    expect(row).to_contain_text("units (")
    units.press("Home")
    cpu.press("End")
    expect(row).to_contain_text("CPU (")
    expect(row).to_contain_text("no work that computes was measured")


def test_the_page_predicts_what_python_does(visit):
    seen = visit()
    for vector in json.loads(VECTORS.read_text())["vectors"]:
        loads = [case["load"] for case in vector["cases"]]
        said = seen.page.evaluate(
            "([p, loads]) => loads.map(load => Model.predict(p, load).throughput_rps)",
            [vector["parameters"], loads],
        )
        right = [case["prediction"]["throughput_rps"] for case in vector["cases"]]
        assert said == pytest.approx(right, rel=1e-9)


def test_tables_sort_by_mouse_and_by_keyboard(visit):
    seen = visit()
    table = seen.page.locator("#comparisons table")
    seen.page.evaluate("document.querySelector('#comparisons details').open = true")
    head = table.locator("th", has_text="connections")
    head.locator("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    counts = [int(t.replace(",", "")) for t in table.locator("td:nth-child(4)").all_inner_texts()]
    assert counts == sorted(counts)
    assert len(set(counts)) == len(COUNTS)
    head.locator("button").press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    counts = [int(t.replace(",", "")) for t in table.locator("td:nth-child(4)").all_inner_texts()]
    assert counts == sorted(counts, reverse=True)


def test_every_invalid_cell_is_listed_with_its_reason(visit):
    seen = visit()
    rows = seen.page.locator("#invalid tbody tr")
    # threaded without a wait at 1,024 connections, in both modes
    assert rows.count() == 2
    for text in rows.all_text_contents():
        assert "40 of 1024 connections <were> served nothing (8x)" in text


def test_figures_wait_until_their_part_is_opened(visit):
    seen = visit()
    part = seen.page.locator("#maps details")
    assert part.locator("svg").count() == 0
    part.locator("summary").click()
    expect(part.locator("svg").first).to_be_visible()
    seen.page.locator('nav a[href="#figures"]').click()
    expect(seen.page.locator("#figures svg").first).to_be_visible()


def test_without_javascript_figures_and_tables_are_there(visit):
    seen = visit(java_script_enabled=False)
    expect(seen.page.locator("#explorer")).to_be_hidden()
    expect(seen.page.locator("#maps svg").first).to_be_visible()
    expect(seen.page.locator("#figures svg").first).to_be_visible()
    expect(seen.page.locator("#explore noscript p")).to_be_visible()
    assert seen.page.locator("#comparisons tbody tr").count() > 2 * 3 * len(COUNTS)
    assert seen.complaints == []


def test_it_follows_the_colours_of_the_system(visit):
    seen = visit(color_scheme="light")
    ink = "getComputedStyle(document.querySelector('#curves .xtick text')).fill"
    light = seen.page.evaluate(ink)
    seen.page.emulate_media(color_scheme="dark")
    assert until(lambda: seen.page.evaluate(ink) != light)
    assert seen.complaints == []


def test_verdicts_are_told_without_colour(visit):
    """Every tile with a verdict has its mark and, where there is room, its word."""
    for size in SIZES:
        seen = visit(size)
        marks = seen.page.locator("#map .mark").all_inner_texts()
        assert len(marks) == 3 * len(COUNTS)
        assert set(marks) <= set("\u25b2\u25bc=?\u00d7")
        assert len(set(marks)) > 2


def test_controls_have_names_and_can_all_be_reached(visit):
    seen = visit()
    for role in ("combobox", "slider", "checkbox"):
        names = [
            control.evaluate("e => e.labels[0]?.textContent.trim()")
            for control in seen.page.get_by_role(role).all()
        ]
        assert names
        assert all(names), role
    outside = seen.page.evaluate(
        "[...document.querySelectorAll('#explorer select, #explorer input, #explorer button')]"
        ".filter(e => e.tabIndex < 0).length"
    )
    assert outside == 0
