"""How good a map is."""

import numpy as np
import pandas as pd
from scipy.integrate import trapezoid
from scipy.ndimage import distance_transform_cdt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, cohen_kappa_score, recall_score, silhouette_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .scenes import Scene


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


def accuracy_by_entropy(true: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """How often pixels are right by how sure the network is: a row for each equal bin of predictive entropy over log k.

    Columns `count` and `accuracy` (percent, NaN where no pixel falls).
    """
    right = entropy_histogram(probabilities[probabilities.argmax(1) == true], bins)
    count = entropy_histogram(probabilities, bins)
    return pd.DataFrame({"count": count, "accuracy": 100 * right / np.where(count, count, np.nan)})


def neighbour_purity(features: np.ndarray, classes: np.ndarray, neighbours: int = 10) -> float:
    """Percent of the nearest neighbours of each sample, itself not counted, that share its class; features (n, d)."""
    nearest = NearestNeighbors(n_neighbors=neighbours).fit(features).kneighbors(return_distance=False)
    return float(100 * (classes[nearest] == classes[:, None]).mean())


def linear_probe(features: np.ndarray, classes: np.ndarray) -> float:
    """Percent of the second half of the samples that a logistic regression on the first half gets right; features (n, d)."""
    half = len(features) // 2
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(features[:half], classes[:half])
    return float(100 * probe.score(features[half:], classes[half:]))


def separation(features: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """How well classes part in a feature space (n, d): silhouette, `neighbour_purity` and `linear_probe`, each times 100."""
    return {
        "silhouette, hundredths": float(100 * silhouette_score(features, classes)),
        "purity, %": neighbour_purity(features, classes),
        "linear probe, %": linear_probe(features, classes),
    }


def model_improvement(accuracies, labels) -> tuple[np.ndarray, np.ndarray]:
    """EMI, read as the gain in accuracy since the last look at the hold-out (open decision 12).

    ``accuracies`` (n,) in percent and ``labels`` (n,) at each look -> the gain as a fraction (n,), and that per label
    asked for since (n,); NaN at the first, and per label where none was asked for.
    """
    gain = np.diff(np.asarray(accuracies, dtype=float), prepend=np.nan) / 100
    asked = np.diff(np.asarray(labels, dtype=float), prepend=np.nan)
    return gain, gain / np.where(asked > 0, asked, np.nan)


def area_under_curve(labels, accuracies) -> float:
    """The area under a learning curve by the trapezoid rule, over its width in labels: the mean accuracy, in its own unit.

    ``labels`` (n,) and ``accuracies`` (n,), NaN where the hold-out was not looked at; with one look, its accuracy.
    """
    labels, accuracies = np.asarray(labels, dtype=float), np.asarray(accuracies, dtype=float)
    seen = ~np.isnan(accuracies)
    x, y = labels[seen], accuracies[seen]
    return float(trapezoid(y, x) / np.ptp(x)) if len(x) > 1 else float(y.mean())


def class_balance(labels, there) -> dict[str, float]:
    """How evenly labels went to the classes, from the counts (k,) of labels and of the pixels that there are.

    `evenness`, the entropy of the labels' shares over log k, 0..1 (Pielou's); `seen`, the classes with a label; `rarest`,
    the percentage of labels that went to the quarter of the classes with the fewest pixels (at least one class).
    """
    counts, k = np.asarray(labels, dtype=float), len(labels)
    rarest = np.argsort(there, kind="stable")[: max(k // 4, 1)]
    return {
        "evenness": float(entropy(counts[None] / counts.sum())[0] / np.log(k)),
        "seen": int((counts > 0).sum()),
        "rarest": float(100 * counts[rarest].sum() / counts.sum()),
    }


def accuracy_over_distance(scene: Scene, labelled: np.ndarray, judged: np.ndarray, right: np.ndarray, least=200):
    """Accuracy in percent over the distance in pixels, the larger of rows and columns, to the nearest labelled pixel.

    ``labelled`` and ``judged`` are positions of labelled pixels of the scene, ``right`` (len(judged),) whether the answer was.
    A DataFrame with one row a bin of distances that holds `least` pixels: their mean `distance` and `accuracy`.
    """
    taught = np.ones(scene.labels.shape, dtype=int)
    taught[tuple(scene.pixels[labelled].T)] = 0
    distance = distance_transform_cdt(taught, metric="chessboard")[tuple(scene.pixels[judged].T)]
    bins = pd.cut(distance, [0, 1, 2, 3, 4, 6, 9, 13, 18, 25, 35, np.inf])
    judged = pd.DataFrame({"distance": distance, "accuracy": 100.0 * right}).groupby(bins, observed=True)
    return judged.mean()[judged.size() >= least]
