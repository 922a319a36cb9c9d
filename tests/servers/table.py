"""What the test run says at its end: every exchange and every rude client against every model."""

import pytest

from servers.models import MODELS

SIGNS = {"passed": ".", "failed": "F", "error": "E", "skipped": "s"}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List every exchange and every rude client against every model."""
    outcomes: dict[str, dict[str, str]] = {}
    for outcome, sign in SIGNS.items():
        for report in terminalreporter.stats.get(outcome, ()):
            module, _, name = getattr(report, "nodeid", "").partition("::")
            if module.endswith(("test_conformance.py", "test_rude_clients.py")):
                what, model = _what_and_model(name)
                outcomes.setdefault(what, {})[model] = sign
    seen = {model for row in outcomes.values() for model in row}
    models = [m for name in MODELS for m in (name, f"{name}, 2 workers") if m in seen]
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
