"""Durations of one kind, however many: counted in the buckets of an HdrHistogram, in bulk.

A loop appends nanoseconds to plain arrays, which costs tens of ns; recording them in an
HdrHistogram one by one would cost 1.5 us each. So whole arrays are counted with numpy, and the
HdrHistogram itself is made when it is asked for. Memory does not grow with the number of samples.
Pure: no clock.
"""

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram

LOWEST_NS = 64
HIGHEST_NS = 3_600_000_000_000
SIGNIFICANT_DIGITS = 3
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}
# The layout of such a histogram: a bucket is 64 ns wide below 131 us, and twice as wide for each
# doubling above. Half of a row's sub-buckets are new, the other half is the row before it.
UNIT_MAGNITUDE = 6
HALF_MAGNITUDE = 10
_LOWEST_MASK = ((2 << HALF_MAGNITUDE) - 1) << UNIT_MAGNITUDE


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


_PLACES = new_histogram().counts_len


class Durations:
    """How many durations fell into each bucket; their sum, lowest and highest in ns, exactly.

    Two of them can be added without loss. `counts` has the places of an HdrHistogram's counters.
    """

    __slots__ = ("counts", "maximum_ns", "minimum_ns", "recorded", "total_ns")

    def __init__(self) -> None:
        self.counts = np.zeros(_PLACES, np.int64)
        self.recorded = 0
        self.total_ns = 0
        self.minimum_ns = HIGHEST_NS
        self.maximum_ns = 0

    def fold(self, samples: "array[int] | Sequence[int]") -> None:
        """Count all samples (ns)."""
        if not len(samples):
            return
        values = np.frombuffer(samples, np.int64) if isinstance(samples, array) else samples
        values = np.asarray(values, np.int64)
        self.recorded += len(values)
        self.total_ns += int(values.sum())
        self.minimum_ns = min(self.minimum_ns, int(values.min()))
        self.maximum_ns = max(self.maximum_ns, int(values.max()))
        self.counts += np.bincount(_places(values.clip(1, HIGHEST_NS)), minlength=_PLACES)

    def add(self, other: "Durations") -> None:
        """Count all that the other has counted."""
        self.counts += other.counts
        self.recorded += other.recorded
        self.total_ns += other.total_ns
        self.minimum_ns = min(self.minimum_ns, other.minimum_ns)
        self.maximum_ns = max(self.maximum_ns, other.maximum_ns)

    @property
    def mean_ns(self) -> float | None:
        """The exact mean in ns; None when nothing was recorded."""
        return self.total_ns / self.recorded if self.recorded else None

    @property
    def histogram(self) -> Any:
        """The same as an HdrHistogram."""
        histogram = new_histogram()
        for place in np.flatnonzero(self.counts):
            histogram.record_value(_lowest_at(int(place)), int(self.counts[place]))
        if self.recorded:
            histogram.min_value = min(max(self.minimum_ns, 1), HIGHEST_NS)
            histogram.max_value = min(max(self.maximum_ns, 1), HIGHEST_NS)
        return histogram

    def percentiles_ns(self, percentiles: Sequence[float]) -> list[int]:
        """The smallest duration that so many per cent do not exceed (nearest rank), each.

        To three digits, never above the maximum. Something has to be recorded.
        """
        reached = np.cumsum(self.counts)
        ranks = [max(1, _ceil(p * self.recorded / 100)) for p in percentiles]
        places = np.searchsorted(reached, ranks)
        return [min(_highest_at(int(place)), self.maximum_ns) for place in places]

    def summary_ms(self) -> dict[str, float] | None:
        """Mean, percentiles and maximum in ms; mean and maximum are exact. None when empty."""
        if not self.recorded:
            return None
        values = {"mean": self.total_ns / self.recorded}
        values |= dict(
            zip(PERCENTILES, self.percentiles_ns(list(PERCENTILES.values())), strict=True)
        )
        values["max"] = self.maximum_ns
        return {name: round(value / 1e6, 6) for name, value in values.items()}


def at_least_from(known: Durations, censored: Durations) -> tuple[Durations, list[str]]:
    """Durations with those of which only a lower bound is known, and which figures that touches.

    A percentile of values and lower bounds is a lower bound of the percentile, and is exact where
    it lies below the lowest of the bounds.
    """
    if not censored.recorded:
        return known, []
    both = Durations()
    both.add(known)
    both.add(censored)
    reached = dict(zip(PERCENTILES, both.percentiles_ns(list(PERCENTILES.values())), strict=True))
    touched = [name for name, value_ns in reached.items() if value_ns >= censored.minimum_ns]
    return both, ["mean", *touched, "max"]


def _places(values: Any) -> Any:
    """The place of each value's counter in an HdrHistogram of this layout."""
    bits = np.frexp((values | _LOWEST_MASK).astype(np.float64))[1].astype(np.int64)
    rows = bits - (UNIT_MAGNITUDE + HALF_MAGNITUDE + 1)
    return (rows << HALF_MAGNITUDE) + (values >> (rows + UNIT_MAGNITUDE))


def _row_of(place: int) -> tuple[int, int]:
    row = max(0, (place >> HALF_MAGNITUDE) - 1)
    return row, place - (row << HALF_MAGNITUDE)


def _lowest_at(place: int) -> int:
    row, sub_bucket = _row_of(place)
    return sub_bucket << (row + UNIT_MAGNITUDE)


def _highest_at(place: int) -> int:
    row, sub_bucket = _row_of(place)
    return ((sub_bucket + 1) << (row + UNIT_MAGNITUDE)) - 1


def _ceil(value: float) -> int:
    """The next whole number, forgiving what floating point adds to a whole one."""
    return -int(-(value - 1e-9) // 1)
