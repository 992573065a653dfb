"""Section 2.5: which pixels of the pool to label next, and when to stop.

A strategy gets the `Candidates` and gives their positions in the order in which it wants them labelled. The paper's
and the usual uncertainties are written here; strategies that look at features or at repeated draws are scikit-activeml's.
The paper stops after a fixed number of cycles; the rules at the foot look at the models instead, and need no truth.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from .metrics import entropy


def _not_given():
    raise ValueError("this query strategy looks at features or draws, which these candidates do not have")


@dataclass(frozen=True, eq=False)
class Candidates:
    """What a strategy may look at: n pixels that may be asked for, and m that are labelled already."""

    probabilities: np.ndarray  # (n, k)
    pixels: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))  # (n, 2) rows and columns
    labelled_pixels: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))  # (m, 2)
    features: Callable[[], tuple[np.ndarray, np.ndarray]] = _not_given  # (n, d) and (m, d), computed when asked for
    draws: Callable[[], np.ndarray] = _not_given  # (draws, n, k) by repeated draws of DGFR, computed when asked for

    def after(self, chosen: list[int], left: np.ndarray) -> "Candidates":
        """The candidates that are `left` where the `chosen` count as labelled; both are positions among these."""

        def features():
            new, labelled = self.features()
            return new[left], np.concatenate([labelled, new[chosen]])

        labelled = np.concatenate([self.labelled_pixels, self.pixels[chosen]])
        return Candidates(self.probabilities[left], self.pixels[left], labelled, features, lambda: self.draws()[:, left])


def margin(probabilities: np.ndarray, k: int = 3) -> np.ndarray:
    """U(x) = P(top) - P(k-th top) of Section 2.5, (n, classes) -> (n,); the smallest is the most uncertain."""
    probabilities = np.asarray(probabilities)
    classes = probabilities.shape[1]
    if not 2 <= k <= classes:
        raise ValueError(f"the k-th margin needs k from 2 to the number of classes, {classes}, not {k}")
    ranked = np.sort(probabilities, axis=1)
    return ranked[:, -1] - ranked[:, -k]


def _smallest(score: Callable[[np.ndarray], np.ndarray]):
    """The strategy that wants the smallest scores of the class probabilities first."""
    return lambda candidates, count, rng: np.argsort(score(candidates.probabilities), kind="stable")[:count]


def _random(candidates: Candidates, count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(len(candidates.probabilities))[:count]


def _badge(candidates: Candidates, count: int, rng: np.random.Generator) -> np.ndarray:
    """Diverse and uncertain gradient embeddings (Ash et al., 2020)."""
    new = candidates.features()[0].astype(float)
    positions, unknown = (
        np.arange(len(new))[:, None],
        np.full(len(new), np.nan),
    )  # it sees features through the classifier alone
    given = _given(candidates.probabilities, new)
    chosen = _activeml("Badge", rng).query(positions, unknown, given, fit_clf=False, batch_size=count)
    return _filled(chosen, len(new), count, rng)


def _core_set(candidates: Candidates, count: int, rng: np.random.Generator, points=None) -> np.ndarray:
    """Cover the feature space: the candidate farthest from everything labelled, again and again (Sener & Savarese, 2018)."""
    new, labelled = points or candidates.features()
    return _query(_activeml("CoreSet", rng), new, labelled, count)


def _farthest_first(candidates: Candidates, count: int, rng: np.random.Generator) -> np.ndarray:
    """CoreSet on rows and columns: spread the labels over the map. It shows what place alone is worth."""
    return _core_set(candidates, count, rng, (candidates.pixels.astype(float), candidates.labelled_pixels.astype(float)))


def _typiclust(candidates: Candidates, count: int, rng: np.random.Generator) -> np.ndarray:
    """The most typical pixel of every large cluster without a label (Hacohen et al., 2022)."""
    new, labelled = (each.astype(float) for each in candidates.features())
    _, first = np.unique(np.concatenate([labelled, new]), axis=0, return_index=True)  # there are no more clusters than these
    first, m = np.sort(first), len(labelled)
    fresh, chosen = first[first >= m] - m, []
    if len(fresh):
        count_fresh = min(count, len(fresh))
        chosen = fresh[_query(_activeml("TypiClust", rng), new[fresh], labelled[first[first < m]], count_fresh)]
    return _filled(chosen, len(new), count, rng)


def _bald(candidates: Candidates, count: int, rng: np.random.Generator) -> np.ndarray:
    """What the draws of DGFR disagree about: mutual information of class and draw (Houlsby et al., 2011)."""
    members = [_given(probabilities) for probabilities in candidates.draws()]
    positions = np.arange(len(candidates.probabilities))[:, None]
    unknown = np.full(len(positions), np.nan)
    return _activeml("GreedyBALD", rng).query(positions, unknown, members, fit_ensemble=False, batch_size=count)


STRATEGIES = {
    "margin": _smallest(lambda p: margin(p, k=min(3, p.shape[1]))),  # the paper's
    "usual-margin": _smallest(lambda p: margin(p, k=2)),
    "entropy": _smallest(lambda p: -entropy(p)),
    "least-confidence": _smallest(lambda p: p.max(axis=1)),
    "random": _random,
    "badge": _badge,
    "core-set": _core_set,
    "typiclust": _typiclust,
    "bald": _bald,
    "farthest-first": _farthest_first,
}
BALANCED = "balanced-"  # before a strategy's name: the same, with its queries spread over the predicted classes


def strategy(name: str):
    """The strategy of that name; ``ValueError`` for one that does not exist."""
    if name.startswith(BALANCED) and name.removeprefix(BALANCED) in STRATEGIES:
        return _balanced(STRATEGIES[name.removeprefix(BALANCED)])
    if name not in STRATEGIES:
        raise ValueError(f"no query strategy is called {name!r}; known are {', '.join(STRATEGIES)}, and each after {BALANCED}")
    return STRATEGIES[name]


def select(name: str, candidates, count: int, rng: np.random.Generator, distance: int = 0) -> np.ndarray:
    """Positions (count,) of the pixels to label next by a strategy, the most wanted first; all when fewer are left.

    ``candidates`` are `Candidates`, or just class probabilities (n, k) where the strategy needs no more. With a ``distance``
    no two of the pixels lie closer, in rows and in columns alike; there may be fewer then.
    """
    if not isinstance(candidates, Candidates):
        candidates = Candidates(np.asarray(candidates))
    if distance > 1:
        return _apart(name, candidates, count, rng, distance)
    count = min(count, len(candidates.probabilities))
    return np.asarray(strategy(name)(candidates, count, rng)) if count else np.empty(0, dtype=int)


def _apart(name: str, candidates: Candidates, count: int, rng: np.random.Generator, distance: int) -> np.ndarray:
    """The strategy's order without what lies too close to a pixel before it; it is asked again for what that leaves out."""
    candidates = replace(candidates, features=cache(candidates.features), draws=cache(candidates.draws))
    chosen: list[int] = []
    far = np.ones(len(candidates.pixels), dtype=bool)
    while len(chosen) < count and far.any():
        left = np.flatnonzero(far)
        for position in left[select(name, candidates.after(chosen, left), count - len(chosen), rng)]:
            if far[position]:
                chosen.append(int(position))
                far &= abs(candidates.pixels - candidates.pixels[position]).max(1) >= distance
    return np.array(chosen, dtype=int)


