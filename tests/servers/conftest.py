"""The suites of this folder run over every model of the table."""

import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from servers.models import MODELS, Model

SIGNS = {"passed": ".", "failed": "F", "error": "E", "skipped": "s"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a suite over every model, and where the module says WITH_TWO_WORKERS over two of each.

    A test that names its models itself keeps them.
    """
    own = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
    if "model" in metafunc.fixturenames and "model" not in own:
        too = getattr(metafunc.module, "WITH_TWO_WORKERS", False)
        params = [param for model in MODELS.values() for param in _params(model, two_workers=too)]
        metafunc.parametrize("model", params, scope="module")


def _params(model: Model, *, two_workers: bool) -> Iterator[Any]:
    why = model.why_unavailable()
    marks = pytest.mark.skipif(bool(why), reason=why or "it can run")
    yield pytest.param(model, id=model.name, marks=marks)
    if two_workers and model.name != "blocking":  # which is prefork then
        two = replace(model, default_workers=2)
        yield pytest.param(two, id=f"{model.name}, 2 workers", marks=marks)


@pytest.fixture(scope="module")
def server(model: Model, start_shared_server: Callable[..., object]) -> object:
    """A server of this model with the default settings, shared by a module's tests."""
    return start_shared_server(model)


@pytest.fixture
def many_descriptors() -> Iterator[int]:
    """Allow as many descriptors as there may be, here and in what is started; how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List every exchange and every rude client against every model."""
    outcomes: dict[str, dict[str, str]] = {}
    for outcome, sign in SIGNS.items():
        for report in terminalreporter.stats.get(outcome, ()):
            module, _, name = getattr(report, "nodeid", "").partition("::")
            if module.endswith(("test_conformance.py", "test_rude_clients.py")):
                what, model = _what_and_model(name)
                outcomes.setdefault(what, {})[model] = sign
    models = list(dict.fromkeys(model for row in outcomes.values() for model in row))
    if len(models) < 2:
        return
    terminalreporter.section("exchanges and rude clients x models")
    for number, model in enumerate(models, 1):
        terminalreporter.write_line(f"{number:3} {model}{_differs(model)}")
    terminalreporter.write_line(f"{'. as expected, F failed, s skipped':70}{_digits(models)}")
    for what, row in outcomes.items():
        signs = "".join(row.get(model, " ") for model in models)
        terminalreporter.write_line(f"{what[:69]:70}{signs}")


def _what_and_model(name: str) -> tuple[str, str]:
    """Split `test_exchange_sent_whole[trio, 2 workers-two pipelined]` into what and for whom."""
    test, _, rest = name.removesuffix("]").partition("[")
    names = sorted(MODELS, key=len, reverse=True)
    model = next((n for n in names if rest == n or rest.startswith((f"{n}-", f"{n},"))), "")
    model += ", 2 workers" if rest[len(model) :].startswith(", 2 workers") else ""
    case = rest[len(model) :].removeprefix("-")
    what = test.removeprefix("test_").replace("_", " ")
    return f"{what}: {case}" if case else what, model


def _differs(model: str) -> str:
    one = MODELS[model.partition(",")[0]].serves_one_at_a_time
    return " (expected to close after its first reply)" if one else ""


def _digits(models: list[str]) -> str:
    return "".join(str(number % 10) for number in range(1, len(models) + 1))
