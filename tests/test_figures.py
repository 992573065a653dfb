"""Figures: labelled, true to their data, and drawn from any scene."""

import sys
from dataclasses import replace

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
        figures.curves_over_seeds(runs, 97.0),
        figures.run_progress(runs["CPDGAL"][0]),
        figures.fall(ends),
        figures.effects(changes, 1.0),
        figures.accuracy_by_distance({"CPDGAL": far}, 7),
    ]
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


def test_panels_show_means_bands_and_where_they_stand():
    runs = pd.DataFrame({0: [10.0, 20.0], 1: [30.0, 40.0]}, index=[16.0, 140.0])
    panels = {"one": {"CPDGAL": runs, "ViT": runs + 1}, "two": {"ViT": runs[[0]]}}
    figure = figures.panels_over_seeds(panels, "labels", "OA", log=True)
    one, two = figure.axes
    assert labelled(figure)
    assert (one.get_xscale(), one.get_title()) == ("log", "one")
    np.testing.assert_array_equal(one.lines[0].get_ydata(), [20, 30])
    corners = one.collections[0].get_paths()[0].vertices[:, 1]
    assert corners.max() == pytest.approx(30 + np.sqrt(200))
    assert [label.get_text() for label in two.get_xticklabels()] == ["16", "140"]
    assert two.lines[0].get_linestyle() == one.lines[1].get_linestyle() != one.lines[0].get_linestyle()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["CPDGAL", "ViT"]


def test_reliability_joins_the_pixels_of_all_seeds(runs):
    figure = figures.reliability_diagrams({"CPDGAL": runs["CPDGAL"]})
    assert labelled(figure)
    right, share = figure.axes
    confidence, accuracy = right.lines[1].get_data()
    pixels = share.lines[0].get_ydata() / 100
    assert pixels.sum() == pytest.approx(1)
    assert 100 * (pixels * accuracy).sum() == pytest.approx(np.mean([record.final.OA for record in runs["CPDGAL"]]))
    assert np.all(np.diff(confidence) > 0)


def looped(seed, emi=(0.05, -0.01), counts=((3, 5, 2), (6, 2, 1), (8, 0, 0))):
    cycles = pd.DataFrame({"cycle": range(len(emi) + 1), "EMI": [np.nan, *emi], "EMI per label": [np.nan, *emi]})
    return cpdgal.Record(cpdgal.Study(seed=seed), cycles, *[None] * 3, np.array(counts), None, None)


def test_emi_stands_beside_the_paper_s():
    groups = {"0.5 %": [looped(0)], "2 %": [looped(0), looped(1, (0.03, 0.01))]}
    figure = figures.improvement(groups, {"0.5 %": 0.02, "2 %": 0.03}, ("0.5 %", 0.01))
    above, below = figure.axes[:2], figure.axes[2:]
    assert [axis.get_title() for axis in above] == ["0.5 % of the pool (1 seed)", "2 % of the pool (2 seeds)"]
    assert [axis.get_xlabel() for axis in below] == ["cycle"] * 2
    drawn = {line.get_label(): line.get_ydata() for line in above[1].lines}
    np.testing.assert_allclose(drawn["here, mean over seeds"], [np.nan, 0.04, 0])
    assert list(drawn["the paper, first cycle"]) == [0.03]
    assert sum(line.get_linestyle() == "--" for axis in above for line in axis.lines) == 1  # the threshold, at its budget alone


def test_entropy_maps_are_means_over_seeds_with_certain_pixels_above():
    other = looped(1, counts=((5, 5, 0), (8, 0, 1), (8, 0, 0)))
    figure = figures.entropy_maps({"1 %": [], "2 %": [looped(0), other]})
    (axis,) = (axis for axis in figure.axes if axis.get_label() != "<colorbar>")
    np.testing.assert_array_equal(axis.images[0].get_array(), [[4, 7, 8], [5, 1, 0], [1, 1, 0]])
    bottom, top = axis.get_ylim()
    assert bottom > top
    assert labelled(figure)


def test_bins_of_few_pixels_are_hollow():
    table = pd.DataFrame({"count": [90, 0, 5], "accuracy": [99.0, np.nan, 40.0]})
    (axes,) = figures.right_by_entropy({"pool": table}, fewest=20).axes
    many, few = axes.lines
    assert many.get_ydata().tolist() == [99.0]
    assert few.get_ydata()[~np.isnan(few.get_ydata())].tolist() == [40.0]
    assert few.get_markerfacecolor() == "none"
    assert [text.get_text() for text in axes.texts] == ["90", "5"]


