"""The data of the views that move, against the records and the scene that they show."""

import json
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import cpdgal
from cpdgal.book import views

FOLDER = ROOT / "book" / "_static" / "views"


def read(name: str) -> dict:
    text = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
    before, _, data = text.partition(" = ")
    assert before == f"(window.CPDGAL ??= {{}}).{name}"
    return json.loads(data.rstrip().rstrip(";"))


def pixels(address: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(b64decode(address.partition(",")[2]))))


@pytest.fixture(scope="module")
def record():
    return cpdgal.Store(ROOT / "results").get(views.LOOP)


def test_the_maps_of_the_loop_give_its_record(record, indian_pines):
    shown = read("loop")
    assert shown["record"] == record.study.name
    maps = pixels(shown["maps"]).reshape(len(record.cycles), *indian_pines.labels.shape)
    holdout = indian_pines.pixels[record.study.make_split(indian_pines).holdout]
    truth = indian_pines.labels[tuple(holdout.T)]
    for cycle, classes, row in zip(shown["cycles"], maps, record.cycles.itertuples(), strict=True):
        assert (cycle["labels"], cycle["OA"]) == (row.labels, pytest.approx(row.OA))
        assert 100 * np.mean(classes[tuple(holdout.T)] == truth) == pytest.approx(row.OA, abs=1e-6)
    assert shown["entropy"] == record.entropy.tolist()
    assert len(shown["queried"]) == record.final.labels


def test_the_scene_is_that_of_the_record(record, indian_pines):
    shown = read("scene")
    assert shown["record"] == record.study.name
    np.testing.assert_array_equal(pixels(shown["truth"]), indian_pines.labels)
    holdout = tuple(indian_pines.pixels[record.study.make_split(indian_pines).holdout].T)
    right = pixels(shown["predicted"])[holdout] == indian_pines.labels[holdout]
    assert 100 * right.mean() == pytest.approx(record.final.OA, abs=0.05)  # another processor rounds otherwise
    spectra = np.moveaxis(pixels(shown["spectra"]).reshape(-1, *indian_pines.labels.shape), 0, 2)
    step = shown["largest"] / 255
    assert np.abs(spectra * step - indian_pines.cube[..., :: views.STEP]).max() <= step / 2 + 1
    width = indian_pines.labels.shape[1]
    assert [divmod(at, width) for at in shown["training"]] == [*map(tuple, indian_pines.pixels[record.labelled()].tolist())]


def test_the_splits_are_those_of_the_studies(indian_pines):
    shown = read("split")
    store = cpdgal.Store(ROOT / "results")
    assert shown == json.loads(json.dumps(views.split_view(store, indian_pines)))
