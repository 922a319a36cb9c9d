"""crossover compare: what is printed, written and refused, and what is not claimed."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt
from synthetic import CLOSE, invalid, write_run

from bench.cli import main
from bench.errors import UserError
from bench.present.compare import compare_runs, write_comparison, write_html
from bench.present.compare_figures import map_drawings
from bench.present.markdown import as_markdown, escape
from bench.present.scripts import COMPARISON, own

SMALL = CLOSE | {"delays_s": [0.05], "connections": [16]}
GRID = CLOSE | {"delays_s": [0.0, 0.05], "connections": [16, 128]}


def run_at(folder, place, **more):
    name = more.pop("name", place)
    return write_run(folder / place, name=name, grids=[more.pop("grid", GRID)], **more)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    first = run_at(folder, "a", rounds=5)
    second = run_at(folder, "b", rounds=5, seed=2, speed=1.5, state="interrupted")
    info = json.loads((second / "run.json").read_text())
    info["packages"]["uvloop"] = "0.99.0"
    info["started"] = "2026-11-23T20:15:00+00:00"
    (second / "run.json").write_text(json.dumps(info))
    return first, second


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """Runs of which one lost a target, and each has a cell of its own."""
    folder = tmp_path_factory.mktemp("troubled")
    first = run_at(folder, "a", rounds=3, grid=SMALL | {"connections": [16, 32]})
    second = run_at(
        folder,
        "b",
        rounds=3,
        seed=2,
        grid=SMALL | {"connections": [16, 64]},
        change=lambda t: invalid(t, "it | <died>") if t["target"] == "uvloop" else t,
    )
    return first, second


def test_it_prints_the_table_the_caution_and_what_differs(pair, capsys):
    assert main(["compare", *map(str, pair)]) == 0
    out = capsys.readouterr().out
    interval = r"\[1\.\d\d, 1\.\d\d\]"
    assert re.search(rf"uvloop +0 ms +128 .* 1\.[45]\d +{interval} +5 \| 5 +higher, beyond", out)
    assert "throughput, b / a, close\n" in out
    assert "share no rounds" in out
    assert "differ beyond the 15% allowed for drift: " in out
    assert "To compare two servers, measure them in one run." in out
    assert "b was started 3 hours after a." in out
    assert "differs: packages.uvloop: 0.23.0 | 0.99.0" in out
    assert "differs: config.seed: 1 | 2" in out
    assert "kernel" not in out  # the same in both
    assert "b is not complete (interrupted)." in out
    assert f"wrote {pair[0].parent / 'compare-a-b' / 'compare.html'}" in out


def test_it_draws_the_runs_over_each_other_and_a_map_of_their_ratios(pair):
    page = write_comparison(compare_runs(pair), pair[0].parent / "out")
    charts = sorted(path.stem for path in (page.parent / "charts").glob("*.png"))
    curves = ["cpu-close", "p99-close", "percentiles-close", "throughput-close"]
    maps = ["ratio-1-p99-close", "ratio-1-throughput-close"]
    assert charts == sorted([*curves, *maps])
    assert page.read_text().count("<svg") == len(charts)
    svg = (page.parent / "charts" / "throughput-close.svg").read_text()
    for label in (">a<", ">b<", "uvloop, delay 0 ms", "blocking, delay 50 ms"):
        assert label in svg
    ratios = (page.parent / "charts" / "ratio-1-throughput-close.svg").read_text()
    assert "beyond drift" in ratios
    assert "blue: more in b, orange: more in a" in ratios


def test_runs_are_told_apart_without_colour(pair, tmp_path):
    from bench.present.style import run_styles

    looks = list(run_styles("abcdefgh").values())
    assert len({(str(look.dash), look.marker) for look in looks}) == len(looks)


class Page(HTMLParser):
    """Collects what a browser would fetch, ids, and the rows of tables."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.ids, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append((tag, given))
        self.ids += [given["id"]] if "id" in given else []
        links = [given.get(name) for name in ("src", "href", "xlink:href", "data", "srcset")]
        self.fetched += [link for link in links if link and not link.startswith("#")]


