"""Fig. 7: the predictive entropy of what is left of the pool."""

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..metrics import entropy_histogram, mean_entropy
from ..plots import line_styles
from ..records import Record
from ..study import Study
from .common import BUDGETS, studies_of, sweep
from .verdicts import Verdict, above, better, by_seed, combined, seed_count

STUDIES = sweep(studies_of(BUDGETS, range(3))) | {Study(): True}  # the headline's run answers with its weights
LOWEST, UPPER_HALF = slice(0, 1), slice(5, 10)  # of the ten bins


def accuracy_by_entropy(true: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """The share of correct predictions by how certain they are: a row for each equal bin of predictive entropy over log k.

    Columns `count` and `accuracy` (percent, NaN where no pixel falls).
    """
    right = entropy_histogram(probabilities[probabilities.argmax(1) == true], bins)
    count = entropy_histogram(probabilities, bins)
    return pd.DataFrame({"count": count, "accuracy": 100 * right / np.where(count, count, np.nan)})


def in_bins(record: Record, bins: slice) -> np.ndarray:
    """(cycles + 1,) percent of what is left of the pool that lies in some of the ten entropy bins."""
    return 100 * record.entropy[:, bins].sum(1) / record.entropy.sum(1)


def _long(records: Sequence[Record]) -> list[Record]:
    """The records of 30 cycles or more."""
    return [record for record in records if len(record.entropy) > 30]


def entropy_start(records: Sequence[Record]) -> Verdict:
    """On "initially skewed towards higher-entropy bins": after the first training the upper five bins have more than half of
    the pool."""
    upper = by_seed(records, lambda record: in_bins(record, UPPER_HALF)[0])
    return above(50.0, upper, "The share of the upper five bins after the first training", "%")


def entropy_shifts(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On "mass shifts toward lower-entropy bins": at each budget the mean entropy (from bin centres, in percent of log K) is
    higher after the first training than at the end, by `better`."""
    ends = {
        name: [
            by_seed(r, lambda record: 100 * float(mean_entropy(record.entropy[0]))),
            by_seed(r, lambda record: 100 * float(mean_entropy(record.entropy[-1]))),
        ]
        for name, r in groups.items()
    }
    return combined(
        {
            name: better(start, end, ("Mean entropy at first", "at the end"), "percent of log K")
            for name, (start, end) in ends.items()
        }
    )


def gathers_in_lowest_bin(records: Sequence[Record], first: int, last: int, share: float) -> Verdict:
    """On pixels gathering in the lowest entropy bin over cycles first..last: it has more than `share` percent of the remaining
    pool at every one of them."""
    least = by_seed(_reaching(records, last), lambda record: in_bins(record, LOWEST)[first : last + 1].min())
    return above(share, least, f"The smallest share of the lowest bin over cycles {first} to {last}", "%")


def entropy_lighter(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On "globally lighter map, with minimal low-entropy accumulation": over cycles 1 to 30 the lowest bin has fewer pixels
    at 2 % than at 0.5 %, and a smaller share of what is left of the pool, each by `better`."""
    small, large = (_reaching(groups[name], 30) for name in ("0.5 %", "2 %"))
    measures: dict[str, Callable] = {
        "pixels": lambda record: record.entropy[1:31, 0].mean(),
        "points": lambda record: in_bins(record, LOWEST)[1:31].mean(),
    }
    names = ("Lowest bin at 0.5 %", "at 2 %")
    return combined({unit: better(by_seed(small, of), by_seed(large, of), names, unit) for unit, of in measures.items()})


def entropy_middle(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On the sentences about 1 %: "lower overall yellow intensity" (the lowest bin has fewer pixels than at 0.5 % over cycles 1
    to 30) and "low-entropy mass diminishing after the 22nd cycle" (it has fewer at cycle 30 than at 22), each by `better`."""
    small, middle = (_reaching(groups[name], 30) for name in ("0.5 %", "1 %"))
    mass = [by_seed(records, lambda record: record.entropy[1:31, 0].mean()) for records in (small, middle)]
    ends = [{record.study.seed: float(record.entropy[at, 0]) for record in middle} for at in (22, 30)]
    return combined(
        {
            "intensity": better(mass[0], mass[1], ("Lowest bin at 0.5 %", "at 1 %"), "pixels"),
            "after cycle 22": better(ends[0], ends[1], ("Lowest bin at cycle 22", "at cycle 30"), "pixels"),
        }
    )


def little_ambiguity(records: Sequence[Record]) -> Verdict:
    """On "late cycles show little residual ambiguity" at 2 %: over cycles 25 to 30 the upper five bins have less than one pixel
    in a hundred."""
    shares = by_seed(_reaching(records, 30), lambda record: in_bins(record, UPPER_HALF)[25:31].mean())
    return better(dict.fromkeys(shares, 1.0), shares, ("1 %", "the share of the upper five bins"), margin=0.0)


def entropy_persists(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On "a persistent fraction remains in higher-entropy bins": at each budget the upper five bins have more than one pixel in
    a hundred, on average over cycles 21 to 30."""
    ran = {name: _reaching(records, 30) for name, records in groups.items()}
    shares = {name: by_seed(records, lambda record: in_bins(record, UPPER_HALF)[21:31].mean()) for name, records in ran.items()}
    return combined({name: above(1.0, each, "The share of the upper five bins", "%", 0.0) for name, each in shares.items()})


def _reaching(records: Sequence[Record], cycle: int) -> list[Record]:
    """The records that have so many cycles."""
    return [record for record in records if len(record.entropy) > cycle]


def entropy_maps(groups: dict[str, list[Record]]) -> Figure:
    """Pixels by predictive entropy (rows, low above) and cycle (columns), mean over seeds, a panel a budget, one scale."""
    shown = {name: np.mean([record.entropy for record in records], axis=0).T for name, records in groups.items() if records}
    figure, axes = plt.subplots(len(shown), 1, figsize=(8, 2.3 * len(shown) + 0.4), squeeze=False, layout="constrained")
    top = max(counts.max() for counts in shown.values())
    for axis, (name, counts) in zip(axes[:, 0], shown.items(), strict=True):
        extent = (-0.5, counts.shape[1] - 0.5, 1, 0)
        image = axis.imshow(counts, cmap="viridis", vmin=0, vmax=top, aspect="auto", extent=extent, interpolation="nearest")
        axis.set_title(f"{name} per cycle ({seed_count(len(groups[name]))})", fontsize=10)
        axis.set(xlabel="cycle", ylabel="entropy / log K")
        axis.label_outer()
    figure.colorbar(image, ax=axes, label="pixels in the remaining pool")
    return figure


def lowest_bin(groups: Mapping[str, Sequence[Record]]) -> str:
    """The share of the remaining pool in the lowest bin at first and at the end, mean over seeds, for a caption."""
    shares = {name: np.mean([in_bins(r, LOWEST)[[0, -1]] for r in records], 0) for name, records in groups.items() if records}
    listed = ", ".join(f"from {start:.0f} to {end:.0f} % at {name}" for name, (start, end) in shares.items())
    return f"The lowest bin's share of the remaining pool goes {listed}." if listed else "No run is on record yet."


def wrong_and_certain(tables: Mapping[str, pd.DataFrame]) -> str:
    """How many of the predictions in the lowest bin are wrong, from tables of `accuracy_by_entropy`, for a caption."""
    lowest = {name: table.iloc[0] for name, table in tables.items() if table["count"].iloc[0]}
    wrong = {name: round(row["count"] * (1 - row.accuracy / 100)) for name, row in lowest.items()}
    listed = ", ".join(f"{wrong[name]} of {row['count']:.0f} ({name})" for name, row in lowest.items())
    return f"Wrong in the lowest bin: {listed}." if listed else "No prediction lies in the lowest bin."


def right_by_entropy(tables: dict[str, pd.DataFrame], fewest: int = 20) -> Figure:
    """Correct predictions over predictive entropy, from tables of `accuracy_by_entropy`; bins with fewer pixels than `fewest`
    are pale and hollow. Numbers beside the dots count pixels."""
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
    axes.set(xlim=(0, 1), ylim=(-12, 112), xlabel="predictive entropy / log K", ylabel="correct predictions (%)")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure
