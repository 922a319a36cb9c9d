"""Tables of a page sort by the names of their columns: the script itself, in a browser."""

import json
import re
import shutil
import subprocess
from importlib.resources import files

import pytest

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
SCRIPT = (files("bench.present") / "templates" / "sort.js").read_text()
PAGE = """<!doctype html><meta charset="utf-8"><script>{script}</script>
<table class="sortable"><thead><tr><th>name</th><th>number</th><th>time</th></tr></thead><tbody>
<tr><td>b10</td><td>1,024/s</td><td data-sort="0.5">500 ms</td></tr>
<tr><td>b9</td><td>?</td><td data-sort="2">2 s</td></tr>
<tr><td>a</td><td>9.5/s</td><td data-sort="0.00005">50 us</td></tr>
<tr><td>c</td><td>128/s</td><td data-sort="0">0 ms</td></tr>
</tbody></table>
<table><thead><tr><th>plain</th></tr></thead><tbody><tr><td>x</td></tr></tbody></table>
<script>
addEventListener("DOMContentLoaded", () => {{
  const [table, plain] = document.querySelectorAll("table");
  const buttons = [...table.querySelectorAll("th button")];
  const seen = [{{buttons: buttons.length, plain: plain.querySelectorAll("button").length}}];
  for (const column of [0, 1, 1, 2]) {{
    buttons[column].focus();
    document.activeElement.click();
    seen.push({{
      rows: [...table.tBodies[0].rows].map((row) => row.cells[0].textContent),
      sorted: [...table.tHead.rows[0].cells].map((head) => head.getAttribute("aria-sort")),
    }});
  }}
  document.body.dataset.seen = JSON.stringify(seen);
}});
</script>"""


@pytest.mark.skipif(not BROWSER, reason="needs chromium to run the page's script")
def test_columns_sort_as_numbers_times_or_names_both_ways_with_unknown_last(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(script=SCRIPT))
    shown = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/own",
         "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    counts, names, up, down, times = json.loads(
        re.search(r'data-seen="([^"]*)"', shown)[1].replace("&quot;", '"')
    )
    assert counts == {"buttons": 3, "plain": 0}
    assert names == {"rows": ["a", "b9", "b10", "c"], "sorted": ["ascending", None, None]}
    assert up == {"rows": ["a", "c", "b10", "b9"], "sorted": [None, "ascending", None]}
    assert down == {"rows": ["b10", "c", "a", "b9"], "sorted": [None, "descending", None]}
    assert times["rows"] == ["c", "a", "b10", "b9"]


def test_the_script_loads_nothing_and_leaves_the_templates_alone():
    assert not re.search(r"https?:|import\b|fetch\(|\{[{%#]", SCRIPT)
