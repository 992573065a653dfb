"""The next pixels of a scene to label, chosen from the labels so far.

They are chosen as a cycle of `active_learning` does: a person who gives the labels of the ground truth gets the loop's queries,
at the same seed, first labels and candidates.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from .active import Loop
from .assess import ClassMap
from .methods import METHODS
from .queries import BALANCED, Candidates, select
from .scenes import Scene
from .study import Study
from .training import State
from .windows import Projection

SAMPLE = 10_000  # candidates that a strategy looks at where its time or memory grows faster than their number
SAMPLED = ("badge", "bald", "core-set", "farthest-first", "typiclust")
UNTRAINED = ("core-set", "farthest-first", "random", "typiclust")  # strategies that need no network: they take spectra as well
# What a labelling has no use for: it has no pool and no test pixels, and a person gives as many labels as they like.
FOREIGN = "split pool initial per_class acquired cycles stratified score_every judged stratified_pool pca block gap folds fold"
FOREIGN += " train_path train_key test_path test_key checksum"


def suggest(
    scene: Scene, labelled, count: int, *, query="margin", distance=0, seed=0, among=None, progress=True, **values
) -> pd.DataFrame:
    """The next pixels of a scene to label, the most wanted first: a table of row and column, and x and y where known.

    A network is trained on the labels and asked about every pixel that has data. Where fewer than two classes are labelled yet,
    the pixels are the most typical ones of clusters of spectra (TypiClust), or as the strategy chooses them from spectra.

    Args:
        scene: its own ground truth, where it has one, is not looked at.
        labelled: a table of row, column and class, a whole number from 1, or 0 for a pixel that is not to be asked for; its
            order decides the order of training. Or classes (height, width), 0 where unlabelled. Or None.
        count: so many pixels, or all that are left.
        query: a strategy of `cpdgal.queries.STRATEGIES`. One that compares features looks at 10 000 candidates at random.
        distance: no two of the pixels lie closer than this many pixels, in rows and in columns alike.
        seed: decides weights, batches, noise and random choices.
        among: (height, width) not 0 where a pixel may be asked for.
        values: any other value of a `Study`, such as ``epochs=100``; its profile is "quick" unless named.

    Raises ``ValueError`` for labels off the scene and for values that cannot be, and where no pixel is left.
    """
    study = labelling_study({"scene": scene.name, "query": query, "seed": seed, **values})
    found = next_pixels(scene, study, _table(labelled, scene), None, count, distance, among, {}, progress)
    return ClassMap.grid(scene).placed(pd.DataFrame(found.pixels, columns=["row", "column"]))


@dataclass(frozen=True, eq=False)
class Suggestion:
    """The pixels to label next, and what they come from."""

    pixels: np.ndarray  # (n, 2) rows and columns, the most wanted first
    losses: list[float]  # of the training, by epoch; empty where nothing was trained
    note: str  # where the pixels are chosen from less than all candidates, or without a network
    before: np.ndarray | None  # (m, k) class probabilities of the round before, where it had the same classes
    now: np.ndarray | None  # and of this one, for the same candidates
    state: State  # what the next round depends on
    network: State | None = None  # the trained weights, and what goes with them
    projection: Projection | None = None


def next_pixels(
    scene: Scene,
    study: Study,
    points: pd.DataFrame,
    classes: list[int] | None,
    count: int,
    distance: int,
    among: np.ndarray | None,
    state: State,
    progress: bool,
) -> Suggestion:
    """One round: train on the points (row, column, class) and choose pixels. `classes` are those there may be, or None for
    those there are; `state` is the last round's, or empty. Positions count all pixels of the scene, row by row."""
    height, width = scene.labels.shape
    at, given = points.row.to_numpy() * width + points.column.to_numpy(), points["class"].to_numpy()
    labelled, seen = at[given > 0], np.unique(given[given > 0])
    allowed = np.ones(height * width, dtype=bool) if scene.mask is None else ~scene.mask.ravel()
    if (blank := ~allowed[labelled]).any():
        row, column = divmod(int(labelled[blank][0]), width)
        raise ValueError(f"{scene.name}: the pixel at row {row}, column {column} is labelled and has no data; remove its label")
    if among is not None:
        among = np.asarray(among)
        if among.shape != (height, width):
            raise ValueError(
                f"{scene.name} is {height} x {width} pixels and the candidates {among.shape}; give a mask of its pixels"
            )
        allowed &= among.ravel() != 0
    allowed[at[given == 0]] = False
    pool = np.flatnonzero(allowed)
    if len(np.setdiff1d(pool, labelled)) == 0:
        raise ValueError(f"{scene.name}: every pixel that may be asked for is labelled or skipped; there is nothing to ask for")
    if count < 1 or distance < 0:
        raise ValueError(f"a round asks for 1 pixel at least, at a distance from 0 up, not for {count} at {distance}")
    with _one_core():
        windows = study.make_windows(scene, None)  # type: ignore[arg-type]  # no projection is fitted on a pool here
        if len(seen) < 2:
            return _untrained(scene, study, windows, pool, at, labelled, count, distance)
        values = seen if classes is None else np.array(sorted(classes))
        targets = np.full(height * width, -1)
        targets[labelled] = np.searchsorted(values, given[given > 0])
        return _trained(scene, study, windows, pool, labelled, targets, values, count, distance, state, progress)


