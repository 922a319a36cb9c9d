"""What a run measures: its profile and the targets, from all that the command line says of them."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.errors import UserError
from bench.measure.interpreters import Interpreter, ask_interpreters, models_under, servers_alone
from bench.measure.models import Rates, known_models
from bench.measure.profile import Model, Profile, original_of
from bench.measure.profile_file import load_profile
from bench.measure.repeat import profile_of
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
    asked: Mapping[str, Sequence[str]]
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
    known = _Known(asked_targets, asked_pythons, stack)
    added = list(known.added)
    resolved = override(load_profile(profile), known.models, only=only, added=added, **choices)
    hints: list[str] = []
    if known.interpreters:
        known.ask_interpreters_for_models()
        resolved = with_interpreters(resolved, known.models, list(known.interpreters))
        lacking = [t for t in resolved.targets if not known.models[original_of(t)].available]
        for label, interpreter in known.interpreters.items():
            if any(original_of(name).endswith(f"@{label}") for name in lacking):
                hints.append(interpreter.how_to_complete())
    resolved, notices = without_unavailable(resolved, known.models)
    settings = _settings(resolved)
    for name in resolved.targets:
        if original_of(name) in known.stanzas:
            notices += known.stanzas[original_of(name)].notes(settings)
    return known.choice(resolved, [*notices, *hints])


def choose_again(info: Mapping[str, Any], stack: ExitStack) -> Choice:
    """What another run measured, from its run.json. UserError where it cannot be measured here."""
    profile, asked = profile_of(info), info.get("asked") or {}
    known = _Known(asked.get("targets", ()), asked.get("pythons", ()), stack)
    if known.interpreters:
        known.ask_interpreters_for_models()
    for name in profile.targets:
        model = known.models.get(original_of(name))
        if model is None or not model.available:
            why = "is not known here" if model is None else f"is missing: {model.why_unavailable}"
            raise UserError(f"that run measured {name}, which {why}")
    return known.choice(profile, [])


class _Known:
    """Every model, stack, target and interpreter that may be measured."""

    def __init__(
        self, asked_targets: Sequence[str], asked_pythons: Sequence[str], stack: ExitStack
    ) -> None:
        self.asked = {"targets": list(asked_targets), "pythons": list(asked_pythons)}
        self.models, stacks = known_models(), read_stacks()
        self.added = choose_targets(asked_targets, self.models, stacks)
        self.stanzas = {**stacks, **self.added}
        self.models |= {name: stanza.model() for name, stanza in self.stanzas.items()}
        self.interpreters = {each.label: each for each in ask_interpreters(asked_pythons)}
        self._stack = stack
        self._folder: Path | None = None

    def ask_interpreters_for_models(self) -> None:
        """What each of the other interpreters can run; they find the servers in a folder."""
        folder = self._stack.enter_context(TemporaryDirectory(prefix="crossover-"))
        self._folder = servers_alone(Path(folder))
        drivers = {name: model for name, model in self.models.items() if model.kind == "driver"}
        for interpreter in self.interpreters.values():
            self.models |= models_under(interpreter, drivers, self._folder)

    def choice(self, profile: Profile, notices: list[str]) -> Choice:
        """The choice of a profile among all this."""
        return Choice(
            profile, self.models, self.stanzas, self.interpreters, self.asked, self._folder, notices
        )


def _settings(profile: Profile) -> list[str]:
    """Which of the numbers that a server is started with the profile sets."""
    return [
        axis
        for axis in ("workers", "units")
        if any(getattr(grid, axis) != (None,) for grid in profile.grids)
    ]
