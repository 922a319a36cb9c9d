"""The gate in a repository that is not this one: refs, worktrees, environments, own files."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from harness import processes_below

from bench.cli import main
from bench.errors import UserError
from bench.gate import environments
from bench.gate.arms import PADDING, Recipe, are_same, arms_of, require_own_files
from bench.gate.git import cache_folder, repository_at
from bench.gate.orders import line_of
from tests.conftest import complaints

# The answer waits so long, which is what a later commit changes.
ASGI = """
import asyncio, waits

async def app(scope, receive, send):
    if scope["type"] == "http":
        await asyncio.sleep(waits.SECONDS)
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})
"""
# The same without a server that may be missing.
PLAIN = """
import asyncio, sys, waits

async def serve(reader, writer):
    while await reader.readuntil(b"\\r\\n\\r\\n"):
        await asyncio.sleep(waits.SECONDS)
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")

async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1])) as server:
        await server.serve_forever()

asyncio.run(main())
"""
HAS_UVICORN = importlib.util.find_spec("uvicorn") is not None
COMMAND = (
    "{python} -m uvicorn app:app --port {port} --log-level warning"
    if HAS_UVICORN
    else "{python} app.py {port}"
)
FIVE_LINES = f"""\
[gate]
command = "{COMMAND}"
path = "/"
connections = 8
metrics = ["throughput"]
"""
# Five pairs that differ by a factor of twenty bear a lot of noise.
SHORT = ("--pairs", "5", "--budget", "1s")


class Repo:
    """A throw-away repository of a user's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch", "main")
        self.write("app.py", ASGI if HAS_UVICORN else PLAIN)
        self.write("waits.py", "SECONDS = 0.002\n")
        self.write("crossover.toml", FIVE_LINES)
        self.commit("fast")

    def git(self, *words: str) -> str:
        author = ("-c", "user.name=u", "-c", "user.email=u@localhost")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        command = ["git", "-C", str(self.folder), *author, *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return done.stdout.strip()

    def write(self, name: str, content: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")


def forgiving(answer: dict[str, Any], place: dict[str, Any]) -> dict[str, Any]:
    """The line of a slice, valid though other tests beside it have disturbed it."""
    line = line_of(answer, place)
    return line | {"valid": not complaints(line), "generator_at_fault": False}


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("bench.gate.measure.line_of", forgiving)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    made = Repo(tmp_path / "shop")
    monkeypatch.chdir(made.folder)
    return made


def gate(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["gate", *words, *SHORT])
    assert processes_below() == []
    said, err = capfd.readouterr()
    assert "Traceback" not in err
    return code, said + err


def arms(base: str, head: str, tmp_path: Path, recipe: Recipe | None = None) -> Any:
    return arms_of({"base": base, "head": head}, recipe or Recipe(COMMAND), tmp_path / "compiled")


def test_two_commits_one_of_them_slower_gated_with_five_lines(
    repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    """8 connections that wait 2 ms or 40 ms: a twentieth. Swapped, it is a gain."""
    repo.write("waits.py", "SECONDS = 0.040\n")
    slow = repo.commit("slow")
    assert len(FIVE_LINES.splitlines()) == 5
    code, said = gate(capfd, "--base", "HEAD~1", "--head", "HEAD")
    assert code == 1, said
    assert f"head: HEAD ({slow[:10]})" in said
    code, said = gate(capfd, "--base", "main", "--head", "HEAD~1")
    assert code == 0, said
    # Nothing of it is left in the working tree or known to git as a change.
    assert repo.git("status", "--porcelain") == ""


def test_the_working_tree_is_measured_as_it_is(
    repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    """A change that is not committed, and a module that git does not know yet."""
    repo.write("waits.py", "from new import SECONDS\n")
    repo.write("new.py", "SECONDS = 0.040\n")
    code, said = gate(capfd, "--base", "HEAD")
    assert code == 1, said
    assert "head: the working tree of shop (" in said
    assert sorted(repo.git("status", "--porcelain").splitlines()) == ["?? new.py", "M waits.py"]


def test_base_and_head_alike_are_measured_and_told(
    repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    code, said = gate(capfd, "--base", "HEAD", "--head", ".")
    assert code in (0, 3), said
    assert "note: base and head are the same files: this measures nothing but noise" in said


def test_a_side_that_runs_the_files_of_the_checkout_is_refused(
    repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    """As with an editable installation: both sides import the working tree, so all would pass."""
    repo.write("waits.py", "SECONDS = 0.040\n")
    repo.commit("slow")
    elsewhere = COMMAND.replace("app.py", f"{repo.folder}/app.py")
    elsewhere = elsewhere.replace("app:app", f"app:app --app-dir {repo.folder}")
    code, said = gate(capfd, "--base", "HEAD~1", "--head", "HEAD", "--command", elsewhere)
    assert code == 2, said
    assert "runs files that are not its own: " in said
    assert "is the project installed in editable form?" in said


def test_a_side_that_runs_the_files_of_the_other_is_refused(repo: Repo, tmp_path: Path) -> None:
    base = repo.git("rev-parse", "HEAD")
    repo.write("waits.py", "SECONDS = 0.040\n")
    repo.commit("slow")
    both = arms(base, "HEAD", tmp_path)
    compiled, other = tmp_path / "compiled", both["head"].checkout
    require_own_files(both, compiled, repo.folder)
    file = compiled / "base" / str(other).lstrip("/") / "waits.cpython-311.pyc"
    file.parent.mkdir(parents=True)
    file.touch()
    with pytest.raises(UserError, match=r"base runs files that are not its own: .*waits"):
        require_own_files(both, compiled, repo.folder)
    installed = file.parent / "lib" / "site-packages" / "flask.cpython-311.pyc"
    installed.parent.mkdir(parents=True)
    file.rename(installed)
    require_own_files(both, compiled, repo.folder)


@pytest.mark.parametrize("folder", ["", "src/"])
def test_a_side_that_runs_an_installed_copy_of_the_project_is_refused(
    repo: Repo, tmp_path: Path, folder: str
) -> None:
    """Both sides import the same package from one place, whatever their checkouts have."""
    repo.write(f"{folder}shop/cart.py", "PRICE = 1\n")
    repo.commit("a package")
    base = repo.git("rev-parse", "HEAD")
    repo.write(f"{folder}shop/cart.py", "PRICE = 2\n")
    repo.commit("slow")
    both = arms(base, "HEAD", tmp_path)
    compiled = tmp_path / "compiled"
    installed = compiled / "base" / "opt" / "lib" / "site-packages"
    (installed / "shop").mkdir(parents=True)
    (installed / "shop" / "basket.cpython-311.pyc").touch()
    require_own_files(both, compiled, repo.folder)
    (installed / "shop" / "cart.cpython-311.pyc").touch()
    with pytest.raises(
        UserError, match=r"base runs a copy of the project, .*/site-packages/shop/cart.py"
    ):
        require_own_files(both, compiled, repo.folder)
    own = {side: replace(arm, environment=Path("/opt")) for side, arm in both.items()}
    require_own_files(own, compiled, repo.folder)


def test_a_side_that_runs_another_clone_is_refused(
    repo: Repo, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the project is installed in editable form from somewhere else."""
    repo.write("src/shop/__init__.py", "")
    repo.write("src/shop/__main__.py", PLAIN.replace("waits", "shop.waits"))
    repo.write("src/shop/waits.py", "SECONDS = 0.002\n")
    repo.commit("a package")
    clone = tmp_path / "clone"
    repo.git("clone", "--quiet", str(repo.folder), str(clone))
    repo.write("src/shop/waits.py", "SECONDS = 0.040\n")
    repo.commit("slow")
    monkeypatch.setenv("PYTHONPATH", str(clone / "src"))
    command = f"{sys.executable} -m shop {{port}}"
    code, said = gate(capfd, "--base", "HEAD~1", "--head", "HEAD", "--command", command)
    assert code == 2, said
    assert f"runs a copy of the project, {clone}/src/shop/" in said


def test_a_commit_that_does_not_start_is_told_with_its_output(
    repo: Repo, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    repo.write("waits.py", "raise SystemExit('no database')\n")
    repo.commit("broken")
    report = tmp_path / "gate.xml"
    code, said = gate(capfd, "--base", "HEAD~1", "--head", "HEAD", "--junit", str(report))
    assert code == 2
    assert "crossover gate: head: ended with exit code 1; its last output:" in said
    assert "no database" in said
    assert "<error message=" in report.read_text()


def test_a_commit_that_cannot_be_built_is_told_with_its_output(
    repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    repo.write("crossover.toml", FIVE_LINES + 'setup = "echo no compiler here; exit 7"\n')
    code, said = gate(capfd, "--base", "HEAD")
    assert code == 2
    assert (
        "base: cannot be built: echo no compiler here; exit 7 ended with 7; its last output:"
        in (said)
    )
    assert "\n  no compiler here" in said


def test_a_setup_runs_in_each_checkout_and_its_environment(
    repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    """The server starts only with what the set-up has made, and says with which Python it runs."""
    server = "import sys; assert 'e-' in sys.prefix; import made\n" + PLAIN
    repo.write("app.py", server.replace("waits.SECONDS", "made.SECONDS"))
    repo.write(
        "crossover.toml",
        FIVE_LINES.replace(COMMAND, "python app.py {port}")
        + 'setup = "python -c pass && cp waits.py made.py"\n',
    )
    repo.commit("a setup")
    repo.write("waits.py", "SECONDS = 0.040\n")
    code, said = gate(capfd, "--base", "HEAD")
    assert code == 1, said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--base", "v9"), "--base: 'v9' is no commit of the repository at"),
        (("--base", "HEAD", "--head", "--help {"), "--head: '--help {' is no commit"),
        (("--base", "HEAD", "--metrics", "p98"), "--metrics: metrics 'p98': choose from"),
    ],
)
def test_wrong_use_is_one_message(
    repo: Repo, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    code, out = gate(capfd, *words)
    assert code == 2
    assert said in out


def test_a_ref_without_a_command_says_how_to_give_one(
    repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    (repo.folder / "crossover.toml").unlink()
    code, said = gate(capfd, "--base", "HEAD")
    assert code == 2
    assert "is a commit, and nothing says how to serve it: write [gate] with command" in said


def test_a_folder_that_base_has_not_is_told(
    repo: Repo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write("new/crossover.toml", FIVE_LINES)
    repo.write("new/app.py", PLAIN)
    monkeypatch.chdir(repo.folder / "new")
    code, said = gate(capfd, "--base", "HEAD")
    assert code == 2
    assert "--base: HEAD has no folder new, from which this gate is called" in said


def test_outside_of_a_repository_only_commands_will_do(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = gate(capfd, "--base", "HEAD")
    assert code == 2
    assert f"--base: {tmp_path} is in no git repository with a commit" in said


def test_both_sides_are_alike_in_all_lengths(repo: Repo, tmp_path: Path) -> None:
    """Paths by themselves, and the sum of all words and variables with some padding."""
    repo.write("waits.py", "SECONDS = 0.040\n")
    both = arms("HEAD", ".", tmp_path)
    base, head = both["base"], both["head"]
    assert base.cwd != head.cwd
    assert len(str(base.cwd)) == len(str(head.cwd))
    assert not are_same(both)
    assert {k: len(v) for k, v in base.env.items()} == {k: len(v) for k, v in head.env.items()}
    commands = arms("short {port}", "a-longer-one {port}", tmp_path)
    one, other = (sum(map(len, arm.words)) + len(arm.env[PADDING]) for arm in commands.values())
    assert one == other


def test_what_a_server_left_in_its_checkout_is_gone_in_the_next_gate(
    repo: Repo, tmp_path: Path
) -> None:
    """Head of one gate is base of the next: it must not begin with a full database."""
    repo.write(".gitignore", "*.db\n")
    repo.commit("a database")
    first = arms("HEAD", "HEAD", tmp_path)["base"].cwd
    (first / "visits.db").touch()
    (first / "cache").mkdir()
    (first / "cache" / "x").touch()
    assert arms("HEAD", "HEAD", tmp_path)["base"].cwd == first
    assert sorted(file.name for file in first.iterdir() if file.name != ".git") == [
        ".gitignore", "app.py", "crossover.toml", "waits.py",
    ]  # fmt: skip


def test_what_a_setup_made_is_kept_until_it_changes(repo: Repo, tmp_path: Path) -> None:
    recipe = Recipe(COMMAND, setup="echo made >> made.db; echo ran >> ../ran")
    first = arms("HEAD", "HEAD", tmp_path, recipe)["base"].cwd
    ran = first.parent / "ran"
    (first / "visits.db").touch()
    arms("HEAD", "HEAD", tmp_path, recipe)
    assert ran.read_text() == "ran\n"
    assert (first / "made.db").read_text() == "made\n"
    assert not (first / "visits.db").exists()
    (first / "made.db").write_text("made, and written to by a server\n")
    arms("HEAD", "HEAD", tmp_path, recipe)
    assert ran.read_text() == "ran\n" * 2
    assert (first / "made.db").read_text() == "made\n"


def test_a_setup_ends_with_the_gate_and_leaves_nothing(repo: Repo, tmp_path: Path) -> None:
    """As when a CI cancels a job: what it has started goes with it, however far away."""
    pid = tmp_path / "pid"
    setup = f"setsid sleep 100 & echo $! > {pid}; kill -TERM {os.getpid()}; sleep 100"
    repo.write("crossover.toml", FIVE_LINES + f'setup = "{setup}"\n')
    assert main(["gate", "--base", "HEAD", *SHORT]) == 130
    assert processes_below() == []
    assert not psutil.pid_exists(int(pid.read_text()))
    assert list((tmp_path / "cache").rglob("e-*")) == []


def test_a_cache_that_cannot_be_is_told(
    repo: Repo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(repo.folder / "app.py"))
    code, said = gate(capfd, "--base", "HEAD")
    assert code == 2
    assert "set XDG_CACHE_HOME to a folder for the cache" in said
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder().is_absolute()


def test_a_model_of_crossover_is_not_served_from_another_repository(
    repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both sides would run the models that are installed: a pass, whatever was changed."""
    code, said = gate(capfd, "--base", "HEAD", "--model", "asyncio")
    assert code == 2
    assert "--base: HEAD has no servers/__main__.py: --model serves the models of crossover" in said


def test_a_worktree_is_kept_and_mended(repo: Repo, tmp_path: Path) -> None:
    commit = repo.git("rev-parse", "HEAD")
    repository = repository_at(repo.folder, "--base")
    folder = repository.checked_out(commit, tmp_path / "cache")
    assert repository.checked_out(commit, tmp_path / "cache") == folder
    (folder / "waits.py").write_text("SECONDS = 9\n")
    repository.checked_out(commit, tmp_path / "cache")
    assert (folder / "waits.py").read_text() == "SECONDS = 0.002\n"
    shutil.rmtree(folder)
    assert (repository.checked_out(commit, tmp_path / "cache") / "waits.py").exists()


def test_a_gate_in_a_folder_of_the_repository_runs_in_that_folder(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write("service/app.py", "")
    repo.commit("a folder")
    monkeypatch.chdir(repo.folder / "service")
    both = arms("HEAD", ".", tmp_path)
    assert both["base"].cwd.name == "service"
    assert (both["base"].cwd / "app.py").exists()


# Environments of their own; pip is not asked for anything here.


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would have been run to build environments."""
    commands: list[list[str]] = []

    def run(side: str, words: list[str], folder: Path, variables: dict[str, str]) -> None:
        commands.append([side, *words])
        if "venv" in words:
            Path(words[-1]).mkdir(parents=True)

    monkeypatch.setattr(environments, "_run", run)
    return commands


def test_the_same_dependencies_need_no_environment(
    repo: Repo, tmp_path: Path, asked: list[list[str]]
) -> None:
    repo.write("requirements.txt", "flask==3\n")
    repo.commit("requirements")
    repo.write("waits.py", "SECONDS = 0.040\n")
    both = arms("HEAD", ".", tmp_path)
    assert asked == []
    assert both["base"].environment is None
    assert both["base"].words[0] == sys.executable


def test_other_dependencies_give_each_side_an_environment_that_is_kept(
    repo: Repo, tmp_path: Path, asked: list[list[str]]
) -> None:
    repo.write("requirements.txt", "flask==3\n")
    repo.commit("requirements")
    repo.write("requirements.txt", "flask==4\n")
    both = arms("HEAD", ".", tmp_path)
    one, other = both["base"].environment, both["head"].environment
    assert one != other
    assert len(str(one)) == len(str(other))
    assert both["base"].words[0] == str(one / "bin" / "python")
    assert both["base"].env["PATH"].startswith(f"{one / 'bin'}{os.pathsep}")
    made = len(asked)
    assert [command[-2:] for command in asked if "pip" in command] == [
        ["-r", "requirements.txt"]
    ] * 2
    arms("HEAD", ".", tmp_path)
    assert len(asked) == made  # both are kept


def test_pyproject_and_extras_are_read_and_the_project_itself_is_not_installed(
    repo: Repo, tmp_path: Path, asked: list[list[str]]
) -> None:
    project = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["flask"]\n'
    repo.write("pyproject.toml", project)
    repo.commit("a project")
    repo.write("pyproject.toml", project + '[project.optional-dependencies]\nfast = ["uvloop"]\n')
    repo.commit("an extra")
    repo.write("pyproject.toml", project + '[project.optional-dependencies]\nfast = ["uvloop>1"]\n')
    arms("HEAD", ".", tmp_path, Recipe(COMMAND, extras=("fast",)))
    assert [command[-2:] for command in asked if "pip" in command] == [
        ["flask", "uvloop"],
        ["flask", "uvloop>1"],
    ]
    with pytest.raises(UserError, match=r"base's pyproject.toml has no extra 'fast'"):
        arms("HEAD~1", ".", tmp_path, Recipe(COMMAND, extras=("fast",)))


def test_settings_of_tools_are_no_dependencies(repo: Repo, tmp_path: Path) -> None:
    repo.write("pyproject.toml", '[project]\nname = "shop"\nversion = "1"\n')
    repo.commit("a project")
    repo.write("pyproject.toml", '[project]\nname = "shop"\nversion = "2"\n[tool.x]\ny = 1\n')
    assert arms("HEAD", ".", tmp_path)["head"].environment is None


def test_dependencies_that_only_another_tool_can_install_ask_for_a_setup(
    repo: Repo, tmp_path: Path, asked: list[list[str]]
) -> None:
    repo.write("poetry.lock", "one\n")
    repo.commit("a lock")
    repo.write("poetry.lock", "two\n")
    with pytest.raises(
        UserError, match=r"base: .*\(poetry.lock\), and nothing says how to install"
    ):
        arms("HEAD", ".", tmp_path)


def test_what_the_file_says_goes_into_the_gate(
    repo: Repo, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    repo.write(
        "crossover.toml",
        f'[gate]\ncommand = "{COMMAND}"\nmargin = 0.3\nmargins = {{cpu = 0.4}}\n'
        'workloads = [{path = "/", connections = 4, metrics = ["throughput"]},'
        ' {path = "/x", connections = 8, metrics = ["cpu"]}]\n',
    )
    out = tmp_path / "gate"
    code, _ = gate(capfd, "--base", "HEAD", "--out", str(out))
    assert code in (0, 1, 3)
    content = json.loads((out / "gate.json").read_text())
    found = {(f["workload"], f["metric"], f["margin"]) for f in content["decision"]["findings"]}
    assert found == {("/ at 4 connections", "throughput", 0.3), ("/x at 8 connections", "cpu", 0.4)}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('comand = "x"', "[gate]: unknown key 'comand'; known are "),
        ('command = "serve"', "[gate] command: give a command with {port} in it, not 'serve'"),
        ("margin = 2", "margin 2: give a share above 0, below 1"),
        ("margin = true", "[gate] margin: must be a share such as 0.02, not True"),
        ('metrics = ["p98"]', "[gate]: metrics 'p98': choose from"),
        ("workloads = [1]", "[gate] workloads 1: must be a table"),
        (
            'workloads = [{path = "/", rate = 4}, {path = "/", rate = 8}]',
            "[gate] workloads: / at 512 connections is there more than once",
        ),
        ('request_timeout = "soon"', "[gate] request_timeout"),
        ("promises = {cpu = nan}", "[gate] promises cpu: must be a share such as 0.02, not nan"),
        ('workloads = [{path = "/", rate = inf}]', "[gate] workloads 1 rate: must be a number"),
        ("workloads = []", "[gate] workloads: is empty"),
        ("workloads = [{}]", "[gate] workloads 1: has no path"),
        (
            'path = "/x"\nworkloads = [{path = "/y"}]',
            "[gate] path: belongs into each of the workloads",
        ),
        ('workloads = [{path = "x"}]', "[gate] workloads 1 path: must begin with a slash"),
        ("promises = {p99 = 0.01}", "promise for p99 0.01: give more than its margin"),
        ('budget = "3"', "[gate] budget: '3' is not a duration"),
        ("in_turns = 1", "[gate] in_turns: must be true or false, not 1"),
    ],
)
def test_a_mistake_in_the_file_is_named(
    repo: Repo, capfd: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    repo.write("crossover.toml", f"[gate]\n{line}\n")
    code, out = gate(capfd, "--base", "HEAD")
    assert code == 2
    assert said in out
