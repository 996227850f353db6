"""The notebook runs, and shows what it stored."""

from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient", reason="notebooks are run by pip install -e '.[docs]'")

NOTEBOOK = Path(__file__).parents[2] / "docs" / "library_tour.ipynb"


def printed(notebook):
    """What each cell prints, and of what kind its pictures are."""
    return [
        [
            output.get("text", "picture" if "image/jpeg" in output.get("data", {}) else "")
            for output in cell.outputs
            if output.get("name") != "stderr"
        ]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


# Jupyter's own, of its kernel's sockets.
@pytest.mark.filterwarnings("default")
def test_it_runs_and_prints_what_it_stored():
    import nbformat

    stored = nbformat.read(NOTEBOOK, as_version=4)
    run = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": str(NOTEBOOK.parent)}}
    nbclient.NotebookClient(run, timeout=600, kernel_name="python3", resources=where).execute()
    assert printed(run) == printed(stored)
    assert "picture" in printed(stored)[-1]
