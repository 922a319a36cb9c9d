"""`crossover gate`: is head slower than base? Measured together, decided with an interval."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.errors import UserError

if TYPE_CHECKING:
    from bench.gate.pairs import Side
    from bench.gate.settings import Settings

FIGURES = (".png", ".svg")
# What the project's own models need, where a side gets an environment of its own.
OF_MODELS = ("models",)
MODELS_FILE = "servers/__main__.py"


def gate(
    base: Annotated[
        str, typer.Option(help="a git ref, `.` for the working tree, or a command with {port}")
    ],
    head: Annotated[str, typer.Option(help="the same, for what may be slower")] = ".",
    model: Annotated[
        str | None, typer.Option(help="of the project's own models: serve this one of each ref")
    ] = None,
    command: Annotated[
        str | None, typer.Option(help="what serves a ref, with {port} in it")
    ] = None,
    path: Annotated[str | None, typer.Option(help="what to request")] = None,
    connections: Annotated[int | None, typer.Option(min=1, max=50_000)] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="what to decide on: throughput,cpu,p50,p99 (default: p50 and p99 only "
            "where the work waits)"
        ),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="slowdown that does not matter, as a share")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="time to measure, as 3m")] = None,
    pairs: Annotated[
        int | None, typer.Option(help="pairs of fresh processes at least", min=3, max=1000)
    ] = None,
    in_turns: Annotated[
        bool | None,
        typer.Option("--in-turns", help="measure base and head in turns, not at once"),
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of the orders and of the hash seeds")] = 1,
    micro: Annotated[
        bool, typer.Option("--micro", help="gate the micro-benchmarks of pytest-benchmark instead")
    ] = False,
    micro_path: Annotated[str, typer.Option(help="where they are")] = "tests/benchmarks",
    micro_json: Annotated[
        Path | None, typer.Option(help="write head's as a report of pytest-benchmark")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for all slices and gate.json")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="write a comment for a pull request")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="write a JUnit report")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="write the decision as JSON")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="draw the ratio of each pair: a .png or .svg file")
    ] = None,
) -> int:
    """Is head slower than base? Exit code 0: no; 1: yes; 2: not measured; 3: cannot be told."""
    from bench.gate.workload import checked_metrics, checked_path

    if micro and (model or command or path or metrics or connections):
        raise UserError(
            "--micro gates benchmarks, which have no --model, --command, --path, --connections or"
            " --metrics: leave those out"
        )
    if micro_json is not None and not micro:
        raise UserError("--micro-json is of the micro-benchmarks: give --micro too")
    _require_writable(markdown, junit, json_file, figure, micro_json)
    try:
        names = None if metrics is None else tuple(name.strip() for name in metrics.split(","))
        settings = _settings(model, command, budget).overridden(
            path=None if path is None else checked_path(path, "--path"),
            connections=connections,
            metrics=None if names is None else checked_metrics(names, "--metrics"),
            margin=margin,
            least_pairs=pairs,
            in_turns=in_turns,
            seed=seed,
        )
        sides: dict[Side, str] = {"base": base, "head": head}
        content = _measured(sides, settings, out, micro_path if micro else None, micro_json)
        _write(content, markdown, junit, json_file, figure)
    except UserError as error:
        _write_error(str(error), markdown, junit, json_file)
        raise
    except Exception as error:
        _write_error(f"{type(error).__name__}: {error}", markdown, junit, json_file)
        raise
    return int(content["decision"]["exit_code"])


def _require_writable(
    markdown: Path | None,
    junit: Path | None,
    json_file: Path | None,
    figure: Path | None,
    micro_json: Path | None,
) -> None:
    """Refuse a file that cannot be written before anything is measured."""
    from bench.gate.record import require_writable

    if figure is not None and figure.suffix not in FIGURES:
        listed = " or ".join(FIGURES)
        raise UserError(f"--figure {figure}: name a file that ends with {listed}")
    files = [file.absolute() for file in (markdown, junit, json_file, figure, micro_json) if file]
    if len(set(files)) < len(files):
        raise UserError("two of the files to write are the same: give each a name of its own")
    require_writable(markdown, "--markdown")
    require_writable(junit, "--junit")
    require_writable(json_file, "--json")
    require_writable(figure, "--figure")
    require_writable(micro_json, "--micro-json")


def _settings(model: str | None, command: str | None, budget: str | None) -> "Settings":
    """The user's file, and what goes before it."""
    from dataclasses import replace

    from bench.gate.settings import read_settings
    from bench.measure.quantities import parse_budget_s

    settings = read_settings()
    if model is not None and command is not None:
        raise UserError("give --model or --command, not both")
    recipe = settings.recipe
    if model is not None:
        command, extras = _command_of(model), recipe.extras or OF_MODELS
        recipe = replace(recipe, extras=extras, needs=MODELS_FILE)
    if command is not None:
        settings = replace(settings, recipe=replace(recipe, command=command))
    return settings.overridden(
        budget_s=None if budget is None else parse_budget_s(budget, "--budget")
    )


def _command_of(model: str) -> str:
    """How a model is served from any checkout of this project, computing as fast on both sides."""
    from bench.measure.models import calibrate, known_models

    if model not in known_models():
        raise UserError(f"--model: no model {model!r}; see crossover serve --help")
    return " ".join(["{python} -m servers", model, *calibrate().flags(), "--port {port}"])


def _measured(
    sides: "dict[Side, str]",
    settings: "Settings",
    out: Path | None,
    micro_path: str | None,
    micro_json: Path | None,
) -> dict[str, Any]:
    """Measure, decide, and say so; the content of gate.json."""
    from bench.gate.outputs import terminal
    from bench.gate.session import hold_gate, hold_micro
    from bench.measure.lock import only_run

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with only_run():
        if micro_path is None:
            content = hold_gate(sides, settings, out, tell)
        else:
            content = hold_micro(sides, settings, micro_path, micro_json, out, tell)
    print(terminal(content))
    return content


def _write(
    content: dict[str, Any],
    markdown: Path | None,
    junit: Path | None,
    json_file: Path | None,
    figure: Path | None,
) -> None:
    """Every file that was asked for, and the step summary where GitHub asks for one."""
    from bench.gate import outputs

    _write_texts(
        content, outputs.markdown(content), outputs.junit(content), markdown, junit, json_file
    )
    if figure is not None:
        from bench.present.pair_ratios import draw_pair_ratios

        draw_pair_ratios(figure, content)


def _write_error(
    message: str, markdown: Path | None, junit: Path | None, json_file: Path | None
) -> None:
    """What a CI reads, of a gate that could not measure: an error, never a pass."""
    from bench.gate import outputs

    content = {"state": "failed", "error": message}
    comment, report = outputs.markdown_of_error(message), outputs.junit_of_error(message)
    _write_texts(content, comment, report, markdown, junit, json_file)


def _write_texts(
    content: dict[str, Any],
    comment: str,
    report: str,
    markdown: Path | None,
    junit: Path | None,
    json_file: Path | None,
) -> None:
    import json

    from bench.gate.record import write_text

    if markdown is not None:
        write_text(markdown, comment)
    if junit is not None:
        write_text(junit, report)
    if json_file is not None:
        write_text(json_file, json.dumps(content, allow_nan=False, indent=1) + "\n")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        write_text(Path(summary), comment + "\n", append=True)
