"""The notebooks, executed with other parameters, on other scenes, in other folders."""

import json
import sys

import jupytext
import numpy as np
import papermill
import pytest
from conftest import ROOT, run_papermill
from test_notebooks import FIXED, SCRIPTS

import cpdgal

sys.path.insert(0, str(ROOT / "notebooks"))
import execute

TRAINING = [script for script in SCRIPTS if script.stem not in FIXED]
READING = [script for script in TRAINING if script.stem not in ("run", "13_feasibility", "14_your_own_scene")]
MANY = set(execute.FROM_RECORDS) - {"run", "01_quickstart", "02_method"}  # whose studies are many


def slow_where(slow):
    """The notebooks that train as parameters of a test; each runs once whenever the tests run, and in the other way where
    slow ones do."""
    return [pytest.param(each, id=each.stem, marks=[pytest.mark.slow] * slow(each)) for each in TRAINING]


@pytest.mark.notebook
@pytest.mark.parametrize("script", slow_where(lambda script: script.stem not in MANY))
def test_it_runs_at_smoke_from_another_folder(script, tmp_path):
    path = script.with_suffix(".ipynb")
    known = papermill.inspect_notebook(str(path))
    seed = ("-p", "seed", 3) if "seed" in known else ("-p", "seeds", 1) if "seeds" in known else ()
    done = run_papermill(tmp_path, path, tmp_path / "x.ipynb", *seed, "-p", "profile", "smoke")
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.notebook
@pytest.mark.parametrize("script", slow_where(lambda script: script.stem in MANY))
def test_it_runs_on_a_synthetic_scene_from_another_folder(script, tmp_path):
    known = papermill.inspect_notebook(str(script.with_suffix(".ipynb")))
    small = ("-p", "components", 8) if "components" in known else ()
    small = ("-p", "changes", '{"components": 8}') if "changes" in known else small
    done = run_papermill(
        tmp_path,
        script.with_suffix(".ipynb"),
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


@pytest.mark.notebook
def test_a_wrong_scene_ends_with_one_sentence_and_a_non_zero_exit(tmp_path):
    done = run_papermill(tmp_path, SCRIPTS[0].with_suffix(".ipynb"), tmp_path / "x.ipynb", "-p", "scene_name", "pavia")
    assert done.returncode != 0
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("SceneError: no scene is called 'pavia'; known are synthetic, indian_pines")
    )
