"""Section 2.5: what each query strategy gains, where its labels go, and when to stop asking for more."""

import json
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial import KDTree
from scipy.stats import entropy
from sklearn.metrics import auc

from ..methods import METHODS
from ..metrics import mean_entropy
from ..plots import PALETTE, line_styles, one_legend, panels
from ..queries import STABLE, STRATEGIES, WINDOW, agreement, certain, settled
from ..records import Record
from ..scenes import Scene
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


# Records keep entropies in ten bins: an estimate of their mean ends at half a bin, with every pixel left in the lowest.
THRESHOLDS = (0.2, 0.1, 0.05)
LOOP_VIEW = Path(__file__).parents[2] / "book" / "_static" / "views" / "loop.js"  # beside the pages, not in a wheel


def loops(records: Iterable[Record], scene: str) -> list[Record]:
    """The records of a scene in which a network asked for labels again and again, more often than agreement looks back."""
    found = (each for each in records if each.study.scene == scene and METHODS[each.study.method].kind != "floor")
    return [each for each in found if each.study.protocol.acquired and len(each.cycles) > WINDOW]


def uncertainties(record: Record) -> np.ndarray:
    """(cycles,) the overall uncertainty 0..1 as the histograms of a record give it, off by at most half a bin."""
    return mean_entropy(record.entropy).round(9)  # half a bin is half a bin, however many pixels are left


def loop_maps(view: Path = LOOP_VIEW) -> tuple[str, np.ndarray]:
    """The name of the record whose loop the book shows, and the class 1..K of every pixel after each cycle (cycles, height,
    width); no name and no map where the view's data are not at hand, as in a wheel."""
    if not view.is_file():
        return "", np.empty((0, 0, 0), dtype=int)
    data = json.loads(view.read_text(encoding="utf-8").partition(" = ")[2].rstrip(";\n"))
    image = Image.open(BytesIO(b64decode(data["maps"].partition(",")[2])))
    return data["record"], np.asarray(image).reshape(-1, data["height"], data["width"])


def agreements(maps: np.ndarray, record: Record, scene: Scene) -> dict[str, np.ndarray]:
    """(cycles,) agreement of each cycle's map (cycles, height, width) with the one before, NaN for the first, on three stop
    sets."""
    pool = np.zeros_like(scene.labels, dtype=bool)
    pool[tuple(scene.pixels[record.study.make_split(scene).pool].T)] = True
    sets = {"the pool": pool, "pixels with a ground truth": scene.labels > 0, "every pixel": np.ones_like(pool)}
    return {name: np.array([np.nan, *(agreement(a[at], b[at]) for a, b in pairwise(maps))]) for name, at in sets.items()}


def stop(record: Record, met: np.ndarray) -> dict[str, float]:
    """What stopping in the first cycle in which a rule is `met` (cycles,) gives: the `cycle`, the labels `saved` in percent of
    those at the end, and the points of OA `lost` against the end, as of the last look; NaN where it is never met."""
    if not met.any():
        return dict.fromkeys(("cycle", "saved", "lost"), np.nan)
    at = record.cycles.assign(OA=record.cycles.OA.ffill()).iloc[met.argmax()]
    saved = 100 * (1 - at.labels / record.final.labels)
    return {"cycle": at.cycle, "saved": saved, "lost": record.final.OA - at.OA}


def stops(records: Sequence[Record], shown: Record | None, agreed: dict[str, np.ndarray]) -> pd.DataFrame:
    """`stop` for every rule and record, a row each, with the `rule` and the name of the `record`: overall uncertainty at each
    threshold, and agreement on the stop sets of the one record whose maps were kept."""
    by_threshold = [
        {"rule": f"uncertainty {threshold:g}", "record": each.study.name, **stop(each, certain(uncertainties(each), threshold))}
        for threshold in THRESHOLDS
        for each in records
    ]
    by_set = [
        {"rule": f"agreement, {name}", "record": shown.study.name, **stop(shown, settled(values))}
        for name, values in agreed.items()
        if shown
    ]
    return pd.DataFrame(by_threshold + by_set)


