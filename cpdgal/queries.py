"""Section 2.5: which pixels of the pool to label next.

A strategy takes the class probabilities (n, k) of the pool and a generator, and gives each pixel a score (n,): the
smallest scores are labelled next.
"""

import numpy as np


def margin(probabilities: np.ndarray, k: int = 3) -> np.ndarray:
    """U(x) = P(top) - P(k-th top) of Section 2.5, (n, classes) -> (n,); the smallest is the most uncertain."""
    probabilities = np.asarray(probabilities)
    classes = probabilities.shape[1]
    if not 2 <= k <= classes:
        raise ValueError(f"the k-th margin needs k from 2 to the number of classes, {classes}, not {k}")
    ranked = np.sort(probabilities, axis=1)
    return ranked[:, -1] - ranked[:, -k]


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Predictive entropy in nats, (n, k) -> (n,)."""
    p = np.asarray(probabilities, dtype=float)
    return -np.sum(p * np.log(np.maximum(p, np.finfo(float).tiny)), axis=1)


STRATEGIES = {
    "margin": lambda p, rng: margin(p, k=min(3, p.shape[1])),  # the paper's
    "usual-margin": lambda p, rng: margin(p, k=2),
    "entropy": lambda p, rng: -entropy(p),
    "least-confidence": lambda p, rng: p.max(axis=1),
    "random": lambda p, rng: rng.random(len(p)),
}


def strategy(name: str):
    """The strategy of that name; ``ValueError`` for one that does not exist."""
    if name not in STRATEGIES:
        raise ValueError(f"no query strategy is called {name!r}; known are {', '.join(STRATEGIES)}")
    return STRATEGIES[name]


def select(name: str, probabilities: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Positions (count,) of the pixels to label next by a strategy, the most wanted first; all when fewer are left."""
    return np.argsort(strategy(name)(np.asarray(probabilities), rng), kind="stable")[:count]
