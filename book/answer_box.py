"""The answers of a page stand at its head, before any code: put there as Sphinx reads the notebook, from what it stored."""

import re
import sys
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).parent))
from generated import answer_box


def put_answers_first(app, docname: str, source: list[str]) -> None:
    """Add the box below the title of a notebook's page."""
    if not docname.startswith("notebooks/"):
        return
    notebook = nbformat.reads(source[0], 4)
    if box := answer_box(docname.removeprefix("notebooks/")):
        below = re.compile(r"^(# .+)$", re.MULTILINE)
        notebook.cells[0].source = below.sub(lambda title: f"{title[1]}\n\n{box}", notebook.cells[0].source, count=1)
        source[0] = nbformat.writes(notebook)


def setup(app):
    app.connect("source-read", put_answers_first)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
