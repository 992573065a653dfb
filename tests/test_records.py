"""The committed records, and the pages that are drawn from them."""

import json
import runpy
import sys
from importlib import import_module
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
from conftest import ROOT

import cpdgal
from cpdgal import book
from cpdgal.peers import PEERS

sys.path.insert(0, str(ROOT / "book"))
sys.path.insert(0, str(ROOT / "notebooks"))
import execute
import generated

SCHEMA = json.loads(files("cpdgal").joinpath("record_schema.json").read_text(encoding="utf-8"))
RECORDS = sorted((ROOT / "results").glob("*.json"))


def test_there_are_records():
    assert len(RECORDS) > 10


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_a_record_is_whole(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(content, SCHEMA)
    assert len(path.read_bytes()) < 100_000
    record = cpdgal.Record.read(path)  # checks that the key is that of its contents
    assert record.study.key == content["key"]
    for table in ("cycles", "classes", "queried", "calibration"):
        assert len({len(column) for column in content[table].values()}) == 1, table
    confusion = np.array(content["confusion"])
    assert record.final.OA == pytest.approx(100 * np.trace(confusion) / confusion.sum())
    assert confusion.sum(1).tolist() == content["classes"]["judged"]
    assert len(record.queried) == record.final.labels == sum(content["classes"]["labels"])
    left = sum(content["classes"]["pool"]) - record.cycles.labels
    np.testing.assert_array_equal(record.entropy.sum(1), left)
    assert len(content["provenance"]["seconds"]) == len(record.cycles)


def test_every_record_stands_in_a_page_s_studies():
    named = {study.name for study in book.studies()}
    assert [path.stem for path in RECORDS if path.stem not in named] == []


def test_kept_weights_give_the_record_s_accuracy(indian_pines):
    kept = [record for record in cpdgal.Store(ROOT / "results").records() if record.weights and record.study.profile == "quick"]
    assert kept
    for record in kept:
        holdout = record.study.make_split(indian_pines).holdout
        right = record.answers(indian_pines, holdout) == indian_pines.targets[holdout]
        assert 100 * right.mean() == pytest.approx(record.final.OA, abs=0.05)  # another processor rounds otherwise


def test_pages_show_the_records_that_there_are():
    assert execute.stale_pages() == [], "make notebooks: these show other records"


def studies_of(page: str) -> set[str]:
    """The names of the studies that a notebook lists."""
    return {study.name for study in import_module(f"cpdgal.book.{page.lstrip('0123456789_')}").STUDIES}


@pytest.fixture
def copied(tmp_path):
    """A copy of the store's records, to take one away from."""
    for path in [*RECORDS, ROOT / "results" / "inference.csv"]:
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def test_a_removed_record_makes_the_pages_that_show_it_stale(copied, made):
    """Exactly those, by name: one record for each set of pages that share records."""
    shown_on = {path.name: tuple(page for page in execute.FROM_RECORDS if path.stem in studies_of(page)) for path in RECORDS}
    assert execute.stale_pages(copied) == []
    assert max(map(len, shown_on.values())) > 1
    for pages, name in {pages: name for name, pages in shown_on.items()}.items():
        (copied / name).rename(copied / "taken")
        assert execute.stale_pages(copied) == [*pages], name
        (copied / "taken").rename(copied / name)
    (copied / name).unlink()
    changed = {page for page, text in generated.generated_pages(copied).items() if text != made[page]}
    assert changed == {"records.md", "records.csv", "status.md"}


def test_stale_pages_are_listed_without_being_executed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["execute.py", "--stale", "--list"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "notebooks" / "execute.py"), run_name="__main__")
    assert ended.value.code is None
    assert capsys.readouterr().out.split() == execute.stale_pages()


@pytest.fixture(scope="module")
def made():
    return generated.generated_pages()


def test_generated_pages_are_in_step(made):
    for name, text in made.items():
        assert (ROOT / "book" / name).read_text(encoding="utf-8") == text, f"make notebooks, then book/build.py: book/{name}"
    assert all(path.name in made["records.md"] for path in RECORDS)
    assert made["records.csv"].count("\n") == len(RECORDS) + 1


def test_the_discussion_lists_what_is_decided_of_the_paper(made, monkeypatch):
    """Each claim of the paper under its word, and none of ours; with another word it moves."""
    listed = generated.claims()
    lines = {word: f"\n- **{word.capitalize()}:** " for word in ("holds", "holds in part", "does not hold")}
    for claim in listed:
        said = f">{claim['claim']}</a>"
        if claim["word"] in lines and claim["where"] != "not in the paper":
            line = made["discussion.md"].split(lines[claim["word"]])[1].split("\n")[0]
            assert said in line, claim["id"]
        else:
            assert said not in made["discussion.md"], claim["id"]
    moved = [{**claim, "word": "undecided"} for claim in listed]
    monkeypatch.setattr(generated, "claims", lambda: moved)
    assert not any(line in generated.discussion_page() for line in lines.values())


def test_the_api_page_lists_every_peer():
    page = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    assert all(f"cpdgal.peers.{name}." in page for name in PEERS)
