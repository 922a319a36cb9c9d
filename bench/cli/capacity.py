"""`crossover capacity`: the highest rate that meets an SLO."""

import json
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from bench.errors import UserError
from bench.measure.cores import CoreChoice, cores_here
from bench.measure.machine import require_descriptors
from bench.measure.models import calibrate, known_models
from bench.measure.plan import Server
from bench.measure.quantities import parse_budget_s
from bench.measure.stanza import choose_targets, read_stacks
from bench.measure.targets import Target, command_target, driver_target
from bench.measure.upstream import Upstream
from bench.measure.work_path import read_work

SPARE_DESCRIPTORS = 64
CONNECT_TIMEOUT_S = 5.0

if TYPE_CHECKING:
    from bench.measure.capacity import Capacity
    from bench.measure.rate_trials import Trials


def capacity(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="a model, a stack, the NAME of a [targets.NAME] in crossover.toml, NAME=COMMAND "
            "with {port}, or the http:// URL of a server that runs already",
        ),
    ],
    slo: Annotated[
        list[str],
        typer.Option(metavar="'p99<100ms'", help="what has to hold; may be repeated"),
    ],
    work: Annotated[str, typer.Option(help="what a request asks of a model")] = "/delay=20ms",
    connections: Annotated[int, typer.Option("-c", "--connections", help="at most so many")] = 256,
    arrivals: Annotated[str, typer.Option(help="poisson or constant")] = "poisson",
    trial: Annotated[str, typer.Option(help="how long one trial measures")] = "2s",
    repeats: Annotated[int, typer.Option(help="searches, for the interval")] = 5,
    seed: Annotated[int, typer.Option(help="of the arrivals")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> int:
    """Find the highest open-loop rate at which the SLO holds, from repeated short trials."""
    from bench.measure.capacity import search
    from bench.measure.generator import Generator, spin_ns_on
    from bench.measure.rate_trials import Trials, expectations_of

    expectations = expectations_of(slo)
    _require(connections, arrivals, repeats)
    trial_s = parse_budget_s(trial, "--trial")
    cores = cores_here()
    require_descriptors(connections + SPARE_DESCRIPTORS)
    with _served(target, work, cores) as url, Generator(cores.generator) as generator:
        trials = Trials(
            generator,
            url,
            connections,
            expectations,
            trial_s,
            arrivals,
            seed,
            spin_ns_on(cores),
            _tell,
        )
        found = search(trials, trials.first_guess_rps(), repeats)
    if as_json:
        print(json.dumps(_described(found, trials), allow_nan=False))
    else:
        print(in_words(found, slo))
    return 3 if found.rate_rps is None or found.limited_by == "generator" else 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def in_words(found: "Capacity", slo: Sequence[str]) -> str:
    """The answer in a line."""
    what = " and ".join(slo)
    if found.rate_rps is None:
        if found.limited_by == "generator":
            return f"not known: the generator could not offer even the first rate ({what})"
        return f"no rate meets {what}"
    if found.limited_by == "generator":
        return (
            f"at least {found.rate_rps:.0f} req/s meet {what}: "
            "the generator could not offer more, so the server's limit is not known"
        )
    if found.low_rps is None:
        return f"{found.rate_rps:.0f} req/s meet {what} (one estimate: no interval)"
    return (
        f"{found.rate_rps:.0f} req/s [{found.low_rps:.0f}, {found.high_rps:.0f}] meet {what} "
        f"({len(found.estimates_rps)} searches; beyond that the server does not)"
    )


def _described(found: "Capacity", trials: "Trials") -> dict[str, Any]:
    return {
        "capacity_rps": found.rate_rps,
        "low_rps": found.low_rps,
        "high_rps": found.high_rps,
        "limited_by": found.limited_by,
        "estimates_rps": list(found.estimates_rps),
        "trials": trials.rows,
    }


def _require(connections: int, arrivals: str, repeats: int) -> None:
    if not 1 <= connections <= 100_000:
        raise UserError(f"--connections {connections}: give 1 to 100000")
    if arrivals not in ("poisson", "constant"):
        raise UserError(f"--arrivals {arrivals}: give poisson or constant")
    if repeats not in (0, *range(3, 101)):
        raise UserError(f"--repeats {repeats}: give 3 to 100, or 0 for no interval")


@contextmanager
def _served(target: str, work: str, cores: CoreChoice) -> Iterator[str]:
    """The URL to load; a target that does not run yet is started, and stopped on leaving."""
    if target.startswith("http://"):
        _require_server(target)
        yield target
        return
    steps = read_work(work, "--work")
    chosen, own_path = _target(target)
    upstream = Upstream(cores.generator)
    try:
        if steps.calls:
            upstream.start()
        with chosen.launch(Server(chosen.name), cores.server, upstream.address) as process:
            ready = process.wait_ready()
            yield f"http://{ready.host}:{ready.port}{own_path.replace('{work}', work)}"
    finally:
        upstream.stop()


def _require_server(url: str) -> None:
    parts = urlsplit(url)
    if parts.hostname is None:
        raise UserError(f"cannot use the URL {url!r}: it needs a host")
    try:
        socket.create_connection((parts.hostname, parts.port or 80), CONNECT_TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        raise UserError(f"cannot connect to {url}: {error}; is the server running?") from None


def _target(name: str) -> tuple[Target, str]:
    """A model, a stack or a command of the user's, and the path that it is asked for."""
    models, stacks = known_models(), read_stacks()
    rates = calibrate()
    if name in models:
        model = models[name]
        if not model.available:
            raise UserError(f"{name} is not available: {model.why_unavailable}")
        return driver_target(name, model, rates, None, None), "{work}"
    if "=" not in name and name not in stacks and not Path("crossover.toml").exists():
        known = ", ".join([*models, *stacks])
        raise UserError(f"{name!r} is no model, stack or URL; known are {known}")
    (stanza,) = choose_targets([name], models, stacks).values()
    target = command_target(stanza.name, stanza, stanza.model(), rates)
    return target, stanza.path
