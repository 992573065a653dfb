"""`make notebooks`: bring every .ipynb in step with its .py, execute it, and keep outputs, not progress bars.

With --stale only the pages that are drawn from records, and only where the records changed since; with --list they are named and
nothing is executed.
"""

import hashlib
import os
import sys
from importlib import import_module
from pathlib import Path

import jupytext
import nbformat
import papermill

from cpdgal import book

HERE = Path(__file__).resolve().parent
RECORDS = HERE.parent / "results"
SOURCES = [*sorted(HERE.glob("[0-9]*.py")), HERE / "run.py"]
# The pages drawn from records, and the files of cpdgal.book that list their runs.
FROM_RECORDS = {
    source.stem: name
    for source in SOURCES
    if (name := source.stem.lstrip("0123456789_")) in book.PAGES
}


def digest(page: str, records: Path = RECORDS) -> str:
    """What the records of a page hold, in short: it stands in the metadata of the notebook."""
    found = hashlib.sha256()
    if page == "03_comparison":
        found.update((records / "inference.csv").read_bytes())
    studies = import_module(f"cpdgal.book.{FROM_RECORDS[page]}").STUDIES
    for path in sorted(records / f"{study.name}.json" for study in studies):
        if path.exists():
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:16]


def stale_pages(records: Path = RECORDS) -> list[str]:
    """The names of the notebooks whose committed outputs show other records than there are."""
    return [page for page in FROM_RECORDS if shown(page) != digest(page, records)]


def shown(page: str) -> str | None:
    """The digest of the records that a committed notebook was drawn from; None where it says nothing of it."""
    committed = nbformat.read(HERE / f"{page}.ipynb", 4)
    return committed.metadata.get("cpdgal", {}).get("records")


def execute(source: Path) -> None:
    """Execute the notebook of a .py in place; on failure the committed one stays as it was."""
    target, log = (
        source.with_suffix(".ipynb"),
        HERE.parent / "runs" / f"{source.stem}.unfinished.ipynb",
    )
    log.parent.mkdir(exist_ok=True)
    jupytext.write(jupytext.read(source), log, fmt="ipynb")
    executed = papermill.execute_notebook(
        str(log), str(log), cwd=str(HERE.parent), log_output=True
    )
    committed = jupytext.read(source)
    committed.metadata.pop("papermill", None)
    if source.stem in FROM_RECORDS:
        committed.metadata["cpdgal"] = {"records": digest(source.stem)}
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
    os.environ.setdefault(
        "OMP_NUM_THREADS", "1"
    )  # so small a network gains nothing from two
    asked = [name for name in sys.argv[1:] if name not in ("--stale", "--list")]
    known = [source.stem for source in SOURCES]
    if wrong := [name for name in asked if name not in known]:
        sys.exit(
            f"no notebook is called {', '.join(wrong)}; known are {', '.join(known)}"
        )
    wanted = stale_pages() if "--stale" in sys.argv else asked or known
    if "--list" in sys.argv:
        print(*wanted, sep="\n")
        sys.exit()
    for source in SOURCES:
        if source.stem in wanted:
            execute(source)
