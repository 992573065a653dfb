"""Figures of scenes and runs: labelled, true to their data, and drawn from any scene."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

import cpdgal
from cpdgal import plots
from cpdgal.book import figures


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
    if figure.get_supxlabel() and figure.get_supylabel():
        return True
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


def test_names_of_curves_stand_apart_and_inside_their_panel():
    figure, axes = plots.panels(9, 3, 2)
    for number in range(6):
        axes[0].plot([0, 1], [0, 100 + number / 100], label=f"high {number}")
        axes[1].plot([0, 1 - number / 10], [0, 10 * number], label=f"apart {number}")
    plots.name_curves(figure, axes)
    figure.draw_without_rendering()
    for axis in axes:
        boxes = sorted((Text.get_window_extent(text) for text in axis.texts), key=lambda box: box.y0)
        assert all(low.y1 <= high.y0 for low, high in pairwise(boxes))
        assert boxes[-1].y1 < axis.bbox.y1 + boxes[0].height
        assert max(box.x1 for box in boxes) <= figure.bbox.x1
        heights = {text.get_text(): Text.get_window_extent(text).y0 for text in axis.texts}
        assert sorted(heights, key=heights.get) == [line.get_label() for line in axis.lines]  # in the order of the ends
    white, dark = 1.05, 0.05 + 0.0072  # of a page, #121212
    for colour in plots.PALETTE:
        luminance = sum(w * c**2.2 for w, c in zip((0.2126, 0.7152, 0.0722), plots._legible(colour), strict=True)) + 0.05
        assert white / luminance > 2.9
        assert luminance / dark > 2.9
    np.testing.assert_allclose(plots._legible("#0173b2"), to_rgb("#0173b2"))
    assert plots._spread([0.1, 0.5, 0.9], 0.05) == [0.1, 0.5, 0.9]
    assert plots._spread([0.97, 0.98], 0.1) == pytest.approx([0.9, 1.0])


def test_spectra_break_where_bands_were_removed(indian_pines):
    figure = plots.mean_spectra(indian_pines)
    assert figure.get_supxlabel() == "wavelength (nm)"
    assert [axes.get_title() for axes in figure.axes] == [*indian_pines.class_names]
    axes = figure.axes[0]
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


# Machado, Oliveira and Fernandes (2009), Table 1, severity 1.0: linear RGB as each deficiency sees it.
SEEN = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def cielab(linear):
    """CIELAB (D65) of linear RGB (K, 3)."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = (np.clip(linear, 0, 1) @ to_xyz.T / to_xyz.sum(1)).T
    x, y, z = (np.where(v > 216 / 24389, np.cbrt(v), (24389 / 27 * v + 16) / 116) for v in (x, y, z))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


@pytest.mark.parametrize("eyes", SEEN)
def test_classes_are_told_apart_by_colour_blind_readers(indian_pines, eyes):
    """The nearest pair of sixteen classes lies 20 apart in CIELAB, and as far from the white of unlabelled."""
    assert len(indian_pines.palette) == 16
    colours = np.vstack([indian_pines.palette, np.ones(3)])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = cielab(linear @ np.transpose(SEEN[eyes]))
    distances = np.linalg.norm(seen[:, None] - seen[None], axis=2)
    assert distances[~np.eye(17, dtype=bool)].min() > 20


def test_a_drawing_follows_the_page_and_its_data_keep_their_colours():
    figure, (axis,) = plots.panels(4, 3)
    with plt.rc_context(figures.STYLE):
        axis.set(xlabel="labels", ylabel="percent")
        axis.plot([0, 1], [0, 1], color=plots.PALETTE[3])
        axis.axhline(0.5, color="#000000")
        drawn = [figures.as_svg(figure) for _ in range(2)]
    assert drawn[0] == drawn[1]
    style, _, body = drawn[0].partition("</style>")
    assert "prefers-color-scheme:dark" in style
    assert "#000000" not in body
    assert "var(--ink)" in body
    assert f": {plots.PALETTE[3]}" in body
    assert 'id="patch_1"' not in body or "fill: #ffffff" not in body.split('id="axes_1"')[0]


def test_maps_of_queries_share_their_colours(scene):
    asked = queried(scene)
    figure = plots.queried_pixels(scene, {"margin": asked, "random": asked[asked["cycle"] < 2]})
    for axis, count in zip(figure.axes, (11, 8), strict=False):
        assert len(axis.collections[0].get_offsets()) == count
        assert axis.collections[0].get_clim() == (-0.5, 2.5)
    assert figure.axes[0].get_xlabel() == "column (pixels)"
