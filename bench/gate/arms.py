"""The two sides of a gate as commands that can be started, alike in all that is not the program.

A side is a ref of the repository here, `.` for its working tree, or a command with `{port}`. Paths
and environments of the two are equally long: where their strings end decides how a process's stack
is laid out, and that alone can cost some per cent.
"""

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import UserError
from bench.gate.environments import dependencies_of, differing, environment_for, inside
from bench.gate.git import Repository, cache_folder, clean, repository_at
from bench.gate.pairs import SIDES, Side
from bench.measure.foreign import command_words
from bench.measure.stanza import OWN_FILE

PADDING = "CROSSOVER_PADDING"
INSTALLED = {"site-packages", "dist-packages"}
PYTHONS_OWN = re.compile(r"python3\.\d+t?")
# Where a repository keeps the packages that it installs.
SOURCE_FOLDERS = ("", "src")


@dataclass(frozen=True)
class Arm:
    """One side: the command with `{port}` in it, where it runs, and in which environment.

    `source` says what it is for a reader; `checkout` is its worktree, `tree` the name of the
    content of that (None for a plain command).
    """

    side: Side
    words: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    source: str
    checkout: Path | None = None
    commit: str | None = None
    tree: str | None = None
    environment: Path | None = None
    ready_timeout_s: float = 10.0


@dataclass(frozen=True)
class Recipe:
    """How a ref is served: its command, its own set-up, and how long it takes to start.

    `serves` False: the command measures by itself, has no `{port}`, and only refs can run it.
    `needs`: a file that every checkout must have, or the command would find another's.
    """

    command: str | None = None
    setup: str | None = None
    extras: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    ready_timeout_s: float = 10.0
    serves: bool = True
    needs: str | None = None


def arms_of(asked: Mapping[Side, str], recipe: Recipe, compiled: Path) -> dict[Side, Arm]:
    """Both sides, built and ready to be started.

    `compiled` is an empty folder: what Python compiles for a side goes below it, so that it can be
    told whose files a side runs. Raises UserError for what is neither a ref nor a command, and for
    what cannot be built.
    """
    arms = {side: _arm(side, asked[side], recipe) for side in SIDES}
    arms = _in_environments(arms, recipe)
    return padded({side: _dressed(arm, recipe, compiled) for side, arm in arms.items()})


def are_same(arms: Mapping[Side, Arm]) -> bool:
    """Whether both sides run the same files with the same command."""
    base, head = arms["base"], arms["head"]
    return (base.tree, base.words) == (head.tree, head.words)


def require_own_files(arms: Mapping[Side, Arm], compiled: Path, root: Path | None) -> None:
    """Refuse a side that runs files of the other, of the folder of the call, or an installed copy.

    With an installation of the project both sides run the same program, and every gate would be
    passed. Raises UserError naming a file.
    """
    trees = {side: arm.checkout for side, arm in arms.items() if arm.checkout}
    for side, own in trees.items():
        others = {each for each in (*trees.values(), root) if each and each != own}
        for other in others:
            for file in _compiled_from(compiled / side, other):
                raise UserError(
                    f"{side} runs files that are not its own: {file} instead of those in {own}; is "
                    "the project installed in editable form? Let the command import from the "
                    "folder where it is started, or give [gate] a setup"
                )
        for file in _copies(compiled / side, arms[side]):
            raise UserError(
                f"{side} runs a copy of the project, {file}, instead of its own files in {own}: "
                "uninstall it, let the command import from the folder where it is started, or give "
                "[gate] a setup that installs each side into its own environment"
            )


def _compiled_from(compiled: Path, source: Path) -> list[Path]:
    """Files below `source` that were imported, installed packages aside."""
    below = compiled / str(source.resolve()).lstrip("/")
    found = (Path("/") / file.relative_to(compiled) for file in below.rglob("*.pyc"))
    return sorted(file for file in found if not INSTALLED & set(file.parts))


def _copies(compiled: Path, arm: Arm) -> list[Path]:
    """Files that were imported from elsewhere though the checkout has them as well.

    Those in the side's own environment were installed from the checkout.
    """
    found = []
    own = [folder for folder in (arm.checkout, arm.environment) if folder is not None]
    tops = [top / folder for top in (arm.checkout, arm.cwd) if top for folder in SOURCE_FOLDERS]
    for pyc in compiled.rglob("*.pyc"):
        seen = Path("/") / pyc.relative_to(compiled)
        file = seen.with_name(f"{seen.name.partition('.')[0]}.py")
        module = _module_path(file)
        is_own = any(file.is_relative_to(folder) for folder in own)
        if not is_own and module and any((top / module).is_file() for top in tops):
            found.append(file)
    return sorted(found)


