"""Scores, calibration, entropy and floors against their definitions, written out as loops."""

from math import isnan, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cpdgal
from cpdgal.metrics import (
    accuracy_by_entropy,
    accuracy_over_distance,
    area_under_curve,
    calibration_error,
    class_balance,
    entropy,
    entropy_histogram,
    linear_probe,
    mean_entropy,
    model_improvement,
    neighbour_purity,
    reliability,
    separation,
)


def test_scores_against_their_definitions():
    true, predicted = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1, 0, 3])
    measured = cpdgal.scores(true, predicted)
    assert measured["OA"] == pytest.approx(100 * 4 / 7)
    assert measured["AA"] == pytest.approx(100 * (3 / 4 + 1 / 2 + 0) / 3)
    chance = (4 * 4 + 2 * 2) / 49
    assert measured["kappa"] == pytest.approx(100 * (4 / 7 - chance) / (1 - chance))
    np.testing.assert_allclose(cpdgal.class_accuracies(true, predicted, 5), [75, 50, 0, np.nan, np.nan])


def one_of(confidence, k, dtype=float):
    """(n, k) probabilities whose largest, of class 0, is the confidence; k large enough that it can be the largest."""
    p = np.empty((len(confidence), k), dtype)
    p[:, 0] = confidence
    p[:, 1:] = ((1 - p[:, 0]) / (k - 1))[:, None]
    return p


@st.composite
def predictions(draw):
    """Classes (n,) and probabilities (n, k), some of them 0 and 1 exactly."""
    n, k = draw(st.integers(1, 40)), draw(st.integers(2, 6))
    weights = np.array(draw(st.lists(st.lists(st.integers(0, 9), min_size=k, max_size=k), min_size=n, max_size=n)), dtype=float)
    weights[weights.sum(1) == 0, draw(st.integers(0, k - 1))] = 1
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    true = np.array(draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    return true, (weights / weights.sum(1, keepdims=True)).astype(dtype)


@settings(deadline=None, max_examples=60)
@given(predictions(), st.integers(1, 20))
def test_the_reliability_diagram_is_a_loop_over_bins(predicted, bins):
    true, probabilities = predicted
    confidence, right = probabilities.max(1), probabilities.argmax(1) == true
    table = reliability(true, probabilities, bins)
    assert list(table) == ["count", "confidence", "accuracy"]
    assert len(table) == bins
    assert table["count"].sum() == len(true)
    error = 0
    for b, row in table.iterrows():
        # An edge such as 1/3 is none that a float32 can lie on: there, the bin that its product rounds to.
        inside = (confidence * bins > b) & (confidence * bins <= b + 1)
        assert row["count"] == inside.sum()
        if not inside.any():
            assert isnan(row.confidence)
            assert isnan(row.accuracy)
            continue
        assert b / bins - 1e-6 < row.confidence < (b + 1) / bins + 1e-6
        assert row.confidence == pytest.approx(confidence[inside].mean(dtype=float))
        assert row.accuracy == pytest.approx(right[inside].mean())
        error += inside.sum() / len(true) * abs(right[inside].mean() - confidence[inside].mean(dtype=float))
    assert calibration_error(table) == pytest.approx(100 * error, abs=1e-9)
    assert 0 <= calibration_error(table) <= 100


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bins", [4, 10, 15])
def test_a_confidence_on_an_edge_belongs_to_the_bin_below(bins, dtype):
    probabilities = one_of(np.arange(1, bins + 1) / bins, bins + 1, dtype)
    assert reliability(np.zeros(bins, int), probabilities, bins)["count"].tolist() == [1] * bins


def test_certain_predictions_are_in_the_last_bin():
    table = reliability(np.array([0, 1, 1, 1]), np.eye(2)[[0, 0, 1, 1]])
    assert table["count"].tolist() == [0] * 14 + [4]
    assert table.iloc[-1].tolist() == [4, 1, 0.75]
    assert calibration_error(table) == 25


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 8)), min_size=1, max_size=12))
def test_predictions_as_sure_as_they_are_right_have_no_calibration_error(groups):
    """Groups of predictions, of which the share that is right is their confidence."""
    rights, confidence = [], []
    for right, wrong in groups:
        rights += [1] * right + [0] * wrong
        confidence += [right / (right + wrong)] * (right + wrong)
    table = reliability(1 - np.array(rights), one_of(confidence, 10))
    assert calibration_error(table) == pytest.approx(0, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(predictions(), st.integers(1, 20))
def test_the_entropy_histogram_is_a_loop_over_pixels(predicted, bins):
    _, probabilities = predicted
    relative = [-sum(float(p) * log(p) for p in row if p > 0) / log(len(row)) for row in probabilities]
    counts = entropy_histogram(probabilities, bins)
    assert counts.shape == (bins,)
    assert counts.sum() == len(probabilities)
    for b in range(1, bins):  # up to every edge; how an entropy is rounded decides where it falls on one
        surely, perhaps = (sum(value < b / bins + off for value in relative) for off in (-1e-6, 1e-6))
        assert surely <= counts[:b].sum() <= perhaps


def test_entropy_at_its_ends():
    ends = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    np.testing.assert_allclose(entropy(ends) / log(2), [0, 1, 2], atol=1e-15)
    for k in (2, 3, 4, 7, 16):
        for dtype in (np.float32, np.float64):
            assert entropy_histogram(np.eye(k, dtype=dtype)).tolist() == [k] + [0] * 9
            assert entropy_histogram(np.full((3, k), 1 / k, dtype)).tolist() == [0] * 9 + [3]
    assert entropy_histogram(np.empty((0, 4))).tolist() == [0] * 10


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 50)), min_size=1, max_size=10))
def test_model_improvement_is_a_loop_over_looks(looks):
    accuracies, labels = [accuracy for accuracy, _ in looks], np.cumsum([asked for _, asked in looks])
    gains, each = model_improvement(accuracies, labels)
    assert len(gains) == len(each) == len(looks)
    assert isnan(gains[0])
    assert isnan(each[0])
    for i in range(1, len(looks)):
        gain = (accuracies[i] - accuracies[i - 1]) / 100
        assert gains[i] == pytest.approx(gain)
        assert each[i] == pytest.approx(gain / looks[i][1])
    assert gains[1:].sum() == pytest.approx((accuracies[-1] - accuracies[0]) / 100, abs=1e-12)


