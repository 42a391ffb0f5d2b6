"""The notebooks of docs/notebooks: stored with their outputs, and run from top to bottom."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
FOLDER = Path("docs/notebooks")
NOTEBOOKS = ["walkthrough", "graph_tower"]
NUMBER = re.compile(r"-?\d+\.\d+")


def code_cells(project: Path, name: str) -> list[dict[str, Any]]:
    cells = json.loads((project / FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def text_of(outputs: list[dict[str, Any]]) -> str:
    """What a cell printed and returned, as text."""
    parts = [output.get("text", "") or output["data"].get("text/plain", "") for output in outputs]
    return "\n".join("".join(part) for part in parts)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_stored_with_its_outputs(project: Path, name: str) -> None:
    cells = code_cells(project, name)
    assert len(cells) >= 8
    numbers = [cell["execution_count"] for cell in cells]
    assert numbers == list(range(1, len(cells) + 1)), "run from top to bottom, once"
    assert sum(bool(cell["outputs"]) for cell in cells) >= 8
    for output in (output for cell in cells for output in cell["outputs"]):
        assert output["output_type"] in ("stream", "execute_result")
        assert output.get("name") != "stderr"
    stored = json.dumps(cells)
    assert not re.search(r"(?<![\w.*])/(home|root|tmp|work|usr|var|Users)/", stored), (
        "a machine's path"
    )


def execute(project: Path, place: Path, name: str = "walkthrough") -> list[str]:
    """Run a notebook in an empty folder, with this environment's Python; what each cell wrote."""
    import nbformat

    notebook = nbformat.read(project / FOLDER / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(place)}}
    ).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert list(place.iterdir()) == [], "it writes nothing"
    kept = [[output for output in cell.outputs if output.get("name") != "stderr"] for cell in cells]
    return [text_of(outputs) for outputs in kept]


@pytest.fixture
def this_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernel is a process of its own: it has to find this source tree,
    wherever it was installed from.
    """
    monkeypatch.setenv("PYTHONPATH", str(project))
    return project


@pytest.mark.slow
def test_it_runs_on_the_demo(
    this_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIRNAGRAPH_DATA", raising=False)
    monkeypatch.setenv("MIRNAGRAPH_CACHE", str(tmp_path.parent / "cache"))
    written = execute(this_project, tmp_path)
    stored = [text_of(cell["outputs"]) for cell in code_cells(this_project, "walkthrough")]
    assert [bool(text) for text in written] == [bool(text) for text in stored]
    assert written[:3] == stored[:3], "the dataset and its networks"
    said = "".join(written)
    assert "SYNTHETIC DATA" in said
    assert "out-of-fold" in said
    assert "no similar training RNA" in said
    assert "neighbours" in said.lower() or "nearest" in said.lower()
    assert "on the synthetic demo" in said


@pytest.mark.slow
def test_the_graph_tower_alone_writes_what_is_stored(
    this_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIRNAGRAPH_DATA", raising=False)
    written = execute(this_project, tmp_path, "graph_tower")
    stored = [text_of(cell["outputs"]) for cell in code_cells(this_project, "graph_tower")]
    for now, then in zip(written, stored, strict=True):
        assert NUMBER.sub("#", now).split() == NUMBER.sub("#", then).split()
        numbers = [[float(number) for number in NUMBER.findall(text)] for text in (now, then)]
        assert numbers[0] == pytest.approx(numbers[1], abs=0.05), "processors differ in last digits"


@pytest.mark.real
@pytest.mark.slow
def test_it_runs_on_the_benchmark(
    this_project: Path, tmp_path: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRNAGRAPH_DATA", str(real_data))
    said = "".join(execute(this_project, tmp_path))
    assert "This is the public benchmark." in said
    assert "1041 RNAs, 901 of them with a compartment" in said
