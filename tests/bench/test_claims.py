"""The claims of the introduction: their arithmetic, and runs of which the answer is known."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic import invalid, write_run

from bench.analyse import claims
from bench.analyse.claimed import Claim, as_verdict, claims_of
from bench.analyse.claims import Contrast
from bench.analyse.rounds import Round
from bench.present.claims import drawings, rows, sections
from bench.store import read_run

Trial = dict[str, Any]
GRID = {
    "connection": "keep-alive",
    "targets": ["uvloop", "threaded"],
    "delays_s": [0.05],
    "connections": [1, 16, 128],
    "pairs": [["uvloop", "threaded"]],
}


def rounds(*log_ratios: float, **more: Any) -> list[Round]:
    return [Round(log, number=number, **more) for number, log in enumerate(log_ratios)]


def of(low: float | None, high: float | None) -> Contrast:
    return Contrast("x", 1.0, low, high, 6)


def test_growth_is_paired_round_by_round() -> None:
    """Each round has luck of its own at both points, which cancels: exactly e^0.3 every time."""
    luck = (-0.2, 0.0, 0.4)
    found = claims.growth(
        "g", rounds(*(0.5 + each for each in luck)), rounds(*(0.2 + each for each in luck)), 0.95
    )
    assert found is not None
    assert (found.low, found.high) == pytest.approx((math.exp(0.3), math.exp(0.3)))
    other = [Round(0.2, number=9), Round(0.2, number=8)]
    assert claims.growth("g", rounds(0.5, 0.5), other, 0.95) is None, "no round in common"


def test_a_lower_bound_leaves_the_end_open_that_it_says_nothing_of() -> None:
    few, many = rounds(0.1, 0.11, 0.12), rounds(0.5, 0.51, 0.52, a_at_least=True)
    at_least = claims.lead("l", many, 0.95)
    assert at_least is not None
    assert at_least.low is not None
    assert at_least.high is None
    grown = claims.growth("g", few, many, 0.95)
    assert grown is not None
    assert grown.low is None
    assert claims.growth("g", many, rounds(0.1, 0.1, 0.1, a_at_least=True), 0.95) is None


def test_where_under_half_of_the_rounds_count_none_do() -> None:
    some = [Round(0.1, number=0), Round(0.1, number=1)]
    failed = [Round(None, ("died",), number=n) for n in (2, 3, 4)]
    assert claims.lead("l", some, 0.95) is not None
    assert claims.lead("l", [*some, *failed], 0.95) is None


@pytest.mark.parametrize(
    ("lead", "growth", "outcome"),
    [
        ((1.10, 1.30), (1.05, 1.20), "confirmed"),
        ((1.01, 1.20), (1.01, 1.20), "confirmed"),
        ((1.01, 1.04), (1.10, 1.20), "refuted"),  # ahead, but within the margin of equal
        ((1.10, 1.30), (0.90, 1.04), "refuted"),  # as far ahead with few as with many
        ((0.99, 1.30), (1.10, 1.20), "undecided"),
        ((1.10, None), (1.10, None), "confirmed"),
        ((None, 1.20), (1.10, 1.20), "undecided"),
    ],
)
def test_async_wins_where_it_is_ahead_and_further_than_elsewhere(
    lead: tuple[float, float], growth: tuple[float, float], outcome: str
) -> None:
    assert claims.more([of(*lead), of(*growth)], 0.05) == outcome


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.80, 0.90, "confirmed"),
        (0.90, 1.04, "confirmed"),  # as long, or longer: the margin is excluded
        (1.01, 1.04, "confirmed"),
        (1.01, 1.20, "refuted"),
        (0.99, 1.20, "undecided"),
        (None, None, "undecided"),
    ],
)
def test_the_claim_about_work_without_waiting(
    low: float | None, high: float | None, outcome: str
) -> None:
    assert claims.not_more(low, high, 0.05) == outcome


def test_the_largest_of_several_lies_between_their_largest_ends() -> None:
    assert claims.most([of(0.8, 0.9), of(0.7, 1.2), of(None, 1.0)]) == (0.8, 1.2)
    assert claims.most([of(0.8, 0.9), of(1.1, None)]) == (1.1, None)
    assert claims.together(0.95, 5) == pytest.approx(0.99)


def test_the_share_of_waiting() -> None:
    assert claims.waiting_share({"delay": 0.003, "spin": 0.001}) == pytest.approx(0.75)
    assert claims.waiting_share({"spin": 0.001}) == 0
    assert claims.waiting_share({}) == 0


def judged(tmp_path: Path, change: Callable[[Trial], Trial]) -> dict[str, Claim]:
    run = read_run(write_run(tmp_path / "r", grids=[GRID], change=change))
    return {claim.name: claim for claim in claims_of(run)}


def made(ratio: Callable[[Trial], float], **point: Callable[[Trial], Any]) -> Any:
    """Slices of other points, at which uvloop serves so many times as much as threads."""

    def change(trial: Trial) -> Trial:
        trial |= {name: value(trial) for name, value in point.items()}
        noise = math.sin(trial["order"]) / 200
        ahead = ratio(trial) if trial["target"] == "uvloop" else 1.0
        return trial | {"throughput_rps": 1000.0 * ahead * math.exp(noise)}

    return change


def test_many_tasks_confirmed_and_refuted(tmp_path: Path) -> None:
    won = judged(tmp_path / "1", made(lambda t: 1 + math.log(t["connections"]) / 10))
    assert set(won) == {"many tasks"}
    assert won["many tasks"].outcome == "confirmed"
    (case,) = won["many tasks"].cases
    assert [value for value, _ in case.along] == [1, 16, 128]
    assert case.contrasts[0].ratio == pytest.approx(1.485, rel=0.02)
    lost = judged(tmp_path / "2", made(lambda t: 1.5))
    assert lost["many tasks"].outcome == "refuted", "ahead, but no further with many"


def test_nothing_to_wait_for_is_judged_by_the_largest_ratio(tmp_path: Path) -> None:
    nothing = {"work": lambda t: "/", "delay_s": lambda t: 0.0}
    found = judged(tmp_path / "1", made(lambda t: 0.9, **nothing))
    assert found["nothing to wait for"].outcome == "confirmed"
    one = judged(tmp_path / "2", made(lambda t: 1.2 if t["connections"] == 16 else 0.9, **nothing))
    assert one["nothing to wait for"].outcome == "refuted"
    (section,) = sections(list(one.values()))
    assert section.sentences[0] == "Refuted on this machine."
    assert "1.20 [1.20, 1.20] at 16" in section.sentences[1]


def test_the_share_of_waiting_at_a_constant_total(tmp_path: Path) -> None:
    """5 ms in all: computing at 1 connection's place, half at 16's, waiting at 128's."""
    works = {1: "/spin=5ms", 16: "/delay=2500us/spin=2500us", 128: "/delay=5ms"}
    waits = {1: 0.0, 16: 0.0025, 128: 0.005}
    found = judged(
        tmp_path,
        made(
            lambda t: 1 + 20 * t["delay_s"],
            delay_s=lambda t: waits[t["connections"]],
            work=lambda t: works[t["connections"]],
            connections=lambda t: 16,
        ),
    )
    assert found["much I/O"].outcome == "confirmed"
    assert [value for value, _ in found["much I/O"].cases[0].along] == [0, 0.5, 1]
    text = " ".join(sections([found["much I/O"]])[0].sentences)
    assert "keep-alive, 5 ms in all, 16 connections: confirmed" in text
    assert "with 100% waiting" in text


