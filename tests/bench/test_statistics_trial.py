"""The simulation of the statistics: its truths, its arithmetic and what it calls missed."""

import itertools
import math

import numpy as np
import pytest

from bench.trials import statistics
from bench.trials.lines import EFFORTS, PAIR
from bench.trials.statistics import Figure, main
from bench.trials.truths import CURVES, NOISES, Machine, crossing_of


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.mark.parametrize("name", NOISES)
def test_noise_has_a_mean_of_nothing_and_one_value_a_round(name: str) -> None:
    drawn = NOISES[name](rng(), 3000, 10, 0.02)
    assert drawn.shape == (3000, 10)
    assert abs(float(drawn.mean())) < 5 * 0.04 / math.sqrt(drawn.size)


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_never_falls_and_its_crossing_is_where_it_is_zero(name: str) -> None:
    for seed in range(20):
        curve = CURVES[name](np.random.default_rng(seed))
        values = [curve(x) for x in np.linspace(0, 7, 50)]
        assert all(b >= a - 1e-12 for a, b in itertools.pairwise(values))
        at = crossing_of(curve, 1, 1024, 0.0)
        if at is not None:
            assert curve(math.log(at)) == pytest.approx(0, abs=1e-6)
        else:
            assert curve(0) * curve(math.log(1024)) >= 0


@pytest.mark.parametrize("name", EFFORTS)
def test_every_effort_measures_every_point_of_the_grid(name: str) -> None:
    machine = Machine(rng(), lambda x: 0.1 * (x - 3), 0.01)
    line = EFFORTS[name](machine, (1, 16, 128), rng())
    assert set(line) >= {1, 16, 128}
    assert all(len(line[count]) >= 3 for count in (1, 16, 128))
    assert len(PAIR) == 2


def test_the_adaptive_effort_adds_points_where_the_line_crosses() -> None:
    machine = Machine(rng(), lambda x: 0.1 * (x - math.log(40)), 0.001)
    line = EFFORTS["adaptive"](machine, (1, 16, 128, 512), rng())
    assert any(16 < count < 128 for count in line)


def test_a_figure_is_missed_when_all_of_its_interval_lies_outside() -> None:
    """The interval of 90 of 100 by Clopper and Pearson is [0.824, 0.951]."""
    few, many = Figure("x", 90, 100, (0.93, 0.97)), Figure("x", 9000, 10_000, (0.93, 0.97))
    assert few.interval == pytest.approx((0.8238, 0.9510), abs=1e-4)
    assert few.outcome == "outside, within the interval"
    assert many.outcome == "MISSED"
    assert Figure("x", 95, 100, (0.93, 0.97)).outcome == "met"
    assert "90.0% [82.4, 95.1] of 100; target 93 to 97%" in few.line()
    assert "target at most 5%" in Figure("x", 0, 10, (0.0, 0.05)).line()


def test_a_missed_target_is_an_exit_code_unless_informative(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = Figure("bad", 0, 1000, (0.93, 0.97))
    monkeypatch.setattr(statistics, "PARTS", (lambda rng, times: iter([bad]),))
    assert main([]) == 1
    assert main(["--informative"]) == 0
    assert "bad: 0.0%" in capsys.readouterr().out
    with pytest.raises(SystemExit) as usage:
        main(["--simulations", "0"])
    assert usage.value.code == 2


def test_a_small_simulation_runs_through_all_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--simulations", "8", "--informative"]) == 0
    said = capsys.readouterr().out
    for words in ("at 5 rounds", "stopped by width", "contradict", "colours", "crossover of 1"):
        assert words in said
