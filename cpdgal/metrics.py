"""How good a map is."""

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, cohen_kappa_score, recall_score


def scores(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Overall accuracy, average accuracy (the mean over the classes present in `true`) and Cohen's kappa, in percent."""
    return {
        "OA": 100 * accuracy_score(true, predicted),
        "AA": 100 * recall_score(true, predicted, labels=np.unique(true), average="macro", zero_division=0),
        "kappa": 100 * cohen_kappa_score(true, predicted),
    }


def class_accuracies(true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(k,) the accuracy of each class in percent; NaN for a class that `true` does not hold."""
    accuracies = 100 * recall_score(true, predicted, labels=np.arange(classes), average=None, zero_division=0)
    return np.where(np.isin(np.arange(classes), true), accuracies, np.nan)


def reliability(true: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> pd.DataFrame:
    """Reliability diagram: pixels by the probability of their predicted class, in equal bins of (0, 1].

    One row a bin: `count`, mean `confidence` and `accuracy` (both 0..1, NaN where no pixel falls).
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == true
    at = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(at, minlength=bins)
    sums = [np.bincount(at, values, minlength=bins) for values in (confidence, right)]
    with np.errstate(invalid="ignore"):
        mean_confidence, accuracy = (total / count for total in sums)
    return pd.DataFrame({"count": count, "confidence": mean_confidence, "accuracy": accuracy})


def calibration_error(table: pd.DataFrame) -> float:
    """Expected calibration error in percent, from the bins of `reliability` (Guo et al., 2017)."""
    gaps = (table.accuracy - table.confidence).abs() * table["count"]
    return float(100 * gaps.sum() / table["count"].sum())


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Predictive entropy in nats, (n, k) -> (n,)."""
    p = np.asarray(probabilities, dtype=float)
    return -np.sum(p * np.log(np.maximum(p, np.finfo(float).tiny)), axis=1)


def entropy_histogram(probabilities: np.ndarray, bins: int = 10) -> np.ndarray:
    """(bins,) pixels by predictive entropy over log k, in equal bins of 0..1 (open decision 13)."""
    relative = entropy(probabilities) / np.log(probabilities.shape[1])
    return np.histogram(np.clip(relative, 0, 1), bins, (0, 1))[0]


def mean_entropy(histograms: np.ndarray) -> np.ndarray:
    """(...,) mean predictive entropy over log k, 0..1, estimated from histograms (..., bins): each pixel counts as its bin's
    centre, so the estimate is off by at most half a bin. NaN for an empty histogram."""
    bins = histograms.shape[-1]
    with np.errstate(invalid="ignore"):
        return histograms @ ((np.arange(bins) + 0.5) / bins) / histograms.sum(-1)


def model_improvement(accuracies, labels) -> tuple[np.ndarray, np.ndarray]:
    """EMI, read as the gain in accuracy since the last look at the hold-out (open decision 12).

    ``accuracies`` (n,) in percent and ``labels`` (n,) at each look -> the gain as a fraction (n,), and that per label
    asked for since (n,); NaN at the first, and per label where none was asked for.
    """
    gain = np.diff(np.asarray(accuracies, dtype=float), prepend=np.nan) / 100
    asked = np.diff(np.asarray(labels, dtype=float), prepend=np.nan)
    return gain, gain / np.where(asked > 0, asked, np.nan)
