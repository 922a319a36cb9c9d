"""Profile files: the shipped ones hold what they promise, and a bad one is named with its key."""

import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from harness import TINY_TOML
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.measure.profile import Profile
from bench.measure.profile_file import PROFILES, load_profile, parse_profile

QUICK_DELAYS_S = (0.0, 0.005, 0.05)
QUICK_CONNECTIONS = {"keep-alive": (1, 16, 128, 512), "close": (1, 16, 128)}


def parse(text: str) -> Profile:
    return parse_profile(tomllib.loads(text), "p", "p.toml")


def test_quick_is_the_grid_that_is_promised() -> None:
    """3 delays by 4 and 3 connection counts: 4 models keep-alive, 3 close; 3 rounds or more."""
    quick = load_profile("quick")
    keep, close = quick.grids
    assert (keep.connection, close.connection) == ("keep-alive", "close")
    assert set(keep.targets) == {"threaded", "asyncio", "uvloop", "trio"}
    assert set(close.targets) == {"blocking", "threaded", "uvloop"}
    for grid in quick.grids:
        assert grid.delays_s == QUICK_DELAYS_S
        assert grid.connections == QUICK_CONNECTIONS[grid.connection]
    assert keep.pairs[0] == ("uvloop", "threaded")
    assert {frozenset(pair) for pair in close.pairs} >= {
        frozenset({"blocking", "threaded"}),
        frozenset({"blocking", "uvloop"}),
    }
    assert quick.rounds_min == 3
    assert quick.budget_s < 5 * 60


def test_aa_measures_uvloop_against_itself_on_the_same_grid_and_budget() -> None:
    aa, quick = load_profile("aa"), load_profile("quick")
    assert aa.targets == ("uvloop", "uvloop#2")
    for mine, theirs in zip(aa.grids, quick.grids, strict=True):
        assert mine.pairs == (("uvloop", "uvloop#2"),)
        assert mine.connection == theirs.connection
        assert (mine.delays_s, mine.connections) == (theirs.delays_s, theirs.connections)
    assert (aa.budget_s, aa.rounds_min) == (quick.budget_s, quick.rounds_min)


def test_smoke_uses_every_model_within_its_time() -> None:
    smoke = load_profile("smoke")
    assert set(smoke.targets) == {"blocking", "threaded", "asyncio", "uvloop", "trio"}
    assert smoke.budget_s < 40


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.toml")), ids=lambda path: path.stem)
def test_no_shipped_profile_keeps_alive_what_serves_one_at_a_time(path: Path) -> None:
    for grid in load_profile(path.stem).grids:
        assert grid.connection == "close" or "blocking" not in grid.targets


def test_a_file_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TINY_TOML)
    profile = load_profile(str(path))
    assert (profile.name, profile.title) == ("mine", "Tiny")
    assert (profile.window_s, profile.completions_per_connection) == (0.05, 3)
    assert (profile.rounds_min, profile.rounds_max, profile.budget_s) == (1, 1, 60.0)
    assert profile.grids[0].pairs == (("uvloop", "threaded"),)


@pytest.mark.parametrize("name", ["nope", "nope.toml", "/no/such/folder/p.toml", ""])
def test_a_profile_that_is_not_there_names_those_that_are(name: str) -> None:
    with pytest.raises(UserError) as caught:
        load_profile(name)
    known = ", ".join(sorted(path.stem for path in PROFILES.glob("*.toml")))
    assert f"no profile {name!r}: the profiles are {known}, or give" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"title = ", "cannot be read as TOML: Invalid value"),
        (b"title = '\xff'", "cannot be read as TOML: 'utf-8' codec"),
        (b"a = 1\na = 2", "cannot be read as TOML: Cannot overwrite a value"),
    ],
)
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_profile(str(path))
    assert f"{path}: {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_and_a_name_that_is_too_long_are_told_as_what_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "p.toml"
    folder.mkdir()
    with pytest.raises(UserError, match=r"p\.toml: cannot be read: Is a directory"):
        load_profile(str(folder))
    with pytest.raises(UserError, match="cannot be read: File name too long"):
        load_profile("p" * 300)


