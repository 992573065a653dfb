"""What describes the records to others: a model card for each kept network, and an RO-Crate of all records.

`generated.py` writes both; they are committed, and a test holds them against the records.
"""

import hashlib
import json
from pathlib import Path

import yaml
from rocrate.rocrate import ROCrate

import cpdgal
from cpdgal.records import Record

ROOT = Path(__file__).resolve().parents[1]
LIMITS = {
    "random": "Test pixels lie between training pixels and their windows overlap: expect a lower accuracy on other land.",
    "block": "Tested on whole blocks, kept apart by a gap; the pool is a few blocks, so accuracy varies much between seeds.",
}


def model_cards() -> str:
    """The page of model cards: a section for each record whose trained weights are kept."""
    records = sorted(
        (record for record in cpdgal.Store(ROOT / "results", packaged=False).records() if record.weights), key=_name
    )
    return "\n".join([INTRODUCTION, *map(_card, records)])


def _card(record: Record) -> str:
    study, final = record.study, record.final
    limits = LIMITS.get(study.split, f"Tested on the split `{study.split}` only.")
    return CARD.format(
        study=study,
        name=_name(record),
        labels=int(final.labels),
        share=final["share"],
        OA=final.OA,
        AA=final.AA,
        kappa=final.kappa,
        ECE=final.ECE,
        digest=record.digest,
        limits=limits,
    )


def _name(record: Record) -> str:
    return record.path.stem


def crate() -> str:
    """The metadata of an RO-Crate of the repository's records and weights, each with its size and SHA-256."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    made = ROCrate()
    made.name = "Run records of cpdgal"
    made.description = "Records and trained weights of the runs behind the reproducible companion of CPDGAL."
    made.license = "https://spdx.org/licenses/MIT"
    made.datePublished = str(citation["date-released"])
    made.root_dataset["url"] = citation["repository-code"]
    for path in sorted((ROOT / "results").iterdir()):
        if kind := {".json": "application/json", ".safetensors": "application/octet-stream"}.get(path.suffix):
            content = path.read_bytes()
            about = {"name": path.stem, "encodingFormat": kind, "contentSize": str(len(content))}
            about["sha256"] = hashlib.sha256(content).hexdigest()
            made.add_file(path, f"results/{path.name}", properties=about)
    return json.dumps(made.metadata.generate(), indent=1, sort_keys=True) + "\n"


INTRODUCTION = """# Model cards

One card for each network whose trained weights are kept in `results/`, made from its record. **Intended use** of all of
them: checking this companion's numbers, maps and figures, and comparing methods on the same scene. They are not meant for
mapping other scenes: a network is bound to the bands, the projection and the classes of its own scene.
To load one, give its key:

```python
import cpdgal

record = next(r for r in cpdgal.Store("results").records() if r.study.key == "KEY")
network = record.network(cpdgal.load_scene(record.study.scene))  # checks the data and the weights
```
"""

CARD = """## {name}

| | |
|---|---|
| Key | `{study.key}` |
| Scene, method | {study.scene}, {study.method} |
| Split, query strategy | {study.split}, {study.query} |
| Profile, seed | {study.profile}, {study.seed} |
| Labels | {labels} ({share:.2f} % of the labelled pixels) |
| OA, AA, kappa on the hold-out | {OA:.2f} %, {AA:.2f} %, {kappa:.2f} % |
| ECE on the hold-out | {ECE:.2f} points |
| SHA-256 of the data | `{study.checksum}` |
| SHA-256 of the weights | `{digest}` |
| Limits | {limits} |
"""