def test_the_page_is_one_file_that_fetches_nothing(pair, tmp_path, capsys):
    file = tmp_path / "page.html"
    assert main(["compare", *map(str, pair), "--html", str(file)]) == 0
    assert f"wrote {file}" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [file]
    text = file.read_text()
    page = Page(text)
    assert page.fetched == []
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest", text)
    assert len(page.ids) == len(set(page.ids))
    assert "share no rounds" in text


def test_its_tables_sort_by_what_has_been_included_in_the_page(pair, tmp_path):
    page = Page(write_html(compare_runs(pair), tmp_path / "page.html").read_text())
    assert sum(tag == "table" for tag, _ in page.tags) >= 3
    text = (tmp_path / "page.html").read_text()
    assert all(script in text for script in own(COMPARISON))
    assert 'data-sort="0.05 50 ms"' in text  # times by their length, not by their digits


def test_invalid_cells_and_cells_of_one_run_are_listed_with_why(troubled, tmp_path, capsys):
    assert main(["compare", *map(str, troubled), "--html", str(tmp_path / "page.html")]) == 0
    out = capsys.readouterr().out
    assert "only in a: uvloop, close, 50 ms; connections 32" in out
    assert "only in b: uvloop, close, 50 ms; connections 64" in out
    assert "3 cells of b alone: listed, not compared." in out
    assert "invalid in b: uvloop, close, 50 ms, 16: 3 of 3 slices: it | <died> (3x)" in out
    says = {row.says for row in compare_runs(troubled).rows if row.target == "uvloop"}
    assert says == {"invalid in b: it | <died>"}
    page = (tmp_path / "page.html").read_text()
    assert "it | &lt;died&gt; (3x)" in page
    assert ">invalid<" in page  # its square in the map


def tables_of(tokens):
    """The rows of each table of parsed Markdown, as texts of their cells."""
    tables = []
    for token, content in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in ("td_open", "th_open"):
            tables[-1][-1].append("".join(child.content for child in content.children))
    return tables


def parsed(text):
    return MarkdownIt("commonmark").enable("table").parse(text)


def test_markdown_parses_into_a_summary_tables_and_folds(troubled):
    compared = compare_runs(troubled)
    tokens = parsed(as_markdown(compared))
    heading = next(token for token in tokens if token.type == "inline")
    assert heading.content == "b against a"
    tables = tables_of(tokens)
    assert all(len({len(row) for row in table}) == 1 for table in tables)
    ratios, alone, lost, environment = tables  # nothing differs
    assert len(ratios) == 1 + len(compared.rows)
    assert [row[-1] for row in ratios[1:] if row[0] == "uvloop"] == [
        "invalid in b: it | <died>"
    ] * 2
    assert ["a", "uvloop", "close", "50 ms", "32"] in alone
    assert lost[1][-1] == "it | <died> (3x)"
    assert environment[0] == ["name", "a", "b"]
    blocks = "".join(token.content for token in tokens if token.type == "html_block")
    assert blocks.count("<details>") == blocks.count("</details>") == 4


def test_markdown_begins_with_what_differs_the_furthest_first(pair):
    compared = compare_runs(pair)
    text = as_markdown(compared)
    differ = tables_of(parsed(text))[0]
    assert text.index("#### What differs") < text.index("<details>")
    assert [row[-1] for row in differ[1:]] == [row.says for row in compared.what_differs]
    first, second = (row for row in differ[1:3])
    assert {first[-1], second[-1]} == {"higher, beyond drift"}
    assert float(first[7]) >= float(second[7]) > 1.4  # the truth is 1.5
    assert "share no rounds" in text[: text.index("#### What differs")]


def test_tables_are_cut_to_what_a_comment_takes_and_say_so(pair, monkeypatch):
    compared = compare_runs(pair)
    whole = as_markdown(compared)
    monkeypatch.setattr("bench.present.markdown.MOST_CHARACTERS", len(whole) - 1)
    text = as_markdown(compared)
    assert len(text) < len(whole)
    assert max(map(len, tables_of(parsed(text)))) == 1 + 10  # of 24 ratios
    assert f"and {len(compared.rows) - 10} more, which the page (`--html`) has." in text


