"""The pages that are made from claims, run records and the package: start page, claims, discussion, records, status, API.

`build.py` writes them before a build; they are committed, and a test holds them against what they are made from.
"""

import ast
import base64
import json
import re
from collections.abc import Iterable
from functools import cache
from html import escape
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

import nbformat
import yaml
from cards import crate, model_cards
from docutils.nodes import make_id

import cpdgal
from cpdgal import book
from cpdgal.peers import PEERS
from cpdgal.records import Record
from cpdgal.study import Study

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
# The words of verdicts, and how they are counted; the style sheet gives each a colour and a shape.
COUNTED = {
    "holds": "hold",
    "holds in part": "hold in part",
    "does not hold": "do not hold",
    "undecided": "undecided",
    "not run here": "not run here",
}


@cache
def claims() -> list[dict]:
    """Every claim of `claims.yml` with its `page` and `id`, its verdict's `word`, and the heading of its `section`."""
    listed = yaml.safe_load((BOOK / "claims.yml").read_text(encoding="utf-8"))["claims"]
    notebooks = {page: ROOT / "notebooks" / f"{page}.ipynb" for page in {claim["answer"][0] for claim in listed}}
    found = {page: (sections(notebook), glued(notebook)) for page, notebook in notebooks.items()}
    for claim in listed:
        claim["page"], claim["id"] = claim["answer"]
        claim["section"], claim["word"] = (values[f"{claim['id']}-verdict"] for values in found[claim["page"]])
    return listed


def sections(notebook: Path) -> dict[str, str]:
    """The heading above the cell in which a notebook stores each value, by the value's name."""
    found, heading = {}, ""
    for cell in nbformat.read(notebook, 4).cells:
        if cell.cell_type == "markdown" and (headings := re.findall(r"^#{1,3} (.+)$", cell.source, re.MULTILINE)):
            heading = headings[-1]
        for out in cell.get("outputs", []):
            if "scrapbook" in out.get("metadata", {}):
                found[out["metadata"]["scrapbook"]["name"]] = heading
    return found


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


def claim_rows(listed: list[dict], columns: dict[str, str]) -> str:
    """A table of claims: `columns` by header, with the values of a claim in braces, and what its notebook stored."""
    rows = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for claim in listed:
        link = badge(claim["word"], address=section_of(claim))
        cells = {**claim, **stored_of(claim), "link": link, "number": number_of(claim["page"])}
        rows.append(f"| {' | '.join(column.format(**cells) for column in columns.values())} |")
    return "\n".join(rows)


def section_of(claim: dict) -> str:
    """The address of the section that answers a claim, from another page."""
    return f"../notebooks/{claim['page']}.html#{make_id(claim['section'])}"


def stored_of(claim: dict) -> dict[str, str]:
    """What the notebook behind a claim stored, as roles that show it."""
    return {
        part: f"{{glue:text}}`../notebooks/{claim['page']}.ipynb::{claim['id']}-{part}:s`"
        for part in ("here", "seeds", "interval")
    }


def badge(word: str, said: str = "", address: str = "") -> str:
    """A verdict with its colour and its shape, as a link where there is an `address`: HTML."""
    tag, target = ("a", f' href="{address}"') if address else ("span", "")
    return f'<{tag} class="verdict {word.replace(" ", "-")}"{target}>{said or word}</{tag}>'


def verdict_bar(words: list[str], claims_page: str) -> str:
    """Verdicts counted, as a bar of links to the claims with each: HTML."""
    counts = {word: words.count(word) for word in COUNTED if word in words}
    links = [badge(word, f"{n} {COUNTED[word]}", f"{claims_page}?Verdict={quote(word)}") for word, n in counts.items()]
    return f'<div class="verdicts">{"".join(links)}</div>'


def claim_cards(headlines: list[dict]) -> str:
    """The headline claims as cards: what the paper says, what was measured, and the verdict."""
    cards = []
    for claim in headlines:
        stored = stored_of(claim)
        cards.append(
            f":::{{grid-item-card}} {claim['headline']}\n:link: {section_of(claim)}\n"
            f":link-type: url\n\n{badge(claim['word'])}\n\n"
            f"Paper: {claim['paper']}<br>Here: {stored['here']}<br>Seeds: {stored['seeds']}\n:::"
        )
    return "\n".join(["::::{grid} 1 2 4 4", ":gutter: 2", ":class-container: compact", "", *cards, "::::"])


