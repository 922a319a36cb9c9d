"""Profiles: what to measure, and the command line's changes to it. Pure.

Must not know files, processes, clocks or results.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.errors import UserError
from bench.measure.quantities import connection_count, parse_budget_s, parse_delay_s, whole

Pair = tuple[str, str]


@dataclass(frozen=True)
class Model:
    """One model as the servers' own table describes it."""

    name: str
    family: str
    serves_one_at_a_time: bool
    available: bool
    why_unavailable: str | None


@dataclass(frozen=True)
class Grid:
    """Every delay by every connection count, for some targets in one connection mode.

    A target is a model, or a further copy of it (`uvloop#2`). A pair is compared as first / second.
    """

    connection: str
    targets: tuple[str, ...]
    delays_s: tuple[float, ...]
    connections: tuple[int, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Profile:
    """A profile as resolved: everything that decides what is measured and for how long."""

    name: str
    title: str
    grids: tuple[Grid, ...]
    seed: int = 1
    rounds_min: int = 6
    rounds_max: int = 100
    budget_s: float = 260.0
    margin: float = 0.05
    confidence: float = 0.95
    window_s: float = 0.25
    completions_per_connection: int = 10
    completions_saturated: int = 3
    completions_one_at_a_time: int = 20
    request_timeout_s: float = 60.0

    def config(self) -> dict[str, Any]:
        """The plain values of run.json's `config`."""
        values = asdict(self)
        del values["name"], values["title"]
        return values

    @property
    def targets(self) -> tuple[str, ...]:
        """Every target of every grid, once, in order of appearance."""
        return tuple(dict.fromkeys(name for grid in self.grids for name in grid.targets))


def model_of(target: str) -> str:
    """The model behind a target: `uvloop` for `uvloop#2`."""
    return target.partition("#")[0]


def override(
    profile: Profile,
    models: Mapping[str, Model],
    *,
    only: Sequence[str] = (),
    delays: Sequence[str] = (),
    connections: Sequence[str] = (),
    rounds: int | None = None,
    budget: str | None = None,
    seed: int | None = None,
) -> Profile:
    """Apply the command line's choices. Raises UserError for what cannot be.

    `only` replaces the targets of every grid (those that can hold a connection, where the grid
    keeps them alive); of those that no declared pair names, async is paired with sync.
    """
    if only:
        _known_models(only, models, "--models")
        grids = (_with_targets(grid, only, models) for grid in profile.grids)
        profile = replace(profile, grids=tuple(g for g in grids if g.targets))
        if not profile.grids:
            raise UserError(
                f"--models {','.join(only)}: serves one connection at a time, and profile "
                f'{profile.name} has no grid with connection = "close"'
            )
    if delays:
        delays_s = tuple(dict.fromkeys(parse_delay_s(text, "--delay") for text in delays))
        profile = replace(
            profile, grids=tuple(replace(g, delays_s=delays_s) for g in profile.grids)
        )
    if connections:
        counts = tuple(
            dict.fromkeys(connection_count(text, "--connections") for text in connections)
        )
        profile = replace(
            profile, grids=tuple(replace(g, connections=counts) for g in profile.grids)
        )
    if rounds is not None:
        count = whole(rounds, "--rounds", 1, 10_000)
        profile = replace(profile, rounds_min=count, rounds_max=count)
    if budget is not None:
        profile = replace(profile, budget_s=parse_budget_s(budget, "--budget"))
    if seed is not None:
        profile = replace(profile, seed=whole(seed, "--seed", 0, 2**32))
    _known_models(profile.targets, models, f"profile {profile.name}")
    _kept_alive(profile, models)
    return profile


def without_unavailable(profile: Profile, models: Mapping[str, Model]) -> tuple[Profile, list[str]]:
    """Leave out the models that cannot run here; notices say which and why.

    Raises UserError when none is left.
    """
    missing = [t for t in profile.targets if not models[model_of(t)].available]
    notices = [f"{t} is left out: {models[model_of(t)].why_unavailable}" for t in missing]
    grids = tuple(_without(grid, missing) for grid in profile.grids)
    grids = tuple(grid for grid in grids if grid.targets)
    if not grids:
        raise UserError("nothing to measure: " + ("; ".join(notices) or "no grid has a target"))
    return replace(profile, grids=grids), notices


def _without(grid: Grid, missing: Sequence[str]) -> Grid:
    targets = tuple(t for t in grid.targets if t not in missing)
    pairs = tuple(pair for pair in grid.pairs if set(pair) <= set(targets))
    return replace(grid, targets=targets, pairs=pairs)


def _with_targets(grid: Grid, only: Sequence[str], models: Mapping[str, Model]) -> Grid:
    keeps = grid.connection == "keep-alive"
    targets = tuple(
        t for t in dict.fromkeys(only) if not (keeps and models[model_of(t)].serves_one_at_a_time)
    )
    declared = tuple(pair for pair in grid.pairs if set(pair) <= set(targets))
    paired = {target for pair in declared for target in pair}
    others = tuple(p for p in _default_pairs(targets, models) if not set(p) <= paired)
    return replace(grid, targets=targets, pairs=declared + others)


def _default_pairs(targets: Sequence[str], models: Mapping[str, Model]) -> tuple[Pair, ...]:
    """Every async target against every sync one; without both families, each against the first."""
    families = {t: models[model_of(t)].family for t in targets}
    mixed = tuple(
        (a, b) for a in targets for b in targets if (families[a], families[b]) == ("async", "sync")
    )
    return mixed or tuple((t, targets[0]) for t in targets[1:])


def _known_models(targets: Sequence[str], models: Mapping[str, Model], where: str) -> None:
    for target in targets:
        if model_of(target) not in models:
            raise UserError(f"{where}: no model {target!r}; the models are {', '.join(models)}")


def _kept_alive(profile: Profile, models: Mapping[str, Model]) -> None:
    """Refuse to compare a handshake with a model."""
    for grid in profile.grids:
        for target in grid.targets:
            if grid.connection == "keep-alive" and models[model_of(target)].serves_one_at_a_time:
                raise UserError(
                    f"profile {profile.name}: {target} serves one connection at a time and keeps "
                    'none alive: put it into a grid with connection = "close"'
                )
