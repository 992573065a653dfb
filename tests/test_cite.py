"""What describes the project and its records to others: citation, archive, crate and cards."""

import json
from hashlib import sha256

import generated
import yaml
from conftest import ROOT

import cpdgal

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_citation_archive_and_package_say_the_same():
    archive = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    address = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]
    assert CITATION["repository-code"] == address == archive["related_identifiers"][0]["identifier"]
    assert CITATION["title"] == archive["title"]
    assert CITATION["version"] == archive["version"] == cpdgal.__version__
    assert CITATION["license"] == archive["license"] == "MIT"
    assert CITATION["authors"][0]["name"] == archive["creators"][0]["name"]
    page = (ROOT / "book" / "cite.md").read_text(encoding="utf-8")
    assert address in page
    assert CITATION["version"] in page


def test_the_crate_holds_every_record_with_its_digest():
    crate = json.loads((ROOT / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    files = {each["@id"]: each for each in crate["@graph"] if each["@type"] == "File"}
    kept = [path for path in (ROOT / "results").iterdir() if path.suffix in (".json", ".csv", ".safetensors")]
    assert {f"results/{path.name}" for path in kept} == set(files)
    for path in kept:
        assert files[f"results/{path.name}"]["sha256"] == sha256(path.read_bytes()).hexdigest(), path.name
    root = next(each for each in crate["@graph"] if each["@id"] == "./")
    assert {part["@id"] for part in root["hasPart"]} == set(files)


def test_every_kept_network_has_a_card():
    page = (ROOT / "book" / "models.md").read_text(encoding="utf-8")
    for record in cpdgal.Store(ROOT / "results", packaged=False).records():
        assert (f"\n## {record.study.name}\n" in page) == (record.weights is not None)


def test_the_glossary_knows_the_words_of_verdicts():
    page = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8").lower()
    assert all(word in page for word in generated.COUNTED)
