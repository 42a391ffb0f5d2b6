"""Run the notebooks of docs/notebooks and store them with their outputs."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbclient
import nbformat

ROOT = Path(__file__).resolve().parent.parent


def run(path: Path) -> None:
    """Run one notebook in an empty folder, on the synthetic demo, and write it back."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as place:
        client = nbclient.NotebookClient(
            notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": place}}
        )
        client.execute()
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, path)


if __name__ == "__main__":
    os.environ.pop("MIRNAGRAPH_DATA", None)
    os.environ["PYTHONPATH"] = str(ROOT)
    names = sys.argv[1:] or sorted(map(str, (ROOT / "docs" / "notebooks").glob("*.ipynb")))
    for name in names:
        run(Path(name))
        print(name)
