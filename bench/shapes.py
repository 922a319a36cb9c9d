"""What the files of a run must hold for anybody to conclude from them, as tables of shapes.

A shape is a leaf, a list with the shape of its items, or a mapping from keys to shapes. There
`key?` may be missing, `key??` may be null as well, and `*` stands for every key; keys that are not
in the table may hold anything. Must not know where the content comes from, nor what it means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MOST = 1e15
_SHOWN = 40
_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character: no file and no terminal takes it


@dataclass(frozen=True)
class Leaf:
    """A plain value: what it is in words, and whether a value is one."""

    words: str
    fits: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and -MOST <= value <= MOST


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value) and value >= 0


TEXT = Leaf("text", lambda value: isinstance(value, str) and not _SURROGATE.search(value))
FLAG = Leaf("true or false", lambda value: isinstance(value, bool))
NUMBER = Leaf("a number", _is_number)
AMOUNT = Leaf("a number from 0", lambda value: _is_number(value) and value >= 0)
# More than any generator opens; a model of a cell has as many states.
COUNT = Leaf(
    "a whole number from 0 to 100,000", lambda value: _is_whole(value) and value <= 100_000
)
WHOLE = Leaf("a whole number from 0", _is_whole)
SHARE = Leaf("a number between 0 and 1", lambda value: _is_number(value) and 0 < value < 1)
WHOLE_OR_NULL = Leaf("a whole number or null", lambda value: value is None or _is_whole(value))
PAIR = Leaf(
    "a pair of targets",
    lambda value: isinstance(value, list) and len(value) == 2 and all(map(TEXT.fits, value)),
)

RUN: Mapping[str, Any] = {
    "name": TEXT,
    "generator_ceiling??": {
        "ceiling_rps??": AMOUNT,
        "floor_ms??": {"p50??": AMOUNT},
        "lateness_ms??": {"20000??": {"p99??": AMOUNT}},
    },
    "config": {
        "confidence?": SHARE,
        "margin?": SHARE,
        "grids?": [
            {
                "connection": TEXT,
                "pairs?": [PAIR],
                "delays_s?": [AMOUNT],
                "works?": [TEXT],
                "connections": [COUNT],
                **{f"{key}?": [WHOLE_OR_NULL] for key in ("workers", "units", "server_cores")},
            }
        ],
        "ladders?": [{"rungs": [TEXT], "steps": [TEXT]}],
    },
    "targets": [
        {
            "name": TEXT,
            "model?": TEXT,
            "family?": TEXT,
            "command?": [TEXT],
            "serves_one_at_a_time?": FLAG,
            **{f"{key}??": TEXT for key in ("kind", "workers_are", "title", "path")},
            "workers??": WHOLE,
            "threads??": WHOLE,
            "python??": {"version??": TEXT, "implementation??": TEXT, "gil??": FLAG},
        }
    ],
    "state": TEXT,
    "title?": TEXT,
    "started?": TEXT,
    "rounds_done?": WHOLE,
    "notes?": [TEXT],
}

_MEASURED = (
    "t_s",
    "completions",
    "window_s",
    "in_flight_mean",
    "little_ratio",
    "bound_ratio",
    "fairness_jain",
    "steal_ratio",
    "server_cpu_us_per_request",
    "server_cpu_utilisation",
    "server_rss_mib",
    "server_threads",
    "client_cpu_us_per_request",
    "client_cpu_utilisation",
    "upstream_cpu_us_per_call",
)
TRIAL: Mapping[str, Any] = {
    "target": TEXT,
    "work": TEXT,
    "delay_s": AMOUNT,
    "connection": TEXT,
    "connections": COUNT,
    "workers": WHOLE_OR_NULL,
    "units": WHOLE_OR_NULL,
    "server_cores": WHOLE,
    "round": WHOLE,
    "valid": FLAG,
    "order?": WHOLE,
    "invalid_reasons??": [TEXT],
    "errors??": {"*": WHOLE},
    "latency_at_least??": FLAG,
    "shared_core??": FLAG,
    **{f"{latency}_ms??": {"*??": AMOUNT} for latency in ("response_time", "service_time")},
    "lateness_ms??": {"*??": NUMBER},
    "response_time_hist??": TEXT,
    **{f"{key}??": NUMBER for key in _MEASURED},
    "throughput_rps??": AMOUNT,
}
WAIT: Mapping[str, Any] = {
    "target": TEXT,
    "asked_s": AMOUNT,
    "connections": COUNT,
    "load": Leaf("idle or loaded", lambda value: value in ("idle", "loaded")),
    "samples": WHOLE,
    "oversleep_us??": dict.fromkeys(("min", "p1", "p10", "p50", "p90", "p99", "max"), NUMBER),
}
SPAN = Leaf(
    "what a task did, from when and to when",
    lambda value: (
        isinstance(value, list)
        and len(value) == 3
        and value[0] in ("computing", "sharing", "waiting", "blocked")
        and all(map(NUMBER.fits, value[1:]))
    ),
)
TRACES: Mapping[str, Any] = {
    "traces": [
        {
            "model": TEXT,
            "work": TEXT,
            **{f"{name}_ms": AMOUNT for name in ("total", "computing", "waiting", "blocked")},
            "overlapped_share": AMOUNT,
            "threads": [{"thread": WHOLE, "process": WHOLE}],
            "tasks": [
                {
                    "task": WHOLE,
                    "sent_ms": AMOUNT,
                    "replied_ms": AMOUNT,
                    "steps": [{"thread": WHOLE, "spans": [SPAN]}],
                }
            ],
        }
    ]
}


def mismatch(content: Mapping[str, Any], shape: Mapping[str, Any]) -> str | None:
    """What keeps the content from having the shape, to be said after where it stands, or None."""
    missing = [key for key in shape if key[-1] not in "?*" and key not in content]
    if missing:
        return f"lacks {', '.join(missing)}"
    return next(_of_mapping(content, shape, ""), None)


def _mismatches(value: Any, shape: Any, at: str) -> Iterator[str]:
    if isinstance(shape, Leaf):
        if not shape.fits(value):
            yield _wrong(value, at, shape.words)
    elif isinstance(shape, list):
        yield from _of_list(value, shape[0], at)
    elif isinstance(value, Mapping):
        yield from _of_mapping(value, shape, f"{at}.")
    else:
        yield _wrong(value, at, "an object")


def _of_list(value: Any, shape: Any, at: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield _wrong(value, at, "a list")
        return
    for number, item in enumerate(value, 1):
        yield from _mismatches(item, shape, f"{at} {number}")


def _of_mapping(value: Mapping[str, Any], shape: Mapping[str, Any], at: str) -> Iterator[str]:
    for key, inner in shape.items():
        name, marks = key.rstrip("?"), key.count("?")
        for each in [name] if name != "*" else value:
            if each not in value:
                yield from [] if marks else [f"lacks {at}{each}"]
            elif value[each] is not None or marks < 2:
                yield from _mismatches(value[each], inner, f"{at}{each}")


def _wrong(value: Any, at: str, words: str) -> str:
    shown = json.dumps(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    return f"has {shown} for {at}, which must be {words}"