@pytest.mark.parametrize(
    "text",
    ["a|b", "<b>x</b>", "[x](y)", "*a* _b_ `c`", "1. one", "- dash", "# x", "a\\|b", "&amp;",
     "~~x~~", "> q", "+ x", "1) x", "=="],
)  # fmt: skip
def test_markdown_shows_names_as_they_are(text):
    shown = tables_of(parsed(f"| {escape(text)} |\n| --- |\n| {escape(text)} |"))
    assert shown == [[[text], [text]]]
    paragraph = parsed(escape(text))
    assert [token.type for token in paragraph] == ["paragraph_open", "inline", "paragraph_close"]
    assert "".join(child.content for child in paragraph[1].children) == text


def test_markdown_alone_goes_to_the_terminal_for_a_pipe(pair, capsys):
    assert main(["compare", *map(str, pair), "--markdown", "-"]) == 0
    assert capsys.readouterr().out == as_markdown(compare_runs(pair))


def test_three_runs_are_all_held_against_the_first(pair, tmp_path, capsys):
    third = run_at(tmp_path, "c", rounds=2, grid=SMALL)
    compared = compare_runs([*pair, third])
    assert {row.runs for row in compared.rows} == {"b / a", "c / a"}
    assert [row[:2] for row in compared.alone_rows][:1] == [("a (not in c)", "blocking")]
    assert main(["compare", *map(str, [*pair, third]), "--markdown", str(tmp_path / "x.md")]) == 0
    assert "c / a" in capsys.readouterr().out
    header = tables_of(parsed((tmp_path / "x.md").read_text()))[0][0]
    assert header[5:8] == ["run", "base", "other"]


def test_one_run_given_twice_or_copied_is_refused(pair, tmp_path, capsys):
    run = run_at(tmp_path, "a", rounds=2, grid=SMALL)
    assert main(["compare", str(run), str(run)]) == 2
    assert f"{run} is given twice" in capsys.readouterr().err
    (tmp_path / "link").symlink_to(run)
    assert main(["compare", str(run), str(tmp_path / "link")]) == 2
    assert "is given twice" in capsys.readouterr().err
    shutil.copytree(run, tmp_path / "copy")
    assert main(["compare", str(pair[0]), str(run), str(tmp_path / "copy")]) == 2
    assert f"{tmp_path / 'copy'} is a copy of {run}" in capsys.readouterr().err


def test_two_runs_of_one_name_are_told_apart(tmp_path):
    places = ("x", "y", "z")
    runs = [run_at(tmp_path, p, name="a", seed=n, grid=SMALL) for n, p in enumerate(places)]
    runs.insert(1, run_at(tmp_path, "w", name="a-2", seed=9, grid=SMALL))
    assert compare_runs(runs).names == ["a", "a-2", "a-3", "a-4"]


def test_names_of_runs_may_hold_what_formats_and_formulas_are_made_of(tmp_path):
    first = run_at(tmp_path, "a", name="{0} {x} $a^^$", rounds=1, grid=SMALL)
    second = run_at(tmp_path, "b", name="%s/<b> $_$ | x", rounds=1, grid=SMALL)
    compared = compare_runs([first, second])
    page = write_comparison(compared).read_text()
    assert ">{0} {x} $a^^$<" in page
    assert "%s/&lt;b&gt; $_$" in page
    inline = parsed(as_markdown(compared))[1]
    assert "".join(c.content for c in inline.children) == "%s/<b> $_$ | x against {0} {x} $a^^$"


def test_one_round_each_gives_ratios_without_intervals(tmp_path):
    runs = [run_at(tmp_path, name, rounds=1, grid=SMALL) for name in ("a", "b")]
    says = {row.says for row in compare_runs(runs).rows if row.metric == "throughput"}
    assert says == {"one round: no interval"}


