"""The scripts of the report: that they are all there, and that they count as Python does."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.present import scripts, units

FOLDER = Path(scripts.__file__).parent
VECTORS = Path(__file__).parent / "model_vectors.json"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(
    NODE is None, reason="node is not there to run JavaScript by itself"
)


def run_js(names, expression, value):
    """What an expression gives in node, after the named scripts, with `value` as `given`."""
    sources = "\n".join((FOLDER / "script" / f"{name}.js").read_text() for name in names)
    text = (
        f"{sources}\nconst given = {json.dumps(value)};\nconsole.log(JSON.stringify({expression}));"
    )
    done = subprocess.run([NODE, "-"], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_script_is_in_the_page_and_every_name_is_a_file():
    assert set(scripts.EXPLORER) == {path.stem for path in (FOLDER / "script").glob("*.js")}
    assert len(scripts.own(scripts.EXPLORER)) == len(scripts.EXPLORER)


def test_plotly_is_the_pinned_version_with_its_licence():
    text = str(scripts.plotly())
    version = re.search(r"plotly-basic-([\d.]+)\.min\.js", scripts.PLOTLY)[1]
    assert f"plotly.js (basic - minified) v{version}" in text
    assert "Permission is hereby granted, free of charge" in text
    assert version in (FOLDER / "vendor" / "README.md").read_text()
    published = "c23b03591a6bdad0"
    assert hashlib.sha256((FOLDER / scripts.PLOTLY).read_bytes()).hexdigest().startswith(published)


def test_no_script_of_ours_asks_for_anything_outside_the_page():
    text = "\n".join(map(str, scripts.own(scripts.EXPLORER)))
    for word in ("fetch(", "XMLHttpRequest", "import(", "WebSocket", "sendBeacon", "eval("):
        assert word not in text
    assert set(re.findall(r"https?://[^\"]+", text)) == {"http://www.w3.org/2000/svg"}


def test_a_script_that_would_end_its_element_is_refused(monkeypatch):
    monkeypatch.setattr(scripts, "_text", lambda name: "const a = '</script>';")
    with pytest.raises(ValueError, match="would end the script element"):
        scripts.own(("a",))


@needs_node
def test_the_model_predicts_what_it_does_in_python():
    vectors = json.loads(VECTORS.read_text())["vectors"]
    asked = [(v["parameters"], case["load"]) for v in vectors for case in v["cases"]]
    wanted = [case["prediction"] for v in vectors for case in v["cases"]]
    given = run_js(
        ("queueing", "model"),
        "given.map(([parameters, load]) => Model.predict(parameters, load))",
        asked,
    )
    assert len(given) == len(wanted) > 50
    for said, right in zip(given, wanted, strict=True):
        assert said["throughput_rps"] == pytest.approx(right["throughput_rps"], rel=1e-9)
        assert said["response_s"] == pytest.approx(right["response_s"], rel=1e-9)
        assert said["reached"] == pytest.approx(right["reached"], rel=1e-9)
        assert said["shares"] == pytest.approx(right["shares"], rel=1e-9, abs=1e-12)
        assert said["limited_by"] == right["limited_by"]
        assert said["extrapolated"] == right["extrapolated"]


NUMBERS = [
    0,
    0.004,
    0.0123,
    0.1,
    0.5,
    0.955,
    1,
    1.14,
    9.994,
    9.996,
    10.5,
    81.3,
    999.4,
    1234.6,
    54030.2,
]


@needs_node
def test_numbers_are_written_as_in_the_tables():
    for name, text in (("factor", units.factor_text), ("number", units.number_text)):
        assert run_js(("units",), f"given.map((n) => Units.{name}(n))", NUMBERS) == list(
            map(text, NUMBERS)
        )
    counts = [1, 16, 1024, 1234567]
    assert run_js(("units",), "given.map(Units.count)", counts) == list(
        map(units.count_text, counts)
    )
    delays_s = [0, 2e-5, 5e-4, 0.0015, 0.005, 0.05, 0.2, 1, 1.5, 60]
    assert run_js(("units",), "given.map(Units.delay)", delays_s) == list(
        map(units.delay_text, delays_s)
    )
    assert run_js(("units",), "given.map((n) => Units.factor(n))", [None]) == [
        units.factor_text(None)
    ]


SORTED = [
    ["500 us", "5 ms", "20 ms (/block=20ms)", "1.5 s"],
    ["0.87", "\u2265 1.02", "9.5", "1,024", "-", "?"],
    ["[0.8, 0.9]", "[1, 2]", "[?, 3]"],
    ["2 of 8", "10 of 12"],
    ["asyncio", "trio", "uvloop", ""],
    ["-8.0%", "+1.2%", "30%"],
]


@needs_node
@pytest.mark.parametrize("texts", SORTED)
def test_tables_sort_by_number_and_unit_or_else_by_text(texts):
    code = (
        "given.map((t) => [Tables.key(t), t]).sort((a, b) => Tables.compare(a[0], b[0], false))"
        ".map((pair) => pair[1])"
    )
    assert run_js(("tables",), code, texts[::-1]) == texts


@needs_node
def test_what_is_not_known_stays_last_when_the_order_is_turned_round():
    code = (
        "given.map((t) => [Tables.key(t), t]).sort((a, b) => Tables.compare(a[0], b[0], true))"
        ".map((pair) => pair[1])"
    )
    assert run_js(("tables",), code, ["-", "1", "3", "2"]) == ["3", "2", "1", "-"]
