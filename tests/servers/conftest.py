"""The suites of this folder run over every model of the table, and over two workers of each."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from servers.models import MODELS, Model


def _params(model: Model) -> list[Any]:
    why = model.why_unavailable()
    marks = pytest.mark.skipif(bool(why), reason=why or "it can run")
    two = replace(model, default_workers=2)
    own = pytest.param(model, id=model.name, marks=marks)
    if model.name == "blocking":  # with two workers it is prefork
        return [own]
    return [own, pytest.param(two, id=f"{model.name}, 2 workers", marks=marks)]


@pytest.fixture(scope="module", params=[p for model in MODELS.values() for p in _params(model)])
def model(request: pytest.FixtureRequest) -> Model:
    """Each model in turn, with its own number of workers and with two."""
    assert isinstance(request.param, Model)
    return request.param


@pytest.fixture(scope="module")
def server(model: Model, start_shared_server: Callable[..., object]) -> object:
    """A server of this model with the default settings, shared by a module's tests."""
    return start_shared_server(model)
