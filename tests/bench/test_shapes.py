"""Shapes of the files of a run: what is missing or of another kind is named by its place."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import CLOSE, run_info, trials, write_run

from bench.errors import UserError
from bench.present.report import write_report
from bench.shapes import RUN, TRIAL, mismatch

INFO = run_info("r", [CLOSE], 2, 1, "complete")
LINE = next(trials([CLOSE], 1, 1, 0.0, 1.0))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def changed(content, path, value):
    content = copy.deepcopy(content)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return content


def test_what_the_harness_writes_fits():
    assert mismatch(INFO, RUN) is None
    assert mismatch(LINE, TRIAL) is None


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["state"], None, "has null for state, which must be text"),
        (["name"], "\udcff", 'has "\\udcff" for name, which must be text'),
        (["targets"], {}, "has {} for targets, which must be a list"),
        (["targets", 0], "x", 'has "x" for targets 1, which must be an object'),
        (["config", "margin"], -1, "has -1 for config.margin, which must be a number between 0"),
        (["config", "grids", 0, "pairs"], [["a"]], "for config.grids 1.pairs 1, which must be a p"),
        (["config", "grids", 0], {}, "lacks config.grids 1.connection"),
        (["notes"], 5, "has 5 for notes, which must be a list"),
    ],
)
def test_a_run_file_of_another_shape_is_told_by_its_place(path, value, message):
    assert message in str(mismatch(changed(INFO, path, value), RUN))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["connections"], True, "has true for connections, which must be a whole number from 0"),
        (["connections"], 10**12, "which must be a whole number from 0 to 100,000"),
        (["throughput_rps"], 10**400, "for throughput_rps, which must be a number from 0"),
        (["valid"], "yes", 'has "yes" for valid, which must be true or false'),
        (["errors"], {"reset": None}, "has null for errors.reset, which must be a whole number"),
        (["response_time_ms"], {"p99": "1"}, 'has "1" for response_time_ms.p99, which must be a n'),
        (["target"], "x" * 99 + "\ud800", "xxx... for target, which must be text"),
    ],
)
def test_a_slice_of_another_shape_is_told_by_its_place(path, value, message):
    assert message in str(mismatch(changed(LINE, path, value), TRIAL))


@pytest.mark.parametrize("key", ["response_time_ms", "lateness_ms", "throughput_rps", "errors"])
def test_what_was_not_measured_may_be_null_or_missing(key):
    assert mismatch(LINE | {key: None}, TRIAL) is None
    assert mismatch({k: v for k, v in LINE.items() if k != key}, TRIAL) is None


@given(st.data())
def test_any_content_is_judged_without_an_error(data):
    where, shape = data.draw(st.sampled_from([(INFO, RUN), (LINE, TRIAL)]))
    key = data.draw(st.sampled_from(sorted(where)))
    verdict = mismatch(where | {key: data.draw(JSON)}, shape)
    assert verdict is None or "\n" not in verdict


def test_a_corrupted_histogram_is_told(tmp_path: Path):
    """The rest of the line is fine: only drawing the percentiles would find it out."""
    write_run(
        tmp_path,
        grids=[CLOSE],
        rounds=2,
        change=lambda trial: trial | {"response_time_hist": "xx" + trial["response_time_hist"]},
    )
    with pytest.raises(UserError, match=r"a histogram in trials\.jsonl is corrupted"):
        write_report(tmp_path)


def test_a_damaged_run_is_not_reported(tmp_path: Path):
    write_run(tmp_path, grids=[CLOSE], rounds=2)
    (tmp_path / "run.json").write_text(json.dumps(INFO | {"targets": None}))
    with pytest.raises(UserError, match=r"run\.json has null for targets, which must be a list"):
        write_report(tmp_path)
