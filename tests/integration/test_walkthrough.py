"""The notebook docs/notebooks/walkthrough.ipynb: it runs from top to bottom,
and is committed without outputs.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
NOTEBOOK = Path("docs/notebooks/walkthrough.ipynb")


def test_it_is_kept_without_outputs(project: Path) -> None:
    cells = json.loads((project / NOTEBOOK).read_text(encoding="utf-8"))["cells"]
    assert [cell["cell_type"] for cell in cells].count("code") >= 8
    assert all(
        cell["outputs"] == [] and cell["execution_count"] is None
        for cell in cells
        if cell["cell_type"] == "code"
    )


def execute(project: Path, place: Path) -> str:
    """Run the notebook in an empty folder, with this environment's Python; what it printed."""
    import nbformat

    notebook = nbformat.read(project / NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(place)}}
    ).execute()
    outputs = [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    assert not [output for output in outputs if output.output_type == "error"]
    assert list(place.iterdir()) == [], "it writes nothing"
    return "".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs
    )


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
    said = execute(this_project, tmp_path)
    assert "SYNTHETIC DATA" in said
    assert "out-of-fold" in said
    assert "no similar training RNA" in said
    assert "neighbours" in said.lower() or "nearest" in said.lower()
    assert "on the synthetic demo" in said


@pytest.mark.real
@pytest.mark.slow
def test_it_runs_on_the_benchmark(
    this_project: Path, tmp_path: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRNAGRAPH_DATA", str(real_data))
    said = execute(this_project, tmp_path)
    assert "This is the public benchmark." in said
    assert "1041 RNAs, 901 of them with a compartment" in said