def test_embeddings_have_a_panel_each_and_every_class_its_colour(scene):
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1, 3], 5)
    placed = {name: {setting: rng.normal(size=(15, 2)) for setting in ("5", "30")} for name in ("CPDGAL", "ViT")}
    figure = figures.embeddings(scene, classes, placed)
    assert len(figure.axes) == 4
    assert labelled(figure)
    shown = figure.axes[3].collections
    assert [len(points.get_offsets()) for points in shown] == [5, 5, 5]
    np.testing.assert_allclose([points.get_facecolor()[0, :3] for points in shown], scene.palette[[0, 1, 3]])
    np.testing.assert_array_equal(shown[2].get_offsets(), placed["ViT"]["30"][classes == 3])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(scene.class_names)


def test_sizes_show_what_was_run_and_what_the_paper_says():
    table = pd.DataFrame(
        {
            "parameters": [3e3, 9e4, 4e5],
            "seconds": [10.0, 50.0, np.nan],
            "change": [-2.0, 0.0, np.nan],
            "deviation": [0.5, 0.0, np.nan],
            "published": [-4.0, 0.0, -1.7],
        },
        ["C1", "C7", "C10"],
    )
    figure = figures.sizes(table)
    assert labelled(figure)
    np.testing.assert_array_equal(figure.axes[0].collections[0].get_offsets(), table[["parameters", "published"]])
    assert [[text.get_text() for text in axis.texts] for axis in figure.axes] == [["C1", "C7"]] * 2


def test_settings_stand_beside_the_paper_s_on_scales_of_equal_span():
    measured = {"0.2": {0: 80.0, 1: 90.0}, "0.4": {}, "learned": {0: 70.0}}
    published = {"0.2": 97.0, "0.4": 98.0, "learned": 99.0}
    figure = figures.over_settings(measured, published, "probability")
    here, paper = figure.axes
    assert labelled(figure)
    np.testing.assert_array_equal(here.lines[0].get_ydata(), [85.0, np.nan])  # the line does not lead to what is no number
    np.testing.assert_array_equal(paper.lines[0].get_ydata(), [97.0, 98.0])
    corners = here.collections[0].get_paths()[0].vertices[:, 1]
    assert corners.max() - corners.min() == pytest.approx(2 * np.std([80.0, 90.0], ddof=1))
    assert np.ptp(here.get_ylim()) == pytest.approx(np.ptp(paper.get_ylim()))
    assert labelled(figures.over_settings({name: {} for name in published}, published, "probability"))


def test_a_forest_shows_seeds_means_intervals_and_the_paper_s():
    differences = {"CM": {0: 1.0, 1: 2.0, 2: 3.0}, "DGFR": {0: -1.0}}
    (axes,) = figures.forest(differences, {"CM": 1.87, "DGFR": 2.43, "both": 3.17}, "the ViT").axes
    marks = {"s": [], "o": [], "D": []}
    for line in axes.lines:
        if line.get_marker() in marks:
            marks[line.get_marker()].append(list(line.get_xdata()))
    assert marks["s"] == [[1.87], [2.43], [3.17]]
    assert marks["o"] == [[1.0, 2.0, 3.0], [-1.0], []]
    np.testing.assert_array_equal(marks["D"], [[2.0], [-1.0], [np.nan]])
    (interval,) = (each.get_segments()[0] for each in axes.collections if each.get_segments())
    np.testing.assert_allclose(interval[:, 0], [2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5], atol=1e-5)


