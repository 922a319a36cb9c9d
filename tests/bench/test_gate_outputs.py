"""What a gate tells: table, comment, test report, figure; and what CI makes of its exit code."""

import math
import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from harness import ROOT

from bench.gate.decide import Sample, decide
from bench.gate.outputs import decision_content, junit, junit_of_error, markdown, terminal
from bench.gate.settings import read_settings
from bench.gate.slices import pair_ratios_of
from bench.present.pair_ratios import draw_pair_ratios
from bench.trials import gate as trial

NOISE = (0.001, -0.001, -0.001, 0.001, 0.001, -0.001, -0.001, 0.001, 0.001, -0.001)
WORK = "/a|b at 8 connections"


def content(*failures: str, **shifts: float | None) -> dict[str, Any]:
    """A gate whose metrics are so much slower, as logs; None: without a pair."""
    samples = [
        Sample(WORK, metric, () if by is None else tuple(by + x for x in NOISE), 10)
        for metric, by in shifts.items()
    ]
    ratios = {each.metric: [math.exp(r) for r in each.ratios] for each in samples}
    return {
        "base": {"source": "main (0123456789)"},
        "head": {"source": "`x` (abcdef0123)"},
        "pairs": 10,
        "elapsed_s": 120.0,
        "in_turns": False,
        "notes": ["server and generator share a core"],
        "pair_ratios": {WORK: ratios},
        "decision": decision_content(decide(samples, failures=failures)),
    }


def test_the_table_has_a_row_for_each_metric_and_the_answer_with_its_reasons() -> None:
    said = terminal(content(cpu=0.1, p99=None)).splitlines()
    assert said[0] == "base: main (0123456789)"
    assert re.match(r"CPU per request, \S+ at 8 connections +1\.105 +\[1\.\d+, 1\.\d+\] +10 +2\.0%",
                    said[3])  # fmt: skip
    assert re.match(r"p99, open loop, .* - +- +0 +2\.0% +inconclusive$", said[4])
    # Two tests share nine tenths of the 1%, on either side of an interval.
    assert re.match(r" +head / base +99\.1% interval +pairs", said[2])
    assert "note: server and generator share a core" in said
    assert "regression: head is slower than base, or fails" in said
    assert len([line for line in said if line.startswith("  ")]) >= 1


def test_a_comment_says_what_was_compared_and_breaks_no_table() -> None:
    comment = markdown(content(cpu=0.0))
    assert comment.startswith("### ✅ Performance gate: pass\n")
    assert "Base is `main (0123456789)`, head is `'x' (abcdef0123)`; 10 pairs" in comment
    assert "measured at once on one machine, 120 s" in comment
    assert "measured in turns on" in markdown(content(cpu=0.0) | {"in_turns": True})
    (row,) = [line for line in comment.splitlines() if line.startswith("| CPU")]
    assert row.replace("\\|", "").count("|") == 7
    assert row.endswith("| pass |")
    assert "- Note: server and generator share a core" in comment


def cases(report: str) -> dict[str, list[str]]:
    suite = ElementTree.fromstring(report)[0]
    return {str(case.get("name")): [child.tag for child in case] for case in suite.iter("testcase")}


def test_a_regression_fails_and_inconclusive_is_skipped_with_its_reason() -> None:
    report = junit(content(cpu=0.1, p50=0.0, p99=None))
    assert cases(report) == {
        f"cpu {WORK}": ["failure"],
        f"p50 {WORK}": ["system-out"],
        f"p99 {WORK}": ["skipped"],
    }
    suite = ElementTree.fromstring(report)[0]
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    assert "at least 3 are needed" in str(suite[2][0].get("message"))


def test_failed_requests_are_a_failure_of_their_own() -> None:
    report = junit(content("head failed 3 of 9 requests, base did not", cpu=0.0))
    assert cases(report) == {f"cpu {WORK}": ["system-out"], "errors": ["failure"]}


