"""`crossover trace`: what tasks do under each model, drawn like the figures of the introduction."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.errors import UserError, cannot_write
from bench.store import OTHER_OUT, RESULTS, read_traces, write_traces

TASKS, MOST_TASKS = 3, 64
# Nothing to wait for; a wait that leaves its thread free where the model can; one that never does.
WORKS = ("/spin=20ms", "/spin=10ms/delay=20ms/spin=10ms", "/spin=10ms/block=20ms/spin=10ms")


def trace(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="which models [all]")
    ] = None,
    tasks: Annotated[
        int | None, typer.Option(help=f"how many are sent at once [{TASKS}]", min=1, max=MOST_TASKS)
    ] = None,
    work: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH", help=f"what a task asks for; may be repeated [{', '.join(WORKS)}]"
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="threads or processes of a server [each its own]", min=1)
    ] = None,
    units: Annotated[int | None, typer.Option(help="units for the step hold [1]", min=1)] = None,
    server_cores: Annotated[int | None, typer.Option(help="cores for a server [1]", min=1)] = None,
    out: Annotated[Path, typer.Option(help="folder for the figure and its data")] = (
        RESULTS / "trace"
    ),
    redraw: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="draw a trace.json again, all of it or some models"),
    ] = None,
) -> None:
    """Send some tasks at once to real servers, and draw when each computed and when it waited."""
    from bench.present.charts import draw_figures
    from bench.present.timeline import drawing

    asked = {"tasks": tasks, "workers": workers, "units": units, "server_cores": server_cores}
    _make(out)
    if redraw is None:
        traces = _measure(models or [], work or WORKS, out, **asked)
    elif work or any(asked.values()):
        raise UserError("--redraw measures nothing: give no other choice but models and --out")
    else:
        traces = _kept(redraw, models or [])
    (chart,) = draw_figures(out, [drawing(traces)])
    for suffix in ("svg", "png"):
        print(f"wrote {out / chart.name}.{suffix}")


def _measure(
    models: Sequence[str],
    works: Sequence[str],
    out: Path,
    *,
    tasks: int | None,
    workers: int | None,
    units: int | None,
    server_cores: int | None,
) -> list[dict[str, Any]]:
    """Measure each model, say what came out, and write it all down."""
    from bench.analyse.timeline import ABOUT, conclude
    from bench.measure import machine
    from bench.measure.cores import cores_here
    from bench.measure.models import calibrate
    from bench.measure.plan import Server
    from bench.measure.targets import driver_target
    from bench.measure.tracing import trace_works
    from bench.measure.work_path import read_work

    works = list(dict.fromkeys(works))
    for each in works:
        read_work(each, "--work")
    cores = cores_here(server_cores or 1)
    chosen = _chosen(models)
    rates = calibrate()
    head = {
        "about": ABOUT,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "server_cores": list(cores.server),
        "generator_cores": list(cores.generator),
        "units": units or 1,
        "spin_rounds_per_us": rates.spin_per_us,
        "hash_rounds_per_us": rates.hash_per_us,
        "git": machine.describe_git(),
        "machine": machine.describe_machine(),
        "python": machine.describe_python(),
        "packages": machine.describe_packages(),
    }
    traces = []
    for name, model in chosen.items():
        target = driver_target(name, model, rates, None, None)
        server = Server(name, workers, units, server_cores or 1)
        for measured in trace_works(target, server, works, tasks or TASKS, cores):
            traces.append(
                {
                    "model": name,
                    "workers": workers or model.default_workers,
                    "workers_are": model.workers_are,
                    "work": measured["work"],
                    **conclude(measured["tasks"]),
                }
            )
            _say(traces[-1])
    print(f"wrote {write_traces(out, head, traces)}")
    return traces


def _kept(file: Path, models: Sequence[str]) -> list[dict[str, Any]]:
    """The traces of a file, of these models or of all."""
    traces = read_traces(file)["traces"]
    known = list(dict.fromkeys(each["model"] for each in traces))
    for name in models:
        if name not in known:
            raise UserError(f"{file} holds no trace of {name!r}; its models are {', '.join(known)}")
    order = list(models) or known
    kept = [each for name in dict.fromkeys(order) for each in traces if each["model"] == name]
    for each in kept:
        _say(each)
    return kept


def _chosen(names: Sequence[str]) -> Mapping[str, Any]:
    """The models named, or all that can run here. UserError for a name that is none of them."""
    from bench.measure.models import known_models

    known = known_models()
    for name in names:
        if name not in known:
            raise UserError(f"no model {name!r}; the models are {', '.join(known)}")
        if not known[name].available:
            raise UserError(f"{name} is not available: {known[name].why_unavailable}")
    for model in known.values():
        if not names and not model.available:
            print(f"left out: {model.why_unavailable}", file=sys.stderr)
    return {name: known[name] for name in names or known if known[name].available}


def _make(out: Path) -> None:
    """Make the folder before anything is measured that could not be kept."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(out, error, OTHER_OUT) from error


def _say(each: Mapping[str, Any]) -> None:
    from bench.present.timeline import in_words

    print(f"{each['model']} {each['work']}: {in_words(each)}", flush=True)
