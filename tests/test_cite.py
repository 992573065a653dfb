"""How others cite and reuse the companion: every file agrees, and the crate and the cards hold what the records hold."""

import hashlib
import json

import pytest
import yaml
from conftest import ROOT

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
CRATE = json.loads((ROOT / "ro-crate-metadata.json").read_text(encoding="utf-8"))
CARDS = (ROOT / "book" / "models.md").read_text(encoding="utf-8")


def test_citation_files_agree():
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    address = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]
    assert {"cff-version", "message", "title", "authors"} <= set(CITATION)
    for key in ("title", "version", "license"):
        assert zenodo[key] == CITATION[key]
    assert [creator["name"] for creator in zenodo["creators"]] == [author["name"] for author in CITATION["authors"]]
    assert address == CITATION["repository-code"] == zenodo["related_identifiers"][0]["identifier"]
    page = (ROOT / "book" / "cite.md").read_text(encoding="utf-8")
    for fact in (
        CITATION["title"].split(":")[1].removesuffix("CPDGAL"),
        CITATION["version"],
        address,
        CITATION["references"][0]["title"],
    ):
        assert fact in page


def test_the_crate_holds_every_record_with_its_checksum():
    listed = {entity["@id"]: entity.get("sha256") for entity in CRATE["@graph"] if entity["@id"].startswith("results/")}
    kept = [path for path in (ROOT / "results").iterdir() if path.suffix in {".json", ".safetensors"}]
    assert listed == {f"results/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}
    root = next(entity for entity in CRATE["@graph"] if entity["@id"] == "./")
    assert {part["@id"] for part in root["hasPart"]} == set(listed)


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*.safetensors")), ids=lambda path: path.stem)
def test_every_kept_network_has_a_card(path):
    card = CARDS.partition(f"## {path.stem}\n")[2].partition("\n## ")[0]
    record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert f"`{hashlib.sha256(path.read_bytes()).hexdigest()}`" in card
    assert record["key"] in card
    assert f"{record['cycles']['OA'][-1]:.2f} %" in card
    assert record["provenance"]["checksum"] in card
