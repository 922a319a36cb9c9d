"""What concluding costs: intervals of rounds, a run's verdicts, a gate's decision."""

import json
import random
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.analyse.frames import trials_frame
from bench.analyse.stats import mean_interval
from bench.analyse.verdicts import judge
from bench.gate.decide import Sample, decide
from bench.gate.slices import sample_of
from bench.store import Run, read_run

RUN = Path(__file__).parents[2] / "results" / "reference" / "aa"
METRICS = ("throughput", "cpu", "p50", "p99")


@pytest.fixture(scope="module")
def run() -> Run:
    return read_run(RUN)


@pytest.fixture(scope="module")
def ratios() -> tuple[float, ...]:
    dice = random.Random(1)
    return tuple(dice.gauss(0, 0.02) for _ in range(16))


def test_reading_the_lines_of_a_run(benchmark: BenchmarkFixture, run: Run) -> None:
    """100 lines, histograms and all, from text to values."""
    texts = [json.dumps(trial) for trial in run.trials[:100]]
    assert len(benchmark(lambda: [json.loads(text) for text in texts])) == len(texts)


def test_the_interval_of_some_rounds(
    benchmark: BenchmarkFixture, ratios: tuple[float, ...]
) -> None:
    assert benchmark(mean_interval, ratios).n == len(ratios)


def test_a_frame_of_slices(benchmark: BenchmarkFixture, run: Run) -> None:
    assert len(benchmark(trials_frame, run)) == len(run.trials)


def test_the_verdicts_of_a_run(benchmark: BenchmarkFixture, run: Run) -> None:
    assert benchmark(judge, run)["comparisons"]


def test_the_decision_of_a_gate(benchmark: BenchmarkFixture, ratios: tuple[float, ...]) -> None:
    samples = [Sample("/", metric, ratios, len(ratios)) for metric in METRICS]
    assert benchmark(decide, samples).outcome


def test_the_sample_of_a_metric(benchmark: BenchmarkFixture) -> None:
    """16 pairs of two couples each, as they are looked at after every pair."""
    lines = [
        {
            "pair": pair,
            "couple": couple,
            "side": side,
            "workload": "/",
            "regime": "closed",
            "throughput_rps": 1000.0 + pair,
            "valid": True,
            "invalid_reasons": [],
        }
        for pair in range(16)
        for couple in range(2)
        for side in ("base", "head")
    ]
    assert len(benchmark(sample_of, lines, "/", "throughput").ratios) == 16