def test_accuracy_over_distance():
    """One labelled pixel in a corner of a full scene: every distance is known, and only what is near is right."""
    labels = np.ones((5, 5), dtype=int)
    labels[0, 0] = 2
    scene = cpdgal.Scene(np.zeros((5, 5, 2)), labels)
    others = np.arange(1, 25)
    distance = scene.pixels[others].max(1)
    table = accuracy_over_distance(scene, np.array([0]), others, distance <= 2, least=4)
    assert table.distance.tolist() == [2, 3, 4]  # three pixels at distance 1 are too few
    assert table.accuracy.tolist() == [100, 0, 0]
    assert len(accuracy_over_distance(scene, np.array([0]), others, distance <= 2, least=3)) == 4


def test_mean_entropy_is_that_of_bin_centres():
    histograms = np.array([[3, 1, 0, 0, 0], [0, 0, 0, 0, 2], [0, 0, 0, 0, 0]])
    np.testing.assert_allclose(mean_entropy(histograms), [(3 * 0.1 + 0.3) / 4, 0.9, np.nan])


@given(st.integers(0, 2**32 - 1))
def test_the_estimate_is_off_by_half_a_bin_at_most(seed):
    drawn = np.random.default_rng(seed).dirichlet(np.full(5, 0.5), size=40)
    assert abs(mean_entropy(entropy_histogram(drawn)) - entropy(drawn).mean() / log(5)) <= 0.05 + 1e-9


def test_accuracy_by_entropy():
    """Certain pixels, of which two in three are right, and pixels with no idea, which are never right."""
    certain, even = [1.0, 0.0], [0.5, 0.5]
    table = accuracy_by_entropy(np.array([0, 0, 1, 1]), np.array([certain, certain, certain, even]), bins=4)
    assert table["count"].tolist() == [3, 0, 0, 1]
    np.testing.assert_allclose(table.accuracy, [200 / 3, np.nan, np.nan, 0])


def test_purity_is_a_loop_over_neighbours():
    rng = np.random.default_rng(0)
    points, classes = rng.normal(size=(30, 3)), rng.integers(0, 3, 30)
    same = []
    for i, point in enumerate(points):
        nearest = sorted((j for j in range(30) if j != i), key=lambda j: np.linalg.norm(points[j] - point))[:4]
        same += [classes[j] == classes[i] for j in nearest]
    assert neighbour_purity(points, classes, 4) == pytest.approx(100 * np.mean(same))


def test_what_is_far_apart_is_separated():
    """Two heaps a hundred times as far apart as they are wide; with the classes dealt across them nothing is left."""
    rng = np.random.default_rng(0)
    heap = np.tile([0, 1], 100)
    points = 100 * heap[:, None] + rng.normal(size=(200, 2))
    apart, across = separation(points, heap), separation(points, np.repeat([0, 1, 0, 1], 50))
    assert apart["silhouette, hundredths"] > 95
    assert apart["purity, %"] == apart["linear probe, %"] == 100
    assert across["silhouette, hundredths"] < 1
    assert 40 < across["purity, %"] < 60


def test_the_probe_is_judged_on_what_it_did_not_see():
    points = np.array([[0.0], [0.1], [1.0], [1.1], [0.0], [1.0], [0.9], [0.1]])
    assert linear_probe(points, np.array([0, 0, 1, 1, 0, 1, 0, 1])) == 50  # the last two are mislabelled


def test_the_area_under_a_curve_is_its_mean_height():
    assert area_under_curve([50, 150, 350], [40.0, 40.0, 40.0]) == pytest.approx(40)
    assert area_under_curve([0, 100, 300], [10.0, 30.0, 50.0]) == pytest.approx((100 * 20 + 200 * 40) / 300)
    assert area_under_curve([0, 50, 100], [0.0, np.nan, 100.0]) == pytest.approx(50)  # a look that was not taken
    assert area_under_curve([0, 100], [np.nan, 70.0]) == 70


def test_the_balance_of_labels_over_classes():
    even = class_balance(np.full(8, 5), np.arange(8))
    assert even == {"evenness": pytest.approx(1), "seen": 8, "rarest": pytest.approx(25)}
    lopsided = class_balance([0, 6, 2, 0], [100, 50, 7, 8])  # class 2 is the rarest of four
    share = 0.75
    assert lopsided["evenness"] == pytest.approx(-(share * log(share) + (1 - share) * log(1 - share)) / log(4))
    assert (lopsided["seen"], lopsided["rarest"]) == (2, pytest.approx(25))
    assert class_balance([3, 0], [1, 2]) == {"evenness": 0, "seen": 1, "rarest": 100}
