"""Figures of scenes and runs: labelled, true to their data, and drawn from any scene."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import cpdgal
from cpdgal import plots


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


def test_every_map_and_curve_has_labelled_axes(scene, bare):
    for shown in (scene, bare):
        split = cpdgal.random_split(shown, 0.3, rng=np.random.default_rng(0))
        curve = pd.DataFrame({"OA": [50.0, 60.0, 70.0]}, [10, 20, 30])
        drawn = [
            plots.scene_overview(shown),
            plots.mean_spectra(shown),
            plots.learning_curves({"margin": curve, "random": curve, "own": curve}),
            plots.queried_pixels(shown, {"queried": queried(shown)}),
            plots.class_maps(shown, {"predicted": np.maximum(shown.labels, 1)}, split),
            plots.class_maps(shown, {"one": shown.labels, "two": np.maximum(shown.labels, 1)}),
        ]
        assert all(labelled(figure) for figure in drawn)


def test_spectra_break_where_bands_were_removed(indian_pines):
    (axes,) = plots.mean_spectra(indian_pines).axes
    assert axes.get_xlabel() == "wavelength (nm)"
    x, y = axes.lines[0].get_data()
    removed = x[np.isnan(y)]
    assert removed.size == 2 == np.isnan(x).sum()  # the two spans that water vapour hides


def test_false_colour_takes_the_named_wavelengths(indian_pines, bare):
    image, named = plots.false_colour(indian_pines)
    assert named == "860, 647, 548 nm as red, green, blue"
    assert image.shape == (145, 145, 3)
    assert (image.min(), image.max()) == (0, 1)
    assert plots.false_colour(bare)[1] == "bands 2, 1, 0"


def test_the_error_map_marks_exactly_the_errors(scene):
    split = cpdgal.random_split(scene, 0.3, rng=np.random.default_rng(0))
    predicted = scene.labels.copy()
    wrong = scene.pixels[split.holdout[:7]]
    predicted[tuple(wrong.T)] = scene.labels[tuple(wrong.T)] % scene.classes + 1
    drawn = plots.class_maps(scene, {"predicted": predicted}, split).axes[2].images[0].get_array()
    right, errors = ((drawn == colour).all(2) for colour in (plots.RIGHT, plots.WRONG))
    np.testing.assert_array_equal(np.argwhere(errors), wrong[np.lexsort(wrong.T[::-1])])
    assert right.sum() == len(split.holdout) - 7


def test_every_class_has_a_colour_of_its_own(indian_pines):
    distances = np.linalg.norm(indian_pines.palette[:, None] - indian_pines.palette[None], axis=2)
    assert distances[~np.eye(16, dtype=bool)].min() > 0.1
    assert indian_pines.palette.min() >= 0
    assert indian_pines.palette.max() <= 1


def test_maps_of_queries_share_their_colours(scene):
    asked = queried(scene)
    figure = plots.queried_pixels(scene, {"margin": asked, "random": asked[asked["cycle"] < 2]})
    for axis, count in zip(figure.axes, (11, 8), strict=False):
        assert len(axis.collections[0].get_offsets()) == count
        assert axis.collections[0].get_clim() == (-0.5, 2.5)
    assert figure.axes[0].get_xlabel() == "column (pixels)"
