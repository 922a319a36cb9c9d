"""A server's settings in words, where they are not plain: workers, units, server cores.

A setting that nothing was said of, or that is 1 wherever it is shown, is not worth a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from bench.analyse.limits import count_of

SETTINGS = {"workers": "worker", "units": "unit", "server_cores": "server core"}


def varied(points: Iterable[Mapping[str, Any]]) -> set[str]:
    """The settings that have more than one value among these points."""
    values: dict[str, set[Any]] = {}
    for point in points:
        for name in SETTINGS:
            value = point[name]
            values.setdefault(name, set()).add(None if pd.isna(value) else int(value))
    return {name for name, known in values.items() if len(known) > 1}


def settings_text(point: Mapping[str, Any], varying: Iterable[str] = ()) -> list[str]:
    """`4 workers`, `1 unit`: each setting that has a number, a 1 only if the setting varies."""
    return [
        count_of(int(point[name]), noun)
        for name, noun in SETTINGS.items()
        if not pd.isna(point[name]) and (point[name] > 1 or name in varying)
    ]
