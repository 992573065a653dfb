"""Few labels, convergence, robustness and calibration: CPDGAL against the ViT on the same labels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter
from sklearn.metrics import auc

from ..plots import line_styles, name_curves, panels
from ..records import Record
from ..scenes import Scene
from .common import COMPARED, studies_of, sweep, to_level
from .verdicts import Verdict, better, final_scores, spread

# Few labels: so many of every class, or so much of the pool at random. The paper does not say how few are "extreme": here,
# at most five of each class, or a fifth of the pool (2 % of the labelled pixels where the pool is a tenth of them).
FEW_LABELS: dict[str, dict] = {
    **{f"{count} of each class": {"per_class": count} for count in (1, 2, 3, 5, 10)},
    **{f"{100 * share:g} % of the pool": {"initial": share} for share in (0.05, 0.1, 0.2, 0.3, 0.5)},
}
EXTREME = tuple(name for name, given in FEW_LABELS.items() if given.get("per_class", 0) <= 5 and given.get("initial", 0) <= 0.2)

NETWORKS, FLOORS = ("CPDGAL", "ViT"), ("coordinates only (1-NN)", "spectrum only (SVM)")
SETTINGS = {
    f"{method}, {setting}": {"cycles": 0, **COMPARED[method], **labels}
    for method in (*NETWORKS, *FLOORS)
    for setting, labels in FEW_LABELS.items()
}
# Networks whose trained weights are used: half of the pool, 5 % of the labelled pixels.
FIVE_PERCENT = {name: {"cycles": 0, "initial": 0.5, **COMPARED[name]} for name in NETWORKS}
# Without DGFR, masking and labels alike: what DGFR does to calibration.
WITHOUT_DGFR = {"CPDGAL without DGFR": {**FIVE_PERCENT["CPDGAL"], "method": "cpdgal-no-dgfr"}}
# That training in stages, each scored on the hold-out: nothing is queried, weights and Adam go on. The denoiser is with its
# residual and without.
STAGES = {"initial": 0.5, "acquired": 0.0, "keep_optimizer": True, "score_every": 1, "cycles": 19, "epochs": 10}
IN_STAGES = {name: {**STAGES, **COMPARED[name]} for name in NETWORKS}
PLAIN = "CPDGAL, plain denoiser"
IN_STAGES[PLAIN] = {**IN_STAGES["CPDGAL"], "residual_denoiser": False}

STUDIES = sweep(studies_of(SETTINGS, range(3)), studies_of(SETTINGS, range(3), split="block"))
STUDIES |= sweep(studies_of(FIVE_PERCENT, range(3)), studies_of(FIVE_PERCENT, range(3), split="block"), weights=range(3))
STUDIES |= sweep(
    studies_of(IN_STAGES, range(3)), studies_of(WITHOUT_DGFR, range(3)), studies_of(WITHOUT_DGFR, range(3), split="block")
)


def mean_final_scores(groups: Sequence[Sequence[Record]]) -> dict[int, float]:
    """The mean over groups of the OA at the end, for every seed that all of the groups have."""
    return pd.DataFrame([final_scores(records) for records in groups]).dropna(axis=1).mean().sort_index().to_dict()


def table_by_setting(methods: Mapping[str, Mapping[str, Sequence[Record]]]) -> pd.DataFrame:
    """Settings by row, methods by column: OA in percent, beside the labels and their share of the labelled pixels (means)."""
    rows = {}
    for name in next(iter(methods.values())):
        spent = [record.final for settings in methods.values() for record in settings[name]]
        rows[name] = {
            "labels": f"{np.mean([each.labels for each in spent]):.0f}" if spent else "",
            "share, %": f"{np.mean([each.share for each in spent]):.2f}" if spent else "",
            **{f"{m}, %": spread(final_scores(s[name]).values()) for m, s in methods.items()},
        }
    return pd.DataFrame(rows).T.rename_axis("labels given")


def accuracy_over_labels(groups: Sequence[Sequence[Record]]) -> pd.DataFrame:
    """OA in percent at the end of groups of records: a row a group, by its mean number of labels, and a column a seed."""
    rows = {np.mean([record.final.labels for record in records]): final_scores(records) for records in groups if records}
    return pd.DataFrame(rows).T


def epochs_to_level(left: Sequence[Record], right: Sequence[Record]) -> tuple[dict[int, int], dict[int, int]]:
    """Epochs until the OA on the hold-out first is at most one point below the lower of the two ends, by seed, for records of
    the same training in stages."""
    cycles = to_level(left, right, "cycle")
    first, second = ({seed: (cycle + 1) * left[0].study.epochs for seed, cycle in each.items()} for each in cycles)
    return first, second


def faster(left: Sequence[Record], right: Sequence[Record], names: tuple[str, str]) -> Verdict:
    """On "left converges faster": by `better`, on the `epochs_to_level`, seed by seed, the fewer the better."""
    one, other = ({seed: -count for seed, count in each.items()} for each in epochs_to_level(left, right))
    return better(one, other, names, "epochs saved", 0.0)


def disturbed(scene: Scene, kind: str, strength: float, rng: np.random.Generator) -> Scene:
    """The scene as a worse sensor or sky would show it; its ground truth stays.

    A generator in the same state disturbs the same places at every strength, only more of them or further. What the strength
    is depends on the kind:

    - "noise": white Gaussian noise; its standard deviation over that of each band.
    - "dead bands": the share of bands, chosen at random, that show their mean everywhere: silent, but no outliers.
    - "illumination": every spectrum times a positive factor that varies smoothly, over about a sixth of the scene; the standard
      deviation of the factor's logarithm.
    - "missing pixels": the share of the pixels, chosen at random, whose spectra are zero.
    """
    cube, (height, width) = scene.cube.copy(), scene.labels.shape
    if kind == "noise":
        cube += strength * cube.std((0, 1)) * rng.standard_normal(cube.shape, dtype=np.float32)
    elif kind == "dead bands":
        dead = rng.permutation(scene.bands)[: round(strength * scene.bands)]
        cube[..., dead] = cube[..., dead].mean((0, 1))
    elif kind == "illumination":
        light = gaussian_filter(rng.standard_normal((height, width)), (height / 6, width / 6), mode="wrap")
        cube *= np.exp(strength * (light - light.mean()) / light.std())[..., None]
    elif kind == "missing pixels":
        cube[rng.random((height, width)) < strength] = 0
    else:
        raise ValueError(f"no disturbance is called {kind!r}")
    return replace(scene, cube=cube, labels=np.array([0, *scene.label_values])[scene.labels])


def retained_accuracy(accuracies: pd.Series) -> float:
    """How much of an accuracy a disturbance leaves: the area under `accuracies` over their index, the strengths from 0 up,
    in percent of the area that the first of them would have throughout."""
    return float(100 * auc(accuracies.index, accuracies) / (accuracies.iloc[0] * np.ptp(accuracies.index)))


def reliability_diagrams(groups: dict[str, list[Record]]) -> Figure:
    """The share of correct predictions over the probability of the predicted class, and the share of the pixels with that
    probability: all seeds of a group together."""
    figure, (right, share) = panels(9, 4.2, 2)
    right.plot([0, 1], [0, 1], color="#000000", lw=1, ls=":", label="calibrated")
    for name, style in line_styles(groups).items():
        bins = pd.concat([record.calibration for record in groups[name]])
        right_and_sure = bins[["confidence", "accuracy"]].mul(bins["count"], axis=0)
        sums = right_and_sure.assign(count=bins["count"]).groupby(level=0).sum().query("count > 0")
        confidence = sums.confidence / sums["count"]
        right.plot(confidence, sums.accuracy / sums["count"], ms=5, lw=2, **style)
        share.plot(confidence, 100 * sums["count"] / sums["count"].sum(), ms=5, lw=2, label=name, **style)
    right.set(xlabel="probability of the predicted class", ylabel="share of correct predictions")
    share.set(xlabel="probability of the predicted class", ylabel="pixels of the hold-out (%)", yscale="log")
    name_curves(figure, [right, share])
    return figure


def overconfidence(groups: Mapping[str, Sequence[Record]]) -> str:
    """By how many points the mean confidence is above the accuracy, all seeds of a group together, for a caption."""
    gaps = {}
    for name, records in groups.items():
        bins = pd.concat([record.calibration for record in records]).query("count > 0")
        gaps[name] = 100 * np.average(bins.confidence - bins.accuracy, weights=bins["count"])
    listed = ", ".join(f"{name} {gap:+.0f}" for name, gap in gaps.items())
    return f"Mean confidence minus accuracy, in points: {listed}."
