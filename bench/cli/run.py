"""`crossover run`: measure a profile into a new folder of results."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.choice import choose
from bench.cli.measuring import fitness_of, go_on, measure_again, measure_anew
from bench.errors import UserError
from bench.measure.lock import only_run


def run(
    profile: Annotated[str, typer.Option(help="a profile's name or the path of a .toml")] = "quick",
    models: Annotated[str | None, typer.Option(help="only these models and stacks: a,b")] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COMMAND",
            help="measure your own server as well: 'mine=uvicorn app:app --port {port}', or the "
            "NAME of a [targets.NAME] in crossover.toml; may be repeated",
        ),
    ] = None,
    python: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EXE",
            help="run the models under this interpreter as well: python3.13; may be repeated",
        ),
    ] = None,
    delay: Annotated[str | None, typer.Option(help="only these delays: 0ms,20ms")] = None,
    work: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="only this work: /delay=20ms/spin=1ms,/call=20ms; may be repeated",
        ),
    ] = None,
    connections: Annotated[
        str | None, typer.Option(help="only these numbers of connections: 1,64")
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(help="these numbers of threads or processes a server: 1,2 [each its own]"),
    ] = None,
    units: Annotated[
        str | None, typer.Option(help="these numbers of units for the step hold: 1,8 [1]")
    ] = None,
    server_cores: Annotated[
        str | None, typer.Option(help="these numbers of cores for a server: 1,2 [1]")
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="exactly this many rounds")] = None,
    budget: Annotated[
        str | None, typer.Option(help="time to spend, as 4m20s; without --rounds it is kept")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="seed of the order of slices")] = None,
    out: Annotated[Path | None, typer.Option(help="folder of the run [results/NAME]")] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="go on with the run in --out, or the latest"),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="measure though the machine is not fit for it")
    ] = False,
    again: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="measure what another run did: its run.json"),
    ] = None,
) -> int:
    """Measure: rounds of fresh servers, slices interleaved over them."""
    began_s = time.monotonic()
    axes = {
        "delays": _words(delay, "--delay"),
        "works": _all_words(work, "--work"),
        "connections": _words(connections, "--connections"),
        "workers": _words(workers, "--workers"),
        "units": _words(units, "--units"),
        "server_cores": _words(server_cores, "--server-cores"),
    }
    others = [
        delay,
        work,
        connections,
        workers,
        units,
        server_cores,
        models,
        target,
        python,
        rounds,
    ]
    others += [budget, seed]
    with ExitStack() as stack:
        stack.enter_context(only_run())
        fitness = fitness_of(force)
        if resume or again is not None:
            _alone(resume, again, profile != "quick" or any(each is not None for each in others))
        if resume:
            return go_on(out or Path("latest"), stack)
        if again is not None:
            return measure_again(again, out, stack, began_s, fitness)
        chosen = choose(
            profile,
            stack,
            only=_words(models, "--models"),
            asked_targets=target or [],
            asked_pythons=python or [],
            rounds=rounds,
            budget=budget,
            seed=seed,
            **axes,
        )
        return measure_anew(chosen, out, began_s, fitness)


def _alone(resume: bool, again: Path | None, others: bool) -> None:
    """Refuse what would change the plan of a run that is gone on with, or repeated."""
    if resume and again is not None:
        raise UserError("--resume goes on with a run, --from begins a new one: give one of them")
    if others:
        name = "--resume" if resume else "--from"
        raise UserError(f"{name} measures what that run did: give no other choice but --out")


def _all_words(texts: Sequence[str] | None, option: str) -> list[str]:
    return [word for text in texts or () for word in _words(text, option)]


def _words(text: str | None, option: str) -> list[str]:
    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    if text is not None and not words:
        raise UserError(f"{option}: names nothing; give one or more, separated by commas")
    return words