GRID = '[[grid]]\nconnection="close"\nmodels=["a","b"]\ndelays=["0ms"]\nconnections=[1]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "p.toml: needs at least one [[grid]]"),
        ("grid = []", "p.toml: needs at least one [[grid]]"),
        ("[grid]", "p.toml: grid must be a list of tables: write [[grid]]"),
        ("grid = [1]", "p.toml: grid 1: must be a [[grid]] table"),
        (f"budgt = '5s'\n{GRID}", "p.toml: unknown key 'budgt'; known are budget, deli"),
        (f"title = 3\n{GRID}", "p.toml: title: must be text, not 3"),
        (f"title = ''\n{GRID}", "p.toml: title: must be text, not ''"),
        (f"seed = -1\n{GRID}", "p.toml: seed: must be a whole number from 0 to 4294967296, not -1"),
        (f"rounds_min = 0\n{GRID}", "p.toml: rounds_min: must be a whole number from 1 to 10000"),
        (f"rounds_max = 'x'\n{GRID}", "p.toml: rounds_max: must be a whole number from 1 to 10000"),
        (f"rounds_max = 5\n{GRID}", "p.toml: rounds_max (5) is less than rounds_min (6)"),
        (f"rounds_min = 200\n{GRID}", "p.toml: rounds_max (100) is less than rounds_min (200)"),
        (f"budget = 260\n{GRID}", "p.toml: budget: must be text, not 260"),
        (f"budget = '4h'\n{GRID}", "p.toml: budget: '4h' is not a duration; write it like 250us"),
        (f"budget = '0s'\n{GRID}", "p.toml: budget: must be more than nothing"),
        (f"slice = 5\n{GRID}", "p.toml: [slice]: must be a table"),
        (f"slice.windw = 5\n{GRID}", "p.toml: [slice]: unknown key 'windw'; known are completions"),
        (f"slice.window = 5\n{GRID}", "p.toml: [slice] window: must be text, not 5"),
        (f"slice.window = '5'\n{GRID}", "p.toml: [slice] window: '5' is not a duration"),
        (
            f"slice.completions_per_connection = 0\n{GRID}",
            "p.toml: [slice] completions_per_connection: must be a whole number from 1 to 100000",
        ),
        (f"{GRID}{GRID}delay = 5", "p.toml: grid 2: unknown key 'delay'; known are connection"),
        ('[[grid]]\nconnection="close"', "p.toml: grid 1: 'models' is missing"),
        (
            GRID.replace('"close"', '"open"'),
            "p.toml: grid 1: connection must be one of keep-alive, close, not 'open'",
        ),
        (GRID.replace('"b"', "5"), "p.toml: grid 1: models: must be text, not 5"),
        (GRID.replace('"b"', '"a"'), "p.toml: grid 1: models names 'a' twice"),
        (GRID.replace('["a","b"]', '"a"'), "p.toml: grid 1: models must be a list with something"),
        (GRID.replace('["a","b"]', "[]"), "p.toml: grid 1: models must be a list with something"),
        (GRID.replace('["0ms"]', "[5]"), "p.toml: grid 1: delays: must be text, not 5"),
        (GRID.replace('"0ms"', '"5"'), "p.toml: grid 1: delays: '5' is not a duration"),
        (GRID.replace('"0ms"', '"61s"'), "p.toml: grid 1: delays: 61s is longer than the servers"),
        (
            GRID.replace('"0ms"', '"5ms", "5000us"'),
            "p.toml: grid 1: delays names '5000us' twice",
        ),
        (
            GRID.replace("[1]", "[0]"),
            "p.toml: grid 1: connections: must be a whole number from 1 to 50000, not 0",
        ),
        (GRID.replace("[1]", "[1, 2, 1]"), "p.toml: grid 1: connections names 1 twice"),
        (GRID.replace("[1]", "1"), "p.toml: grid 1: connections must be a list with something"),
        (f"{GRID}works = ['/']", "p.toml: grid 1: give either 'delays' or 'works'"),
        (GRID.replace('delays=["0ms"]', ""), "p.toml: grid 1: give either 'delays' or 'works'"),
        (
            GRID.replace('delays=["0ms"]', 'works = ["/sleep=5ms"]'),
            "p.toml: grid 1: works: unknown step 'sleep' in /sleep=5ms; a path is made of delay",
        ),
        (f"{GRID}workers = 2", "p.toml: grid 1: workers must be a list with something in it"),
        (f"{GRID}workers = [0]", "p.toml: grid 1: workers: must be a whole number from 1 to"),
        (f"{GRID}units = ['1']", "p.toml: grid 1: units: must be a whole number from 1 to"),
        (f"{GRID}server_cores = [1, 1]", "p.toml: grid 1: server_cores names 1 twice"),
        (f"delivered_delay = 20\n{GRID}", "p.toml: delivered_delay: must be text, not 20"),
        (f"delivered_delay = '0ms'\n{GRID}", "p.toml: delivered_delay: must be more than nothing"),
        (f"ladder = 3\n{GRID}", "p.toml: ladder must be a list of tables: write [[ladder]]"),
        (f"{GRID}[[ladder]]\nrungs=['a','b']", "p.toml: ladder 1: 'steps' is missing"),
        (f"{GRID}[[ladder]]\nrungs=['a','c']\nsteps=['x']", "p.toml: ladder 1: rungs: no grid"),
        (f"{GRID}[[ladder]]\nrungs=['a','b']\nsteps=[]", "p.toml: ladder 1: steps must be a list"),
        (f"{GRID}[[ladder]]\nrungs=['a','b']\nsteps=[3]", "p.toml: ladder 1: steps: must be text"),
        (f"{GRID}[[ladder]]\nrungs=['a','b']\nstep=[3]", "p.toml: ladder 1: unknown key 'step'"),
        (f"{GRID}pairs = 3", "p.toml: grid 1: pairs must be a list with something in it, not 3"),
        (f"{GRID}pairs = 0", "p.toml: grid 1: pairs must be a list with something in it, not 0"),
        (f"{GRID}pairs = ['ab']", "p.toml: grid 1: pairs: a pair is two different models, not"),
        (f"{GRID}pairs = [['a']]", "p.toml: grid 1: pairs: a pair is two different models, not"),
        (f"{GRID}pairs = [['a','a']]", "p.toml: grid 1: pairs: a pair is two different models"),
        (f"{GRID}pairs = [['a','c']]", "p.toml: grid 1: pairs: 'c' is not among the models of"),
        (f"{GRID}pairs = [[['a'],'b']]", "p.toml: grid 1: pairs: ['a'] is not among the models"),
        (f"{GRID}pairs = [['a','b'],['a','b']]", "p.toml: grid 1: pairs names ['a', 'b'] twice"),
    ],
)
def test_one_line_names_the_file_the_key_and_the_value(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


toml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
KEYS = (
    *("title", "rounds_min", "rounds_max", "budget", "seed", "slice", "grid", "ladder"),
    "delivered_delay",
)
GRID_KEYS = (
    *("connection", "models", "delays", "works", "connections", "pairs"),
    *("workers", "units", "server_cores"),
)


def test_a_grid_has_axes_besides_delay_and_connections() -> None:
    axes = "workers = [1, 4]\nunits = [1, 8]\nserver_cores = [1, 2]\n"
    (grid,) = parse(GRID + axes).grids
    assert (grid.workers, grid.units, grid.server_cores) == ((1, 4), (1, 8), (1, 2))
    (grid,) = parse(GRID).grids
    assert (grid.workers, grid.units, grid.server_cores) == ((None,), (None,), (1,))


def test_works_are_paths_and_their_waits_are_added_up() -> None:
    works = 'works = ["/", "/delay=5ms/spin=1ms/hold=20ms"]'
    (grid,) = parse(GRID.replace('delays=["0ms"]', works)).grids
    assert grid.works == ("/", "/delay=5ms/spin=1ms/hold=20ms")
    assert grid.delays_s == (0.0, 0.025)


def test_ladders_and_the_delivered_delay_are_of_the_whole_profile() -> None:
    ladder = '[[ladder]]\nrungs = ["a", "b"]\nsteps = ["HTTP code"]\n'
    profile = parse(f"delivered_delay = '20ms'\n{GRID}{ladder}")
    assert profile.delivered_delay_s == 0.02
    assert profile.config()["ladders"] == ({"rungs": ("a", "b"), "steps": ("HTTP code",)},)
    assert parse(GRID).config()["delivered_delay_s"] is None


@given(st.sampled_from([*KEYS, *GRID_KEYS]), toml_values)
def test_whatever_stands_at_a_key_it_is_a_profile_or_a_user_error(key: str, value: object) -> None:
    table = tomllib.loads(TINY_TOML)
    (table["grid"][0] if key in GRID_KEYS else table)[key] = value
    with suppress(UserError):
        assert isinstance(parse_profile(table, "p", "p.toml"), Profile)