def claims_page() -> str:
    """The page of every claim with its rule and its evidence."""
    columns = {
        "The paper claims": "{claim}<br>`{id}`",
        "Where": "{where}",
        "Rule": "{rule}",
        "Paper": "{paper}",
        "Here": "{here}",
        "Seeds": "{seeds}",
        "95 % interval": "{interval}",
        "Verdict": "{link}",
        "Runs": '<a href="records.html?Pages={number}">records</a>',
    }
    text = (BOOK / "claims.in.md").read_text(encoding="utf-8")
    return text.replace("CLAIMS", claim_rows(claims(), columns))


def start_page() -> str:
    """The start page: what was found, the headline claims, and where each table and figure of the paper is answered."""
    listed = claims()
    columns = {"The paper claims": "{claim}", "Where": "{where}", "Paper": "{paper}", "Here": "{here}", "Verdict": "{link}"}
    headlines = [claim for claim in listed if "headline" in claim]
    anchors = yaml.safe_load((BOOK / "claims.yml").read_text(encoding="utf-8"))["places"]
    made = {
        "BAR": verdict_bar([claim["word"] for claim in listed], "claims.html"),
        "CARDS": claim_cards(headlines),
        "COUNT": str(len(listed)),
        "CLAIMS": claim_rows(listed, columns),
        "PLACES": " · ".join(f"[{anchor.replace('-', ' ').capitalize()}](#{anchor})" for anchor in anchors),
    }
    text = (BOOK / "index.in.md").read_text(encoding="utf-8")
    return re.sub("|".join(made), lambda found: made[found.group()], text)


def discussion_page() -> str:
    """The page of what the runs say together: the paper's own claims by verdict; those not decided are counted only."""
    own = [claim for claim in claims() if claim["where"] != "not in the paper"]
    lines = [verdict_bar([claim["word"] for claim in claims()], "claims.html")]
    for word in ("holds", "holds in part", "does not hold"):
        if listed := [f'<a href="{section_of(claim)}">{claim["claim"]}</a>' for claim in own if claim["word"] == word]:
            lines.append(f"- **{word.capitalize()}:** {'; '.join(listed)}.")
    text = (BOOK / "discussion.in.md").read_text(encoding="utf-8")
    return text.replace("WORDS", "\n\n".join([lines[0], "\n".join(lines[1:])]))


def answer_box(page: str) -> str:
    """The answers of a page for its head: a bar of verdicts and a row for each claim; "" for a page that answers none."""
    own = [claim for claim in claims() if claim["page"] == page]
    if not own:
        return ""
    values = glued(ROOT / "notebooks" / f"{page}.ipynb")
    rows = ["| The paper claims | Paper | Here | Seeds | 95 % interval | Verdict |", "|---|---|---|---|---|---|"]
    for claim in own:
        here, seeds, interval = (values[f"{claim['id']}-{part}"] for part in ("here", "seeds", "interval"))
        link = badge(claim["word"], address=f"#{make_id(claim['section'])}")
        cells = (claim["claim"], claim["paper"], here, seeds, interval, link)
        rows.append("| " + " | ".join(cells) + " |")
    title = "The answer" if len(own) == 1 else f"The answers to {len(own)} claims"
    opened = "\n:open:" if len(own) <= 6 else ""
    table = "\n".join(rows)
    bar = verdict_bar([claim["word"] for claim in own], "../book/claims.html")
    return f"{bar}\n\n::::{{dropdown}} {title}{opened}\n:class-container: answers\n\n{table}\n::::\n"


@cache
def made_with(page: str) -> dict[Study, dict]:
    """With what and how long the runs of a page were made, those that are on record; all else in a record is left unread."""
    paths = {study: ROOT / "results" / f"{study.name}.json" for study in pages_with_runs().get(page, {})}
    return {each: json.loads(path.read_text(encoding="utf-8"))["provenance"] for each, path in paths.items() if path.exists()}


def made_from(page: str) -> str:
    """What stands behind the figures and tables of a page, in words: its runs, their seeds, machines and hours; "" without."""
    found = made_with(page)
    if not found:
        return ""
    seeds = ", ".join(map(str, sorted({study.seed for study in found})))
    hours = sum(sum(made["seconds"]) for made in found.values()) / 3600
    processors = " and ".join(sorted({made["processor"] for made in found.values()}))
    link = f'<a href="../book/records.html?Pages={number_of(page)}">the records</a>'
    about = f"of {len(pages_with_runs()[page])}; seeds {seeds}; {hours:.1f} hours on {processors}"
    return (
        f"Drawn from this page's {len(found)} runs on record ({about}): "
        f"{link}, [seed by seed](#how-this-page-was-made) as JSON, or {{download}}`all as CSV <../book/records.csv>`."
    )