def _balanced(base):
    """Take the base strategy's order in turns, one pixel of every predicted class at a time."""

    def balanced(candidates: Candidates, count: int, rng: np.random.Generator) -> np.ndarray:
        order = base(candidates, len(candidates.probabilities), rng)
        predicted = candidates.probabilities[order].argmax(1)
        turn = np.zeros(len(order), dtype=int)
        for k in np.unique(predicted):
            turn[predicted == k] = np.arange((predicted == k).sum())
        return order[np.argsort(turn, kind="stable")][:count]

    return balanced


def _activeml(name: str, rng: np.random.Generator):
    """A strategy of scikit-activeml, which is slow to import."""
    from skactiveml import pool

    return getattr(pool, name)(random_state=int(rng.integers(2**31)))


def _query(strategy, new: np.ndarray, labelled: np.ndarray, count: int) -> np.ndarray:
    """What a strategy of scikit-activeml picks from points (n, d) beside labelled ones (m, d), of whatever class."""
    targets = np.concatenate([np.full(len(new), np.nan), np.zeros(len(labelled))])
    return strategy.query(np.concatenate([new, labelled]), targets, batch_size=count)


def _filled(chosen, n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """What is chosen from n, each once, and as many more at random: where points coincide, scikit-activeml repeats itself."""
    chosen = np.array(list(dict.fromkeys(chosen)), dtype=int)
    rest = np.setdiff1d(np.arange(n), chosen)
    return np.concatenate([chosen, rng.permutation(rest)[: count - len(chosen)]])


def _given(probabilities: np.ndarray, features: np.ndarray | None = None):
    """A classifier of scikit-activeml that answers from what is known, asked for by position."""
    from skactiveml.base import SkactivemlClassifier

    class Given(SkactivemlClassifier):
        def fit(self, X, y):
            return self

        def predict_proba(self, X):
            at = np.asarray(X)[:, 0].astype(int)
            return probabilities[at] if features is None else (probabilities[at], features[at])

    classifier = Given(classes=np.arange(probabilities.shape[1]))
    classifier.classes_ = classifier.classes
    return classifier


STABLE, WINDOW = 0.99, 3  # kappa that the mean of so many rounds has to exceed: Bloodgood and Vijay-Shanker's
# Of the largest possible entropy. Zhu et al. leave it to the task: on the book's records a tenth stops far too early, and the
# networks with kept weights are below a hundredth after the paper's 30 cycles.
CERTAIN = 0.01


def agreement(before: np.ndarray, after: np.ndarray) -> float:
    """Cohen's kappa of the classes (n,) that two successive models give the same pixels; 1 where all are the same.

    The n pixels are the stop set: fixed, and large enough to stand for the map. Source: Bloodgood & Vijay-Shanker (2009).
    """
    return 1.0 if np.array_equal(before, after) else float(cohen_kappa_score(before, after))


def settled(agreements, threshold: float = STABLE, window: int = WINDOW) -> np.ndarray:
    """(n,) whether predictions are stable in each round: the mean of the last `window` of `agreements` (n,) exceeds the
    threshold. NaN stands for a round with none before it (Bloodgood & Vijay-Shanker, 2009)."""
    return (pd.Series(agreements, dtype=float).rolling(window).mean() > threshold).to_numpy()


def overall_uncertainty(probabilities: np.ndarray) -> float:
    """Mean predictive entropy over log k of what is left of the pool, (n, k) -> 0..1; 0 where nothing is left.

    Source: Zhu, Wang, Hovy & Ma (2010), divided by log k so that a threshold fits any number of classes.
    """
    n, k = np.shape(probabilities)
    return float(entropy(probabilities).mean() / np.log(k)) if n else 0.0


def certain(uncertainties, threshold: float = CERTAIN) -> np.ndarray:
    """(n,) whether the overall uncertainty (n,) is at most the threshold in each round (Zhu et al., 2010)."""
    return np.asarray(uncertainties, dtype=float) <= threshold


def stopping(agreements, uncertainties) -> str:
    """What both rules say after a round, as one sentence, from the `agreements` (n - 1,) of its models and their overall
    `uncertainties` (n,) so far, n at least 1."""
    stable, sure = bool(settled(agreements)[-1:].any()), bool(certain(uncertainties)[-1])
    advice = ("keep labelling", "one of two rules says stop", "both rules say stop")[stable + sure]
    last = agreements[-WINDOW:]
    agreed = f"a mean kappa of {np.mean(last):.3f} over {len(last)} of {WINDOW} rounds" if len(last) else "unknown yet"
    return (
        f"{advice}: agreement of successive maps {agreed} (stop above {STABLE:g}), overall uncertainty of what is left "
        f"{uncertainties[-1]:.3f} of 1 (stop at {CERTAIN:g} or less)"
    )