def _trained(
    scene, study, windows, pool, labelled, targets, values, count, distance, state: State, progress: bool
) -> Suggestion:
    """A round of the loop, which sees every pixel of the scene as a labelled one of these targets."""
    pixels = np.indices(scene.labels.shape).reshape(2, -1).T
    windows.scene = SimpleNamespace(pixels=pixels, targets=targets, classes=len(values))
    network, split = study.network(windows.channels, len(values)), SimpleNamespace(pool=pool)
    loop = Loop(network, windows, split, study.protocol, study.query, study.seed, study.draws, labelled)  # type: ignore[arg-type]
    round_, comparable = 0, "values" in state and np.array_equal(state["values"].numpy(), values)
    if "values" in state:
        if not comparable:  # other outputs: the weights start anew, and chance goes on
            own = {name: each for name, each in state.items() if not name.startswith(("model.", "optimizer."))}
            state = {**own, **loop.learner.state()}
        round_ = loop.restore(state)
        loop.label(labelled)
    with tqdm(total=study.epochs, desc="training", unit="epoch", leave=False, disable=not progress) as bar:
        losses = loop.learner.fit(labelled, loop.generator, bar, {}, None)
    loop.look_at_the_rest(progress)
    left, now, note, before = loop.left, loop.candidates, "", None
    if study.query.removeprefix(BALANCED) in SAMPLED and len(left) > SAMPLE:
        some = np.sort(loop.query_rng.choice(len(left), SAMPLE, replace=False))
        loop.left, loop.candidates, note = left[some], now[some], _sampled(len(left))
    chosen = pixels[loop.ask(count, distance)]
    kept = {"candidates": now, "left": left, "values": values}
    after = {**loop.state(round_), **{name: torch.from_numpy(each) for name, each in kept.items()}}
    if comparable:
        _, then, here = np.intersect1d(state["left"].numpy(), left, return_indices=True)
        before, now = state["candidates"].numpy()[then], now[here]
    return Suggestion(chosen, losses, note, before, now, after, network.state_dict(), windows.projection)


def _untrained(scene, study, windows, pool, at, labelled, count, distance) -> Suggestion:
    """A round that no network can be trained for, since no two classes are labelled: chosen from projected spectra."""
    rng = np.random.default_rng(np.random.SeedSequence(study.seed, spawn_key=(5, len(at))))
    query = study.query if study.query in UNTRAINED else "typiclust"
    left = np.setdiff1d(pool, labelled)
    note = f"fewer than two classes are labelled, so no network is trained: chosen from the spectra by {query}"
    some = left
    if query in SAMPLED and len(left) > SAMPLE:
        some = np.sort(rng.choice(left, SAMPLE, replace=False))
        note += f", {_sampled(len(left))}"
    cube, width = scene.cube.reshape(-1, scene.bands), scene.labels.shape[1]

    def features() -> tuple[np.ndarray, np.ndarray]:
        scores = windows.projection.pipeline.transform(cube[np.concatenate([some, labelled])])
        return scores[: len(some)], scores[len(some) :]

    new, known = (np.stack(np.divmod(positions, width), axis=1) for positions in (some, labelled))
    chosen = select(query, Candidates(np.empty((len(some), 0)), new, known, features), count, rng, distance)
    return Suggestion(new[chosen], [], note, None, None, {})


def _sampled(count: int) -> str:
    return f"among {SAMPLE:,} of the {count:,} candidates, drawn at random"


@contextmanager
def _one_core() -> Iterator[None]:
    """One core, as `cpdgal.run` has it: numbers do not depend on how many there are."""
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def labelling_study(values: Mapping) -> Study:
    """The study of a labelling; ``ValueError`` for values that it has no use for, and for a method that is no network."""
    if foreign := sorted({*values} & {*FOREIGN.split()}):
        raise ValueError(f"a labelling has no pool and no test pixels, so it takes no {', '.join(foreign)}; leave that out")
    study = Study(**{"profile": "quick", **values})
    if METHODS[study.method].kind == "floor":
        raise ValueError(f"{study.method} is never unsure, so it has nothing to ask; name a network, such as cpdgal")
    return study


def _table(labelled, scene: Scene) -> pd.DataFrame:
    """Points (row, column, class) of labels in any form."""
    shape = scene.labels.shape
    if labelled is None:
        labelled = np.zeros(shape, dtype=int)
    if not isinstance(labelled, pd.DataFrame):
        classes = np.asarray(labelled)
        if classes.shape != shape:
            raise ValueError(
                f"{scene.name} is {shape[0]} x {shape[1]} pixels and the labels {classes.shape}; give those of its pixels"
            )
        rows, columns = np.nonzero(classes)
        labelled = pd.DataFrame({"row": rows, "column": columns, "class": classes[rows, columns]})
    if missing := {"row", "column", "class"} - {*labelled}:
        raise ValueError(f"the labels have no {min(missing)}; give a table of row, column and class")
    points = labelled[["row", "column", "class"]]
    numbers = points.to_numpy()
    whole = not len(points) or numbers.dtype.kind in "iu"
    if not whole or (numbers < 0).any() or (numbers[:, :2] >= shape).any() or points.duplicated(["row", "column"]).any():
        raise ValueError(f"labels are whole numbers: rows and columns of {scene.name}, each pixel once, and classes from 1")
    return points.astype(int)
