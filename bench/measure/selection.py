"""The command line's changes to a profile, and what of it can be measured here. Pure.

`models` is all that may be measured, by name: models, the same under other interpreters, stacks and
commands. Everything raises UserError for what cannot be.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.errors import UserError
from bench.measure.profile import (
    Grid,
    Ladder,
    Model,
    Pair,
    Profile,
    original_of,
    under,
    work_of,
)
from bench.measure.quantities import (
    MOST_CONNECTIONS,
    MOST_CORES,
    MOST_UNITS,
    MOST_WORKERS,
    count,
    parse_budget_s,
    parse_delay_s,
    whole,
)
from bench.measure.work_path import read_work

Texts = Sequence[str]

# The axes that are whole numbers: the option that replaces each, and its largest value.
_COUNTS = {
    "connections": ("--connections", MOST_CONNECTIONS),
    "workers": ("--workers", MOST_WORKERS),
    "units": ("--units", MOST_UNITS),
    "server_cores": ("--server-cores", MOST_CORES),
}


def override(
    profile: Profile,
    models: Mapping[str, Model],
    *,
    only: Texts = (),
    added: Texts = (),
    delays: Texts = (),
    works: Texts = (),
    rounds: int | None = None,
    budget: str | None = None,
    seed: int | None = None,
    **counts: Texts,
) -> Profile:
    """Apply the command line's choices; `counts` are axes: connections, workers and the like.

    `only` replaces the targets of every grid (those that can hold a connection, where the grid
    keeps them alive); of those that no declared pair names, async is paired with sync. What is
    `added` joins every grid and is paired with all that is there, unless a declared pair names it.
    """
    if only:
        _known_models(only, models, "--models")
        profile = _in_grids(profile, lambda grid: _with_only(grid, only, added, models))
        _require_grids(profile, f"--models {','.join(only)}: serves")
    for name in added:
        fitting = tuple(grid for grid in profile.grids if _holds(grid, models[name]))
        _require_grids(replace(profile, grids=fitting), f"--target {name}: serves")
    if added:
        profile = _in_grids(profile, lambda grid: _with_added(grid, added, models))
    axes = _axes(delays, works, counts)
    profile = _in_grids(profile, lambda grid: replace(grid, **axes))
    if rounds is not None:
        exactly = whole(rounds, "--rounds", 1, 10_000)
        profile = replace(profile, rounds_min=exactly, rounds_max=exactly)
    if budget is not None:
        profile = replace(profile, budget_s=parse_budget_s(budget, "--budget"))
    if seed is not None:
        profile = replace(profile, seed=whole(seed, "--seed", 0, 2**32))
    _known_models(profile.targets, models, f"profile {profile.name}")
    _kept_alive(profile, models)
    return profile


def with_interpreters(profile: Profile, models: Mapping[str, Model], labels: Texts) -> Profile:
    """Have every model measured under other interpreters as well, by their labels.

    Each is compared with the same model under the usual one, and with those under its own that it
    is compared with under the usual one.
    """

    def extended(grid: Grid) -> Grid:
        ours = [t for t in grid.targets if models[original_of(t)].kind == "driver"]
        pairs = [(a, b) for a, b in grid.pairs if a in ours and b in ours]
        more = [under(target, label) for label in labels for target in ours]
        same = [(under(target, label), target) for label in labels for target in ours]
        again = [(under(a, label), under(b, label)) for label in labels for a, b in pairs]
        return replace(grid, targets=(*grid.targets, *more), pairs=(*grid.pairs, *same, *again))

    return _in_grids(profile, extended)


def without_unavailable(profile: Profile, models: Mapping[str, Model]) -> tuple[Profile, list[str]]:
    """Leave out what cannot run here; notices say what and why.

    A ladder that lacks a rung is left out as well. Raises UserError when nothing is left.
    """
    missing = [t for t in profile.targets if not models[original_of(t)].available]
    notices = [f"{t} is left out: {models[original_of(t)].why_unavailable}" for t in missing]
    profile = _in_grids(profile, lambda grid: _without(grid, missing))
    if not profile.grids:
        raise UserError("nothing to measure: " + ("; ".join(notices) or "no grid has a target"))
    whole_ones = tuple(ladder for ladder in profile.ladders if _measured(ladder, profile))
    for ladder in profile.ladders:
        if ladder not in whole_ones:
            lost = ", ".join(rung for rung in ladder.rungs if rung not in profile.targets)
            ends = f"from {ladder.rungs[0]} to {ladder.rungs[-1]}"
            notices.append(f"the ladder {ends} is left out: {lost} is not measured")
    return replace(profile, ladders=whole_ones), notices


def _measured(ladder: Ladder, profile: Profile) -> bool:
    return set(ladder.rungs) <= set(profile.targets)


def _axes(delays: Texts, works: Texts, counts: Mapping[str, Texts]) -> dict[str, Any]:
    """The axes that replace those of every grid, each value once."""
    if delays and works:
        raise UserError("give --delay or --work, not both: a delay is work, /delay=20ms")
    axes: dict[str, Any] = {}
    if delays:
        axes["works"] = [work_of(parse_delay_s(text, "--delay")) for text in delays]
    if works:
        axes["works"] = works
        for path in works:
            read_work(path, "--work")
    for key, texts in counts.items():
        if texts:
            option, most = _COUNTS[key]
            axes[key] = [count(text, option, most) for text in texts]
    return {key: tuple(dict.fromkeys(found)) for key, found in axes.items()}


def _in_grids(profile: Profile, change: Callable[[Grid], Grid]) -> Profile:
    """Change every grid, and leave out those without a target."""
    grids = (change(grid) for grid in profile.grids)
    return replace(profile, grids=tuple(grid for grid in grids if grid.targets))


def _holds(grid: Grid, model: Model) -> bool:
    return grid.connection != "keep-alive" or not model.serves_one_at_a_time


def _without(grid: Grid, missing: Texts) -> Grid:
    targets = tuple(t for t in grid.targets if t not in missing)
    pairs = tuple(pair for pair in grid.pairs if set(pair) <= set(targets))
    return replace(grid, targets=targets, pairs=pairs)


def _with_only(grid: Grid, only: Texts, added: Texts, models: Mapping[str, Model]) -> Grid:
    targets = tuple(t for t in dict.fromkeys(only) if _holds(grid, models[original_of(t)]))
    declared = tuple(pair for pair in grid.pairs if set(pair) <= set(targets))
    paired = {target for pair in declared for target in pair}
    ours = [target for target in targets if target not in added]
    others = tuple(p for p in _default_pairs(ours, models) if not set(p) <= paired)
    return replace(grid, targets=targets, pairs=declared + others)


def _with_added(grid: Grid, added: Texts, models: Mapping[str, Model]) -> Grid:
    """What fits joins the grid; where no declared pair names it, it is compared with all there."""
    fits = [name for name in added if _holds(grid, models[name])]
    paired = {target for pair in grid.pairs for target in pair}
    against = [target for target in grid.targets if target not in added] or fits[:1]
    new = [(a, b) for a in fits if a not in paired for b in against if a != b]
    targets = tuple(dict.fromkeys((*grid.targets, *fits)))
    return replace(grid, targets=targets, pairs=(*grid.pairs, *new))


def _default_pairs(targets: Texts, models: Mapping[str, Model]) -> tuple[Pair, ...]:
    """Every async target against every sync one; without both families, each against the first."""
    families = {t: models[original_of(t)].family for t in targets}
    mixed = tuple(
        (a, b) for a in targets for b in targets if (families[a], families[b]) == ("async", "sync")
    )
    return mixed or tuple((t, targets[0]) for t in targets[1:])


def _known_models(targets: Texts, models: Mapping[str, Model], where: str) -> None:
    for target in targets:
        if original_of(target) not in models:
            raise UserError(f"{where}: no model {target!r}; the models are {', '.join(models)}")


def _require_grids(profile: Profile, what: str) -> None:
    if not profile.grids:
        raise UserError(
            f"{what} one connection at a time, and profile {profile.name} has no grid with "
            'connection = "close"'
        )


def _kept_alive(profile: Profile, models: Mapping[str, Model]) -> None:
    """Refuse to compare a handshake with a model."""
    for grid in profile.grids:
        for target in grid.targets:
            if not _holds(grid, models[original_of(target)]):
                raise UserError(
                    f"profile {profile.name}: {target} serves one connection at a time and keeps "
                    'none alive: put it into a grid with connection = "close"'
                )