def _module_path(file: Path) -> Path | None:
    """A module's file as it is from the folder that it is imported from; None for Python's own."""
    for number, part in enumerate(file.parts):
        if part in INSTALLED:
            return Path(*file.parts[number + 1 :])
    if any(PYTHONS_OWN.fullmatch(part) for part in file.parts):
        return None
    top = file.parent
    while (top / "__init__.py").is_file():
        top = top.parent
    return file.relative_to(top)


def padded(arms: Mapping[Side, Arm]) -> dict[Side, Arm]:
    """The same sides with a variable that makes commands and environments equally long in all."""
    sizes = {side: _bytes(arm) for side, arm in arms.items()}
    longest = max(sizes.values())
    return {
        side: replace(arm, env={**arm.env, PADDING: "x" * (1 + longest - sizes[side])})
        for side, arm in arms.items()
    }


def _bytes(arm: Arm) -> int:
    variables = sum(len(os.fsencode(f"{key}={value}")) for key, value in arm.env.items())
    return variables + sum(len(os.fsencode(word)) for word in arm.words) + len(str(arm.cwd))


def _arm(side: Side, asked: str, recipe: Recipe) -> Arm:
    where, here = f"--{side}", Path.cwd()
    if recipe.serves and ("{port}" in asked or not asked.strip()):
        words = tuple(command_words(asked, where))
        return Arm(side, words, here, {}, asked, ready_timeout_s=recipe.ready_timeout_s)
    repository = repository_at(here, where)
    commit = repository.commit_of(asked, where)
    if recipe.command is None:
        raise UserError(
            f"{where}: {asked} is a commit, and nothing says how to serve it: write [gate] with "
            f'command = "... {{port}}" into {here / OWN_FILE}, or give --command'
        )
    words = tuple(
        command_words(recipe.command, "[gate] command")
        if recipe.serves
        else shlex.split(recipe.command)
    )
    checkout = repository.checked_out(commit, cache_folder())
    if not (checkout / repository.prefix).is_dir():
        raise UserError(
            f"{where}: {asked} has no folder {repository.prefix}, from which this gate is called: "
            "call it from one that both sides have"
        )
    cwd = checkout / repository.prefix
    if recipe.needs is not None and not (cwd / recipe.needs).is_file():
        raise UserError(
            f"{where}: {asked} has no {recipe.needs}: --model serves the models of crossover "
            "itself, in its own repository; give --command for a server of yours"
        )
    return Arm(
        side,
        words,
        cwd,
        {},
        _source(asked, commit, repository),
        checkout=checkout,
        commit=commit,
        tree=repository.tree_of(commit),
        ready_timeout_s=recipe.ready_timeout_s,
    )


def _source(asked: str, commit: str, repository: Repository) -> str:
    name = f"the working tree of {repository.root.name}" if asked == "." else asked
    return f"{name} ({commit[:10]})"


def _in_environments(arms: Mapping[Side, Arm], recipe: Recipe) -> dict[Side, Arm]:
    """The same sides, each checkout in its own environment if they need different ones."""
    checkouts = {side: arm.checkout for side, arm in arms.items() if arm.checkout}
    lists = [dependencies_of(arms[side].cwd) for side in checkouts]
    need_own = len(lists) == 2 and differing(*lists)
    built = dict(arms)
    for side, checkout in checkouts.items():
        arm = arms[side]
        if not (recipe.setup or need_own):
            clean(checkout)
            continue
        environment = environment_for(
            side, arm.cwd, cache_folder(), recipe.setup, recipe.extras, arm.commit or "", checkout
        )
        built[side] = replace(arm, environment=environment)
    return built


def _dressed(arm: Arm, recipe: Recipe, compiled: Path) -> Arm:
    """The side with its environment, and `{python}` filled in."""
    ours = str(Path(sys.executable).parent)
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    variables["PATH"] = f"{variables.get('PATH', os.defpath)}{os.pathsep}{ours}"
    python = sys.executable
    if arm.environment:
        variables = inside(arm.environment, variables)
        python = str(arm.environment / "bin" / "python")
    variables |= {
        "PWD": str(arm.cwd),
        "PYTHONPYCACHEPREFIX": str(compiled / arm.side),
        **dict(recipe.env),
    }
    words = tuple(word.replace("{python}", python) for word in arm.words)
    return replace(arm, words=words, env=variables)
