"""What docs/adding-a-model.md tells a newcomer to do works, word for word."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

DOCUMENT = ROOT / "docs" / "adding-a-model.md"
SUITES = ("test_conformance.py", "test_rude_clients.py", "test_waiting.py", "test_calls.py",
          "test_stop.py")  # fmt: skip
END_OF_TABLE = "    )\n}\n"


def code_blocks() -> list[str]:
    """Return the Python of the document: the driver, and the row of the table."""
    return re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the project that a newcomer has followed the document in."""
    for folder in ("servers", "clients", "bench", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    driver, row = code_blocks()
    (tmp_path / "servers" / "anyio_tasks.py").write_text(driver)
    table = tmp_path / "servers" / "models.py"
    before, end, nothing = table.read_text().rpartition(END_OF_TABLE)
    assert (end, nothing) == (END_OF_TABLE, "")
    table.write_text(before + row + end)
    return tmp_path


@pytest.mark.skipif(not importlib.util.find_spec("anyio"), reason="anyio is not installed")
def test_model_of_the_document_passes_the_shared_suites_unchanged(checkout: Path) -> None:
    suites = [f"tests/servers/{suite}" for suite in SUITES]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "anyio"]
    done = subprocess.run(
        [*command, *suites, "tests/test_layout.py"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    summary = done.stdout.splitlines()[-1]
    assert done.returncode == 0, done.stdout
    passed = re.match(r"(\d+) passed, \d+ deselected in ", summary)
    assert passed is not None, summary  # none was skipped
    assert int(passed[1]) > 100
