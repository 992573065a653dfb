"""What a random split adds to an accuracy: block splits, and accuracy over distance."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.ndimage import distance_transform_cdt

from ..records import Record
from ..scenes import Scene, SceneError
from ..sources import disjoint_mask
from ..splits import touched
from ..study import Study
from .common import COMPARED, NO_LOOP, PLACE, RANDOM, REFERENCE, by_folds, curves_by_panel, pooled, studies_of, sweep
from .verdicts import WORDS, better, mean_over_seeds

SPLITS: dict[str, dict] = {
    "random pixels": {"split": "random"},
    "blocks": {"split": "block", "gap": 0},
    "blocks with a gap": {"split": "block"},
}
# Spatial cross-validation: blocks of 15 with a gap for windows up to 7, and blocks of 29 with one for windows up to 15.
FOLDS: dict[str, dict] = {
    "blocks of 15, gap 6": {"split": "folds", "gap": 6},
    "blocks of 29, gap 14": {"split": "folds", "block": 29, "gap": 14},
}
NARROW, WIDE = FOLDS.values()
# The floors by side of a block and gap. Blocks of 15 with a gap of 14 leave less than a pool in most splits.
GRID: dict[tuple[int, int], dict] = {
    (block, gap): {"split": "folds", "block": block, "gap": gap} for gap in (6, 14) for block in (15, 29, 36)
}
TOO_LITTLE = (15, 14)
FLOORS = PLACE | {"spectrum only (SVM)": COMPARED["spectrum only (SVM)"]}
NETWORKS = {name: COMPARED[name] for name in ("CPDGAL", "ViT")}
ONCE = {"CPDGAL, no loop": {"method": "cpdgal", **NO_LOOP}, "ViT, no loop": {"method": "vit", **NO_LOOP}}
ONCE |= {"SSFTT": {"method": "ssftt"}, "SPRN": {"method": "sprn"}}
STUDIES = REFERENCE | sweep(studies_of(COMPARED, range(3), ["CPDGAL", "ViT", RANDOM], **SPLITS["blocks"]))
STUDIES |= sweep(studies_of(FLOORS, range(10)), by_folds(FLOORS, range(5), **NARROW), by_folds(FLOORS, range(3), **WIDE))
STUDIES |= sweep(*(by_folds(FLOORS, range(3), **values) for at, values in GRID.items() if at != TOO_LITTLE))
STUDIES |= sweep(by_folds(NETWORKS, range(3), profile="tuned", **NARROW), by_folds(ONCE, range(2), **WIDE))
# A published training mask, which others have reported on.
MASK = {"split": "disjoint"}
STUDIES |= sweep(studies_of(FLOORS, range(5), **MASK), studies_of(NETWORKS, range(3), profile="tuned", **MASK))
STUDIES |= sweep(studies_of(ONCE, range(2), **MASK))


def accuracy_over_distance(scene: Scene, labelled: np.ndarray, tested: np.ndarray, correct: np.ndarray, least=200):
    """Accuracy in percent over the distance in pixels, the larger of rows and columns, to the nearest labelled pixel.

    `labelled` and `tested` are positions of labelled pixels of the scene, `correct` (len(tested),) whether the prediction was.
    A DataFrame with one row a bin of distances that holds `least` pixels: their mean `distance` and `accuracy`.
    """
    unlabelled = np.ones(scene.labels.shape, dtype=int)
    unlabelled[tuple(scene.pixels[labelled].T)] = 0
    distance = distance_transform_cdt(unlabelled, metric="chessboard")[tuple(scene.pixels[tested].T)]
    bins = pd.cut(distance, [0, 1, 2, 3, 4, 6, 9, 13, 18, 25, 35, np.inf])
    binned = pd.DataFrame({"distance": distance, "accuracy": 100.0 * correct}).groupby(bins, observed=True)
    return binned.mean()[binned.size() >= least]


def accuracy_by_split(table: pd.DataFrame) -> Figure:
    """What each method loses from split to split: a row per method, a column per split, values OA in percent by seed (empty:
    not run)."""
    curves = {name: pd.DataFrame([pd.Series(each, dtype=float) for each in row]) for name, row in table.iterrows()}
    figure = curves_by_panel({"": curves}, "how pool and hold-out were split", "overall accuracy (%)", columns=1)
    figure.axes[0].set_xticks(range(table.shape[1]), table.columns)
    figure.axes[0].margins(x=0.1)
    return figure


def losses(table: pd.DataFrame) -> str:
    """How many points each method loses from the first split of a table of `accuracy_by_split` to the last, for a caption."""
    means = table.map(mean_over_seeds)
    lost = (means.iloc[:, 0] - means.iloc[:, -1]).dropna().sort_values()
    listed = "; ".join(f"{name} {loss:.0f}" for name, loss in lost.items())
    return f"Points lost from {means.columns[0]} to {means.columns[-1]}: {listed}." if listed else "No method has both splits."


def from_near_to_far(curves: Mapping[str, pd.DataFrame]) -> str:
    """The accuracy of each method in the nearest and in the farthest bin of `accuracy_over_distance`, for a caption."""
    ends = {name: curve.accuracy.iloc[[0, -1]] for name, curve in curves.items() if len(curve)}
    listed = "; ".join(f"{name} {near:.0f} and {far:.0f} %" for name, (near, far) in ends.items())
    return f"Correct in the nearest and in the farthest bin: {listed}." if listed else "No run is on record yet."


def accuracy_by_distance(curves: dict[str, pd.DataFrame], gap: int) -> Figure:
    """Curves of `accuracy_over_distance` by name, and a line at the `gap` in pixels from which on no windows overlap."""
    distance = "distance to the nearest labelled pixel (pixels; the larger of rows and columns)"
    runs = {name: curve.set_index("distance") for name, curve in curves.items()}
    figure = curves_by_panel(
        {"from the dotted line on, 7 x 7 windows do not overlap": runs}, distance, "correct pixels (%)", columns=1
    )
    figure.axes[0].axvline(gap, color="#000000", lw=1, ls=":")
    return figure


def pools_by_block(scene: Scene, seeds: Sequence[int] = range(3)) -> pd.DataFrame:
    """What each block and gap of the `GRID` leaves to train on: in how many splits (one per seed and fold) enough pixels for a
    pool, and how many classes the pool with the fewest has."""
    rows = {}
    for (block, gap), values in GRID.items():
        pools = [_pool(scene, study) for study in by_folds({"": FLOORS["spectrum only (SVM)"]}, seeds, **values)[""]]
        classes = [len(np.unique(scene.targets[pool])) for pool in pools if len(pool)]
        row = {"splits with a pool": f"{len(classes)} of {len(pools)}", "classes in a pool, at least": min(classes, default=0)}
        rows[f"blocks of {block}, gap {gap}"] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("folds")


def _pool(scene: Scene, study: Study) -> np.ndarray:
    """The pool of a split; empty where too few pixels are left for one."""
    try:
        return study.make_split(scene).pool
    except ValueError:
        return np.empty(0, dtype=int)


def accuracy_by_block(groups: Mapping[tuple[int, int], Mapping[str, Sequence[Record]]]) -> Figure:
    """OA over all folds together by the side of a block, a panel per gap; `groups` are records of methods by block and gap."""
    blocks, gaps = (sorted(set(sides)) for sides in zip(*groups, strict=True))
    names = dict.fromkeys(name for group in groups.values() for name in group)
    curves = {
        f"a gap of {gap} pixels": {
            name: pd.DataFrame({at: pooled(groups[at, gap][name]) for at in blocks if (at, gap) in groups}, dtype=float).T
            for name in names
        }
        for gap in gaps
    }
    figure = curves_by_panel(curves, "side of a block (pixels)", "overall accuracy, all folds (%)")
    for axis in figure.axes:
        axis.set(xticks=blocks, xlim=(blocks[0] - 1, blocks[-1] + 1))
    return figure


def place_pays(groups: Mapping[tuple[int, int], Mapping[str, Sequence[Record]]]) -> str:
    """With which blocks and gaps row and column alone are `better` than the spectrum, as a sentence; `groups` as for
    `accuracy_by_block`."""
    names = ("coordinates, spread out", "spectrum only (SVM)")
    by_word: dict[str, list[str]] = {}
    for (block, gap), group in groups.items():
        word = better(pooled(group[names[0]]), pooled(group[names[1]]), names).word
        by_word.setdefault(word, []).append(f"blocks of {block}, gap {gap}")
    listed = "; ".join(f"{word}: {', '.join(by_word[word])}" for word in WORDS if word in by_word)
    return f"Is a classifier by row and column alone, with its labels spread out, better than one by spectrum alone? {listed}."


def mask_sentence(scene: Scene, records: Sequence[Record]) -> str:
    """How large the published mask of a scene is, and how close to the test pixels the labels of the first run on it are."""
    try:
        pixels = np.count_nonzero(disjoint_mask(scene.name))
        holdouts = [record.study.make_split(scene).holdout for record in records[:1]]
    except SceneError as error:
        return f"The mask is not at hand: {error}."
    said = f"The mask has {pixels:,} pixels. "
    if not holdouts:
        return said + "No run is on record yet."
    labelled = records[0].labelled()
    inside, overlapping = (100 * touched(scene, labelled, holdouts[0], 7, reach) for reach in (0, 3))
    return (
        f"{said}With {len(labelled)} random labels from it, {inside:.1f} % of the test pixels have a labelled pixel inside "
        f"their 7 x 7 window, and the windows of {overlapping:.1f} % overlap that of a labelled pixel."
    )
