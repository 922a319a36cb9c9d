"""The suites of this folder run over every model of the table."""

import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from servers.models import MODELS, Model


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
