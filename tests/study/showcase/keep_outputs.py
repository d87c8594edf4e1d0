"""This program runs a notebook and writes it back with its results, and nothing of this machine.

python tests/study/showcase/keep_outputs.py study/notebooks/explore_study.ipynb
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

PLOT, PNG = "application/vnd.plotly.v1+json", "image/png"
COLOURS = 96  # of a chart: lines, bands and the edges of letters


def with_results(notebook: Path) -> Any:
    """Return a notebook as it is after a run from top to bottom in an empty folder."""
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(notebook, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(book, timeout=600, resources={"metadata": {"path": folder}}).execute()
    for cell in (c for c in book.cells if c.cell_type == "code"):
        cell.metadata.pop("execution", None)
        # what is said while a study is replayed is displayed too, and names its folders
        cell.outputs = [
            o for o in cell.outputs if o.output_type != "display_data" or PLOT in o.data
        ]
        for output in (o for o in cell.outputs if PNG in o.get("data", {})):
            output.data[PNG] = _smaller(output.data[PNG])
    book.metadata.language_info = {"name": "python"}
    return book


def _smaller(png: str) -> str:
    """Return a chart with few colours, a fifth as large, in base64 as a notebook has it."""
    from PIL import Image
    from PIL.Image import Dither, Quantize

    file = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        small = image.convert("RGB").quantize(COLOURS, Quantize.FASTOCTREE, dither=Dither.NONE)
    small.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    import nbformat

    nbformat.write(with_results(Path(sys.argv[1])), sys.argv[1])
