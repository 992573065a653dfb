"""`make notebooks`: bring every .ipynb in step with its .py, execute it, and keep outputs, not progress bars."""

import sys
from pathlib import Path

import jupytext
import nbformat
import papermill

HERE = Path(__file__).resolve().parent


def execute(source: Path) -> None:
    """Execute the notebook of a .py in place; on failure the committed one stays as it was."""
    target, log = (
        source.with_suffix(".ipynb"),
        HERE.parent / "runs" / f"{source.stem}.unfinished.ipynb",
    )
    log.parent.mkdir(exist_ok=True)
    jupytext.write(jupytext.read(source), log, fmt="ipynb")
    executed = papermill.execute_notebook(
        str(log), str(log), cwd=str(HERE), log_output=True
    )
    committed = jupytext.read(source)
    committed.metadata.pop("papermill", None)
    for cell, done in zip(committed.cells, executed.cells, strict=True):
        cell.id = f"{source.stem[:2]}-{committed.cells.index(cell):03d}"  # the same on every machine
        if cell.cell_type == "code":
            cell.outputs = [
                output for output in done.outputs if output.get("name") != "stderr"
            ]
            cell.execution_count = done.execution_count
    part = target.with_suffix(".part")
    nbformat.write(committed, part)
    part.replace(target)
    log.unlink()


if __name__ == "__main__":
    for source in sorted(HERE.glob("[0-9]*.py")):
        if not sys.argv[1:] or source.stem in sys.argv[1:]:
            execute(source)
