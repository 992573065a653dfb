"""The pages that show records, executed on other stores: captions name what is drawn, and verdicts follow the records."""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import jupytext
import nbformat
import pytest
from conftest import ROOT, run_papermill
from test_notebooks import SCRIPTS, by_name, code_cells, tagged

import cpdgal

sys.path.insert(0, str(ROOT / "book"))
sys.path.insert(0, str(ROOT / "notebooks"))
import build
import execute

TRAINS = ("run", "01_quickstart", "02_method", "05_loss_landscape")  # what they lack, where the others say so
FROM_RECORDS = [script for script in SCRIPTS if script.stem in execute.FROM_RECORDS and script.stem not in TRAINS]


# Writes what stands in every figure of a cell, before the display closes it.
LISTEN = """
import json
running = {}

def listen(info):
    running["source"] = info.raw_cell

def look():
    import matplotlib.pyplot as plt
    from matplotlib.collections import FillBetweenPolyCollection
    from matplotlib.text import Text
    with open("drawn.jsonl", "a") as file:
        for figure in map(plt.figure, plt.get_fignums()):
            texts = [each.get_text() for each in figure.findobj(Text)]
            bands = [len(each.get_paths()) > 0 for each in figure.findobj(FillBetweenPolyCollection)]
            print(json.dumps([running["source"], texts, any(bands)]), file=file)

get_ipython().events.register("pre_run_cell", listen)
get_ipython().events.register("post_execute", look)
"""


def show(script: Path, store: Path, folder: Path) -> dict[str, str]:
    """What a page of records glues when a store holds all the records there are; what it draws is written to drawn.jsonl."""
    notebook = jupytext.read(script)
    (parameters,) = tagged(notebook, "parameters")
    parameters.source += "\nimport cpdgal.records\ncpdgal.records._packaged = list" + LISTEN
    jupytext.write(notebook, folder / f"{script.stem}.ipynb")
    done = run_papermill(folder, f"{script.stem}.ipynb", "x.ipynb", "-p", "store", store)
    assert done.returncode == 0, done.stderr[-3000:]
    return build.glued(folder / "x.ipynb")


GLUED = re.compile(r"\{glue:text\}`([\w-]+):s`")
# What the words of a figure may name, and what has to stand in it then.
NAMED = {
    r"CPDGAL": r"CPDGAL|^here$",
    r"ViT|vision transformer": r"ViT",
    r"\bpaper's (figure|differences|text)|as published": r"paper",
    r"\b(floors?|baselines?)\b": r"only|spread out|not run",
    r"random queries": r"random|chance",
    r"noise, dead bands, illumination": r"dead bands",
    r"default": r"default",
}


def check_words(script: Path, folder: Path, glued: Mapping[str, str] = MappingProxyType({})) -> int:
    """Hold captions, with the values that they glue, and alt texts against what stands in the figures that were drawn; how many
    there were."""
    lines = folder / "drawn.jsonl"
    drawn = [json.loads(line) for line in lines.read_text().splitlines()] if lines.is_file() else []
    by_source = {source.strip(): (texts, bands) for source, texts, bands in drawn}
    count = 0
    for cell in code_cells(jupytext.read(script)):
        shown = cell.metadata.get("mystnb", {})
        if "figure" not in shown or cell.source.strip() not in by_source:
            continue
        count += 1
        texts, bands = by_source[cell.source.strip()]
        words = f"{GLUED.sub(lambda key: glued[key[1]], shown['figure']['caption'])} {shown['image']['alt']}"
        for named, there in NAMED.items():
            if re.search(named, words):
                assert any(re.search(there, text) for text in texts), (
                    f"{script.stem}: {words!r} names {named}; drawn are {texts}"
                )
        assert "band of one" not in words or bands or "where there are several" in words, f"{script.stem}: no band: {words!r}"
    return count


@by_name
def test_a_caption_shows_what_its_own_cell_stores(script):
    for cell in code_cells(jupytext.read(script)):
        caption = cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "")
        assert caption.count("{glue:") == len(GLUED.findall(caption))
        for key in GLUED.findall(caption):
            assert re.search(rf'glue\(\s*"{key}",', cell.source), f"{script.stem}: {key}"


