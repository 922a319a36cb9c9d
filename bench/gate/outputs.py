"""A decision in words and files: for a terminal, a pull request, a CI's test report. Pure.

Everything is made of the content of gate.json, so that it can be made again from that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

from bench.gate.decide import Decision

Content = Mapping[str, Any]
SIGNS = {"pass": "✅", "regression": "❌", "inconclusive": "❔"}
UNITS = {
    "throughput": "throughput",
    "cpu": "CPU per request",
    "p50": "p50, open loop",
    "p99": "p99, open loop",
    "time": "time",
}
MEANING = {
    "pass": "no regression",
    "regression": "head is slower than base, or fails",
    "inconclusive": "this measurement cannot tell",
}


def decision_content(decision: Decision) -> dict[str, Any]:
    """A decision as plain values for JSON."""
    return {
        "outcome": decision.outcome,
        "exit_code": decision.exit_code,
        "reasons": list(decision.reasons),
        "findings": [asdict(finding) for finding in decision.findings],
    }


def terminal(gate: Content) -> str:
    """A table of what each metric says, the answer, and what it rests on."""
    findings = gate["decision"]["findings"]
    rows = [("", *_heads(findings)), *map(_row, findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    decision = gate["decision"]
    return "\n".join(
        [
            f"base: {gate['base']['source']}",
            f"head: {gate['head']['source']}",
            *table,
            *[f"note: {note}" for note in gate["notes"]],
            f"{decision['outcome']}: {MEANING[decision['outcome']]}",
            *[f"  {reason}" for reason in _reasons(decision)],
        ]
    )


def markdown(gate: Content) -> str:
    """The same for a comment on a pull request, or a CI's summary."""
    decision = gate["decision"]
    outcome = decision["outcome"]
    lines = [
        f"### {SIGNS[outcome]} Performance gate: {outcome}",
        "",
        f"{MEANING[outcome].capitalize()}. Base is `{_code(gate['base']['source'])}`, head is "
        f"`{_code(gate['head']['source'])}`; {gate['pairs']} pairs of fresh processes, measured "
        f"{'in turns' if gate['in_turns'] else 'at once'} on one machine, "
        f"{gate['elapsed_s']:.0f} s.",
        "",
        f"| | {' | '.join(_heads(decision['findings']))} |",
        "|---|---|---|---|---|---|",
    ]
    rows = [_row(finding) for finding in decision["findings"]]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    lines += ["", *[f"- {_cell(reason)}" for reason in _reasons(decision)]]
    lines += [f"- Note: {_cell(note)}" for note in gate["notes"]]
    return "\n".join(lines) + "\n"


def junit(gate: Content) -> str:
    """A test case for each metric: a regression fails, what is inconclusive is skipped.

    Where head fails requests, a case of its own fails.
    """
    decision = gate["decision"]
    cases = [_case(finding) for finding in decision["findings"]]
    other = [r for r in decision["reasons"] if r not in {f["reason"] for f in decision["findings"]}]
    if other:
        cases.append(_element("errors", {"failure": "\n".join(other)}))
    return _suite(cases, gate["elapsed_s"], gate["notes"])


def markdown_of_error(message: str) -> str:
    """The comment of a gate that measured nothing, or could not."""
    fence = "~~~~"
    return f"### ⚠️ Performance gate: error\n\nNothing was decided.\n\n{fence}\n{message}\n{fence}\n"


def junit_of_error(message: str) -> str:
    """The report of a gate that measured nothing, or could not: an error, never a pass."""
    return _suite([_element("gate", {"error": message})], 0.0, ())


def _suite(cases: Sequence[ElementTree.Element], elapsed_s: float, notes: Sequence[str]) -> str:
    def count(kind: str) -> str:
        return str(sum(case.find(kind) is not None for case in cases))

    suite = ElementTree.Element(
        "testsuite",
        name="crossover gate",
        tests=str(len(cases)),
        failures=count("failure"),
        errors=count("error"),
        skipped=count("skipped"),
        time=f"{elapsed_s:.1f}",
    )
    suite.extend(cases)
    if notes:
        ElementTree.SubElement(suite, "system-out").text = _printable("\n".join(notes))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(finding: Content) -> ElementTree.Element:
    kind = {"regression": "failure", "inconclusive": "skipped"}.get(finding["outcome"])
    name = f"{finding['metric']} {finding['workload']}".strip()
    return _element(name, {kind or "system-out": finding["reason"]})


def _element(name: str, said: Mapping[str, str]) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname="crossover.gate", name=_printable(name))
    for kind, message in said.items():
        child = ElementTree.SubElement(case, kind)
        if kind != "system-out":
            child.set("message", _printable(message.splitlines()[0]))
        child.text = _printable(message)
    return case


def _printable(text: str) -> str:
    """XML has no place for control characters, which a server's last output may hold."""
    return "".join(
        c if c in "\n\t" or (c >= " " and c not in "\ufffe\uffff") else "?" for c in text
    )


def _heads(findings: Sequence[Content]) -> tuple[str, ...]:
    """The heads of the table; the interval is of the level of the test, as a share of both ends."""
    confidence = next((f["confidence"] for f in findings if f.get("confidence")), None)
    interval = "interval" if confidence is None else f"{confidence:.1%} interval"
    return "head / base", interval, "pairs", "margin", "answer"


def _row(finding: Content) -> tuple[str, ...]:
    name = UNITS.get(finding["metric"], str(finding["metric"]))
    what = f"{name}, {finding['workload']}" if finding["workload"] else name
    shown = "-", "-"
    if finding["ratio"] is not None:
        interval = f"[{finding['low']:.3f}, {finding['high']:.3f}]"
        shown = f"{finding['ratio']:.3f}", interval
    pairs, margin = str(finding["pairs"]), f"{finding['margin']:.1%}"
    return what, *shown, pairs, margin, str(finding["outcome"])


def _reasons(decision: Content) -> list[str]:
    """What decided; of a pass, nothing more needs to be said than the table does."""
    return [] if decision["outcome"] == "pass" else list(decision["reasons"])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _code(text: str) -> str:
    return text.replace("`", "'").replace("\n", " ")
