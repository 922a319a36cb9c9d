"""The trial of resuming can fail: it sees a lost slice, and a run that is not whole."""

from pathlib import Path

from synthetic import write_run

from bench.trials.resume import Chain, Tally

GRID = {
    "connection": "keep-alive",
    "targets": ["uvloop", "threaded"],
    "delays_s": [0.05],
    "works": ["/delay=50ms"],
    "connections": [1, 16],
    "pairs": [["uvloop", "threaded"]],
}


def chain(folder: Path, rounds: int = 3) -> Chain:
    write_run(folder / "run", grids=[GRID], rounds=rounds, config={"rounds_min": 3})
    return Chain(folder / "run", "smoke", Tally())


def test_a_whole_run_is_fine(tmp_path: Path) -> None:
    whole = chain(tmp_path)
    whole.complete()
    assert (whole.tally.wrong, whole.tally.runs) == ([], 1)


def test_a_slice_that_is_gone_is_seen(tmp_path: Path) -> None:
    some = chain(tmp_path)
    some._look()
    trials = some.folder / "trials.jsonl"
    trials.write_text("".join(trials.read_text().splitlines(keepends=True)[1:]))
    some.complete()
    assert some.tally.wrong[0] == "a finished slice was lost or changed"


def test_half_a_line_at_the_end_may_go(tmp_path: Path) -> None:
    some = chain(tmp_path)
    trials = some.folder / "trials.jsonl"
    whole = trials.read_text()
    trials.write_text(whole + '{"half')
    some._look()
    trials.write_text(whole)
    some.complete()
    assert some.tally.wrong == []


def test_a_run_with_fewer_rounds_than_asked_for_is_not_whole(tmp_path: Path) -> None:
    short = chain(tmp_path, rounds=2)
    short.complete()
    assert len(short.tally.wrong) == 2
    assert "fewer than 3 whole rounds" in short.tally.wrong[0]
