"""What is recorded per request, compactly, and what is made of it when the slice is over.

A slice appends nanoseconds to plain arrays, which costs tens of ns; an HdrHistogram is filled from
them in bulk afterwards, because recording values one by one costs 1.5 us each. Pure: no clock.
"""

from array import array
from bisect import bisect_right
from typing import Any

from hdrh.histogram import HdrHistogram

LOWEST_NS = 64
HIGHEST_NS = 3_600_000_000_000
SIGNIFICANT_DIGITS = 3
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}


def new_histogram() -> Any:
    """An empty HdrHistogram of ns, from 64 ns to an hour, with three significant digits."""
    return HdrHistogram(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS)


def decode_histogram(encoded: str) -> Any:
    """The HdrHistogram behind the base64 text (V2 encoding) of a trials line."""
    return HdrHistogram.decode(encoded)


def encode_histogram(histogram: Any) -> str:
    """The V2 encoding of a histogram, compressed, as base64 text."""
    encoded: bytes = histogram.encode()
    return encoded.decode("ascii")


class Durations:
    """Durations of one kind (response times, say) over one slice, in ns."""

    __slots__ = ("histogram", "maximum_ns", "recorded", "total_ns")

    def __init__(self) -> None:
        self.histogram = new_histogram()
        self.recorded = 0
        self.total_ns = 0
        self.maximum_ns = 0

    def fold(self, samples: "array[int]") -> None:
        """Add all samples (ns) to the histogram: one call to it per distinct bucket."""
        ordered = sorted(samples)
        if not ordered:
            return
        self.recorded += len(ordered)
        self.total_ns += sum(ordered)
        self.maximum_ns = max(self.maximum_ns, ordered[-1])
        start = 0
        while start < len(ordered):
            value = min(max(ordered[start], 1), HIGHEST_NS)
            bucket_end = self.histogram.get_highest_equivalent_value(value)
            end = len(ordered) if value == HIGHEST_NS else bisect_right(ordered, bucket_end, start)
            self.histogram.record_value(value, end - start)
            start = end

    @property
    def mean_ns(self) -> float | None:
        """The exact mean in ns; None when nothing was recorded."""
        return self.total_ns / self.recorded if self.recorded else None

    def summary_ms(self) -> dict[str, float] | None:
        """Mean, percentiles and maximum in ms; mean and maximum are exact. None when empty."""
        if not self.recorded:
            return None
        values = {"mean": self.total_ns / self.recorded}
        for name, percentile in PERCENTILES.items():
            reached = self.histogram.get_value_at_percentile(percentile)
            values[name] = min(reached, self.maximum_ns)
        values["max"] = self.maximum_ns
        return {name: round(value / 1e6, 6) for name, value in values.items()}