def test_a_caption_that_names_an_undrawn_line_is_found(tmp_path):
    script, source = tmp_path / "page.py", "figure = draw()"
    figure = {"caption": "{glue:text}`x-finding:s` Accuracy of CPDGAL.", "name": "fig-x"}
    glued = {"x-finding": "The ViT is highest."}
    cell = nbformat.v4.new_code_cell(source, metadata={"mystnb": {"figure": figure, "image": {"alt": "Curves."}}})
    jupytext.write(nbformat.v4.new_notebook(cells=[cell]), script, fmt="py:percent")
    for drawn, found in ((["CPDGAL", "ViT"], False), (["CPDGAL"], True)):
        (tmp_path / "drawn.jsonl").write_text(json.dumps([source, drawn, False]), encoding="utf-8")
        if found:
            with pytest.raises(AssertionError, match="ViT"):
                check_words(script, tmp_path, glued)
        else:
            assert check_words(script, tmp_path, glued) == 1
            with pytest.raises(KeyError, match="x-finding"):
                check_words(script, tmp_path)


@pytest.mark.notebook
@pytest.mark.parametrize("script", FROM_RECORDS, ids=lambda each: each.stem)
def test_a_page_of_records_shows_what_is_there_where_that_is_nothing(script, tmp_path):
    glued = show(script, tmp_path / "nothing", tmp_path)
    check_words(script, tmp_path, glued)
    impossible = {f"comparison-{name}-verdict" for name in ("kappa", "salinas-AA", "salinas-kappa", "botswana-kappa")}
    verdicts = {name: value for name, value in glued.items() if name.endswith("-verdict")}
    assert {value for name, value in verdicts.items() if name not in impossible} <= {"not run here"}
    assert {value for name, value in verdicts.items() if name in impossible} <= {"does not hold"}


@pytest.mark.slow
@pytest.mark.notebook
@pytest.mark.parametrize("script", FROM_RECORDS, ids=lambda each: each.stem)
def test_captions_name_what_is_drawn(script, tmp_path):
    glued = show(script, ROOT / "results", tmp_path)
    captions = [cell for cell in code_cells(jupytext.read(script)) if "figure" in cell.metadata.get("mystnb", {})]
    assert 0 < check_words(script, tmp_path, glued) <= len(captions)


@pytest.fixture(scope="module")
def swapped(tmp_path_factory):
    """The records with CPDGAL and ViT in each other's place, and margin and random questions."""
    store = cpdgal.Store(tmp_path_factory.mktemp("swapped"), packaged=False)
    other = {"cpdgal": "vit", "vit": "cpdgal", "margin": "random", "random": "margin"}
    shown = [
        record
        for record in cpdgal.Store(ROOT / "results", packaged=False).records()
        if record.study.split in ("random", "block")
    ]
    for record in (each for each in shown if each.study.scene == "indian_pines"):
        study = record.study
        method, query = (other.get(study.method, study.method), study.query)
        if study.profile == "ablation":
            method, query = study.method, other.get(study.query, study.query)
        store.save(replace(record, study=study.but(method=method, query=query)))
    return store.folder


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("page", "claims"),
    [
        ("03_comparison", ["comparison-twin", "comparison-twin-blocks"]),
        ("09_low_label", ["low-label-random", "low-label-block"]),
        ("11_query_strategies", ["query-margin-random"]),
    ],
)
def test_verdicts_turn_when_two_methods_swap_their_records(page, claims, swapped, tmp_path):
    script = ROOT / "notebooks" / f"{page}.py"
    before, after = build.glued(script.with_suffix(".ipynb")), show(script, swapped, tmp_path)
    assert check_words(script, tmp_path, after)
    for claim in claims:
        word, turned = before[f"{claim}-verdict"], after[f"{claim}-verdict"]
        if word == "not run here":
            assert turned == word
            continue
        (mean, unit), (other, its) = (glued[f"{claim}-here"].split(" ", 1) for glued in (before, after))
        assert (float(other), its) == (-float(mean), unit), claim
        assert word != "holds" or turned == "does not hold", claim
