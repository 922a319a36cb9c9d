"""Stanzas of commands: what they mean, and a bad one named by file, stanza and key."""

import sys
from contextlib import suppress
from pathlib import Path

import pytest
from harness import MODELS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.measure.stanza import Stanza, choose_targets, read_stacks, read_stanzas

WHOLE = """
[targets.mine]
command = "{python} 'my server.py' --port {port} --workers {workers} --threads {threads}"
family = "async"
cwd = "app"
env = {KEY = "value"}
path = "/slow?ms={delay_ms}"
ready = "/health"
ready_timeout = "1m5s"
workers = 2
threads = 64
library = "json.decoder"
serves_one_at_a_time = true
check = "status"
title = "My server"
"""
LEAST = '[targets.mine]\ncommand = "serve {port}"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").mkdir()
    return tmp_path


def one(folder: Path, text: str) -> Stanza:
    (folder / "crossover.toml").write_text(text)
    (stanza,) = read_stanzas(folder / "crossover.toml").values()
    return stanza


def test_every_key_is_read(folder: Path) -> None:
    assert one(folder, WHOLE) == Stanza(
        name="mine",
        words=(
            *("{python}", "my server.py", "--port", "{port}", "--workers", "{workers}"),
            *("--threads", "{threads}"),
        ),
        cwd=folder / "app",
        kind="command",
        family="async",
        env={"KEY": "value"},
        path="/slow?ms={delay_ms}",
        ready="/health",
        ready_timeout_s=65.0,
        workers=2,
        threads=64,
        libraries=("json.decoder",),
        serves_one_at_a_time=True,
        check="status",
        title="My server",
    )


def test_a_command_is_enough(folder: Path) -> None:
    stanza = one(folder, LEAST)
    assert (stanza.cwd, stanza.family, stanza.path, stanza.ready) == (
        folder,
        "unknown",
        "{work}",
        "/",
    )
    assert (stanza.ready_timeout_s, stanza.workers, stanza.threads) == (10.0, None, None)
    assert stanza.model().default_workers is None


def test_a_stanza_is_a_model_of_its_kind(folder: Path) -> None:
    model = one(folder, WHOLE).model()
    assert (model.name, model.family, model.kind) == ("mine", "async", "command")
    assert (model.serves_one_at_a_time, model.default_workers, model.available) == (True, 2, True)
    assert one(folder, LEAST.replace("{port}", "{port} {workers}")).model().default_workers == 1


def test_a_library_that_is_missing_says_what_to_install(folder: Path) -> None:
    model = one(folder, f'{LEAST}library = "no_such_library.part"').model()
    assert (model.available, model.why_unavailable) == (
        False,
        "it needs no_such_library: pip install no_such_library",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", "cannot be read as TOML: "),
        (f"{LEAST}{LEAST}", "cannot be read as TOML: Cannot declare ('targets', 'mine') twice"),
        ("[target.mine]", "unknown key 'target'; known are env, gate, targets"),
        ("targets = 3", "targets must be tables: write [targets.NAME]"),
        ("[targets]\nmine = 3", "[targets.mine]: must be a table"),
        ("[targets.mine]", "[targets.mine]: 'command' is missing"),
        ("[targets.'my server']", "'my server' is no name for a target: use letters, digits and"),
        ("[targets.'a#2']", "'a#2' is no name for a target"),
        ("[targets.mine]\ncommand = 3", "[targets.mine] command: must be text, not 3"),
        (
            '[targets.mine]\ncommand = "serve"',
            "[targets.mine] command: give a command with {port} in it, not 'serve'",
        ),
        (f"{LEAST}workrs = 2", "[targets.mine]: unknown key 'workrs'; known are check, command"),
        (f"{LEAST}family = 'both'", "[targets.mine] family: must be one of sync, async, not 'bo"),
        (f"{LEAST}family = [1]", "[targets.mine] family: must be one of sync, async, not [1]"),
        (f"{LEAST}cwd = 'nowhere'", "[targets.mine] cwd: there is no folder 'nowhere' beside"),
        (f"{LEAST}env = {{A = 1}}", "[targets.mine] env: must be a table of texts, such as"),
        (f"{LEAST}env = 'A=1'", "[targets.mine] env: must be a table of texts, such as"),
        (f"{LEAST}path = 'x'", "[targets.mine] path: must begin with a slash, with spaces and"),
        (f"{LEAST}path = '/a b'", "[targets.mine] path: must begin with a slash, with spaces and"),
        (f"{LEAST}ready = '{{work}}'", "[targets.mine] ready: must begin with a slash, with"),
        (f"{LEAST}ready_timeout = 5", "[targets.mine] ready_timeout: must be text, not 5"),
        (f"{LEAST}ready_timeout = '0s'", "[targets.mine] ready_timeout: must be more than nothi"),
        (f"{LEAST}workers = 0", "[targets.mine] workers: must be a whole number from 1 to"),
        (
            f"{LEAST}path = '/x?{{foo}}'",
            "[targets.mine] path: has {work} and {delay_ms} to fill in",
        ),
        (f"{LEAST}threads = true", "[targets.mine] threads: must be a whole number from 1 to"),
        (
            f"{LEAST}library = 'a-b'",
            "[targets.mine] library: must be the name of a module, or a list, not",
        ),
        (f"{LEAST}serves_one_at_a_time = 1", "[targets.mine] serves_one_at_a_time: must be true"),
        (f"{LEAST}check = 'size'", "[targets.mine] check: must be one of body, status, not 'si"),
        (f"{LEAST}title = ''", "[targets.mine] title: must be text, not ''"),
        (
            LEAST.replace("{port}", "{port} {threads}"),
            "[targets.mine]: the command has {threads} in it, so give 'threads' as well",
        ),
    ],
)
def test_one_line_names_the_file_the_stanza_and_the_key(
    folder: Path, text: str, message: str
) -> None:
    with pytest.raises(UserError) as caught:
        one(folder, text)
    assert str(caught.value).startswith(f"{folder / 'crossover.toml'}: {message}")
    assert "\n" not in str(caught.value)


