"""Fig. 7: the predictive entropy of what is left of the pool."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..metrics import entropy_histogram
from ..plots import line_styles
from ..records import Record
from ..study import Study
from .common import BUDGETS, studies_of, sweep
from .verdicts import Verdict, better, combined, not_run, seed_count

STUDIES = sweep(studies_of(BUDGETS, range(3))) | {Study(): True}  # the headline's run answers with its weights
LOWEST, UPPER_HALF = slice(0, 1), slice(5, 10)  # of the ten bins


def mean_entropy(histograms: np.ndarray) -> np.ndarray:
    """(...,) mean predictive entropy over log k, 0..1, estimated from histograms (..., bins): each pixel counts as its bin's
    centre, so the estimate is off by at most half a bin. NaN for an empty histogram."""
    bins = histograms.shape[-1]
    with np.errstate(invalid="ignore"):
        return histograms @ ((np.arange(bins) + 0.5) / bins) / histograms.sum(-1)


def accuracy_by_entropy(true: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """How often pixels are right by how sure the network is: a row for each equal bin of predictive entropy over log k.

    Columns `count` and `accuracy` (percent, NaN where no pixel falls).
    """
    right = entropy_histogram(probabilities[probabilities.argmax(1) == true], bins)
    count = entropy_histogram(probabilities, bins)
    return pd.DataFrame({"count": count, "accuracy": 100 * right / np.where(count, count, np.nan)})


def in_bins(record: Record, bins: slice) -> np.ndarray:
    """(cycles + 1,) percent of what is left of the pool that lies in some of the ten entropy bins."""
    return 100 * record.entropy[:, bins].sum(1) / record.entropy.sum(1)


def entropy_start(records: Sequence[Record]) -> Verdict:
    """On "initially skewed towards higher-entropy bins": after the first training the upper five bins have more of the pool
    than the lower five, by `better`."""
    upper = {record.study.seed: float(in_bins(record, UPPER_HALF)[0]) for record in records}
    return better(upper, {seed: 100 - share for seed, share in upper.items()}, ("Upper half", "lower half"))


def entropy_shifts(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On "mass shifts toward lower-entropy bins": at each budget the mean entropy (from bin centres, in percent of log K) is
    higher after the first training than at the end, by `better`."""
    verdicts = {}
    for name, records in groups.items():
        start, end = ({r.study.seed: 100 * float(mean_entropy(r.entropy[at])) for r in records} for at in (0, -1))
        verdicts[f"{name}:"] = better(start, end, (f"{name}, start", "end"), "percent of log K")
    return combined(verdicts)


def gathers_in_lowest_bin(records: Sequence[Record], first: int, last: int, most: float, some: float) -> Verdict:
    """On pixels gathering in the lowest entropy bin over cycles first..last. "holds" when it has at least `most` percent of the
    remaining pool at every one of them (mean over seeds), "holds in part" when it has at least `some`, else "does not hold"."""
    shares = [in_bins(record, LOWEST)[first : last + 1] for record in records if len(record.entropy) > last]
    if not shares:
        return not_run(f"A run with cycles {first} to {last} has to be on record first.")
    mean = np.mean(shares, axis=0)
    return Verdict(
        "holds" if mean.min() >= most else "holds in part" if mean.min() >= some else "does not hold",
        f"{mean.min():.1f} to {mean.max():.1f} % of the pool over {seed_count(len(shares))}",
        f"From cycle {first} to {last} the lowest bin has {mean.min():.1f} to {mean.max():.1f} % of the remaining pool, "
        f"{mean.mean():.1f} % on average.",
    )


def entropy_lighter(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On "globally lighter, minimal low-entropy accumulation" at 2 %: over cycles 1 to 30 the lowest bin has fewer pixels
    than at 0.5 %, and a smaller share of what is left of the pool, each by `better`."""
    names, verdicts = ("0.5 %", "2 %"), {}
    measures = {"pixels": lambda record: record.entropy[:, 0], "points": lambda record: in_bins(record, LOWEST)}
    for unit, measure in measures.items():
        a, b = [{r.study.seed: float(measure(r)[1:31].mean()) for r in groups[name] if len(r.entropy) > 30} for name in names]
        verdicts["share:" if unit == "points" else "number:"] = better(a, b, names, unit)
    return combined(verdicts)


def entropy_persists(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On "a persistent fraction remains in higher-entropy bins": at a budget it "holds" when at each of the cycles 21 to
    30 some seed has pixels in the upper five bins, "holds in part" when at some of them, else "does not hold"."""
    verdicts = {}
    for name, records in groups.items():
        shares = [in_bins(record, UPPER_HALF)[21:31] for record in records if len(record.entropy) > 30]
        filled = int(np.any(shares, axis=0).sum()) if shares else 0
        word = "holds" if filled == 10 else "holds in part" if filled else "does not hold"
        said = f"At {name} the upper five bins hold pixels in {filled} of the cycles 21 to 30."
        missing = not_run(f"At {name} no run of 30 cycles is on record yet.")
        verdicts[f"{name}:"] = Verdict(word, f"in {filled} of 10 cycles", said) if shares else missing
    return combined(verdicts)


def entropy_maps(groups: dict[str, list[Record]]) -> Figure:
    """Pixels by predictive entropy (rows, low above) and cycle (columns), mean over seeds, a panel a budget, one scale."""
    shown = {name: np.mean([record.entropy for record in records], axis=0).T for name, records in groups.items() if records}
    figure, axes = plt.subplots(len(shown), 1, figsize=(8, 2.3 * len(shown) + 0.4), squeeze=False, layout="constrained")
    top = max(counts.max() for counts in shown.values())
    for axis, (name, counts) in zip(axes[:, 0], shown.items(), strict=True):
        extent = (-0.5, counts.shape[1] - 0.5, 1, 0)
        image = axis.imshow(counts, cmap="viridis", vmin=0, vmax=top, aspect="auto", extent=extent, interpolation="nearest")
        axis.set_title(f"{name} a cycle ({seed_count(len(groups[name]))})", fontsize=10)
        axis.set(xlabel="cycle", ylabel="entropy / log K")
        axis.label_outer()
    figure.colorbar(image, ax=axes, label="pixels left in the pool")
    return figure


def right_by_entropy(tables: dict[str, pd.DataFrame], fewest: int = 20) -> Figure:
    """Right answers over predictive entropy, from tables of `accuracy_by_entropy`; bins with fewer pixels than `fewest` are
    pale and hollow. Numbers beside the dots count pixels."""
    figure, axes = plt.subplots(figsize=(8, 4.4), layout="constrained")
    for number, (name, style) in enumerate(line_styles(tables).items()):
        table = tables[name]
        x = (np.arange(len(table)) + 0.5) / len(table) + 0.02 * (number - (len(tables) - 1) / 2)
        many = (table["count"] >= fewest).to_numpy()
        axes.plot(x[many], table.accuracy[many], ms=8, lw=1.5, label=name, **style)
        axes.plot(x[~many], table.accuracy[~many], ls="", marker=style["marker"], ms=7, mfc="none", color="#AAAAAA")
        for at, row in zip(x, table.itertuples(), strict=True):
            if row.count:
                offset = (0, 9 if number else -16)
                axes.annotate(row.count, (at, row.accuracy), offset, textcoords="offset points", ha="center", fontsize=8)
    axes.set(xlim=(0, 1), ylim=(-12, 112), xlabel="predictive entropy / log K", ylabel="right answers (%)")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure
