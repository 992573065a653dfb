"""Can the paper's figures be true? The kappa and the average accuracy that an overall accuracy allows.

With E errors among N test pixels, of which class k has n_k, kappa = 1 - (E / N) / (1 - p_e), and the agreement by chance p_e is
the sum over classes of n_k times the pixels predicted as k, over N^2. An error moves one pixel from its class j to a class k
and so changes that sum by n_k - n_j, whatever the other errors are. It is least when errors lead from the largest classes to
the smallest, and greatest the other way round: both are reached by taking errors class by class, until there are E.
"""

from collections.abc import Mapping
from types import MappingProxyType

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..active import protocol
from ..methods import METHODS
from ..plots import PALETTE
from ..sources import SCENES
from .common import PAPER
from .verdicts import Verdict, printed

SCORES = ("OA", "AA", "kappa")
HALF = 0.005  # a printed percentage may be off by half of its last digit


def kappa_range(counts, errors: float) -> tuple[float, float]:
    """The least and the greatest kappa, in percent, of any map with so many errors on test pixels of classes `counts` (k,)."""
    n = np.asarray(counts, dtype=float)
    others = np.where(np.eye(len(n), dtype=bool), np.nan, n[None] - n[:, None])  # by true class (row) and predicted class
    least, most = _least(np.nanmin(others, 1), n, errors), -_least(-np.nanmax(others, 1), n, errors)
    chance = (n @ n + np.array([least, most])) / n.sum() ** 2
    high, low = 100 * (1 - errors / n.sum() / (1 - chance))
    return float(low), float(high)


def average_range(counts, errors: float) -> tuple[float, float]:
    """The least and the greatest average accuracy, in percent, as `kappa_range`: an error costs its class one part in n_k."""
    n = np.asarray(counts, dtype=float)
    low, high = 1 + _least(-1 / n, n, errors) / len(n), 1 - _least(1 / n, n, errors) / len(n)
    return float(100 * low), float(100 * high)


def _least(costs: np.ndarray, room: np.ndarray, amount: float) -> float:
    """The least cost of an amount, taken from kinds that have each a cost and so much room."""
    order = np.argsort(costs, kind="stable")
    before = np.cumsum(room[order]) - room[order]
    return float(np.clip(amount - before, 0, room[order]) @ costs[order])


def printed_range(counts, accuracy: float, score: str) -> tuple[float, float]:
    """What may be printed as `score`, "kappa" or "AA", beside a printed overall accuracy in percent, with both rounded."""
    total = int(np.sum(counts))
    fewest, most = np.ceil(total * (1 - (accuracy + HALF) / 100)), np.floor(total * (1 - (accuracy - HALF) / 100))
    ranges = [(kappa_range if score == "kappa" else average_range)(counts, errors) for errors in (max(fewest, 0), most)]
    return min(low for low, _ in ranges) - HALF, max(high for _, high in ranges) + HALF


def held_out(scene: str, pool: float | None = None) -> np.ndarray:
    """(k,) the test pixels of each class when the pool, by default the paper's, takes the same share of every class."""
    return np.round(np.array(PAPER["class_pixels"][scene]) * (1 - (pool or _pool(scene)))).astype(int)


def _pool(scene: str) -> float:
    return SCENES[scene].get("protocol", {}).get("pool", 0.10)


def feasibility(holdouts: Mapping[str, np.ndarray] = MappingProxyType({})) -> pd.DataFrame:
    """Table 1, a row a scene and method: what OA leaves for kappa and AA, and whether they lie within. The test pixels of each
    class (k,) are those of `holdouts` by scene, or else of `held_out`."""
    rows = []
    for scene, methods in PAPER["table_1"].items():
        counts = holdouts[scene] if scene in holdouts else held_out(scene)
        for name, scores in methods.items():
            row = {"scene": scene, "method": METHODS[name].title, **dict(zip(SCORES, scores, strict=True))}
            for score in ("kappa", "AA"):
                low, high = printed_range(counts, row["OA"], score)
                row |= {f"{score} from": low, f"{score} to": high, f"{score} possible": low <= row[score] <= high}
            rows.append(row)
    return pd.DataFrame(rows)


def outside(scene: str, score: str = "kappa", name: str = "cpdgal") -> str:
    """Why a kappa or an AA of Table 1 cannot be, as a sentence; empty where it can, and for OA."""
    row = feasibility().set_index(["scene", "method"]).loc[(scene, METHODS[name].title)]
    if row.get(f"{score} possible", True):
        return ""
    low, high = np.ceil(100 * row[f"{score} from"]) / 100, np.floor(100 * row[f"{score} to"]) / 100  # what can be printed
    there = f"lies between {low:.2f} and {high:.2f} %" if low < high else f"is {low:.2f} %"
    said = f"With an OA of {row.OA:.2f} %, {score} {there} on the whole hold-out"
    return f"{said}, so {row[score]:.2f} % is impossible."


def averaging(scene: str, accuracy: float, kappa: float, deviation: float) -> tuple[str, float, float]:
    """Which end of kappa's range is nearer to a printed `kappa`, by how many points that end moves towards it when OA is a mean
    over two runs, a deviation above and below, and how many points it is away. No accuracy is above 100 %, so the deviation is
    at most what lacks to that; ``ValueError`` for a deviation that is none."""
    if not isinstance(deviation, (int, float)) or not 0 <= deviation <= 100:
        raise ValueError(f"deviation lies from 0 to 100 points, not at {deviation!r:.80}")
    counts, aside = held_out(scene), min(deviation, 100 - accuracy)
    looks = [kappa_range(counts, counts.sum() * (1 - each / 100)) for each in accuracy + aside * np.array([-1, 0, 1])]
    end = int(np.argmin(np.abs(np.subtract(looks[1], kappa))))
    below, at, above = (each[end] for each in looks)
    return ("lower", "upper")[end], ((below + above) / 2 - at) * (-1, 1)[end], abs(kappa - at)


def other_holdouts(rng: np.random.Generator, draws: int = 100) -> pd.DataFrame:
    """The pairs of OA and kappa that cannot both be correct under the paper's split, a row each, and on which share of
    others, in percent, they are still outside: with half the pool, and on `draws` of the paper's size that are drawn from all
    labelled pixels alike, whatever their class."""
    half = {scene: held_out(scene, _pool(scene) / 2) for scene in PAPER["table_1"]}
    drawn = [
        {scene: rng.multivariate_hypergeometric(PAPER["class_pixels"][scene], held_out(scene).sum()) for scene in half}
        for _ in range(draws)
    ]
    outside_here, outside_half, *others = (~feasibility(each)["kappa possible"] for each in ({}, half, *drawn))
    table = feasibility()[["scene", "method"]].assign(half=100 * outside_half, drawn=100 * np.mean(others, axis=0))
    return table[outside_here].rename(columns={"half": "half the pool, %", "drawn": "drawn at random, %"})


def budgets() -> dict[str, Verdict]:
    """On the share of labels that the paper states for each scene, against what its own protocol asks for, as `printed`."""
    verdicts = {}
    for scene, stated in PAPER["label_share"].items():
        pixels = sum(PAPER["class_pixels"][scene])
        verdicts[scene] = printed(stated, 100 * protocol(scene).label_counts(pixels)[-1] / pixels, "% of the labelled pixels")
    return verdicts


def kappa_figure(table: pd.DataFrame) -> Figure:
    """Table 1's kappas over the ranges that their OA leaves, a panel a scene: bars are ranges, dots what is printed."""
    scenes = list(table.scene.unique())
    figure, axes = plt.subplots(1, len(scenes), figsize=(10, 4.6), sharey=True, layout="constrained")
    for axis, scene in zip(axes, scenes, strict=True):
        own = table[table.scene == scene].reset_index(drop=True)[::-1]
        middle = (own["kappa from"] + own["kappa to"]) / 2
        colours = np.where(own["kappa possible"], PALETTE[0], PALETTE[3])
        axis.hlines(own.method, own["kappa from"] - middle, own["kappa to"] - middle, color="#BBBBBB", lw=7)
        axis.scatter(own.kappa - middle, own.method, c=colours, s=28, zorder=3)
        axis.set(title=scene.replace("_", " ").title())
        axis.grid(alpha=0.3)
    figure.supxlabel("kappa minus the middle of the range that its OA allows (points)", fontsize=10)
    return figure


def outside_by_scene(table: pd.DataFrame) -> str:
    """Which of Table 1's kappas lie outside their range, by scene, for a caption."""
    wrong = table[~table["kappa possible"]]
    if wrong.empty:
        return "All kappas lie inside their range."
    scenes = [
        f"{' and '.join(own.method)} on {scene.replace('_', ' ').title()}" for scene, own in wrong.groupby("scene", sort=False)
    ]
    return f"{len(wrong)} of {len(table)} kappas lie outside their range: {'; '.join(scenes)}."
