"""Splits: which labelled pixels may be asked for (the pool) and which only judge (the hold-out)."""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import maximum_filter

from .readers import Georeference, SceneError
from .scenes import Scene


@dataclass(frozen=True, eq=False)
class Split:
    """A pool and a hold-out as positions in the list of labelled pixels (``scene.pixels``), each sorted.

    A fixed split is made by giving both. Raises ``ValueError`` when they share a pixel or either is empty.
    """

    pool: np.ndarray
    holdout: np.ndarray

    def __post_init__(self):
        for name in ("pool", "holdout"):
            positions = np.unique(np.asarray(getattr(self, name), dtype=np.int64))
            if not positions.size:
                raise ValueError(f"the {name} of this split is empty; choose another share, block or gap")
            object.__setattr__(self, name, positions)
        if shared := np.intersect1d(self.pool, self.holdout).size:
            raise ValueError(f"pool and hold-out share {shared} pixels; a pixel may be in one of them only")

    def table(self, scene: Scene) -> pd.DataFrame:
        """One row a class: labelled pixels in the scene, in the pool, in the hold-out, and in neither."""
        parts: dict = {"labelled": slice(None), "pool": self.pool, "holdout": self.holdout}
        counted = {part: np.bincount(scene.targets[positions], minlength=scene.classes) for part, positions in parts.items()}
        table = pd.DataFrame(counted, index=pd.Index(scene.class_names, name="class"))
        return table.assign(neither=table.labelled - table.pool - table.holdout)

    def warnings(self, scene: Scene) -> list[str]:
        """A sentence for every class that the pool or the hold-out lacks."""
        table = self.table(scene)
        return [
            f"{name} ({row.labelled} pixels) has no pixel in the {part}"
            for name, row in table.iterrows()
            for part, word in (("pool", "pool"), ("hold-out", "holdout"))
            if row[word] == 0
        ]


def random_split(scene: Scene, share=0.10, *, stratified=True, rng: np.random.Generator) -> Split:
    """The paper's split: a pool of floor(share x labelled) pixels drawn at random, the rest held out.

    ``stratified`` draws from every class in proportion, so that no class is missing from the pool. Neighbours of a
    pool pixel land in the hold-out: such a split rewards memory of place (`block_split` does not).
    """
    everything = np.arange(len(scene.targets))
    pool = draw(everything, scene.targets, portion(share, len(everything)), stratified=stratified, rng=rng)
    return Split(pool, np.setdiff1d(everything, pool))


def block_split(scene: Scene, share=0.10, *, block=15, window=7, gap=None, deals=200, rng: np.random.Generator) -> Split:
    """Blocks of block x block pixels dealt to pool or hold-out, with a gap between the two.

    Hold-out pixels at most ``gap`` rows and columns away from a pool pixel are left out. The default gap, window - 1,
    is the smallest at which no window of the hold-out overlaps a window of the pool. The pool has floor(share x
    labelled) pixels. Of ``deals`` random deals the one that keeps most classes in both parts is taken (then the one
    with the largest hold-out); `Split.warnings` names the classes that could not be kept.
    """
    gap = window - 1 if gap is None else gap
    if block < 1 or gap < 0:
        raise ValueError(f"a block has a side of at least 1 and a gap of at least 0 pixels, not {block} and {gap}")
    target = portion(share, len(scene.pixels))
    parts = [_deal(scene, target, block, gap, rng) for _ in range(deals)]

    def quality(deal):
        pool, holdout = (np.bincount(scene.targets[part], minlength=scene.classes) > 0 for part in deal)
        return (pool & holdout).sum(), len(deal[1])

    return Split(*max(parts, key=quality))


