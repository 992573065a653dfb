"""`make book`: run the quickstart on this machine, build the book with it, check every page, and say what came out."""

import argparse
import ast
import base64
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import papermill
import plotly
import yaml

import cpdgal
from cpdgal.peers import PEERS

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs"
HTML = ROOT / "_build" / "html"


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


def records_page(store: cpdgal.Store) -> str:
    """The page of every record: what it reached, and with what it was made."""
    text = (ROOT / "book" / "records.in.md").read_text(encoding="utf-8")
    rows = [
        "| Study | Changes | Labels | OA, % | AA, % | Kappa, % | Minutes | Began (UTC) | Made with | Commit | Weights |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    machines = {}
    for record in store.records():
        final, made = record.final, record.provenance
        names = ("cpdgal", "python", "torch", "numpy", "scipy", "scikit-learn", "system", "processor", "device", "threads")
        versions = ", ".join(f"{name} {made[name]}" for name in names)
        machine = machines.setdefault(versions, chr(ord("A") + len(machines)))
        link = f"{{download}}`{record.study.name} <../results/{record.path.name}>`"
        changes = ", ".join(f"{name} {value}" for name, value in record.study.changes.items())
        rows.append(
            f"| {link} | {changes} | {final.labels:.0f} | {final.OA:.2f} | {final.AA:.2f} | {final.kappa:.2f} | "
            f"{sum(made['seconds']) / 60:.1f} | {made['start'][:16].replace('T', ' ')} | {machine} | {made['commit'] or ''} | "
            f"{'kept' if record.weights else ''} |"
        )
    made_with = [f"- **{letter}**: {versions}" for versions, letter in machines.items()]
    return text.replace("RECORDS", "\n".join(rows)).replace("MACHINES", "\n".join(made_with) or "No record yet.")


def claim_rows(claims: list[dict], columns: dict[str, str]) -> str:
    """A table of claims: `columns` by header, with the values of a claim in braces, and what its notebook stored."""
    rows = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for claim in claims:
        page, key = claim["answer"]
        stored = stored_of(claim)
        cells = {**claim, **stored, "id": key, "link": f"[**{stored['verdict']}**](../notebooks/{page})"}
        rows.append(f"| {' | '.join(column.format(**cells) for column in columns.values())} |")
    return "\n".join(rows)


def stored_of(claim: dict) -> dict[str, str]:
    """What the notebook behind a claim stored, as roles that show it."""
    page, key = claim["answer"]
    return {
        part: f"{{glue:text}}`../notebooks/{page}.ipynb::{key}-{part}:s`" for part in ("here", "seeds", "interval", "verdict")
    }


# The words of verdicts: how they are counted in a bar, and the shape that tells them apart without colour.
SHAPES = {
    "holds": ("hold", "&#10004;"),
    "holds in part": ("hold in part", "&#9680;"),
    "does not hold": ("do not hold", "&#10008;"),
    "undecided": ("undecided", "?"),
    "not run here": ("not run here", "&#8211;"),
}


def verdict_bar(words: list[str]) -> str:
    """Verdicts counted, as a bar: HTML."""
    counts = {word: words.count(word) for word in SHAPES}
    said = ", ".join(f"{count} {SHAPES[word][0]}" for word, count in counts.items())
    parts = "".join(
        f'<span class="verdict {word.replace(" ", "-")}" style="flex-grow:{count}">{shape} {count} {said_of_many}</span>'
        for (word, count), (said_of_many, shape) in zip(counts.items(), SHAPES.values(), strict=True)
        if count
    )
    return f'<div class="verdicts" role="img" aria-label="Of {len(words)} claims: {said}.">{parts}</div>'


def claim_cards(claims: list[dict], words: dict[str, str]) -> str:
    """The headline claims as cards: what the paper says, what was measured, and the verdict."""
    cards = []
    for claim in claims:
        page, key = claim["answer"]
        stored, word = stored_of(claim), words[key]
        verdict = f'<span class="verdict {word.replace(" ", "-")}">{SHAPES[word][1]} {word}</span>'
        cards.append(
            f":::{{grid-item-card}} {claim['headline']}\n:link: ../notebooks/{page}\n:link-type: doc\n\n"
            f"{verdict}\n\nPaper: {claim['paper']}<br>Here: {stored['here']}<br>Seeds: {stored['seeds']}\n:::"
        )
    return "\n".join(["::::{grid} 1 2 4 4", ":gutter: 2", "", *cards, "::::"])


def claims_page() -> str:
    """The page of every claim with its rule and its evidence."""
    listed = yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))
    columns = {
        "The paper claims": "{claim} ({where})<br>`{id}`",
        "Rule": "{rule}",
        "Paper": "{paper}",
        "Here": "{here}",
        "Seeds": "{seeds}",
        "95 % interval": "{interval}",
        "Verdict": "{link}",
    }
    text = (ROOT / "book" / "claims.in.md").read_text(encoding="utf-8")
    return text.replace("CLAIMS", claim_rows(listed["claims"], columns))


