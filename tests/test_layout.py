"""Who may import whom: the rules that keep the measured, the measuring and the concluding apart."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.models import MODELS

ROOT = Path(__file__).parent.parent
OURS = ("servers", "clients", "bench")
# The loop written by hand is the half of its driver that knows no HTTP.
DRIVERS = {*(model.driver for model in MODELS.values()), "servers.selectors_loop"}
MOST_DRIVER_LINES = 99

PURE = (
    "bench.analyse.claims",
    "bench.analyse.stats",
    "bench.analyse.model",
    "bench.analyse.queueing",
    "bench.analyse.calibration",
    "bench.analyse.curve",
    "bench.analyse.crossover",
    "bench.gate.decide",
    "clients.draws",
    "clients.expectation",
    "clients.schedule",
    "clients.verdict",
    "bench.measure.capacity",
    "servers.core.http1",
    "servers.core.limits",
    "servers.core.watch",
)
# What the harness may use of the generator's own modules.
PURE_CLIENTS = (
    "clients.expectation",
    "clients.sample",
    "clients.schedule",
    "clients.verdict",
)
# Clocks, files, randomness and the outside world.
IMPURE = {
    "asyncio", "datetime", "io", "os", "pathlib", "psutil", "random", "secrets", "select",
    "selectors", "shutil", "signal", "socket", "subprocess", "sys", "tempfile", "threading",
    "time", "uuid",
}  # fmt: skip

# Which parts of bench a part may import, besides itself and the words that all share.
BENCH_PARTS = {
    "measure": {"store"},
    "store": set(),
    "analyse": {"store"},
    "present": {"store", "analyse"},
    "gate": {"store", "measure", "analyse"},
    "trials": {"store", "measure", "analyse", "gate"},
    "cli": {"store", "measure", "analyse", "present", "gate"},
}


def modules() -> dict[str, Path]:
    """Return every module of the three packages by its dotted name."""
    found = {}
    for path in sorted(path for package in OURS for path in (ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(name: str) -> set[str]:
    """Return what a module imports, anywhere in it: dotted names of modules."""
    tree = ast.parse(MODULES[name].read_text())
    return {target for node in ast.walk(tree) for target in _targets(node, name)}


def _targets(node: ast.AST, importer: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = _package(importer, node.level)
        base = ".".join(part for part in (package, node.module) if part)
        for alias in node.names:
            full = f"{base}.{alias.name}"
            yield full if full in MODULES else base


def _package(importer: str, level: int) -> str:
    if not level:
        return ""
    is_package = MODULES[importer].name == "__init__.py"
    return ".".join(importer.split(".")[: len(importer.split(".")) - level + is_package])


def within(name: str, *packages: str) -> bool:
    """Say whether a module is one of the packages, or inside one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def wrong(name: str, allowed: tuple[str, ...], of: tuple[str, ...] = OURS) -> set[str]:
    """Return the imports within `of` that are not within `allowed`."""
    return {target for target in imports(name) if within(target, *of)} - {
        target for target in imports(name) if within(target, *allowed)
    }


def test_all_three_packages_are_looked_at() -> None:
    assert {name.split(".")[0] for name in MODULES} == set(OURS)


@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_driver_imports_the_core_its_library_and_at_most_one_other_driver(driver: str) -> None:
    ours = wrong(driver, ("servers.core", "servers.waits"))
    assert len(ours - {"servers"}) <= 1
    assert ours - {"servers"} <= DRIVERS


@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_driver_is_short_enough_to_be_read_beside_the_others(driver: str) -> None:
    assert len(MODULES[driver].read_text().splitlines()) <= MOST_DRIVER_LINES


@pytest.mark.parametrize("name", [name for name in MODULES if within(name, "servers.waits")])
def test_waits_know_the_core_and_no_driver(name: str) -> None:
    assert not wrong(name, ("servers.core", "servers.waits", "servers.selectors_loop"))


@pytest.mark.parametrize("name", [name for name in MODULES if within(name, "servers.core")])
def test_core_knows_no_driver(name: str) -> None:
    assert not wrong(name, ("servers.core",))


@pytest.mark.parametrize("name", [name for name in MODULES if within(name, "servers")])
def test_servers_import_neither_clients_nor_bench(name: str) -> None:
    assert not wrong(name, ("servers",))


@pytest.mark.parametrize("name", [name for name in MODULES if within(name, "clients")])
def test_clients_import_neither_servers_nor_bench(name: str) -> None:
    assert not wrong(name, ("clients",))


@pytest.mark.parametrize("name", [name for name in MODULES if within(name, "bench")])
def test_bench_imports_no_server_and_only_the_pure_modules_of_clients(name: str) -> None:
    assert not wrong(name, ("bench", *PURE_CLIENTS))


@pytest.mark.parametrize("name", [name for name in PURE if name in MODULES])
def test_pure_module_has_no_clock_no_files_and_no_randomness_of_its_own(name: str) -> None:
    assert not {target for target in imports(name) if target.split(".")[0] in IMPURE}
    tree = ast.parse(MODULES[name].read_text())
    calls = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "print", "input"}


@pytest.mark.parametrize("name", [name for name in MODULES if within(name, "bench")])
def test_bench_measures_stores_concludes_and_presents_in_that_order(name: str) -> None:
    if name in ("bench", "bench.__main__"):
        return
    part = name.split(".")[1]
    allowed = BENCH_PARTS.get(part, set()) | {part}
    others = tuple(f"bench.{other}" for other in BENCH_PARTS)
    assert not wrong(name, tuple(f"bench.{other}" for other in allowed), others)