values = st.recursive(
    st.booleans() | st.integers() | st.text("ab/{}.=\u00fc\u0000 ", max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=4,
)
KEYS = ("command", "family", "cwd", "env", "path", "ready", "ready_timeout", "workers", "library")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(KEYS), values)
def test_whatever_stands_at_a_key_it_is_a_stanza_or_a_user_error(
    folder: Path, key: str, value: object
) -> None:
    from bench.measure.stanza import _stanza

    table = {"command": "serve {port}", key: value}
    with suppress(UserError):
        assert _stanza("mine", table, folder / "crossover.toml", "command").model()


# --target


def test_a_target_is_a_command_or_a_name_in_the_users_file(folder: Path) -> None:
    (folder / "crossover.toml").write_text(WHOLE)
    chosen = choose_targets(["theirs=serve a=b {port}", "mine"], MODELS, {})
    assert list(chosen) == ["theirs", "mine"]
    assert chosen["theirs"] == Stanza("theirs", ("serve", "a=b", "{port}"), Path.cwd())
    assert chosen["mine"].title == "My server"


def test_a_stack_can_be_added_by_its_name() -> None:
    stack = Stanza("gunicorn", ("serve", "{port}"), Path(), kind="stack")
    assert choose_targets(["gunicorn"], {"gunicorn": stack.model()}, {"gunicorn": stack}) == {
        "gunicorn": stack
    }


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["mine=serve"], "--target mine: give a command with {port} in it, not 'serve'"),
        (["mine="], "--target mine: give a command with {port} in it, not ''"),
        (["my server=x {port}"], "--target: 'my server' is no name for a target: use letters"),
        (["=x {port}"], "--target: '' is no name for a target"),
        (["a@3=x {port}"], "--target: 'a@3' is no name for a target"),
        (["m=x {port}", "m=y {port}"], "--target: 'm' is given twice"),
        (["uvloop=x {port}"], "--target: 'uvloop' is the name of a model; choose another"),
        (["mine"], "--target mine: there is no crossover.toml here; write a [targets.mine] into"),
    ],
)
def test_a_target_that_cannot_be_is_told(folder: Path, asked: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        choose_targets(asked, MODELS, {})
    assert str(caught.value).startswith(message)


def test_a_name_that_the_users_file_lacks_is_told_with_those_it_has(folder: Path) -> None:
    (folder / "crossover.toml").write_text(WHOLE)
    with pytest.raises(UserError, match=r"has no \[targets\.other\]; it has mine"):
        choose_targets(["other"], MODELS, {})


def test_the_stacks_of_the_servers_are_read_where_they_have_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From wherever the package is, without importing it."""
    (tmp_path / "servers").mkdir()
    (tmp_path / "servers" / "__init__.py").write_text("raise ImportError")
    monkeypatch.delitem(sys.modules, "servers", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert read_stacks() == {}
    (tmp_path / "servers" / "stacks.toml").write_text(LEAST)
    (stack,) = read_stacks().values()
    assert (stack.name, stack.kind, stack.cwd) == ("mine", "stack", tmp_path / "servers")
    assert stack.model().kind == "stack"


def test_environment_of_the_file_is_that_of_every_target_and_a_target_may_change_it(
    folder: Path,
) -> None:
    stanza = one(folder, '[env]\nA = "1"\nB = "2"\n' + LEAST + 'env = {B = "3"}\n')
    assert stanza.env == {"A": "1", "B": "3"}
    with pytest.raises(UserError, match=r"\[env\]: must be a table of texts"):
        one(folder, "[env]\nA = 1\n" + LEAST)


def test_of_several_libraries_those_that_are_missing_are_told(folder: Path) -> None:
    model = one(folder, f'{LEAST}library = ["no_such_one", "json", "no_such_other"]').model()
    assert model.why_unavailable == (
        "it needs no_such_one, no_such_other: pip install no_such_one no_such_other"
    )
