"""The files of a run: what is written is what is read, and what is broken is said plainly."""

import json
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import CLOSE, write_run

from bench.errors import UserError
from bench.store import RunWriter, find_run, read_run, read_waits, write_verdicts

INFO = {"name": "r", "config": {}, "targets": [], "state": "running"}
TRIAL = {
    "target": "uvloop",
    "work": "/",
    "delay_s": 0.0,
    "connection": "close",
    "connections": 1,
    "workers": 1,
    "units": None,
    "server_cores": 1,
    "round": 0,
    "valid": True,
}


@pytest.fixture
def writer(tmp_path: Path) -> RunWriter:
    return RunWriter.create(tmp_path / "r", INFO)


def test_what_is_written_is_read_back(writer):
    writer.append(TRIAL)
    writer.append(TRIAL | {"round": 1})
    writer.update(state="complete", rounds_done=2)
    run = read_run(writer.folder)
    assert run.info == {"schema": 1, **INFO, "state": "complete", "rounds_done": 2}
    assert [trial["round"] for trial in run.trials] == [0, 1]
    assert not run.torn


def test_a_slice_is_on_disk_when_append_returns_even_if_the_harness_is_killed_next(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from bench.store import RunWriter;"
        f"w = RunWriter.create(Path(sys.argv[1]), {INFO!r}); w.append({TRIAL!r});"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "r")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert read_run(tmp_path / "r").trials == [TRIAL]


def test_a_run_never_overwrites_another(writer):
    with pytest.raises(UserError, match="exists"):
        RunWriter.create(writer.folder, INFO)


def test_two_runs_that_start_in_one_folder_at_once_do_not_share_it(tmp_path, monkeypatch):
    """The other run claims the folder between our look at it and our own claim."""
    other = tmp_path / "r" / "trials.jsonl"
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: exists(path) or (other.touch(), False)[1])
    with pytest.raises(UserError, match=r"trials\.jsonl exists: give the run another --out"):
        RunWriter.create(tmp_path / "r", INFO)


def test_a_run_that_cannot_start_leaves_its_folder_free(tmp_path):
    with pytest.raises(TypeError):
        RunWriter.create(tmp_path / "r", INFO | {"notes": object()})
    RunWriter.create(tmp_path / "r", INFO)


def test_nan_is_refused_and_leaves_no_trace(writer):
    with pytest.raises(ValueError, match="not JSON compliant"):
        writer.append(TRIAL | {"throughput_rps": float("nan")})
    assert read_run(writer.folder).trials == []


def test_a_full_disk_loses_the_new_slice_only_and_says_so(writer):
    writer.append(TRIAL)
    size = (writer.folder / "trials.jsonl").stat().st_size
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, old[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write .*trials\.jsonl: File too large"):
            writer.append(TRIAL | {"round": 1})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    writer.append(TRIAL | {"round": 2})
    assert [trial["round"] for trial in read_run(writer.folder).trials] == [0, 2]


def test_a_failed_update_keeps_the_old_file_and_no_temporary_one(writer):
    with pytest.raises(TypeError):
        writer.update(notes=object())
    assert read_run(writer.folder).info["state"] == "running"
    assert {path.name for path in writer.folder.iterdir()} == {"run.json", "trials.jsonl"}


@pytest.mark.parametrize("cut", [1, 20, 130])
def test_a_torn_last_line_is_left_out(writer, cut):
    writer.append(TRIAL)
    writer.append(TRIAL | {"round": 1})
    path = writer.folder / "trials.jsonl"
    path.write_bytes(path.read_bytes()[: -1 - cut])
    run = read_run(writer.folder)
    assert [trial["round"] for trial in run.trials] == [0]
    assert run.torn


def test_a_last_line_that_lacks_only_its_newline_counts(writer):
    writer.append(TRIAL)
    path = writer.folder / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    assert read_run(writer.folder).trials == [TRIAL]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{oops", r"trials\.jsonl line 2 is corrupted"),
        ("[1]", "line 2 is corrupted: it holds no JSON object"),
        ('{"round": NaN}', "line 2 is corrupted: NaN is not JSON"),
        ('{"round": 1}', "line 2 lacks target, work"),
        ("[" * 100_000, "line 2 is corrupted: .*recursion"),
        (json.dumps(TRIAL | {"round": "x"}), 'line 2 has "x" for round, which must be a whole'),
    ],
)
def test_a_corrupted_line_is_named_by_its_number(writer, line, message):
    good = json.dumps(TRIAL)
    (writer.folder / "trials.jsonl").write_text(f"{good}\n{line}\n{good}\n")
    with pytest.raises(UserError, match=message):
        read_run(writer.folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"run\.json is corrupted"),
        ('{"schema": 2}', "has schema 2, this version reads schema 1"),
        ("{}", "has schema None"),
        ('{"schema": 1, "name": "r"}', "lacks config, targets, state"),
        (json.dumps({"schema": 1, **INFO, "targets": [{}]}), r"run\.json lacks targets 1\.name"),
    ],
)
def test_a_run_file_that_cannot_be_used_is_explained(writer, content, message):
    (writer.folder / "run.json").write_text(content)
    with pytest.raises(UserError, match=message):
        read_run(writer.folder)


