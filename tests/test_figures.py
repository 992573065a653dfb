"""Figures: labelled, true to their data, and drawn from any scene."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from IPython.display import SVG

import cpdgal
from cpdgal import figures


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def bare():
    """A scene without wavelengths or names, as a user's own file gives it."""
    rng = np.random.default_rng(0)
    return cpdgal.Scene(rng.random((12, 14, 3)), rng.integers(0, 4, (12, 14)) * 5)


def labelled(figure):
    axes = [axis for axis in figure.axes if axis.axison and axis.get_label() != "<colorbar>"]
    return all(axis.get_xlabel() and axis.get_ylabel() for axis in axes)


def queried(scene):
    order = np.random.default_rng(0).permutation(len(scene.pixels))[:11]
    rows, columns = scene.pixels[order].T
    return pd.DataFrame({"cycle": np.repeat([0, 1, 2], [5, 3, 3]), "position": order, "row": rows, "column": columns})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Records of two methods, one of them with two seeds."""
    store = cpdgal.Store(tmp_path_factory.mktemp("store"), packaged=False)
    small = {"scene": "synthetic", "profile": "smoke", "score_every": 1, "epochs": 1, "dim": 8, "layers": 1, "window": 3}
    studies = [cpdgal.Study(**small, seed=0), cpdgal.Study(**small, seed=1), cpdgal.Study(**small, method="spectra")]
    records = [cpdgal.run(study, store, progress=False) for study in studies]
    return {"CPDGAL": records[:2], "spectrum only (SVM)": records[2:]}


def test_every_map_and_curve_has_labelled_axes(scene, bare):
    for shown in (scene, bare):
        split = cpdgal.random_split(shown, 0.3, rng=np.random.default_rng(0))
        curve = pd.DataFrame({"labels": [10, 20, 30], "OA": [50.0, 60.0, 70.0]})
        drawn = [
            figures.scene_overview(shown),
            figures.mean_spectra(shown),
            figures.learning_curves({"margin": curve, "random": curve, "own": curve}),
            figures.queried_pixels(shown, queried(shown)),
            figures.classification_map(shown, np.maximum(shown.labels, 1), split),
            figures.maps(shown, {"one": shown.labels, "two": np.maximum(shown.labels, 1)}),
        ]
        assert all(labelled(figure) for figure in drawn)


def test_spectra_break_where_bands_were_removed(indian_pines):
    (axes,) = figures.mean_spectra(indian_pines).axes
    assert axes.get_xlabel() == "wavelength (nm)"
    x, y = axes.lines[0].get_data()
    removed = x[np.isnan(y)]
    assert removed.size == 2 == np.isnan(x).sum()  # the two spans that water vapour hides


def test_false_colour_takes_the_named_wavelengths(indian_pines, bare):
    image, named = figures.false_colour(indian_pines)
    assert named == "860, 647, 548 nm as red, green, blue"
    assert image.shape == (145, 145, 3)
    assert (image.min(), image.max()) == (0, 1)
    assert figures.false_colour(bare)[1] == "bands 2, 1, 0"


def test_the_error_map_marks_exactly_the_errors(scene):
    split = cpdgal.random_split(scene, 0.3, rng=np.random.default_rng(0))
    predicted = scene.labels.copy()
    wrong = scene.pixels[split.holdout[:7]]
    predicted[tuple(wrong.T)] = scene.labels[tuple(wrong.T)] % scene.classes + 1
    drawn = figures.classification_map(scene, predicted, split).axes[2].images[0].get_array()
    np.testing.assert_array_equal(np.argwhere(drawn == 2), wrong[np.lexsort(wrong.T[::-1])])
    assert (drawn == 1).sum() == len(split.holdout) - 7


def test_every_class_has_a_colour_of_its_own(indian_pines):
    distances = np.linalg.norm(indian_pines.palette[:, None] - indian_pines.palette[None], axis=2)
    assert distances[~np.eye(16, dtype=bool)].min() > 0.1
    assert indian_pines.palette.min() >= 0
    assert indian_pines.palette.max() <= 1


def test_the_method_s_figures(scene):
    model = cpdgal.build("cpdgal", bands=6, window=5, classes=4, steps=10)
    windows = cpdgal.Windows(scene, window=5, components=6)
    with torch.no_grad():
        tokens = model.embedding(windows[[0]])
        weights = model.blocks[0].attention_weights(tokens)
        mask = model.masking(tokens, weights)[1]
    assert labelled(figures.schedule(model.dgfr.alpha(), model.dgfr.alpha() * 0.9))
    refined = figures.refinement(model.dgfr, tokens, [1, 10], torch.Generator().manual_seed(0))
    assert refined.axes[0].get_title() == "clean $Z$"
    assert len(figures.attention(weights[0]).axes) == 8 + 1 + 2
    figures.masking(scene, tuple(scene.pixels[0]), 5, weights.mean(1).mean(1)[0], mask[0])
    assert isinstance(figures.flow_diagram(), SVG)


def test_glue_stores_values_and_is_silent_on_a_hosted_service(monkeypatch):
    import myst_nb

    stored = {}
    monkeypatch.setattr(myst_nb, "glue", lambda name, value, display: stored.update({name: value}))
    figures.glue("x", 3.5)
    monkeypatch.setitem(sys.modules, "myst_nb", None)
    figures.glue("y", 1)
    assert stored == {"x": 3.5}


def test_figures_of_records_have_labelled_axes(runs):
    ends = pd.DataFrame({"random": {"CPDGAL": [90.0, 92.0], "ViT": []}, "blocks": {"CPDGAL": [40.0], "ViT": [30.0]}})
    changes = pd.DataFrame({101: {"a": 1.0, "b": -2.0}, 102: {"a": 2.0, "b": np.nan}})
    far = pd.DataFrame({"distance": [1.0, 5.0], "accuracy": [90.0, 50.0]})
    drawn = [
        figures.curves_over_seeds(runs, 97.0), figures.run_progress(runs["CPDGAL"][0]), figures.fall(ends),
        figures.effects(changes, 1.0), figures.accuracy_by_distance({"CPDGAL": far}, 7),
    ]  # fmt: skip
    assert all(labelled(figure) for figure in drawn)


def test_a_band_is_the_mean_and_one_deviation_over_seeds(runs):
    (axes,) = figures.curves_over_seeds(runs).axes
    both = np.stack([record.cycles.OA for record in runs["CPDGAL"]])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), both.mean(0))
    corners = axes.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(corners[:, 1].max(), (both.mean(0) + both.std(0, ddof=1)).max())
    assert [line.get_label().split(":")[0] for line in axes.lines] == ["CPDGAL (2 seeds)", "spectrum only (SVM) (1 seed)"]


def test_methods_that_were_not_run_on_a_split_leave_a_gap():
    (axes,) = figures.fall(pd.DataFrame({"random": {"ViT": []}, "blocks": {"ViT": [30.0, 40.0]}})).axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [np.nan, 35.0])


def test_effects_are_sorted_and_named():
    (axes,) = figures.effects(pd.DataFrame({101: {"worse": -2.0, "better": 1.0}}), 0.5).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["worse", "better"]
