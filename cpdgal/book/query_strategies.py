"""Section 2.5: what each query strategy gains, and where its labels go."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from scipy.spatial import KDTree
from scipy.stats import entropy
from sklearn.metrics import auc

from ..queries import STRATEGIES
from ..study import Study
from .common import studies_of, sweep

QUERIES = (*STRATEGIES, "balanced-margin")


def studies(seeds: Iterable[int], queries: Iterable[str] = QUERIES, **values) -> dict[str, list[Study]]:
    """The studies of each strategy, one a seed; `values` name what they share."""
    return studies_of({query: {"query": query} for query in queries}, seeds, **{"profile": "ablation", **values})


STUDIES = sweep(studies(range(3)))


def area_under_curve(labels, accuracies) -> float:
    """The area under a learning curve by the trapezoid rule, over its width in labels: the mean accuracy, in its own unit.

    `labels` (n,) and `accuracies` (n,), NaN where the hold-out was not evaluated; with one evaluation, its accuracy.
    """
    x, y = np.array([labels, accuracies], dtype=float)[:, ~np.isnan(accuracies)]
    return float(auc(x, y) / np.ptp(x)) if len(x) > 1 else float(y.mean())


def nearest_queried(queried: Mapping[str, pd.DataFrame]) -> str:
    """The mean distance of a queried pixel to the nearest other one, by strategy, for a caption; tables have row and column."""
    means = {}
    for name, table in queried.items():
        tree = KDTree(table[["row", "column"]].to_numpy())
        means[name] = tree.query(tree.data, k=2)[0][:, 1].mean()
    listed = ", ".join(f"{name} {mean:.0f}" for name, mean in sorted(means.items(), key=lambda each: -each[1]))
    return f"Mean distance of a labelled pixel to the nearest other one, in pixels: {listed}."


def class_balance(labels, there) -> dict[str, float]:
    """How evenly labels went to the classes, from the counts (k,) of labels and of the pixels that there are.

    `evenness`, the entropy of the labels' shares over log k, 0..1 (Pielou's); `seen`, the classes with a label; `rarest`,
    the percentage of labels that went to the quarter of the classes with the fewest pixels (at least one class).
    """
    counts = np.asarray(labels)
    rarest = np.argsort(there, kind="stable")[: max(len(counts) // 4, 1)]
    share = float(100 * counts[rarest].sum() / counts.sum())
    return {"evenness": float(entropy(counts, base=len(counts))), "seen": int((counts > 0).sum()), "rarest": share}