def test_a_name_that_no_file_can_have_is_told(tmp_path):
    with pytest.raises(UserError, match=r"cannot read x+: File name too long"):
        find_run(Path("x" * 300), tmp_path)


def test_a_missing_file_of_slices_is_named(writer):
    (writer.folder / "trials.jsonl").unlink()
    with pytest.raises(UserError, match=r"trials\.jsonl is missing"):
        read_run(writer.folder)


def test_a_folder_of_runs_lists_them(tmp_path):
    write_run(tmp_path / "one", grids=[CLOSE], rounds=1)
    with pytest.raises(UserError, match=r"holds no run\.json.*newest first: one"):
        read_run(tmp_path)


def test_a_wrong_name_lists_what_there_is(tmp_path):
    with pytest.raises(UserError, match=r"no such run; .*holds no runs"):
        find_run(Path("nope"), tmp_path)
    for number in range(10):
        (tmp_path / f"run-{number}").mkdir()
        (tmp_path / f"run-{number}" / "run.json").write_text(f'{{"started": "2026-01-0{number}"}}')
    with pytest.raises(UserError, match=r"run-9, run-8.*run-2 and 2 more"):
        find_run(Path("nope"), tmp_path)


def test_a_name_and_latest_are_found_in_results_by_their_start_not_by_file_times(tmp_path):
    for day in (3, 9, 5):
        folder = tmp_path / f"day{day}"
        folder.mkdir()
        (folder / "run.json").write_text(f'{{"started": "2026-01-0{day}T00:00:00"}}')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    assert find_run(Path("day3"), tmp_path) == tmp_path / "day3"
    assert find_run(Path("latest"), tmp_path) == tmp_path / "day9"
    shutil.rmtree(tmp_path / "day9")
    assert find_run(Path("latest"), tmp_path) == tmp_path / "day5"


def test_verdicts_hold_no_nan(tmp_path):
    assert json.loads(write_verdicts(tmp_path, {"schema": 1}).read_text()) == {"schema": 1}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_verdicts(tmp_path, {"ratio": float("inf")})


WAIT = {
    "target": "uvloop",
    "asked_s": 0.02,
    "connections": 1,
    "load": "idle",
    "samples": 500,
    "oversleep_us": dict.fromkeys(("min", "p1", "p10", "p50", "p90", "p99", "p999", "max"), 61.5),
}


def test_waits_are_read_where_they_were_measured_and_a_torn_line_is_left_out(tmp_path):
    run = read_run(write_run(tmp_path, grids=[CLOSE], rounds=1))
    assert read_waits(run) == []
    (tmp_path / "waits.jsonl").write_text(json.dumps(WAIT) + '\n{"target": "uv')
    assert read_waits(run) == [WAIT]


def test_waits_are_on_disk_beside_the_slices_when_they_are_appended(writer):
    writer.append_waits(WAIT)
    writer.append(TRIAL)
    writer.append_waits(WAIT | {"load": "loaded"})
    run = read_run(writer.folder)
    assert [each["load"] for each in read_waits(run)] == [WAIT["load"], "loaded"]
    assert len(run.trials) == 1


def test_a_damaged_line_of_waits_is_told_by_its_place(tmp_path):
    run = read_run(write_run(tmp_path, grids=[CLOSE], rounds=1))
    (tmp_path / "waits.jsonl").write_text(json.dumps(WAIT | {"load": "some"}) + "\n")
    with pytest.raises(UserError, match=r'waits\.jsonl line 1 has "some" for load'):
        read_waits(run)