def stops_table(found: pd.DataFrame) -> pd.DataFrame:
    """The stops by rule: how many loops it stopped, and of those the median cycle, the mean of what it saved, and the mean and
    the largest of what it lost."""
    rows = {
        rule: {
            "loops": len(each),
            "stopped": each.cycle.count(),
            "cycle, median": f"{each.cycle.median():g}",
            "labels saved, %": f"{each.saved.mean():.1f}",
            "OA lost, points": f"{each.lost.mean():.2f}",
            "at worst": f"{each.lost.max():.2f}",
        }
        for rule, each in found.groupby("rule", sort=False)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("rule").replace("nan", "-")


def stops_sentence(found: pd.DataFrame) -> str:
    """What the loosest and the strictest threshold and agreement saved and cost, as sentences."""
    said = []
    for threshold in (THRESHOLDS[0], THRESHOLDS[-1]):
        each = found[found.rule == f"uncertainty {threshold:g}"]
        stopped = each.dropna()
        said.append(f"At an overall uncertainty of {threshold:g}, {len(stopped)} of {len(each)} loops stop")
        if len(stopped):
            mean, worst = _change(stopped.lost.mean()), _change(stopped.lost.max())
            said[-1] += f", save {stopped.saved.mean():.1f} % of their labels and {mean} of OA on average, at worst {worst}"
    for row in found[found.rule.str.startswith("agreement")].itertuples():
        where = row.rule.removeprefix("agreement, ")
        if np.isnan(row.cycle):
            said.append(f"Agreement on {where} never stays above {STABLE:g}, and the loop runs to its end")
        else:
            what = f"save {row.saved:.1f} % of the labels and {_change(row.lost)}"
            said.append(f"Agreement above {STABLE:g} on {where} would stop the loop in cycle {row.cycle:.0f}, {what}")
    return ". ".join(said) + "."


def _change(lost: float) -> str:
    return f"{'lose' if lost >= 0 else 'gain'} {abs(lost):.2f} points"


def stopping_figure(
    records: Sequence[Record], shown: Record | None, agreed: dict[str, np.ndarray], found: pd.DataFrame
) -> Figure:
    """What the rules look at, cycle by cycle, and what stopping by them saves and costs."""
    figure, (left, middle, right) = panels(10.5, 4.4, 3)
    colours = dict(zip(dict.fromkeys(found.rule), (PALETTE[at] for at in (1, 3, 7, 2, 4, 9)), strict=False))
    for name, values in agreed.items():
        rule = f"agreement, {name}"
        left.plot(pd.Series(values).rolling(WINDOW).mean(), color=colours[rule], lw=2, label=rule)
    if shown:
        left.plot(shown.cycles.cycle, shown.cycles.OA / 100, ":", color="#000000", lw=2, label="OA on the hold-out, of 1")
    left.axhline(STABLE, color="#000000", lw=1, ls="--", label="threshold of agreement")
    left.set(xlabel="cycle", ylabel=f"kappa, mean of {WINDOW} rounds", title="Agreement of maps, one loop")
    titles = {each: METHODS[each.study.method].title for each in records}
    styles = line_styles(dict.fromkeys(titles.values()))
    for each, title in titles.items():
        middle.plot(uncertainties(each), color=styles[title]["color"], lw=0.8, alpha=0.6, label=title)
    for threshold in THRESHOLDS:
        middle.axhline(threshold, color=colours[f"uncertainty {threshold:g}"], lw=2, ls="--")
    middle.set(xlabel="cycle", ylabel="overall uncertainty, of 1", title="Uncertainty, every loop")
    for (rule, each), marker in zip(found.dropna().groupby("rule", sort=False), "ovsPX*", strict=False):
        dots = {"s": 90 if rule.startswith("agreement") else 18, "color": colours[rule], "marker": marker}
        right.scatter(each.saved, each.lost, alpha=0.8, label=f"stopped by {rule}", **dots)
    right.axhline(0, color="#000000", lw=1)
    right.set(xlabel="labels saved (%)", ylabel="OA lost (points)", title="What stopping there costs")
    one_legend(figure, (left, middle, right), 3)
    return figure