def fold_split(scene: Scene, share=0.10, *, fold=0, folds=4, block=15, window=7, gap=None, rng: np.random.Generator) -> Split:
    """Spatial cross-validation: blocks of block x block pixels dealt into folds, of which one is the test set.

    Class by class, the least spread first, blocks go in random order to the fold that has fewest pixels of the class. The gap
    (window - 1 by default, as for `block_split`) is cut from the training side, so that over all folds of a generator in one
    state every labelled pixel is tested once. The pool has floor(share x labelled) of what is left, from every class in
    proportion. Raises ``ValueError`` where less than that is left.
    """
    gap = window - 1 if gap is None else gap
    block_of, counts = _blocks(scene, block, rng)
    fold_of, held = np.full(len(counts), -1), np.zeros((folds, scene.classes), dtype=int)
    for k in np.argsort((counts > 0).sum(0), kind="stable"):
        for one in rng.permutation(np.flatnonzero((counts[:, k] > 0) & (fold_of < 0))):
            fold_of[one] = np.lexsort((held.sum(1), held[:, k]))[0]
            held[fold_of[one]] += counts[one]
    tested = np.flatnonzero(fold_of[block_of] == fold)
    free = np.setdiff1d(np.flatnonzero(~_near(scene, tested, gap)), tested)
    if len(free) < (target := portion(share, len(scene.pixels))):
        raise ValueError(
            f"{len(free)} pixels are left for a pool of {target}; choose smaller blocks, a smaller gap or more folds"
        )
    return Split(draw(free, scene.targets, target, stratified=True, rng=rng), tested)


def mask_split(scene: Scene, mask: np.ndarray, share=0.10, *, gap=0, rng: np.random.Generator) -> Split:
    """A split by a training mask (height, width) of class values, 0 where it has none: every labelled pixel outside is tested.

    The pool has floor(share x labelled) of the pixels inside, from every class in proportion, of which those at most ``gap``
    rows and columns away from a test pixel are left out, and those whose class in the mask is not the truth's. Raises
    ``ValueError`` for a mask of another shape, and where less than that is left.
    """
    if mask.shape != scene.labels.shape:
        raise ValueError(f"a mask of {mask.shape} does not fit {scene.name}, which has {scene.labels.shape} pixels")
    marked = mask[tuple(scene.pixels.T)]
    tested = np.flatnonzero(marked == 0)
    agree = np.array(scene.label_values)[scene.targets] == marked
    free = np.flatnonzero(agree & ~_near(scene, tested, gap))
    if len(free) < (target := portion(share, len(scene.pixels))):
        raise ValueError(f"{len(free)} pixels of the mask are left for a pool of {target}; choose a smaller gap or share")
    return Split(draw(free, scene.targets, target, stratified=True, rng=rng), tested)


def given_split(scene: Scene, train: np.ndarray, test: np.ndarray | None = None) -> Split:
    """A split by masks (height, width) that are not 0 at training and at test pixels.

    Without `test`, a `train` of 0, 1 and 2 has 1 at training and 2 at test pixels, and one of two values leaves all other
    labelled pixels to the test. Raises ``ValueError`` for a mask of another shape, for pixels in both, and for none.
    """
    for what, mask in (("training", train), ("test", test)):
        if mask is not None and mask.shape != scene.labels.shape:
            raise ValueError(f"the {what} mask is {mask.shape} and {scene.name} {scene.labels.shape}; give masks of its pixels")
    if test is None:
        values = np.unique(train)
        if not np.isin(values, (0, 1, 2)).all():
            raise ValueError("a mask for training and test has 1 at training and 2 at test pixels; else give the test mask too")
        train, test = train == 1, (train == 2 if 2 in values else train != 1)
    at = tuple(scene.pixels.T)
    return Split(np.flatnonzero(train[at]), np.flatnonzero(test[at]))


def raster(scene: Scene, split: Split) -> np.ndarray:
    """uint8 (height, width): 1 at pixels of the pool, 2 at those of the hold-out, 0 elsewhere; `given_split` reads it."""
    marks = np.zeros(scene.labels.shape, dtype=np.uint8)
    for mark, positions in ((1, split.pool), (2, split.holdout)):
        marks[tuple(scene.pixels[positions].T)] = mark
    return marks


def digest(mask: np.ndarray) -> str:
    """SHA-256 of a mask's values as uint8, row by row."""
    return hashlib.sha256(np.ascontiguousarray(mask, dtype=np.uint8).tobytes()).hexdigest()


