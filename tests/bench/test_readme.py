"""The README's picture and sentences: written from a run, and as they stand in the README."""

from pathlib import Path

import pytest
from synthetic import CLOSE, KEEP_ALIVE, write_run

from bench.errors import UserError
from bench.present import readme
from bench.present.readme import BEGIN, END, RUN, block, main, replaced
from bench.store import read_run

ROOT = Path(__file__).parent.parent.parent


def test_the_readme_says_what_its_run_says() -> None:
    """Whoever measures the run anew calls `make readme`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert replaced(text, block(read_run(ROOT / RUN), RUN)) == text


def test_its_picture_and_its_run_are_committed() -> None:
    assert (ROOT / RUN / "charts" / "map-uvloop-threaded-keep-alive.png").is_file()
    assert (ROOT / RUN / "run.json").is_file()


def test_three_sentences_with_intervals_from_a_run_of_known_truth(tmp_path: Path) -> None:
    """There a thread costs more the more there are, and blocking serves one at a time."""
    run = read_run(write_run(tmp_path / "r", grids=[KEEP_ALIVE, CLOSE], rounds=8, noise=0.005))
    lines = block(run, Path("results/r")).replace("\n  ", " ").splitlines()
    sentences = [line for line in lines if line.startswith("- ")]
    assert lines[0].startswith("![Where uvloop beats threads](results/r/charts/")
    assert len(sentences) == 3
    assert "uvloop is ahead at 1, 16, 128 and 1,024 connections, most at 1,024: 2." in sentences[0]
    assert "of 50 ms" in sentences[1]
    assert "1,024 connections with a wait of 5 ms" in sentences[2]
    assert all("[" in sentence for sentence in sentences)


def test_what_a_run_has_no_data_for_is_not_said(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "r", grids=[KEEP_ALIVE | {"delays_s": [0.0]}]))
    assert block(run, Path("results/r")).count("\n- ") == 1


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    assert replaced(f"a\n{BEGIN}\nold\n{END}\nb", "new") == f"a\n{BEGIN}\nnew\n{END}\nb"
    with pytest.raises(UserError, match="lacks the lines"):
        replaced(f"a {BEGIN} b", "new")


def test_the_command_takes_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "README.md"
    file.write_text(f"{BEGIN}\n{END}\n")
    monkeypatch.setattr(readme, "README", file)
    folder = write_run(tmp_path / "r", grids=[KEEP_ALIVE])
    assert main([str(folder)]) == 0
    assert f"({folder}/run.json)" in file.read_text()
