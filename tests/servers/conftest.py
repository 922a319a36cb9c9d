"""The suites of this folder run over every model of the table."""

from collections.abc import Callable

import pytest

from servers.models import MODELS, Model

PARAMS = [
    pytest.param(
        model, id=model.name, marks=pytest.mark.skipif(bool(why), reason=why or "it can run")
    )
    for model in MODELS.values()
    for why in [model.why_unavailable()]
]


@pytest.fixture(scope="module", params=PARAMS)
def model(request: pytest.FixtureRequest) -> Model:
    """Each model in turn."""
    assert isinstance(request.param, Model)
    return request.param


@pytest.fixture(scope="module")
def server(model: Model, start_shared_server: Callable[..., object]) -> object:
    """A server of this model with the default settings, shared by a module's tests."""
    return start_shared_server(model.name)
