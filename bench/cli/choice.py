"""What a run measures: its profile and the targets, from all that the command line says of them."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.measure.interpreters import Interpreter, ask_interpreters, models_under, servers_alone
from bench.measure.models import Rates, known_models
from bench.measure.profile import Model, Profile, original_of
from bench.measure.profile_file import load_profile
from bench.measure.selection import override, with_interpreters, without_unavailable
from bench.measure.stanza import Stanza, choose_targets, read_stacks
from bench.measure.targets import Target, command_target, driver_target


@dataclass
class Choice:
    """A profile as it will be measured, and what is known of each of its targets."""

    profile: Profile
    models: Mapping[str, Model]
    stanzas: Mapping[str, Stanza]
    interpreters: Mapping[str, Interpreter]
    servers_folder: Path | None = None
    notices: list[str] = field(default_factory=list)

    def targets(self, rates: Rates) -> list[Target]:
        """Every target of the profile, ready to be started."""
        return [self._target(name, rates) for name in self.profile.targets]

    def _target(self, name: str, rates: Rates) -> Target:
        original = original_of(name)
        model = self.models[original]
        if original in self.stanzas:
            return command_target(name, self.stanzas[original], model, rates)
        interpreter = self.interpreters.get(original.partition("@")[2])
        return driver_target(name, model, rates, interpreter, self.servers_folder)


def choose(
    profile: str,
    stack: ExitStack,
    *,
    only: Sequence[str],
    asked_targets: Sequence[str],
    asked_pythons: Sequence[str],
    **choices: Any,
) -> Choice:
    """Put it together; `stack` ends what has to last as long as the run. Raises UserError."""
    models, stacks = known_models(), read_stacks()
    added = choose_targets(asked_targets, models, stacks)
    stanzas = {**stacks, **added}
    models |= {name: stanza.model() for name, stanza in stanzas.items()}
    resolved = override(load_profile(profile), models, only=only, added=list(added), **choices)
    interpreters = {each.label: each for each in ask_interpreters(asked_pythons)}
    folder = None
    hints: list[str] = []
    if interpreters:
        folder = servers_alone(Path(stack.enter_context(TemporaryDirectory(prefix="crossover-"))))
        drivers = {name: model for name, model in models.items() if model.kind == "driver"}
        for interpreter in interpreters.values():
            models |= models_under(interpreter, drivers, folder)
        resolved = with_interpreters(resolved, models, list(interpreters))
        lacking = {original_of(t) for t in resolved.targets if not models[original_of(t)].available}
        for label, interpreter in interpreters.items():
            if any(name.endswith(f"@{label}") for name in lacking):
                hints.append(interpreter.how_to_complete())
    resolved, notices = without_unavailable(resolved, models)
    settings = _settings(resolved)
    for name in resolved.targets:
        if original_of(name) in stanzas:
            notices += stanzas[original_of(name)].notes(settings)
    return Choice(resolved, models, stanzas, interpreters, folder, [*notices, *hints])


def _settings(profile: Profile) -> list[str]:
    """Which of the numbers that a server is started with the profile sets."""
    return [
        axis
        for axis in ("workers", "units")
        if any(getattr(grid, axis) != (None,) for grid in profile.grids)
    ]
