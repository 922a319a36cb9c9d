"""crossover report: what it writes, what it prints, and what it says of broken runs."""

import json
import re
from html.parser import HTMLParser

import pytest
from synthetic import CLOSE, invalid, write_run

from bench.cli.report import report
from bench.errors import UserError
from bench.present.environment import environment
from bench.store import read_run

GRID = CLOSE | {"delays_s": [0.0, 0.05], "connections": [16, 128]}


class Page(HTMLParser):
    """Collects what the tests ask about."""

    def __init__(self, text):
        super().__init__()
        self.references, self.images, self.ids, self.words = [], [], [], []
        self.scripts = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.ids += [known["id"]] if "id" in known else []
        for name in ("href", "src", "xlink:href", "action"):
            self.references += [known[name]] if name in known else []
        if tag == "script" and "src" in known:
            self.scripts.append(known)
        if tag == "svg":
            self.images.append(known)

    def handle_data(self, data):
        self.words.append(data)


def died_once(trial):
    lost = trial["target"] == "uvloop" and trial["connections"] == 128 and trial["round"] == 1
    return invalid(trial, "the server died <exit 1>") if lost else trial


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, grids=[GRID], rounds=4, change=died_once)
    report(folder)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text())


def test_it_prints_the_verdict_and_where_the_files_are(folder, capsys):
    report(folder)
    out = capsys.readouterr().out
    assert "threaded beats blocking" in out
    for name in ("report.html", "charts", "verdicts.json"):
        assert f"wrote {folder / name}" in out


def test_it_writes_verdicts_by_the_schema(folder):
    verdicts = json.loads((folder / "verdicts.json").read_text())
    assert verdicts["schema"] == 1
    assert verdicts["run"] == read_run(folder).name
    assert len(verdicts["comparisons"]) == 2 * 2 * 2 * 2  # pairs, delays, connections, metrics


def test_the_page_needs_nothing_but_itself(page, folder):
    assert page.references
    assert all(reference.startswith("#") for reference in page.references)
    text = (folder / "report.html").read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'")  # the browser refuses what the page may not do
    assert "http" not in policy
    assert not page.scripts  # none that has a source
    ours = re.sub(r'<script type="text/plain" id="plotly">.*?</script>', "", text, flags=re.DOTALL)
    assert len(ours) < len(text)
    assert "@import" not in ours
    assert not re.search(r"url\((?!#)", ours)


def test_the_page_stays_small(folder):
    """plotly.js has 1.1 MiB; all else that a small run has is less than half of one."""
    assert (folder / "report.html").stat().st_size < 1.6 * 2**20


def test_every_link_on_the_page_leads_somewhere_and_ids_do_not_clash_between_figures(page):
    assert {r[1:] for r in page.references} <= set(page.ids)
    figures = [name for name in page.ids if name.endswith("-figure_1")]
    assert len(figures) == len(set(figures)) == len(page.images)


def test_every_figure_has_a_text_alternative(page):
    assert len(page.images) == 2 + 5 + 3 + 1  # a map per pair, kinds of curves, claims, the model
    assert all(len(image["aria-label"]) > 30 for image in page.images)


def test_the_page_lists_comparisons_invalid_slices_and_the_environment(page):
    text = " ".join(" ".join(page.words).split())
    assert "16 comparisons; ratio is first / second" in text
    assert "2 of 48 slices were invalid" in text  # uvloop at 128 in round 1, two delays
    assert "the server died <exit 1> (1x)" in text
    assert "Example CPU @ 2.50GHz" in text


def test_the_verdict_comes_before_the_figures(folder):
    text = (folder / "report.html").read_text()
    assert text.index("threaded beats blocking") < text.index("<svg")


def test_an_interrupted_run_is_reported_and_says_so(tmp_path, capsys):
    write_run(tmp_path, grids=[GRID], rounds=2, state="interrupted")
    with (tmp_path / "trials.jsonl").open("a") as file:
        file.write('{"round": 2, "targ')
    report(tmp_path)
    out = capsys.readouterr().out
    assert "not complete (interrupted" in out
    assert "cut off while it was written" in out
    assert "This run is not complete (interrupted)" in (tmp_path / "report.html").read_text()


def test_one_round_is_all_undecided_and_says_why(tmp_path, capsys):
    write_run(tmp_path, grids=[GRID], rounds=1)
    report(tmp_path)
    out = capsys.readouterr().out
    assert "one round gives no interval" in out
    assert "beats" not in out
    verdicts = json.loads((tmp_path / "verdicts.json").read_text())
    assert {c["verdict"] for c in verdicts["comparisons"]} == {"undecided"}


def test_a_run_without_a_valid_slice_is_still_reported(tmp_path, capsys):
    write_run(tmp_path, grids=[GRID], rounds=2, change=lambda t: invalid(t, "generator busy"))
    report(tmp_path)
    assert "generator busy" in capsys.readouterr().out


def test_a_run_without_any_slice_is_refused_in_one_line(tmp_path):
    write_run(tmp_path, grids=[GRID], rounds=1, change=lambda _: None)
    with pytest.raises(UserError, match="no finished slice"):
        report(tmp_path)


def test_targets_their_numbers_and_interpreters_are_on_the_page(tmp_path):
    grid = GRID | {"targets": ["thread-pool", "uvloop@3.13t"], "pairs": []}
    write_run(tmp_path, grids=[grid], rounds=1, old=False)
    report(tmp_path)
    page = Page((tmp_path / "report.html").read_text())
    assert {"targets", "verdict"} <= set(page.ids)
    assert {r[1:] for r in page.references} <= set(page.ids)
    assert {"64 threads", "CPython 3.13.7", "off"} <= set(page.words)


def test_the_environment_has_what_a_target_ran_under(tmp_path):
    grid = GRID | {"targets": ["thread-pool", "uvloop@3.13t"], "pairs": []}
    rows = environment(read_run(write_run(tmp_path, grids=[grid], rounds=1, old=False)))
    assert rows["target.thread-pool.workers"] == "64"
    assert rows["target.uvloop@3.13t.python.gil"] == "no"
    assert rows["target.uvloop@3.13t.python.version"] == "3.13.7"


def test_the_environment_is_flat_and_in_words(tmp_path):
    rows = environment(read_run(write_run(tmp_path, grids=[GRID], rounds=1)))
    assert rows["machine.limits.somaxconn"] == "4096"
    assert rows["machine.cpu.governor"] == "not known"
    assert rows["python.gil"] == "yes"
    assert rows["config.seed"] == "1"
    assert rows["config.grids.1.pairs"] == "threaded/blocking, uvloop/blocking"
    assert rows["target.uvloop"] == "python -m servers uvloop"


def test_claims_and_crossovers_are_in_words_in_tables_and_in_the_verdicts(page, folder):
    verdicts = json.loads((folder / "verdicts.json").read_text())
    names = [claim["claim"] for claim in verdicts["claims"]]
    assert names == ["nothing to wait for", "blocking", "many tasks"]
    assert all(claim["outcome"] for claim in verdicts["claims"])
    assert all(len(line["levels"]) == 3 for line in verdicts["crossovers"])
    text = " ".join(" ".join(page.words).split())
    assert '"Async wins when there are many tasks":' in text
    assert {"claims", "crossovers"} <= set(page.ids)
    assert "are false on average" in text
