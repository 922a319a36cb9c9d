"""A run from the files of another: its plan, and whether it may go on here.

To go on means that what is added is as good as if it had never been interrupted: the same plan, on
the same machine, with the same versions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from bench.errors import UserError
from bench.measure.profile import Grid, Ladder, Profile

# Of the machine's description, what changes from one moment to the next.
_FLEETING = (
    *(f"load_average.{number}" for number in (1, 2, 3)),
    "cpu.frequency_mhz",
    "python.gil",  # of a target it is known once it runs
)
# What has to be the same for a run to go on.
_COMPARED = (
    "config",
    "asked",
    "targets",
    "server_cores",
    "generator_cores",
    "shared_core",
    "machine",
    "python",
    "packages",
    "git.commit",
)


def profile_of(info: Mapping[str, Any]) -> Profile:
    """The profile that a run.json holds, as it was resolved. Raises UserError if it holds none."""
    config = dict(info.get("config") or {})
    try:
        grids = tuple(_grid(grid) for grid in config.pop("grids"))
        ladders = tuple(_ladder(ladder) for ladder in config.pop("ladders", ()))
        known = {each.name for each in fields(Profile)} - {"name", "title", "grids", "ladders"}
        plain = {key: value for key, value in config.items() if key in known}
        return Profile(info["profile"], info["title"], grids, ladders, **plain)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"this run.json does not hold a plan that can be repeated: {error}"
        ) from None


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not as it was, of all that has to be: one line each."""
    before, after = _compared(then), _compared(now)
    return [
        f"{key} was {before.get(key)!r} and is {after.get(key)!r}"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]


def _compared(info: Mapping[str, Any]) -> dict[str, Any]:
    leaves = (leaf for name in _COMPARED for leaf in _flat(name, _at(info, name)))
    return {key: value for key, value in leaves if not key.endswith(_FLEETING)}


def _at(info: Mapping[str, Any], name: str) -> Any:
    value: Any = info
    for key in name.split("."):
        value = (value or {}).get(key)
    return value


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Leaves by dotted name; tuples are lists, as JSON has it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value, 1):
            yield from _flat(f"{name}.{number}", inner)
    else:
        yield name, value


def _grid(table: Mapping[str, Any]) -> Grid:
    return Grid(
        connection=table["connection"],
        targets=tuple(table["targets"]),
        works=tuple(table["works"]),
        connections=tuple(table["connections"]),
        pairs=tuple((a, b) for a, b in table["pairs"]),
        **{axis: tuple(table[axis]) for axis in ("workers", "units", "server_cores")},
    )


def _ladder(table: Mapping[str, Any]) -> Ladder:
    return Ladder(tuple(table["rungs"]), tuple(table["steps"]))
