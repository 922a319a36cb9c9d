"""The same work as a resource of Twisted's web server, in its idiom: deferreds, nothing blocks.

Knows neither the server's settings nor its port.
"""

from collections.abc import Iterable
from functools import cache, partial
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from servers.apps import Answer, answer_to, settings
from servers.core.service import Service
from servers.core.work import CALL, DELAY, HOLD, Step
from servers.waits.callback_waits import Waits
from servers.waits.twisted_waits import waits_of


class WorkResource(Resource):
    """Answers every path."""

    isLeaf = True

    def render(self, request: Any) -> Any:
        """Reply at once where there is nothing to wait for."""
        answer = answer_to(request.method.decode("latin-1"), request.uri.decode("latin-1"))
        request.setResponseCode(answer.status)
        for name, value in answer.asgi_headers:
            request.setHeader(name, value)
        if not answer.steps and answer.wait is None:
            return answer.pieces[0]
        Deferred.fromCoroutine(_reply(request, answer)).addErrback(request.processingFailed)
        return NOT_DONE_YET


async def _reply(request: Any, answer: Answer) -> None:
    gone: list[object] = []
    request.notifyFinish().addErrback(gone.append)
    await _carry_out(answer.steps)
    first, *rest = answer.pieces
    request.write(first)
    for piece in rest:
        await _carry_out((answer.wait,) if answer.wait else ())
        request.write(piece)
    if not gone:
        request.finish()


async def _carry_out(steps: Iterable[Step]) -> None:
    for step in steps:
        done: Deferred[None] = Deferred()
        if step.kind is DELAY:
            await deferLater(cast(Any, reactor), step.seconds)
        elif step.kind is HOLD:
            _waits().hold(step, partial(done.callback, None))
            await done
        elif step.kind is CALL:
            failed = partial(done.errback, ConnectionError("the upstream broke off"))
            _waits().call(step, partial(done.callback, None), failed)
            await done
        else:
            step.run()


@cache
def _waits() -> Waits:
    return waits_of(cast(Service, settings), reactor)  # which need the units and the upstream