def start_page() -> str:
    """The start page: every claim beside its verdict, and where each table and figure of the paper is answered."""
    listed = yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))
    columns = {
        "The paper claims": "{claim}",
        "Where": "{where}",
        "Paper": "{paper}",
        "Here": "{here}",
        "Seeds": "{seeds}",
        "Verdict": "{link}",
    }
    answers = [claim["answer"] for claim in listed["claims"]]
    values = {page: glued(ROOT / "notebooks" / f"{page}.ipynb") for page in {page for page, _ in answers}}
    words = {key: values[page][f"{key}-verdict"] for page, key in answers}
    headlines = [claim for claim in listed["claims"] if "headline" in claim]
    places = [f"[{anchor.replace('-', ' ').capitalize()}](#{anchor})" for anchor in listed["places"]]
    text = (ROOT / "book" / "index.in.md").read_text(encoding="utf-8")
    made = {
        "BAR": verdict_bar([*words.values()]),
        "CARDS": claim_cards(headlines, words),
        "COUNT": str(len(words)),
        "CLAIMS": claim_rows(listed["claims"], columns),
        "PLACES": " · ".join(places),
    }
    return re.sub("|".join(made), lambda found: made[found.group()], text)


def api_page() -> str:
    """The page of the package with a line for every peer."""
    lines = [f".. autoclass:: {peer.network.__module__}.{peer.network.__qualname__}\n" for peer in PEERS.values()]
    text = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    return re.sub(r"(\.\. autoclass:: cpdgal\.peers\.(?!recipe\.).+\n)+", "".join(lines), text)


def write_generated_pages() -> None:
    """Bring the pages of claims in step with the claims, the page of records with results/, and the API page with the peers."""
    store = cpdgal.Store(ROOT / "results", packaged=False)
    made = {"index": start_page(), "claims": claims_page(), "records": records_page(store), "api": api_page()}
    for name, page in made.items():
        part = ROOT / "book" / f"{name}.md.part"
        part.write_text(page, encoding="utf-8")
        part.replace(ROOT / "book" / f"{name}.md")
    if png := records(ROOT / "notebooks" / "03_comparison.ipynb").get("comparison-glance", {}).get("image/png"):
        part = ROOT / "book" / "glance.png.part"  # for the start page and the README
        part.write_bytes(base64.b64decode(png))
        part.replace(ROOT / "book" / "glance.png")


def build(toc: Path) -> None:
    """Build with warnings as errors and check that every page is there: an exit status alone has fooled others."""
    write_generated_pages()
    library = Path(plotly.__file__).with_name("package_data") / "plotly.min.js"  # so that figures turn without the network
    shutil.copy(library, ROOT / "book" / "_static" / library.name)
    jb = [str(Path(sys.executable).with_name("jupyter-book")), "build", ".", "-n", "-W", "--keep-going", "--toc", str(toc)]
    shutil.rmtree(HTML, ignore_errors=True)  # an old page must not stand in for a missing one
    finished = subprocess.run(jb, cwd=ROOT, check=False)
    missing = [page for page in pages(yaml.safe_load(toc.read_text(encoding="utf-8"))) if not (HTML / f"{page}.html").is_file()]
    if finished.returncode or missing:
        sys.exit(f"the book was not built: {'no page for ' + ', '.join(missing) if missing else 'see the warnings above'}")


def pages(entry) -> list[str]:
    """Every page that a table of contents names, and the start page."""
    if isinstance(entry, list):
        return [page for part in entry for page in pages(part)]
    own = ["index" if "root" in entry else None, entry.get("root"), entry.get("file")]
    below = [pages(entry[level]) for level in ("parts", "chapters", "sections") if level in entry]
    return [page for page in own if page] + [page for part in below for page in part]


def glued(notebook: Path) -> dict[str, str]:
    """The values that a notebook stored with `glue`, by name; figures left out."""
    stored = records(notebook).items()
    return {name: str(ast.literal_eval(data["text/plain"])) for name, data in stored if "image/png" not in data}


def records(notebook: Path) -> dict[str, dict[str, str]]:
    """Everything that a notebook stored with `glue`, by name and then by MIME type."""
    outputs = [out for cell in nbformat.read(notebook, 4).cells for out in cell.get("outputs", [])]
    return {
        out["metadata"]["scrapbook"]["name"]: {
            kind.removeprefix("application/papermill.record/"): value for kind, value in out["data"].items()
        }
        for out in outputs
        if "scrapbook" in out.get("metadata", {})
    }


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
