"""Micro-benchmarks of two commits, gated by runs in turns, and exported for dashboards."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.errors import UserError
from bench.gate import micro, session

FAST = """
def test_adding(benchmark):
    benchmark(lambda: sum(range(100)))

def test_nothing(benchmark):
    benchmark(lambda: None)
"""
SLOW = FAST.replace("range(100)", "range(20_000)")


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a commit whose benchmarks are fast; the working tree can be anything."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setattr(session, "MICRO_S", 0.01)
    folder = tmp_path / "shop"
    (folder / "tests" / "benchmarks").mkdir(parents=True)
    write(folder, FAST)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    for words in (
        ("init", "--quiet"),
        ("add", "--all"),
        ("-c", "user.name=u", "-c", "user.email=u@localhost", "commit", "--quiet", "-m", "fast"),
    ):
        subprocess.run(["git", "-C", str(folder), *words], check=True, env=environment)
    monkeypatch.chdir(folder)
    return folder


def write(folder: Path, content: str) -> None:
    (folder / "tests" / "benchmarks" / "test_speed.py").write_text(content)


def gate(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["gate", "--micro", "--pairs", "4", "--budget", "1s", "--base", "HEAD", *words])
    said, err = capfd.readouterr()
    assert "Traceback" not in err
    return code, said + err


def test_a_slower_benchmark_is_a_regression_and_one_sided_ones_are_told(
    repo: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """200 times the work in one of two; 8 us against some 200 us."""
    write(repo, SLOW.replace("test_nothing", "test_new"))
    export, report = tmp_path / "micro.json", tmp_path / "gate.xml"
    code, said = gate(capfd, "--micro-json", str(export), "--junit", str(report))
    assert code == 1, said
    assert "time of tests/benchmarks/test_speed.py::test_adding: head / base " in said
    assert "slower beyond chance, and the estimate beyond 2.0%" in said
    assert "<failure message=" in report.read_text()
    content = json.loads(export.read_text())
    assert {each["name"] for each in content["benchmarks"]} == {"test_adding", "test_new"}
    assert {"machine_info", "commit_info", "version", "datetime"} <= set(content)
    assert "note: tests/benchmarks/test_speed.py::test_new is new: not compared" in said
    assert "note: tests/benchmarks/test_speed.py::test_nothing is gone: not compared" in said


def test_nothing_in_common_is_an_error(repo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(repo, "def test_new(benchmark):\n    benchmark(lambda: None)\n")
    code, said = gate(capfd)
    assert code == 2
    assert "nothing was measured: base and head have no benchmark in common" in said


def test_a_path_that_is_not_there_is_an_error(
    repo: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, said = gate(capfd, "--micro-path", "tests/none")
    assert code == 2
    assert "--micro-path tests/none: base has no such file or folder" in said


def test_benchmarks_of_head_that_fail_are_a_regression(
    repo: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(repo, FAST + "\ndef test_broken(benchmark):\n    benchmark(lambda: 1 / 0)\n")
    code, said = gate(capfd)
    assert code == 1, said
    assert "head: its benchmarks failed; its last output:" in said
    assert "ZeroDivisionError" in said


def lines(*fastest_s: tuple[float, float]) -> list[dict[str, Any]]:
    return [
        {"pair": pair, "side": side, "benchmark": "b", "min_s": value}
        for pair, both in enumerate(fastest_s)
        for side, value in zip(("base", "head"), both, strict=True)
    ]


def test_a_pair_is_the_ratio_of_the_two_fastest_rounds() -> None:
    (sample,) = micro.samples_of(lines((1.0, 2.0), (3.0, 3.0)))
    assert sample.ratios == pytest.approx((0.6931, 0.0), abs=1e-4)
    assert micro.samples_of(lines((1.0, 2.0))[:1]) == []


def test_the_export_has_the_median_run_of_each_benchmark() -> None:
    reports = [
        {"version": "5", "benchmarks": [{"fullname": "b", "stats": {"median": value}}]}
        for value in (3.0, 1.0, 2.0)
    ]
    (found,) = micro.exported(reports)["benchmarks"]
    assert found["stats"]["median"] == 2.0
    with pytest.raises(UserError, match="there is nothing to export"):
        micro.exported([])
