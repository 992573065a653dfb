"""What a notebook's page gains as Sphinx reads it: the answers at its head, and below figures and tables how they were made."""

import re
import sys
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).parent))
from generated import ROOT, address, answer_box, foot, made_from

TITLE = re.compile(r"^(# .+)$", re.MULTILINE)


def complete(app, docname: str, source: list[str]) -> None:
    """Add the box of answers below the title of a notebook's page, and a fold below each of its figures and tables."""
    folder, _, page = docname.partition("/")
    if folder != "notebooks":
        return
    notebook = nbformat.reads(source[0], 4)
    box = answer_box(page)
    notebook.cells[0].source = TITLE.sub(lambda title: f"{title[1]}\n\n{box}", notebook.cells[0].source, count=1)
    made = made_from(page)
    script = (ROOT / "notebooks" / f"{page}.py").read_text(encoding="utf-8")
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if made and shows_something(cell):
            line = script[: script.find(cell.source.strip())].count("\n") + 1
            code = f"[notebooks/{page}.py, line {line}]({address()}/blob/main/notebooks/{page}.py#L{line})"
            fold = f'<details class="made"><summary>How this was made</summary>\n\n{made} The code: {code}.\n\n</details>'
            cells.append(nbformat.v4.new_markdown_cell(fold))
    notebook.cells = [*cells, nbformat.v4.new_markdown_cell(foot(page))]
    source[0] = nbformat.writes(notebook)


def shows_something(cell) -> bool:
    """Whether a cell shows a figure or a table."""
    if cell.cell_type != "code" or "remove-cell" in cell.metadata.get("tags", []):
        return False
    shown = [out.get("data", {}) for out in cell.outputs if "scrapbook" not in out.get("metadata", {})]
    return any(
        {"image/png", "image/svg+xml"} & set(data) or re.search("<table|plotly", data.get("text/html", "")) for data in shown
    )


def setup(app):
    app.connect("source-read", complete)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