def foot(page: str) -> str:
    """The runs of a page that are on record, a row for each setting: its seeds as links to their records, and the time."""
    settings: dict[str, dict[Study, dict]] = {}
    for study, made in made_with(page).items():
        settings.setdefault(setting(study), {})[study] = made
    rows = ["| Runs | Records by seed (JSON) | Minutes | Made with |", "|---|---|--:|---|"]
    for name, found in settings.items():
        links = " ".join(f"{{download}}`{study.seed} <../results/{study.name}.json>`" for study in found)
        minutes = sum(sum(made["seconds"]) for made in found.values()) / 60
        processors = ", ".join(sorted({made["processor"] for made in found.values()}))
        rows.append(f"| {name} | {links} | {minutes:.1f} | {processors} |")
    table = "\n".join(rows)
    return f"## How this page was made\n\n::::{{dropdown}} Its runs, seed by seed\n\n{table}\n::::\n" if settings else ""


def setting(study: Study) -> str:
    """What a study is, seed and fold aside, in words."""
    changes = ", ".join(f"{name} {json.dumps(value)}" for name, value in study.changes.items() if name != "fold")
    named = (study.scene, study.method, study.split, study.query, study.profile, changes)
    return escape(" · ".join(filter(None, named)))


def number_of(page: str) -> str:
    """What a page is called in short: its number, or its name where it has none."""
    return page[:2] if page[:2].isdigit() else page


@cache
def pages_with_runs() -> dict[str, dict[Study, bool]]:
    """The studies of every page that has some, by the name of its notebook."""
    found = {}
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        name = notebook.stem.lstrip("0123456789_")
        if name in book.PAGES:
            found[notebook.stem] = import_module(f"cpdgal.book.{name}").STUDIES
    return found


def address() -> str:
    """The address of the repository."""
    return yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]


def records_page(store: cpdgal.Store) -> str:
    """The page of every record: what it reached, and with what it was made."""
    names = ("scene", "method", "split", "query", "profile", "seed")
    header = ["Record", *(name.capitalize() for name in names), "Changes", "Labels", "OA, %", "AA, %", "Kappa, %", "Minutes"]
    header += ["Pages", "Date", "Made with", "Weights"]
    rows = [f"| {' | '.join(header)} |", "|" + "---|" * 8 + "--:|" * 5 + "---|" * 4]
    shown_on, repository = pages_of_records(), address()
    machines: dict[str, str] = {}
    for record in store.records():
        final, made = record.final, record.provenance
        cells = [f"{{download}}`{record.study.key} <../results/{record.path.name}>`"]
        cells += [escape(str(getattr(record.study, name))) for name in names]
        cells += [escape(", ".join(f"{name} {value}" for name, value in record.study.changes.items()))]
        cells += [f"{final.labels:.0f}", *(f"{final[score]:.2f}" for score in ("OA", "AA", "kappa"))]
        cells += [f"{sum(made['seconds']) / 60:.1f}", " ".join(shown_on.get(record.study.name, []))]
        date, commit = made["start"][:10], (made["commit"] or "").rstrip("+")
        cells += [f"[{date}]({repository}/tree/{commit})" if commit else date]
        cells += [machines.setdefault(machine(record), chr(ord("A") + len(machines))), "kept" if record.weights else ""]
        rows.append(f"| {' | '.join(cells)} |")
    made_with = [f"- **{letter}**: {versions}" for versions, letter in machines.items()]
    text = (BOOK / "records.in.md").read_text(encoding="utf-8")
    return text.replace("RECORDS", "\n".join(rows)).replace("MACHINES", "\n".join(made_with) or "No record yet.")


def machine(record: Record) -> str:
    """What a record was made with, in words."""
    names = ("cpdgal", "python", "torch", "numpy", "scipy", "scikit-learn", "system", "processor", "device", "threads")
    return ", ".join(f"{name} {record.provenance[name]}" for name in names)


def pages_of_records() -> dict[str, list[str]]:
    """The numbers of the pages that show a record, by the record's name."""
    found: dict[str, list[str]] = {}
    for page, studies in pages_with_runs().items():
        for study in studies:
            found.setdefault(study.name, []).append(number_of(page))
    return found