def test_a_gate_that_could_not_measure_is_an_error_and_no_control_character_breaks_it() -> None:
    report = junit_of_error("head: ended with exit code 1; its last output:\n  \x1b[31mred\x00")
    assert cases(report) == {"gate": ["error"]}
    assert "?[31mred?" in report


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_figure_is_drawn_with_and_without_pairs(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / "new" / f"gate{suffix}"
    draw_pair_ratios(file, content(throughput=-0.1, cpu=0.1, p50=0.0, p99=None))
    assert file.stat().st_size > 5000
    if suffix == ".svg":
        drawn = file.read_text()
        assert "no pair" in drawn
        assert "regression: head against base, pair by pair" in drawn


# What CI makes of the exit code.


def run_with_a_gate_that_ends(script: str, code: int, folder: Path) -> int:
    """Run a CI's script, as that does, with a `crossover` that ends with this code."""
    stub = folder / ".venv" / "bin" / "crossover"
    stub.parent.mkdir(parents=True)
    stub.write_text(f'#!/bin/sh\necho "$@" > asked\nexit {code}\n')
    stub.chmod(0o755)
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]
    environment = {"MODEL": "asyncio", "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def workflow_script() -> str:
    """The step of the workflow that holds the gate."""
    text = (ROOT / ".github" / "workflows" / "gate.yml").read_text()
    (block,) = [each for each in re.split(r"\n +run: \|\n", text) if "crossover gate" in each]
    lines = []
    for line in block.splitlines():
        if line.startswith("      - "):
            break
        lines.append(line.strip())
    return "\n".join(lines)


@pytest.mark.parametrize(("code", "ends_with"), [(0, 0), (1, 1), (2, 2), (3, 0), (130, 130)])
def test_the_workflow_swallows_no_exit_code_but_inconclusive(
    code: int, ends_with: int, tmp_path: Path
) -> None:
    assert run_with_a_gate_that_ends(workflow_script(), code, tmp_path) == ends_with
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("gate --base HEAD^1 --head HEAD --model asyncio --markdown gate.md")
    text = (ROOT / ".github" / "workflows" / "gate.yml").read_text()
    assert "continue-on-error" not in text


def test_the_job_for_gitlab_lets_only_inconclusive_through() -> None:
    text = (ROOT / "docs" / "ci.md").read_text()
    (job,) = [block for block in text.split("```") if "CI_MERGE_REQUEST" in block]
    assert "allow_failure:\n    exit_codes: [3]" in job
    (command,) = [line for line in job.splitlines() if "crossover gate" in line]
    assert not re.search(r"[|;&]", command)


def test_ci_gates_and_its_make_target_fails_with_the_gate() -> None:
    assert "\nstep gate-ci\n" in (ROOT / ".ci" / "run").read_text()
    makefile = (ROOT / "Makefile").read_text()
    (line,) = [each for each in makefile.splitlines() if "bench.trials.gate --parent" in each]
    assert line == "\t@$(BIN)/python -m bench.trials.gate --parent --prove"


# What the document says.


def test_the_counts_in_the_document_are_those_of_the_files() -> None:
    document = trial.DOCUMENT.read_text()
    shown = document.partition(trial.MARKS[0])[2].partition(trial.MARKS[1])[0].strip()
    assert shown == trial.table(trial.FOLDER), "run make trial-gate-count"


def test_the_recorded_slices_give_the_recorded_ratios() -> None:
    """Of every gate of equal sides: what the false alarms are counted and resampled from."""
    slices = trial.read_lines(trial.FOLDER / "gate-aa-slices.jsonl")
    gates = trial.read_lines(trial.FOLDER / "gate-aa.jsonl")
    assert gates
    for gate in gates:
        lines = [line for line in slices if line["seed"] == gate["seed"]]
        metrics = {name: list(ratios) for name, ratios in gate["pair_ratios"].items()}
        assert pair_ratios_of(lines, metrics) == gate["pair_ratios"]
        assert len(lines) == gate["slices"]


def test_a_document_without_marks_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "ci.md"
    document.write_text("no marks")
    with pytest.raises(trial.UserError, match="for the counts"):
        trial.write_table(document, tmp_path)
    document.write_text(f"a\n{trial.MARKS[0]}\nold\n{trial.MARKS[1]}\nb\n")
    trial.write_table(document, tmp_path)
    assert document.read_text().startswith(f"a\n{trial.MARKS[0]}\n| head | gates |")
    assert document.read_text().endswith(f"{trial.MARKS[1]}\nb\n")


def test_the_reproduction_in_the_document_is_the_recorded_one() -> None:
    document = trial.DOCUMENT.read_text()
    recorded = (trial.FOLDER / "benchmark-compare-fail.txt").read_text()
    (shown,) = [block for block in document.split("```") if "PerformanceRegression" in block]
    assert shown.strip() in recorded
    assert recorded.endswith("failed once and passed ever after\n")


def test_the_example_in_the_document_is_read_as_it_stands(tmp_path: Path) -> None:
    document = trial.DOCUMENT.read_text()
    example, several = re.findall(r"```toml\n(.*?)```", document, re.DOTALL)
    assert len(example.splitlines()) == 5
    file = tmp_path / "crossover.toml"
    file.write_text(example)
    settings = read_settings(file)
    assert settings.recipe.command == "uvicorn app:app --port {port}"
    assert [(each.path, each.connections) for each in settings.asked] == [("/slow", 64)]
    file.write_text(several)
    settings = read_settings(file)
    assert [each.connections for each in settings.asked] == [64, 512]
    assert settings.asked[1].rate_rps == 800
    assert settings.asked[1].metrics == ("throughput", "p99")
    assert settings.overridden(metrics=("cpu",)).asked[1].metrics == ("cpu",)
    assert settings.overridden(metrics=("cpu",)).asked[1].rate_rps == 800
