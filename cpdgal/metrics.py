"""How good a map is, and the floors below which an accuracy says nothing."""

import numpy as np
from sklearn.metrics import accuracy_score, cohen_kappa_score, recall_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

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


def coordinates_floor(scene: Scene, labelled: np.ndarray, holdout: np.ndarray) -> np.ndarray:
    """Classes (len(holdout),) from nothing but place: that of the nearest labelled pixel by row and column."""
    classifier = KNeighborsClassifier(1).fit(scene.pixels[labelled], scene.targets[labelled])
    return classifier.predict(scene.pixels[holdout])


def spectra_floor(scene: Scene, labelled: np.ndarray, holdout: np.ndarray) -> np.ndarray:
    """Classes (len(holdout),) from single spectra, without any neighbourhood: a support vector machine, RBF kernel."""
    spectra = scene.cube[tuple(scene.pixels.T)]
    if len(np.unique(scene.targets[labelled])) == 1:
        return np.full(len(holdout), scene.targets[labelled[0]])
    classifier = make_pipeline(StandardScaler(), SVC(C=100)).fit(spectra[labelled], scene.targets[labelled])
    return classifier.predict(spectra[holdout])
