"""The notebooks: in step with their scripts, fit for a hosted service, and executable with other parameters."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import jupytext
import nbformat
import numpy as np
import papermill
import pytest
import yaml
from conftest import ROOT

import cpdgal
from cpdgal.book.verdicts import WORDS

sys.path.insert(0, str(ROOT / "book"))
sys.path.insert(0, str(ROOT / "notebooks"))
import build
import execute

SCRIPTS = [*sorted((ROOT / "notebooks").glob("[0-9]*.py")), ROOT / "notebooks" / "run.py"]
TRAINS = ("run", "01_quickstart", "02_method", "05_loss_landscape")  # what they lack, where the others say so
FROM_RECORDS = [script for script in SCRIPTS if script.stem in execute.FROM_RECORDS and script.stem not in TRAINS]
FIXED = (
    "03_comparison",
    "10_leakage_audit",
    "12_open_decisions",
)  # of these scenes, and they train only where they are told to
TRAINING = [script for script in SCRIPTS if script.stem not in FIXED]
READING = [script for script in TRAINING if script.stem not in ("run", "13_feasibility", "14_your_own_scene")]
SLOW = set(execute.FROM_RECORDS) - {"run", "01_quickstart", "02_method"}  # whose studies are many
by_name = pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


@by_name
def test_a_pair_is_in_step(script):
    text, notebook = jupytext.read(script), jupytext.read(script.with_suffix(".ipynb"))
    assert len(text.cells) == len(notebook.cells)
    for ours, theirs in zip(text.cells, notebook.cells, strict=True):
        assert (ours.cell_type, ours.source) == (theirs.cell_type, theirs.source)
        for kept in ("tags", "mystnb"):
            assert ours.metadata.get(kept) == theirs.metadata.get(kept)


@by_name
def test_outputs_are_committed_without_errors_or_progress(script):
    notebook = nbformat.read(script.with_suffix(".ipynb"), 4)
    nbformat.validate(notebook)
    assert "papermill" not in notebook.metadata
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert all(output.output_type != "error" and output.get("name") != "stderr" for output in outputs)
    assert all(cell.execution_count for cell in code_cells(notebook))


@by_name
def test_every_figure_has_a_caption_and_alt_text(script):
    notebook = nbformat.read(script.with_suffix(".ipynb"), 4)
    for cell in code_cells(notebook):
        if any({"image/png", "image/svg+xml"} & set(output.get("data", {})) for output in cell.outputs):
            assert len(cell.metadata.mystnb.image.alt) > 40
            assert cell.metadata.mystnb.figure.caption


@by_name
def test_every_cell_with_a_caption_shows_its_figure_or_says_why_not(script):
    """A style that is changed for one figure once switched off the display of all that followed."""
    notebook = nbformat.read(script.with_suffix(".ipynb"), 4)
    for cell in code_cells(notebook):
        if "figure" in cell.metadata.get("mystnb", {}):
            kinds = {kind for output in cell.outputs for kind in output.get("data", {})} | {
                each.output_type for each in cell.outputs
            }
            assert {"image/png", "image/svg+xml", "stream"} & kinds, cell.source[:200]


@by_name
def test_a_tagged_equation_stays_on_one_line(script):
    for cell in jupytext.read(script).cells:
        for equation in re.findall(r"\$\$(.+?)\$\$", cell.source, re.S) if cell.cell_type == "markdown" else []:
            assert not ("\\tag" in equation and "\\\\" in equation), "MathJax refuses a tag in what Sphinx makes of this"


@by_name
def test_the_set_up_cell_installs_the_package_alone_and_only_on_a_hosted_service(script, monkeypatch):
    notebook = nbformat.read(script.with_suffix(".ipynb"), 4)
    first = code_cells(notebook)[0].source
    assert first == code_cells(nbformat.read(SCRIPTS[0].with_suffix(".ipynb"), 4))[0].source
    called = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: called.append(command))
    exec(first, {})
    assert called == []
    monkeypatch.setitem(sys.modules, "google.colab", object())
    exec(first, {})
    ((*pip, package),) = called
    assert pip == [sys.executable, "-m", "pip", "install", "--quiet"]
    assert package.startswith("cpdgal[pages] @ git+https://")


@by_name
def test_parameters_have_types_and_explanations(script):
    path = str(script.with_suffix(".ipynb"))
    assert len(tagged(nbformat.read(path, 4), "parameters")) == 1
    parameters = papermill.inspect_notebook(path)
    if script.stem != "13_feasibility":  # which reads no record
        assert ("store" if script.stem in FIXED else "scene_name") in parameters
        assert (
            {"profile", "seed"} <= set(parameters)
            or {"profile", "seeds", "train", "store"} <= set(parameters)
            or set(parameters) == {"store"}
        )
    for parameter in parameters.values():
        assert parameter["inferred_type_name"] in ("str", "int", "bool", "float")
        assert len(parameter["help"]) > 10


WRONG = {"bool": ["False", "no", 1], "int": ["3", 2.5, -1, None], "float": ["one", -1, float("nan")]}
WRONG_TEXTS = {
    "store": 5,
    "profile": "papper",
    "other_scene": 5,
    "reading": '{"nodata": 0}',
    "method": "resnet",
    "split": "spatial",
    "query": "best",
    "device": "tpu",
    "changes": "{epochs: 5}",
    "labels_path": 5,
}


def wrong_parameters():
    """Every parameter of every notebook with values that it does not take."""
    for script in SCRIPTS:
        for name, about in papermill.inspect_notebook(str(script.with_suffix(".ipynb"))).items():
            kind = about["inferred_type_name"]
            values = WRONG[kind] if kind != "str" else [WRONG_TEXTS[name]] if name in WRONG_TEXTS else []
            if script.stem == "02_method" and name == "store":
                continue  # which it looks into after its training of seconds
            values = [each for each in values if (name, each) != ("components", None)]  # which is the default
            for value in values:
                yield pytest.param(script, name, value, id=f"{script.stem} {name}={value}")


@pytest.mark.parametrize(("script", "name", "value"), [*wrong_parameters()])
def test_a_wrong_parameter_is_refused_before_anything_is_trained(script, name, value, tmp_path, monkeypatch):
    """In this process, since a kernel a value takes minutes in all; no record of the package stands in for a training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cpdgal.records._packaged", list)
    for trains in ("cpdgal.training.fit", "cpdgal.fit", "cpdgal.active.active_learning", "cpdgal.runner.active_learning"):
        monkeypatch.setattr(trains, None)
    known, place = papermill.inspect_notebook(str(script.with_suffix(".ipynb"))), {}
    given = {"scene_name": "synthetic", "profile": "smoke", "store": "store", "components": 8, name: value}
    with pytest.raises((ValueError, cpdgal.RecordError)) as error:  # noqa: PT012
        for cell in code_cells(jupytext.read(script)):
            exec(cell.source, place)
            if "parameters" in cell.metadata.get("tags", []):
                place |= {name: each for name, each in given.items() if name in known}
    said = str(error.value)
    assert len(said) < 300
    assert re.search(rf"\b{name.removesuffix('_name')}\b|device|strategy|no 'nodata'|known are|values of a study", said), said
    assert not any(tmp_path.rglob("*.json"))


