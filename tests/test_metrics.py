"""Scores, calibration, entropy and floors against their definitions, written out as loops."""

from math import isnan, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cpdgal
from cpdgal.metrics import calibration_error, entropy, entropy_histogram, model_improvement, reliability


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
