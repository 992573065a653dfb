"""What the paper says and what records answer: the runs to compare, the paper's figures, and verdicts by stated rules.

A verdict is one word, what was measured in short, and a sentence. The rules are the same on every page:

- `reached`, for a figure: "holds" when the mean over seeds is at most half a point below the paper's, "holds in part" at most
  two points, else "does not hold".
- `better`, for "A outperforms B": differences are taken seed by seed. "holds" when a paired t-test over three seeds or more is
  clear at the 5 % level, "holds in part" when the mean difference is positive but not clear, else "does not hold".
- `best`, for "this setting is best": "holds" when it is best here too, "holds in part" when it is at most half a point below
  the best here, else "does not hold".

Each is "not run here" where a run that it needs is not on record.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from .study import Record, Study

# What the paper reports for CPDGAL, in percent (Table 1).
PUBLISHED = {
    "indian_pines": {"OA": 97.34, "AA": 96.74, "kappa": 97.21},
    "salinas": {"OA": 99.87, "AA": 99.41, "kappa": 99.81},
    "botswana": {"OA": 98.94, "AA": 99.03, "kappa": 98.82},
}

# The methods that pages compare, by the values of `Study`; floors are asked with random labels.
METHODS = {
    "CPDGAL": {"method": "cpdgal"},
    "ViT": {"method": "vit"},
    "CPDGAL, random questions": {"method": "cpdgal", "query": "random"},
    "coordinates only (1-NN)": {"method": "coordinates", "query": "random"},
    "coordinates, spread out": {"method": "coordinates", "query": "farthest-first"},
    "spectrum only (SVM)": {"method": "spectra", "query": "random"},
}


class Ablation(NamedTuple):
    """A table of the paper: one setting a column, its OA in percent on Botswana."""

    title: str
    settings: dict[str, dict]  # by the values of `Study`
    published: tuple[float, ...]
    best: str  # the setting that the paper calls best

    def studies(self, seeds: Sequence[int], **values) -> dict[str, list[Study]]:
        """The studies of every setting, one a seed; `values` name scene, profile and whatever else they share."""
        return {name: [Study(seed=seed, **{**values, **setting}) for seed in seeds] for name, setting in self.settings.items()}


_SIZES = [
    (8, 8, 2),
    (8, 8, 4),
    (8, 8, 6),
    (8, 16, 6),
    (8, 32, 6),
    (16, 8, 6),
    (32, 8, 6),
    (32, 16, 6),
    (64, 32, 6),
    (64, 64, 8),
]
TABLES = {
    2: Ablation(
        "Embedding D, heads h and layers L",
        {f"C{i} ({d}, {h}, {n})": {"dim": d, "heads": h, "layers": n} for i, (d, h, n) in enumerate(_SIZES, 1)},
        (94.94, 96.79, 96.83, 96.48, 96.70, 97.32, 98.94, 98.50, 97.05, 97.27), "C7 (32, 8, 6)",
    ),
    3: Ablation(
        "Batch size", {str(size): {"batch": size} for size in (8, 16, 32, 64, 128, 256)},
        (96.17, 97.42, 98.73, 98.94, 98.55, 98.50), "64",
    ),
    4: Ablation(
        "Static masks against the learned one",
        {**{str(p): {"static_masking": p} for p in (0.2, 0.4, 0.6, 0.8)}, "learned": {}},
        (97.64, 98.02, 98.42, 97.05, 98.94), "learned",
    ),
    5: Ablation(
        "Diffusion steps T", {str(steps): {"steps": steps} for steps in (5, 10, 100, 500, 1000)},
        (98.20, 98.28, 98.94, 98.42, 98.59), "100",
    ),
    6: Ablation(
        "DGFR and CM",
        {
            "neither (ViT)": {"method": "vit"}, "CM": {"method": "cpdgal-no-dgfr"}, "DGFR": {"method": "cpdgal-no-masking"},
            "both": {"method": "cpdgal"},
        },
        (95.77, 97.64, 98.20, 98.94), "both",
    ),
}  # fmt: skip


def compared(seeds: Sequence[int], **values) -> dict[str, list[Study]]:
    """The studies of every method of `METHODS`, one a seed; `values` name what they share."""
    return {name: [Study(seed=seed, **{**values, **own}) for seed in seeds] for name, own in METHODS.items()}


class Verdict(NamedTuple):
    """What records answer to a claim."""

    word: str  # "holds", "holds in part", "does not hold" or "not run here"
    here: str  # what was measured, in short
    sentence: str


def not_run(sentence: str = "No run is on record yet.") -> Verdict:
    """The verdict on what was not run."""
    return Verdict("not run here", "not run", sentence)


def ends(records: Sequence[Record], score: str = "OA") -> dict[int, float]:
    """The score at the end of each record, by seed."""
    return {record.study.seed: float(record.final[score]) for record in records}


def spread(values) -> str:
    """Mean and standard deviation over seeds with two decimals, as "96.87 ± 0.31"; the value alone when there is one."""
    values = np.asarray(list(values), dtype=float)
    return f"{values.mean():.2f}" + (f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else "")


def reached(published: float, measured: Mapping[int, float]) -> Verdict:
    """On a published percentage, given the measured one at every seed."""
    if not measured:
        return not_run(f"The paper gives {published:.2f} %; no run is on record yet.")
    values = np.array(list(measured.values()))
    gap = values.mean() - published
    word = "holds" if gap >= -0.5 else "holds in part" if gap >= -2 else "does not hold"
    sign = "above" if gap > 0 else "below"
    return Verdict(
        word, f"{spread(values)} %",
        f"The mean over {_seeds(len(values))} is {values.mean():.2f} %, {abs(gap):.2f} points {sign} the paper's "
        f"{published:.2f} %.",
    )  # fmt: skip


def better(left: Mapping[int, float], right: Mapping[int, float], names: tuple[str, str], unit: str = "points") -> Verdict:
    """On "left outperforms right", given a score of both at every seed (the higher the better)."""
    seeds = sorted(set(left) & set(right))
    if not seeds:
        return not_run(f"No seed has both {names[0]} and {names[1]} yet.")
    differences = np.array([left[seed] - right[seed] for seed in seeds])
    said = f"{names[0]} minus {names[1]}, seed by seed, in {unit}: {', '.join(f'{each:+.2f}' for each in differences)}."
    clear = False
    if len(seeds) < 3:
        said += " Too few seeds for a test."
    elif np.ptp(differences) > 0:
        test = stats.ttest_1samp(differences, 0)
        low, high = test.confidence_interval()
        clear = bool(test.pvalue < 0.05)
        said += (
            f" Mean {differences.mean():+.2f}, 95 % interval {low:+.2f} to {high:+.2f} (paired t-test, p = {test.pvalue:.3f}): "
            f"at the 5 % level the two {'differ' if clear else 'cannot be told apart'}."
        )
    mean = differences.mean()
    word = "does not hold" if mean <= 0 else "holds" if clear else "holds in part"
    return Verdict(word, f"{mean:+.2f} {unit} over {_seeds(len(seeds))}", said)


def best(claimed: str, measured: Mapping[str, Mapping[int, float]]) -> Verdict:
    """On "this setting is best", given the percentage of every setting that was run at every seed."""
    means = {name: float(np.mean(list(values.values()))) for name, values in measured.items() if values}
    if claimed not in means or len(means) < 2:
        return not_run(f"{claimed} and at least one other setting have to be run first.")
    winner = max(means, key=means.get)
    gap = means[winner] - means[claimed]
    word = "holds" if winner == claimed else "holds in part" if gap <= 0.5 else "does not hold"
    missing = len(measured) - len(means)
    said = f"Best here is {winner} with {means[winner]:.2f} %; the paper's best, {claimed}, has {means[claimed]:.2f} %"
    return Verdict(
        word, f"best: {winner}, {gap:.2f} points above {claimed}" if gap else f"best: {claimed}",
        said + (f" ({missing} of {len(measured)} settings are not run yet)." if missing else "."),
    )  # fmt: skip


def rank_agreement(published: Sequence[float], measured: Sequence[float]) -> tuple[float, float, float]:
    """Spearman's correlation of two columns and its 95 % interval (Fisher's z with Bonett and Wright's error, 2000).

    NaN for fewer than four pairs; settings without a run (NaN) are left out.
    """
    pairs = np.array([published, measured], dtype=float)
    pairs = pairs[:, ~np.isnan(pairs).any(0)]
    if pairs.shape[1] < 4 or (np.ptp(pairs, axis=1) == 0).any():
        return (np.nan,) * 3
    rho = float(stats.spearmanr(*pairs).statistic)
    error = 1.96 * np.sqrt((1 + rho**2 / 2) / (pairs.shape[1] - 3))
    z = np.arctanh(np.clip(rho, -1 + 1e-9, 1 - 1e-9))
    return rho, float(np.tanh(z - error)), float(np.tanh(z + error))


def beside(table: Ablation, groups: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """A table of the paper beside what was measured: a row a setting, OA in percent."""
    rows = [
        {
            "setting": name, "the paper (Botswana), %": f"{published:.2f}", "seeds": len(groups.get(name, ())),
            "here, %": spread(ends(groups[name]).values()) if groups.get(name) else "not run",
        }
        for name, published in zip(table.settings, table.published, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows).set_index("setting")


def overview(groups: Mapping[str, Sequence[Record]], published: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Methods by row: seeds, labels and mean and deviation of OA, AA and kappa in percent, beside what the paper gives."""
    rows = {
        name: {
            "seeds": len(records), "labels": int(records[0].final.labels), "share, %": f"{records[0].final.share:.2f}",
            **{f"{score}, %": spread(ends(records, score).values()) for score in ("OA", "AA", "kappa")},
        }
        for name, records in groups.items()
        if records
    }  # fmt: skip
    if published:
        rows["CPDGAL, the paper"] = {"share, %": "about 4.7", **{f"{s}, %": f"{value:.2f}" for s, value in published.items()}}
    return pd.DataFrame(rows).T.rename_axis("method").fillna("")


def _seeds(count: int) -> str:
    return f"{count} seeds" if count > 1 else "one seed"