def records_table(store: cpdgal.Store) -> str:
    """Every record in one row of a CSV file."""
    shown_on = pages_of_records()
    made = {record.study.key: record for record in store.records()}
    table = store.table()
    of_each = [made[key] for key in table.key]
    table["began"] = [record.provenance["start"] for record in of_each]
    table["made with"] = [machine(record) for record in of_each]
    table["commit"] = [record.provenance["commit"] or "" for record in of_each]
    table["pages"] = [" ".join(shown_on.get(record.study.name, [])) for record in of_each]
    return table.to_csv(index=False, lineterminator="\n")


def status_page(store: cpdgal.Store) -> str:
    """The page of what was run: for every page its settings by row, and seeds by column."""
    done = {record.study.name for record in store.records()}
    parts = []
    for page, studies in pages_with_runs().items():
        opening = nbformat.read(ROOT / "notebooks" / f"{page}.ipynb", 4).cells[0].source
        title = re.findall(r"^# (.+)$", opening, re.MULTILINE)[0]
        there = sum(study.name in done for study in studies)
        parts.append(f"## {title}\n\n{there} of the {len(studies)} runs of [this page](../notebooks/{page}) are on record.\n")
        parts.append(f"::::{{dropdown}} Settings and seeds\n\n{status_rows(studies, done)}\n::::\n")
    text = (BOOK / "status.in.md").read_text(encoding="utf-8")
    return text.replace("STATUS", "\n".join(parts))


def status_rows(studies: Iterable[Study], done: set[str]) -> str:
    """A row for each setting and a column for each seed; where a seed has several runs (folds), how many are done."""
    settings: dict[str, dict[int, list[bool]]] = {}
    for study in studies:
        settings.setdefault(setting(study), {}).setdefault(study.seed, []).append(study.name in done)
    seeds = sorted({seed for by_seed in settings.values() for seed in by_seed})
    rows = [f"| Setting | {' | '.join(f'Seed {seed}' for seed in seeds)} |", "|---|" + ":-:|" * len(seeds)]
    for name, by_seed in settings.items():
        cells = [state(by_seed.get(seed, [])) for seed in seeds]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def state(runs: list[bool]) -> str:
    """How far the runs of a setting and seed are, in words that a screen reader says too."""
    if not runs:
        return ""
    if all(runs):
        return "done" if len(runs) == 1 else f"all {len(runs)}"
    return f"{sum(runs)} of {len(runs)}" if any(runs) else "missing"


def browser_page() -> str:
    """The page of what a browser found on every page: its weight, and when something was first seen."""
    seen = json.loads((BOOK / "browser.json").read_text(encoding="utf-8"))
    rows = ["| Page | Weight, kB | First paint at 1440 px, ms | at 390 px, ms | Faults |", "|---|--:|--:|--:|--:|"]
    for page, about in seen.items():
        painted = " | ".join(f"{about['first paint, ms'][width]:,}" for width in ("1440", "390"))
        rows.append(f"| [{page.split('/')[1]}](../{page}) | {about['kilobytes']:,} | {painted} | {len(about['faults'])} |")
    text = (BOOK / "browser.in.md").read_text(encoding="utf-8")
    return text.replace("PAGES", "\n".join(rows))


def api_page() -> str:
    """The page of the package with a line for every peer."""
    lines = [f".. autoclass:: {peer.network.__module__}.{peer.network.__qualname__}\n" for peer in PEERS.values()]
    text = (BOOK / "api.md").read_text(encoding="utf-8")
    return re.sub(r"(\.\. autoclass:: cpdgal\.peers\.(?!recipe\.).+\n)+", "".join(lines), text)


def generated_pages(results: Path = ROOT / "results") -> dict[str, str]:
    """The text of every generated file, by its name."""
    store = cpdgal.Store(results, packaged=False)
    return {
        "index.md": start_page(),
        "claims.md": claims_page(),
        "discussion.md": discussion_page(),
        "records.md": records_page(store),
        "records.csv": records_table(store),
        "status.md": status_page(store),
        "models.md": model_cards(),
        "../ro-crate-metadata.json": crate(),
        "browser.md": browser_page(),
        "api.md": api_page(),
    }


def write_generated_pages() -> None:
    """Bring the generated pages in step with the claims, results/ and the package."""
    made = {name: text.encode() for name, text in generated_pages().items()}
    glance = records(ROOT / "notebooks" / "03_comparison.ipynb").get("comparison-glance", {})
    if "image/png" in glance:
        made["glance.png"] = base64.b64decode(glance["image/png"])  # for the README
        made["glance.svg"] = glance["image/svg+xml"].encode()  # for the start page: it follows a light or dark page
    for name, content in made.items():
        part = BOOK / f"{name}.part"
        part.write_bytes(content)
        part.replace(BOOK / name)
