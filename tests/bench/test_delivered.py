"""The delivered delay: waits that each model records of itself, after the rounds."""

from pathlib import Path

import pytest
from harness import Recorder, foreign_target, grid, measure, odd_target, real_target, tiny
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.delivered import summary_us
from bench.store import read_waits


def test_a_summary_is_made_of_waits_that_were_recorded() -> None:
    """Nearest rank of 1,000 waits of 1 to 1,000 us: the 500th is the median, the 999th p99.9."""
    assert summary_us([1000 * n for n in range(1000, 0, -1)]) == {
        "min": 1,
        "p1": 10,
        "p10": 100,
        "p50": 500,
        "p90": 900,
        "p99": 990,
        "p999": 999,
        "max": 1000,
    }
    assert set(summary_us([5000]).values()) == {5}


@given(st.lists(st.integers(-(10**6), 10**9), min_size=1, max_size=200))
def test_a_summary_rises_from_least_to_most(waits_ns: list[int]) -> None:
    values = list(summary_us(waits_ns).values())
    assert values == sorted(values)
    assert {round(value * 1e3) for value in values} <= set(waits_ns)


def test_after_the_rounds_every_model_says_how_late_its_waits_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle and loaded; a model that serves one at a time cannot be loaded; a command knows none."""
    monkeypatch.setattr("bench.measure.delivered.WINDOW_S", 0.1)
    profile = tiny(
        grid("uvloop", "blocking", "theirs", connection="close"), delivered_delay_s=0.002
    )
    targets = [
        real_target("uvloop"),
        real_target("blocking"),
        foreign_target("theirs", "--body", "done\n"),
    ]
    watcher = Recorder()
    run = measure(tmp_path / "r", profile, targets, watcher)
    assert watcher.notices == []
    waits = read_waits(run)
    expected = [("uvloop", "idle", 1), ("uvloop", "loaded", 64), ("blocking", "idle", 1)]
    assert [(each["target"], each["load"], each["connections"]) for each in waits] == expected
    assert watcher.waits == [(target, load) for target, load, _ in expected]
    for each in waits:
        assert each["asked_s"] == 0.002
        assert each["samples"] >= 0.1 / 0.1
        summary = each["oversleep_us"]
        assert summary["min"] <= summary["p50"] <= summary["max"]
        assert summary["p50"] > -2000, "no wait can end before it began"
    assert len(run.trials) == 3


def test_without_a_delivered_delay_there_is_no_such_file(tmp_path: Path) -> None:
    run = measure(tmp_path / "r", tiny(grid("a")), [odd_target("a")])
    assert read_waits(run) == []
    assert not (run.folder / "waits.jsonl").exists()


def test_what_cannot_be_recorded_is_told_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One does not know the flag; another records a hundred waits of 1 to 100 us."""
    monkeypatch.setattr("bench.measure.delivered.WINDOW_S", 0.05)
    sick, well = odd_target("sick"), odd_target("well")
    script = "import sys; '--trace' in sys.argv and exit('what is --trace?')"
    command = (*sick.command[:1], "-c", f"{script}\nimport runpy; runpy.run_path(sys.argv.pop(1),"
               " run_name='__main__')", sick.command[-1])  # fmt: skip
    sick = type(sick)("sick", sick.model, command)
    watcher = Recorder()
    profile = tiny(grid("sick", "well"), delivered_delay_s=0.001)
    run = measure(tmp_path / "r", profile, [sick, well], watcher)
    assert [each["target"] for each in read_waits(run)] == ["well", "well"]
    assert read_waits(run)[0]["samples"] == 100
    assert read_waits(run)[0]["oversleep_us"]["p99"] == 99
    assert [notice.partition(";")[0] for notice in watcher.notices] == [
        "delivered delay not measured: sick: ended with exit code 1"
    ] * 2
