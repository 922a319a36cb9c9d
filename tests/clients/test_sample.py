"""Durations are folded in bulk into what recording them one by one would have given."""

from array import array
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.sample import (
    HIGHEST_NS,
    Durations,
    decode_histogram,
    encode_histogram,
    new_histogram,
)

unhurried = settings(deadline=None, max_examples=40)

# From below the lowest trackable value to above the highest, dense where buckets are narrow.
samples_ns = st.lists(
    st.integers(0, 3_000)
    | st.integers(0, 200_000_000)
    | st.integers(0, 3 * HIGHEST_NS)
    | st.integers(HIGHEST_NS - 5_000_000_000, HIGHEST_NS + 1),
    max_size=60,
)


def folded(*batches: list[int]) -> Durations:
    durations = Durations()
    for batch in batches:
        durations.fold(array("q", batch))
    return durations


def counts(histogram: Any) -> dict[int, int]:
    """How many values each used bucket holds, by the bucket's place."""
    return {place: count for place, count in enumerate(histogram.encoder.payload.counts) if count}


@unhurried
@given(samples_ns)
def test_folding_in_bulk_equals_recording_one_by_one(samples: list[int]) -> None:
    one_by_one = new_histogram()
    for sample in samples:
        assert one_by_one.record_value(min(max(sample, 1), HIGHEST_NS))
    bulk = folded(samples)
    assert counts(bulk.histogram) == counts(one_by_one)
    assert bulk.histogram.get_total_count() == len(samples)


@unhurried
@given(samples_ns, samples_ns)
def test_two_folds_equal_one_of_all_the_samples(first: list[int], second: list[int]) -> None:
    apart, together = folded(first, second), folded(first + second)
    assert counts(apart.histogram) == counts(together.histogram)
    assert apart.summary_ms() == together.summary_ms()


@unhurried
@given(samples_ns)
def test_the_encoding_comes_back_with_the_same_counts_and_percentiles(samples: list[int]) -> None:
    histogram = folded(samples).histogram
    text = encode_histogram(histogram)
    assert text.isascii()
    assert text.startswith("HISTF")
    decoded = decode_histogram(text)
    assert decoded.get_total_count() == len(samples)
    for percentile in (0.0, 50.0, 99.0, 100.0):
        assert decoded.get_value_at_percentile(percentile) == histogram.get_value_at_percentile(
            percentile
        )


@unhurried
@given(samples_ns.filter(bool))
def test_mean_and_maximum_are_exact_and_no_percentile_exceeds_the_maximum(
    samples: list[int],
) -> None:
    durations = folded(samples)
    summary = durations.summary_ms()
    assert durations.mean_ns == sum(samples) / len(samples)
    assert summary is not None
    assert summary["max"] == round(max(samples) / 1e6, 6)
    ordered = [summary[name] for name in ("p50", "p90", "p95", "p99", "p999", "max")]
    assert ordered == sorted(ordered)


def test_the_summary_of_1_to_1000_ms_is_known_by_heart() -> None:
    """Mean (1 + 1000) / 2; the p-th percentile is the 10 p-th of 1000 values. Digits: three."""
    summary = folded([ms * 1_000_000 for ms in range(1, 1001)]).summary_ms()
    assert summary is not None
    assert list(summary) == ["mean", "p50", "p90", "p95", "p99", "p999", "max"]
    assert (summary["mean"], summary["max"]) == (500.5, 1000.0)
    expected = {"p50": 500, "p90": 900, "p95": 950, "p99": 990, "p999": 999}
    assert {name: summary[name] for name in expected} == pytest.approx(expected, rel=1e-3)


def test_one_sample_is_every_percentile() -> None:
    summary = folded([1_234_567]).summary_ms()
    assert summary is not None
    assert set(summary.values()) == {1.234567}


def test_nothing_recorded_has_no_mean_and_no_summary() -> None:
    durations = folded([])
    assert durations.mean_ns is None
    assert durations.summary_ms() is None
    assert decode_histogram(encode_histogram(durations.histogram)).get_total_count() == 0


def test_longer_than_an_hour_counts_as_an_hour_but_keeps_its_mean_and_maximum() -> None:
    durations = folded([2 * HIGHEST_NS])
    summary = durations.summary_ms()
    assert summary is not None
    assert (summary["mean"], summary["max"]) == (7_200_000.0, 7_200_000.0)
    assert summary["p50"] == pytest.approx(3_600_000, rel=1e-3)
