"""Trees of the user's repository, checked out side by side. Must not know what they serve.

Each is a worktree of git in a cache, named after its commit, so all paths are equally long.
The working tree is written down as a commit that no branch knows, and checked out like any other:
what is measured does not change while somebody edits.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError, cannot_write

GIT_TIMEOUT_S = 300.0
WORKING_TREE = "."
NAME_LETTERS = 12
KEPT_TREES = 12
# Of a commit that is made of the working tree: always the same, so that equal trees are one commit.
_NOBODY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (
        ("NAME", "crossover"),
        ("EMAIL", "gate@localhost"),
        ("DATE", "2000-01-01T00:00:00Z"),
    )
}


@dataclass(frozen=True)
class Repository:
    """A repository: its root, and the folder below it from which the gate was called."""

    root: Path
    prefix: Path

    def commit_of(self, asked: str, where: str) -> str:
        """The commit behind a ref, or behind `.`, the working tree. Raises UserError."""
        if asked == WORKING_TREE:
            return self._working_tree()
        try:
            return _git(
                self.root,
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                f"{asked}^{{commit}}",
            )
        except UserError:
            raise UserError(
                f"{where}: {asked!r} is no commit of the repository at {self.root}; give a branch, "
                "a tag or a commit (git fetch it first), `.` for the working tree, or a command "
                "with {port} in it"
            ) from None

    def tree_of(self, commit: str) -> str:
        """The name of a commit's content: equal for commits with the same files."""
        return _git(self.root, "rev-parse", f"{commit}^{{tree}}")

    def checked_out(self, commit: str, cache: Path) -> Path:
        """The folder of a worktree of the commit, made where it is missing or was changed."""
        folder = self.trees(cache) / f"t-{commit[:NAME_LETTERS]}"
        _git(self.root, "worktree", "prune")
        if folder.exists():
            if _is_as_committed(folder, commit):
                folder.touch()
                return folder
            self._remove(folder)
        make_folder(folder.parent)
        self._drop_oldest(folder.parent)
        _git(self.root, "worktree", "add", "--quiet", "--force", "--detach", str(folder), commit)
        return folder

    def trees(self, cache: Path) -> Path:
        """Where the worktrees of this repository are kept."""
        name = hashlib.sha256(str(self.root).encode()).hexdigest()[:NAME_LETTERS]
        return cache / name

    def _working_tree(self) -> str:
        """A commit of all files as they are, ignored ones aside."""
        with tempfile.TemporaryDirectory(prefix="crossover-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            _git(self.root, "read-tree", "HEAD", extra=index)
            _git(self.root, "add", "--all", extra=index)
            tree = _git(self.root, "write-tree", extra=index)
        if tree == self.tree_of("HEAD"):
            return _git(self.root, "rev-parse", "HEAD")
        message = "the working tree, for a gate"
        return _git(self.root, "commit-tree", tree, "-p", "HEAD", "-m", message, extra=_NOBODY)

    def _drop_oldest(self, trees: Path) -> None:
        known = sorted(trees.glob("t-*"), key=lambda folder: folder.stat().st_mtime)
        for folder in known[: max(0, len(known) - KEPT_TREES + 1)]:
            self._remove(folder)

    def _remove(self, folder: Path) -> None:
        try:
            _git(self.root, "worktree", "remove", "--force", str(folder))
        except UserError:
            shutil.rmtree(folder, ignore_errors=True)
            _git(self.root, "worktree", "prune")


def repository_at(folder: Path, where: str) -> Repository:
    """The repository around a folder. Raises UserError where there is none."""
    try:
        root = Path(_git(folder, "rev-parse", "--show-toplevel"))
        _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    except UserError as error:
        raise UserError(
            f"{where}: {folder} is in no git repository with a commit ({error}); call the gate "
            "from one, or give a command with {port} in it"
        ) from None
    return Repository(root, folder.resolve().relative_to(root.resolve()))


def cache_folder() -> Path:
    """Where trees and environments are kept between gates."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return (base if base.is_absolute() else Path.home() / ".cache") / "crossover" / "gate"


def make_folder(folder: Path) -> None:
    """Make a folder of the cache. Raises UserError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error, "set XDG_CACHE_HOME to a folder for the cache") from error


def clean(checkout: Path) -> None:
    """Remove whatever is not of the commit: what a server left there would change the next gate."""
    _git(checkout, "clean", "-ffdxq")


def _is_as_committed(folder: Path, commit: str) -> bool:
    try:
        at = _git(folder, "rev-parse", "HEAD")
        return at == commit and not _git(folder, "status", "--porcelain", "--untracked-files=no")
    except UserError:
        return False


def _git(folder: Path, *words: str, extra: dict[str, str] | None = None) -> str:
    """What git says, stripped; whatever repository the environment names. UserError if it fails."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            env={**environment, **(extra or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise UserError("git is not installed, or its folder is not in PATH") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"git {words[0]} did not end within {GIT_TIMEOUT_S:g} s") from None
    if done.returncode:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise UserError(f"git {words[0]} failed: {said}")
    return done.stdout.strip()
