"""`make book`: run the quickstart on this machine, build the book with it, check every page, and say what came out."""

import argparse
import base64
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import papermill
import plotly
import yaml
from cards import write_cards
from generated import glued, records, write_generated_pages

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs"
HTML = ROOT / "_build" / "html"
BUILT = ROOT / "_build" / "built"  # its time is that of the last build that ended well


def run_quickstart(**parameters) -> Path:
    """Execute the quickstart into runs/, trained here; a run that fails keeps its notebook beside it, for reading.

    What an interrupted run had reached is used; ended runs of an earlier call are done again.
    """
    RUNS.mkdir(exist_ok=True)
    for record in (RUNS / "records").glob("*.json"):
        record.unlink()
    parameters = {"store": str(RUNS / "records"), "fresh": True, **parameters}
    done, log = RUNS / "01_quickstart.ipynb", RUNS / "01_quickstart.unfinished.ipynb"
    try:
        papermill.execute_notebook(
            str(ROOT / "notebooks" / "01_quickstart.ipynb"), str(log), parameters, cwd=str(ROOT), log_output=True
        )
    except papermill.PapermillExecutionError as error:
        sys.exit(f"the quickstart stopped with {error.ename}: {error.evalue}; read it up to there in {log}")
    os.replace(log, done)
    return done


def contents(own_run: bool) -> Path:
    """The table of contents: the committed one, and with `own_run` this machine's part behind it."""
    committed = ROOT / "_toc.yml"
    if not own_run:
        return committed
    toc = yaml.safe_load(committed.read_text(encoding="utf-8"))
    save_pictures(RUNS / "01_quickstart.ipynb", "here")
    save_pictures(ROOT / "notebooks" / "01_quickstart.ipynb", "committed")
    own = {"file": "book/this_machine", "sections": [{"file": "runs/01_quickstart"}]}
    toc["parts"].append({"caption": "This machine", "chapters": [own]})
    path = RUNS / "_toc.yml"
    path.write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    return path


def save_pictures(notebook: Path, whose: str) -> None:
    """Write the figures that a notebook glued to runs/, for the page that shows them side by side."""
    for name, data in records(notebook).items():
        if png := data.get("image/png"):
            (RUNS / f"{name}-{whose}.png").write_bytes(base64.b64decode(png))


def build(toc: Path) -> None:
    """Build with warnings as errors and check that every page is there: an exit status alone has fooled others."""
    write_generated_pages()
    write_cards()
    library = Path(plotly.__file__).with_name("package_data") / "plotly.min.js"  # so that figures turn without the network
    shutil.copy(library, ROOT / "book" / "_static" / library.name)
    jb = [str(Path(sys.executable).with_name("jupyter-book")), "build", ".", "-n", "-W", "--keep-going", "--toc", str(toc)]
    BUILT.unlink(missing_ok=True)
    shutil.rmtree(HTML, ignore_errors=True)  # an old page must not stand in for a missing one
    finished = subprocess.run(jb, cwd=ROOT, check=False)
    missing = [page for page in pages(yaml.safe_load(toc.read_text(encoding="utf-8"))) if not (HTML / f"{page}.html").is_file()]
    if finished.returncode or missing:
        sys.exit(f"the book was not built: {'no page for ' + ', '.join(missing) if missing else 'see the warnings above'}")
    BUILT.touch()


def is_built(toc: Path) -> bool:
    """Whether the book stands whole in _build/html, newer than everything that it is made from."""
    made = [HTML / f"{page}.html" for page in pages(yaml.safe_load(toc.read_text(encoding="utf-8")))]
    folders = {"book": "*", "notebooks": "*.ipynb", "cpdgal": "**/*.py", "results": "*", ".": "_*.yml"}
    sources = [path for folder, kind in folders.items() for path in (ROOT / folder).glob(kind) if path.is_file()]
    changed = max(path.stat().st_mtime for path in sources)
    return all(page.is_file() for page in made) and BUILT.is_file() and BUILT.stat().st_mtime > changed


def pages(entry) -> list[str]:
    """Every page that a table of contents names, and the start page."""
    if isinstance(entry, list):
        return [page for part in entry for page in pages(part)]
    own = ["index" if "root" in entry else None, entry.get("root"), entry.get("file")]
    below = [pages(entry[level]) for level in ("parts", "chapters", "sections") if level in entry]
    return [page for page in own if page] + [page for part in below for page in part]


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--committed", action="store_true", help="build the committed pages only; run nothing")
    if arguments.parse_args().committed:
        build(contents(own_run=False))
        sys.exit()
    start = time.monotonic()
    os.environ.setdefault(
        "OMP_NUM_THREADS", "1"
    )  # the trainings run side by side, and so small a network gains nothing from two
    os.environ.setdefault("TQDM_MININTERVAL", "10")  # a line of progress now and then, not ten a second
    values = glued(run_quickstart())
    build(contents(own_run=True))
    print(f"""
The book            {HTML / "index.html"}
Your own run        {HTML / "book" / "this_machine.html"}
Overall accuracy    {values["quickstart-OA"]} % on the hold-out ({values["quickstart-random"]} % with random queries)
Labels used         {values["quickstart-labels"]} ({values["quickstart-share"]} % of the labelled pixels)
Time                {(time.monotonic() - start) / 60:.1f} minutes""")
