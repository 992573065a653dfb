"""How the records are described for others: a card for each trained network that is kept, and an RO-Crate of the folder."""

import json
from hashlib import sha256
from pathlib import Path

import yaml
from rocrate.model.person import Person
from rocrate.rocrate import ROCrate

import cpdgal
from cpdgal.records import Record

ROOT = Path(__file__).resolve().parents[1]
SPLITS = {
    "random": "test pixels lie beside training pixels, so its accuracy is no estimate for another scene or part of this one",
    "block": "one deal of blocks, whose accuracy varies widely from deal to deal",
}


def models_page(store: cpdgal.Store) -> str:
    """The page of all kept networks: a section each, made from its record."""
    kept = [record for record in store.records() if record.weights]
    text = (ROOT / "book" / "models.in.md").read_text(encoding="utf-8")
    return text.replace("CARDS", "\n\n".join(card(record) for record in kept))


def card(record: Record) -> str:
    """What a kept network is, what it can do, and what it is not for."""
    study, final = record.study, record.final
    changes = ", ".join(f"{name} {value}" for name, value in study.changes.items()) or "none"
    queries = f"{final.labels:.0f} ({final.share:.2f} % of the labelled pixels), {study.query} queries"
    limits = SPLITS.get(study.split, "see the page that shows it")
    rows = {
        "Network": f"{study.method}, windows of {study.window} x {study.window} pixels, {study.components} components",
        "Trained on": f"{study.scene}, data checksum `{study.checksum[:12]}`",
        "Labels": queries,
        "Profile and changes": f"{study.profile}; {changes}",
        "Hold-out": f"{study.split} split, seed {study.seed}",
        "OA, AA, kappa (%)": f"{final.OA:.2f}, {final.AA:.2f}, {final.kappa:.2f}",
        "Calibration error (points)": f"{final.ECE:.2f}",
        "Made with": f"torch {record.provenance['torch']}, {record.provenance['processor']}, {record.provenance['start'][:10]}",
        "Weights, SHA-256": f"`{record.digest[:12]}`" if record.digest else "",
        "For": "reproducing this book's figures, and as a starting point on the same scene",
        "Not for": f"claims about accuracy elsewhere: with this split {limits}",
    }
    table = "\n".join(f"| {name} | {said} |" for name, said in rows.items())
    return f"## {study.name}\n\n| | |\n|---|---|\n{table}"


def crate(results: Path) -> str:
    """The metadata of an RO-Crate of the folder of records: every file with its size and SHA-256, and no date of now."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    made = ROCrate()
    made.name, made.description = citation["title"], "Run records behind every number of the book, and the kept weights."
    made.license = "https://spdx.org/licenses/MIT"
    made.root_dataset["datePublished"] = str(citation["date-released"])
    made.publisher = made.add(Person(made, "#developers", {"name": citation["authors"][0]["name"]}))
    kinds = {".json": "application/json", ".csv": "text/csv", ".safetensors": "application/octet-stream"}
    for path in sorted(path for path in results.iterdir() if path.suffix in kinds):
        content = path.read_bytes()
        about = {"sha256": sha256(content).hexdigest(), "contentSize": str(len(content)), "encodingFormat": kinds[path.suffix]}
        made.add_file(path, f"results/{path.name}", properties=about)
    return json.dumps(made.metadata.generate(), indent=1, sort_keys=True) + "\n"
