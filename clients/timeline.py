"""The load second by second: a row of figures each, on the terminal while it lasts and in files."""

import csv
import sys
from pathlib import Path
from typing import Any, TextIO

from clients.engine import Second
from clients.errors import LoadError

NAMES = (
    "second",
    "length_s",
    "completions",
    "throughput_rps",
    "sent_rps",
    "p50_ms",
    "p99_ms",
    "max_ms",
    "in_flight",
    "errors",
)

SLIVER_S = 0.5


def row_of(second: Second) -> dict[str, Any]:
    """The figures of a second; None for the times where no reply came."""
    times = second.response.summary_ms() or {}
    return {
        "second": second.number,
        "length_s": round(second.length_s, 6),
        "completions": second.completions,
        "throughput_rps": round(second.completions / second.length_s, 3),
        "sent_rps": round(second.sent / second.length_s, 3),
        "p50_ms": times.get("p50"),
        "p99_ms": times.get("p99"),
        "max_ms": times.get("max"),
        "in_flight": second.in_flight,
        "errors": second.errors,
    }


class Timeline:
    """Collects the rows; shows each as it comes where `stream` is a terminal."""

    def __init__(self, seconds_s: float, stream: TextIO = sys.stderr) -> None:
        self._seconds: list[Second] = []
        self._lasts_s = seconds_s
        self._stream = stream if stream.isatty() else None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All seconds so far."""
        return list(map(row_of, self._seconds))

    def __call__(self, second: Second) -> None:
        """Take the next second; what is left of the last one is put to the one before."""
        if self._seconds and second.length_s < SLIVER_S:
            self._seconds[-1].extend(second)
            return
        self._seconds.append(second)
        if self._stream is None:
            return
        row = row_of(second)
        if len(self._seconds) == 1:
            print(_HEAD, file=self._stream)
        left_s = max(0.0, self._lasts_s - len(self._seconds))
        print(f"{_line(row)}  {left_s:5.0f} s left", file=self._stream, flush=True)


_HEAD = "second      req/s    p50 ms    p99 ms  in flight  errors"


def _line(row: dict[str, Any]) -> str:
    times = [row[name] for name in ("p50_ms", "p99_ms")]
    shown = "".join(f"{'-' if each is None else format(each, '.3f'):>10}" for each in times)
    rate = f"{row['second'] + 1:6} {row['throughput_rps']:10.0f}"
    return f"{rate}{shown} {row['in_flight']:10} {row['errors']:7}"


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a line for every second. Raises LoadError where that cannot be done."""
    try:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, NAMES, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise LoadError(f"cannot write {path}: {error.strerror}") from None