def write_mask(path: Path, mask: np.ndarray, georeference: Georeference | None) -> None:
    """Write a mask (height, width) as .npy, or as a GeoTIFF in its place on earth; `SceneError` where that lacks rasterio."""
    if path.suffix == ".npy":
        np.save(path, mask)
        return
    try:
        import rasterio
    except ImportError as error:
        raise SceneError("a GeoTIFF needs rasterio; install it with: pip install 'cpdgal[geo]', or write .npy") from error
    about: dict = {"height": mask.shape[0], "width": mask.shape[1], "count": 1, "dtype": "uint8", "compress": "deflate"}
    if georeference:
        about |= {"crs": georeference.crs, "transform": rasterio.Affine(*georeference.transform)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", **about) as file:
            file.write(mask, 1)


def touched(scene: Scene, labelled: np.ndarray, judged: np.ndarray, window: int, reach: int = 0) -> float:
    """Share (0..1) of the judged pixels whose window holds a labelled pixel.

    With ``reach=window // 2`` the share whose window overlaps the window of a labelled pixel.
    """
    return float(_near(scene, labelled, window // 2 + reach)[judged].mean())


def draw(candidates, targets, count: int, *, stratified: bool, rng: np.random.Generator) -> np.ndarray:
    """`count` of the `candidates` (positions) at random, sorted; `targets` are the classes of all positions.

    Stratified: every class gives the same share of its pixels, rounded up, so the rarest gives at least one.
    """
    candidates = rng.permutation(candidates)
    if stratified:
        _, classes, sizes = np.unique(targets[candidates], return_inverse=True, return_counts=True)
        by_class = np.argsort(classes, kind="stable")
        rank = np.empty(len(candidates))
        rank[by_class] = np.arange(len(candidates)) - (np.cumsum(sizes) - sizes)[classes[by_class]]
        candidates = candidates[np.argsort(rank / sizes[classes], kind="stable")]
    return np.sort(candidates[:count])


def draw_each(candidates, targets, count: int, *, rng: np.random.Generator) -> np.ndarray:
    """`count` of the `candidates` (positions) from every class at random, sorted; all of a class that has fewer."""
    candidates = rng.permutation(candidates)
    classes = targets[candidates]
    return np.sort(np.concatenate([candidates[classes == k][:count] for k in np.unique(classes)]))


def portion(share: float, count: int) -> int:
    """floor(share x count), safe from binary fractions (0.29 x 100 is 29); ValueError unless 0 < share < 1."""
    if not 0 < share < 1:
        raise ValueError(f"a share lies between 0 and 1, not at {share}")
    return int(np.floor(share * count + 1e-9))


def _deal(scene: Scene, target: int, block: int, gap: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One deal of blocks: positions of the pool and of the hold-out."""
    block_of, counts = _blocks(scene, block, rng)
    order = rng.permutation(len(counts))
    chosen = np.zeros(len(counts), dtype=bool)
    for k in np.argsort((counts > 0).sum(0), kind="stable"):  # a block for each class, the least spread class first
        if not counts[chosen, k].any():
            chosen[order[np.argmax(counts[order, k] > 0)]] = True
    for extra in order:
        if counts[chosen].sum() >= target:
            break
        chosen[extra] = True

    in_pool = chosen[block_of]
    pool = draw(np.flatnonzero(in_pool), scene.targets, target, stratified=True, rng=rng)
    return pool, np.flatnonzero(~in_pool & ~_near(scene, pool, gap))


def _blocks(scene: Scene, block: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The block of each labelled pixel (n,), in a grid whose corner is random, and each block's pixels by class (blocks, k)."""
    cells = (scene.pixels + rng.integers(block, size=2)) // block
    places, block_of = np.unique(np.ravel_multi_index(tuple(cells.T), cells.max(0) + 1), return_inverse=True)
    counts = np.bincount(block_of * scene.classes + scene.targets, minlength=len(places) * scene.classes)
    return block_of, counts.reshape(-1, scene.classes)


def _near(scene: Scene, positions: np.ndarray, reach: int) -> np.ndarray:
    """For every labelled pixel (n,) whether one of `positions` is at most `reach` rows and columns away."""
    occupied = np.zeros(scene.labels.shape, dtype=bool)
    occupied[tuple(scene.pixels[positions].T)] = True
    return maximum_filter(occupied, size=2 * reach + 1, mode="constant")[tuple(scene.pixels.T)]