def run_papermill(cwd: Path, *arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.notebook
@pytest.mark.parametrize("script", TRAINING, ids=lambda each: each.stem)
def test_it_runs_at_smoke_from_another_folder(script, tmp_path):
    path = script.with_suffix(".ipynb")
    seed = ("-p", "seed", 3) if "seed" in papermill.inspect_notebook(str(path)) else ()
    done = run_papermill(tmp_path, path, tmp_path / "x.ipynb", *seed, "-p", "profile", "smoke")
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.notebook
@pytest.mark.parametrize(
    "script",
    [pytest.param(s, marks=pytest.mark.slow) if s.stem in SLOW else s for s in TRAINING],
    ids=[each.stem for each in TRAINING],
)
def test_it_runs_on_a_synthetic_scene_from_the_root(script, tmp_path):
    known = papermill.inspect_notebook(str(script.with_suffix(".ipynb")))
    small = ("-p", "components", 8) if "components" in known else ()
    small = ("-p", "changes", '{"components": 8}') if "changes" in known else small
    done = run_papermill(
        ROOT,
        script.relative_to(ROOT).with_suffix(".ipynb"),
        tmp_path / "x.ipynb",
        "-p",
        "scene_name",
        "synthetic",
        "-p",
        "profile",
        "smoke",
        *(("-p", "store", tmp_path / "store") if "store" in known else ()),
        *small,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def four_bands(tmp_path_factory):
    """The file of a scene of four bands that is read right only where a variable and the value of no data are named."""
    scene, path = cpdgal.load_scene("synthetic", bands=4), tmp_path_factory.mktemp("own") / "four.npz"
    cube = scene.cube.copy()
    cube[:3] = -9999
    np.savez(path, image=cube, dark=cube[::-1], truth=scene.labels)
    with pytest.raises(cpdgal.SceneError, match="name the one to read with cube_key"):
        cpdgal.load_scene(path)
    return path


@pytest.mark.slow
@pytest.mark.notebook
@pytest.mark.parametrize("script", READING, ids=lambda each: each.stem)
def test_it_runs_on_a_cube_of_few_bands_that_is_read_with_options(script, four_bands, tmp_path):
    notebook, reading = tmp_path / f"{script.stem}.ipynb", {"cube_key": "image", "no_data": -9999}
    jupytext.write(jupytext.read(script), notebook)
    given = {"scene_name": str(four_bands), "reading": reading, "components": 4, "profile": "smoke", "store": "store"}
    done = run_papermill(tmp_path, notebook, "x.ipynb", "-y", json.dumps(given))
    assert done.returncode == 0, done.stderr[-3000:]
    records = cpdgal.Store(tmp_path / "store", packaged=False).records()
    assert records or script.stem == "02_method"  # which trains without a record
    assert all(record.study.reading == reading for record in records if record.study.scene == str(four_bands))


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


def test_every_claim_is_answered_by_a_notebook():
    listed = yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))["claims"]
    answers = [tuple(claim["answer"]) for claim in listed]
    assert len(set(answers)) == len(answers) > 30
    for page, key in answers:
        glued = build.glued(ROOT / "notebooks" / f"{page}.ipynb")
        assert glued[f"{key}-verdict"] in WORDS, key
        assert glued[f"{key}-here"], key


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
    for record in cpdgal.Store(ROOT / "results", packaged=False).records():
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


@pytest.mark.notebook
def test_a_wrong_scene_ends_with_one_sentence_and_a_non_zero_exit(tmp_path):
    done = run_papermill(tmp_path, SCRIPTS[0].with_suffix(".ipynb"), tmp_path / "x.ipynb", "-p", "scene_name", "pavia")
    assert done.returncode != 0
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("SceneError: no scene is called 'pavia'; known are synthetic, indian_pines")
    )


def test_nbval_collects_every_notebook():
    command = [sys.executable, "-m", "pytest", "--nbval", "--collect-only", "-q", "-p", "no:cacheprovider", "notebooks"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for script in SCRIPTS:
        collected = listed.count(f"{script.stem}.ipynb::")
        assert collected == len(code_cells(nbformat.read(script.with_suffix(".ipynb"), 4)))