def test_independence_by_units(tmp_path: Path) -> None:
    found = judged(
        tmp_path,
        made(
            lambda t: float(t["units"]),
            work=lambda t: "/hold=5ms",
            units=lambda t: {1: 1, 16: 4, 128: 16}[t["connections"]],
            connections=lambda t: 16,
        ),
    )
    (claim,) = found.values()
    assert (claim.name, claim.outcome) == ("independence", "confirmed")
    assert "times as much as with 1 unit." in sections([claim])[0].sentences[1]
    entry = as_verdict(claim)
    assert entry["outcome"] == "confirmed"
    assert [each["value"] for each in entry["cases"][0]["along"]] == [1, 4, 16]
    assert len(rows([claim])) == 3
    (drawing,) = drawings([claim])
    assert drawing.draw().axes[0].get_xlabel() == "units"


def test_a_program_that_blocks(tmp_path: Path) -> None:
    grid = GRID | {
        "connection": "close",
        "targets": ["uvloop", "blocking"],
        "pairs": [["uvloop", "blocking"]],
    }
    run = read_run(write_run(tmp_path / "r", grids=[grid], rounds=4))
    found = {claim.name: claim.outcome for claim in claims_of(run)}
    assert found == {"blocking": "confirmed", "many tasks": "confirmed"}


def test_points_of_which_too_little_is_valid_are_left_out(tmp_path: Path) -> None:
    def change(trial: Trial) -> Trial:
        return invalid(trial, "died") if trial["connections"] == 128 else trial

    run = read_run(write_run(tmp_path / "r", grids=[GRID], change=change))
    (claim,) = claims_of(run)
    assert [value for value, _ in claim.cases[0].along] == [1, 16]


def test_async_over_sync_whichever_is_declared_first(tmp_path: Path) -> None:
    turned = GRID | {"pairs": [["threaded", "uvloop"]]}
    run = read_run(write_run(tmp_path / "r", grids=[turned], change=made(lambda t: 2.0)))
    (claim,) = claims_of(run)
    assert (claim.cases[0].first, claim.cases[0].second) == ("uvloop", "threaded")
    assert claim.cases[0].contrasts[0].ratio == pytest.approx(2, rel=0.02)


def test_outcomes_that_differ_are_told_by_whom_they_are_against(tmp_path: Path) -> None:
    grids = [
        GRID,
        GRID | {"targets": ["uvloop", "thread-pool"], "pairs": [["uvloop", "thread-pool"]]},
    ]

    def change(trial: Trial) -> Trial:
        many = trial["connections"] if trial["target"] == "thread-pool" else 1
        return trial | {"throughput_rps": 1000.0 / many * math.exp(math.sin(trial["order"]) / 200)}

    run = read_run(write_run(tmp_path / "r", grids=grids, change=change))
    (claim,) = claims_of(run)
    assert sections([claim])[0].sentences[0] == (
        "On this machine against threaded refuted; against thread-pool confirmed."
    )


def test_no_claim_without_data(tmp_path: Path) -> None:
    alone = GRID | {"connections": [16]}
    assert claims_of(read_run(write_run(tmp_path / "r", grids=[alone]))) == []
