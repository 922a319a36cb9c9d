"""`crossover export`: a line for every slice, and nothing that a spreadsheet cannot read."""

import csv
import io
from pathlib import Path

from harness import crossover
from synthetic import write_run

GRID = {
    "connection": "keep-alive",
    "targets": ["uvloop", "threaded"],
    "delays_s": [0.05],
    "connections": [1, 16],
    "pairs": [["uvloop", "threaded"]],
}


def test_every_slice_is_a_line_with_its_cell_and_figures(tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", grids=[GRID])
    done = crossover("export", run, "--csv", tmp_path / "all.csv")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with (tmp_path / "all.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len((run / "trials.jsonl").read_text().splitlines())
    first = rows[0]
    assert first["target"] in ("uvloop", "threaded")
    assert (first["work"], first["valid"]) == ("/delay=50ms", "True")
    assert float(first["throughput_rps"]) > 0
    assert float(first["response_time_ms.p99"]) > 0
    assert not any("hist" in name for name in first)
    shown = crossover("export", run).stdout
    assert list(csv.DictReader(io.StringIO(shown))) == rows


def test_what_cannot_be_exported_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", grids=[GRID])
    for words, what in (
        (["export", tmp_path / "none"], "no such run"),
        (["export", run, "--csv", "/nowhere/x.csv"], "cannot write /nowhere/x.csv"),
    ):
        done = crossover(*words)
        assert done.returncode == 2
        assert what in done.stderr
        assert "Traceback" not in done.stderr