def test_a_contest_shows_seeds_means_and_intervals_in_the_order_of_the_first_panel(runs):
    cpdgal, svm = runs["CPDGAL"], runs["spectrum only (SVM)"]
    panels = {"random": {"CPDGAL": cpdgal[:1], "SVM": svm[:1], "ViT": []}, "blocks": {"SVM": cpdgal[:1]}}
    figure = figures.contest(panels, {"CPDGAL": 97.34}, {"SVM": "SVM (cut)"})
    first, second = figure.axes
    order = sorted(("CPDGAL", "SVM"), key={"CPDGAL": cpdgal[0].final.OA, "SVM": svm[0].final.OA}.get)
    assert [label.get_text() for label in first.get_yticklabels()] == [name.replace("SVM", "SVM (cut)") for name in order]
    means = {line.get_ydata()[0]: line.get_xdata()[0] for line in first.lines if line.get_marker() == "D"}
    assert means == {order.index("CPDGAL"): cpdgal[0].final.OA, order.index("SVM"): svm[0].final.OA}
    (paper,) = (line for line in first.lines if line.get_marker() == "s")
    assert (paper.get_xdata()[0], paper.get_ydata()[0]) == (97.34, order.index("CPDGAL"))
    n, right = cpdgal[0].confusion.sum(), np.trace(cpdgal[0].confusion)
    (low, high), *_ = (line.get_xdata() for line in second.lines if line.get_marker() == "None")
    p, z = right / n, 1.959964
    wilson = (p + z**2 / 2 / n + np.array([-1, 1]) * z * np.sqrt(p * (1 - p) / n + z**2 / 4 / n**2)) / (1 + z**2 / n)
    np.testing.assert_allclose([low, high], 100 * wilson, atol=1e-4)
    assert not [line for line in second.lines if line.get_marker() == "s"]
    three = [replace(cpdgal[0], cycles=cpdgal[0].cycles.assign(OA=value)) for value in (90.0, 91.0, 92.0)]
    (axis,) = figures.contest({"random": {"CPDGAL": three}}, {}).axes
    (interval,) = (line.get_xdata() for line in axis.lines if line.get_marker() == "None")
    np.testing.assert_allclose(interval, [91 - 4.302653 / 3**0.5, 91 + 4.302653 / 3**0.5], atol=1e-5)


def test_costs_are_numbered_dots_on_logarithmic_scales():
    table = pd.DataFrame({"OA, %": [94.0, 92.0], "parameters": [9e4, 2e6], "minutes": [100.0, 4.0]}, ["CPDGAL", "SSFTT"])
    figure = figures.trade_off(table, {"parameters": "parameters", "minutes": "time (minutes)"})
    for axis, values in zip(figure.axes, (table.parameters, table.minutes), strict=True):
        assert axis.get_xscale() == "log"
        assert {text.get_text(): text.xy for text in axis.texts} == {
            str(i): (x, y) for i, (x, y) in enumerate(zip(values, table["OA, %"], strict=True), 1)
        }
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["CPDGAL", "SSFTT"]


def test_a_heat_map_of_classes_tells_their_labels():
    table = pd.DataFrame({"corn": [90.0, 70.0], "oats": [10.0, np.nan]}, ["CPDGAL", "SSFTT"])
    axes, bar = figures.class_heatmap(table, pd.Series({"oats": 1, "corn": 71})).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["corn (71)", "oats (1)"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["CPDGAL", "SSFTT"]
    assert [text.get_text() for text in axes.texts] == ["90", "10", "70"]
    assert bar.get_ylabel() == "accuracy of the class (%)"


def test_a_ranking_is_in_the_order_of_its_first_measure():
    area = pd.DataFrame({0: [70.0, 60.0, 80.0], 1: [72.0, np.nan, 90.0]}, ["margin", "badge", "random"])
    figure = figures.ranking({"area": area, "seconds": 100 - area})
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["badge", "margin", "random"]
    for axis, values in zip(figure.axes, ([60, 71, 85], [40, 29, 15]), strict=True):
        np.testing.assert_allclose(axis.collections[-1].get_offsets()[:, 0], values)


def test_curves_against_others_have_a_panel_each(runs):
    groups = {"margin": runs["CPDGAL"], "badge": runs["CPDGAL"][:1], "bald": runs["spectrum only (SVM)"]}
    figure = figures.curves_against(groups)
    shown = [axis for axis in figure.axes if axis.axison]
    assert [axis.get_title() for axis in shown] == ["badge", "bald"]
    both = np.stack([record.cycles.OA for record in runs["CPDGAL"]])
    for axis, own in zip(shown, (both[0], runs["spectrum only (SVM)"][0].cycles.OA), strict=True):
        np.testing.assert_allclose(axis.lines[0].get_ydata(), both.mean(0))
        np.testing.assert_allclose(axis.lines[1].get_ydata(), own)
    alone = figures.curves_against({"margin": runs["CPDGAL"]})
    assert [axis.get_title() for axis in alone.axes if axis.axison] == ["margin"]


def test_maps_of_questions_share_their_colours(scene):
    asked = queried(scene)
    figure = figures.queried_maps(scene, {"margin": asked, "random": asked[asked["cycle"] < 2]})
    for axis, count in zip(figure.axes, (11, 8), strict=False):
        assert len(axis.collections[0].get_offsets()) == count
        assert axis.collections[0].get_clim() == (0, 2)
    assert figure.axes[0].get_xlabel() == "column (pixels)"
