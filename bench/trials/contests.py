"""Which driver is held against which production servers, and under which workloads. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.errors import UserError
from bench.measure.profile import Grid, Model, Profile

WORKS = ("/", "/delay=20ms")
CONNECTIONS = (64, 512)
# Their HTTP is written in Rust: what they show of the drivers is no more than information.
NOT_PYTHON = ("granian-asgi", "granian-wsgi")


@dataclass(frozen=True)
class Contest:
    """A driver and the stacks of its family, in one connection mode."""

    driver: str
    stacks: tuple[str, ...]
    connection: str = "keep-alive"
    workers: int | None = None

    def profile(self, rounds: int, connections: tuple[int, ...]) -> Profile:
        """The run that measures it: each round a pair of fresh processes for each stack."""
        targets = (self.driver, *self.stacks)
        pairs = tuple((self.driver, stack) for stack in self.stacks)
        grid = Grid(self.connection, targets, WORKS, connections, pairs, workers=(self.workers,))
        return Profile(
            f"drivers-{self.driver}",
            f"{self.driver} against {', '.join(self.stacks)}",
            (grid,),
            rounds_min=rounds,
            rounds_max=rounds,
        )


_THREADED = ("gunicorn-gthread", "cheroot", "waitress", "granian-wsgi")
_ASYNCIO = ("uvicorn-asyncio", "hypercorn-asyncio")
_UVLOOP = ("uvicorn-uvloop", "granian-asgi")

# What serves one connection at a time is compared in close mode, and prefork with as many workers.
# An event loop in front of threads is what waitress is, too; a loop written by hand in Python is
# held against servers on loops that are written in Python.
CONTESTS = (
    Contest("blocking", ("gunicorn-sync",), "close"),
    Contest("prefork", ("gunicorn-sync",), "close", workers=8),
    Contest("threaded", _THREADED),
    Contest("thread-pool", _THREADED),
    Contest("asyncio-threads", ("waitress",)),
    Contest("selectors", (*_ASYNCIO, "twisted-web")),
    Contest("asyncio", _ASYNCIO),
    Contest("asyncio-protocol", _ASYNCIO),
    Contest("uvloop", _UVLOOP),
    Contest("uvloop-protocol", _UVLOOP),
    Contest("trio", ("hypercorn-trio",)),
    Contest("twisted", ("twisted-web",)),
    Contest("gevent", ("gunicorn-gevent",)),
)
# One of each kind, against one stack, at the fewest connections.
SHORT = ("blocking", "thread-pool", "asyncio-protocol", "uvloop-protocol", "trio")


def chosen(only: Sequence[str], *, short: bool) -> list[Contest]:
    """The contests of the drivers and stacks named, or all. Raises UserError for unknown names."""
    known = {name for contest in CONTESTS for name in (contest.driver, *contest.stacks)}
    for name in only:
        if name not in known:
            raise UserError(f"--only {name}: the names are {', '.join(sorted(known))}")
    contests = [c for c in CONTESTS if not short or c.driver in SHORT]
    if short:
        contests = [replace(contest, stacks=contest.stacks[:1]) for contest in contests]
    return [narrowed for contest in contests for narrowed in _narrowed(contest, only)]


def available(
    contests: Sequence[Contest], models: Mapping[str, Model]
) -> tuple[list[Contest], list[str]]:
    """What of the contests can be held here, and for each name that cannot take part why."""
    names = dict.fromkeys(name for c in contests for name in (c.driver, *c.stacks))
    lacking = {
        name: models[name].why_unavailable or "" if name in models else "it is not there"
        for name in names
        if name not in models or not models[name].available
    }
    notices = [f"skipped: {name}: {why}" for name, why in lacking.items()]
    return [held for contest in contests for held in _without(contest, lacking)], notices


def _narrowed(contest: Contest, only: Sequence[str]) -> list[Contest]:
    if not only or contest.driver in only:
        named = tuple(stack for stack in contest.stacks if stack in only)
        return [replace(contest, stacks=named or contest.stacks)]
    return _without(contest, [stack for stack in contest.stacks if stack not in only])


def _without(contest: Contest, names: Collection[str]) -> list[Contest]:
    stacks = tuple(stack for stack in contest.stacks if stack not in names)
    return [replace(contest, stacks=stacks)] if stacks and contest.driver not in names else []
