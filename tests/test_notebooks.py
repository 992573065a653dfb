"""The notebooks: in step with their scripts, fit for a hosted service, and executable with other parameters."""

import re
import subprocess
import sys

import jupytext
import nbformat
import papermill
import pytest
import yaml
from conftest import ROOT

import cpdgal
from cpdgal.book.verdicts import WORDS

sys.path.insert(0, str(ROOT / "book"))
sys.path.insert(0, str(ROOT / "notebooks"))
import build

SCRIPTS = [*sorted((ROOT / "notebooks").glob("[0-9]*.py")), ROOT / "notebooks" / "run.py"]
FIXED = (
    "03_comparison",
    "10_leakage_audit",
    "12_open_decisions",
)  # of these scenes, and they train only where they are told to
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


def test_every_claim_is_answered_by_a_notebook():
    listed = yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))["claims"]
    answers = [tuple(claim["answer"]) for claim in listed]
    assert len(set(answers)) == len(answers) > 30
    for page, key in answers:
        glued = build.glued(ROOT / "notebooks" / f"{page}.ipynb")
        assert glued[f"{key}-verdict"] in WORDS, key
        assert glued[f"{key}-here"], key


def test_nbval_collects_every_notebook():
    command = [sys.executable, "-m", "pytest", "--nbval", "--collect-only", "-q", "-p", "no:cacheprovider", "notebooks"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for script in SCRIPTS:
        collected = listed.count(f"{script.stem}.ipynb::")
        assert collected == len(code_cells(nbformat.read(script.with_suffix(".ipynb"), 4)))