def test_runs_without_a_common_cell_are_refused_with_what_each_has(tmp_path, capsys):
    first = run_at(tmp_path, "a", rounds=1)
    second = run_at(tmp_path, "b", rounds=1, grid=GRID | {"connections": [7]})
    with pytest.raises(UserError, match=r"a and b have no cell in common.*16, 128.*connections 7"):
        compare_runs([first, second])
    third = run_at(tmp_path, "c", rounds=1, seed=2)
    assert main(["compare", *map(str, (first, third, second)), "--out", str(tmp_path / "out")]) == 2
    assert "a and b have no cell in common" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_without_a_slice_is_said_to_have_none(tmp_path, capsys):
    first = run_at(tmp_path, "a", rounds=1, grid=SMALL)
    empty = run_at(tmp_path, "b", rounds=0, grid=SMALL)
    assert main(["compare", str(first), str(empty)]) == 2
    assert "b has no finished slice" in capsys.readouterr().err


def test_long_names_of_runs_are_broken_into_lines_that_fit_the_map(tmp_path):
    runs = [
        run_at(tmp_path, str(s), name=f"quick-2026112{s}-171500-{'x' * 30}", seed=s, rounds=2,
               grid=SMALL)
        for s in (1, 2)
    ]  # fmt: skip
    maps = list(map_drawings(compare_runs(runs).pairs))
    figure = maps[0].draw()
    title = figure.get_suptitle().split("\n")
    assert max(map(len, title)) <= 11 * figure.get_figwidth()
    assert "no ratio" in " ".join(title)


def test_what_cannot_be_read_or_written_is_said(tmp_path, capsys):
    pair = [run_at(tmp_path, name, rounds=1, seed=n, grid=SMALL) for n, name in enumerate("ab")]
    assert main(["compare", str(pair[0]), str(tmp_path / "none")]) == 2
    assert "no such run" in capsys.readouterr().err
    for option in ("--html", "--markdown"):
        asked = tmp_path / "no" / "such" / "folder"
        assert main(["compare", *map(str, pair), option, str(asked)]) == 2
        assert f"cannot write {asked}" in capsys.readouterr().err
        assert main(["compare", *map(str, pair), option, str(tmp_path)]) == 2
        assert f"choose another {option}" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["compare", *map(str, pair), "--out", str(tmp_path / "file")]) == 2
    assert "choose another --out" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["-0.1", "nan", "inf"])
def test_an_allowance_for_drift_is_a_share(pair, share, capsys):
    assert main(["compare", *map(str, pair), "--drift", share]) == 2
    assert "as 0.15 for 15%" in capsys.readouterr().err


POOLS = SMALL | {"targets": ["thread-pool", "uvloop"], "pairs": []}


def test_runs_with_and_without_a_set_number_share_their_figures(tmp_path):
    old = run_at(tmp_path, "a", rounds=2, grid=POOLS)
    new = run_at(tmp_path, "b", rounds=2, grid=POOLS, old=False)
    page = write_comparison(compare_runs([old, new]), tmp_path / "out")
    charts = [path.name for path in (page.parent / "charts").glob("throughput*.svg")]
    assert charts == ["throughput-close.svg"]


def test_works_of_one_delay_are_rows_of_their_own(tmp_path):
    grid = SMALL | {"works": ["/delay=20ms", "/block=20ms"]}
    runs = [run_at(tmp_path, str(s), seed=s, rounds=2, grid=grid, old=False) for s in (1, 2)]
    assert {row.work for row in compare_runs(runs).rows} == {"20 ms", "20 ms (/block=20ms)"}


def test_nothing_valid_in_common_leaves_a_page_without_curves(tmp_path):
    runs = [
        run_at(tmp_path, str(s), seed=s, rounds=2, grid=SMALL, change=lambda t: invalid(t, "died"))
        for s in (1, 2)
    ]
    page = write_html(compare_runs(runs), tmp_path / "page.html").read_text()
    assert "No slice was valid, so there is nothing to draw." in page


def test_a_target_that_a_run_has_not_is_no_difference_of_settings(tmp_path):
    first = run_at(tmp_path, "a", rounds=1, grid=SMALL)
    second = run_at(tmp_path, "b", rounds=1, grid=SMALL | {"targets": ["uvloop"], "pairs": []})
    names = [name for name, _ in compare_runs([first, second]).differences]
    assert "config.grids.1.targets" in names
    assert not [name for name in names if name.startswith("target.")]


def test_one_run_is_not_enough(tmp_path):
    with pytest.raises(UserError, match="two runs or more"):
        compare_runs([tmp_path])
