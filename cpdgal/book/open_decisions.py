"""What the paper leaves open, on validation pixels: readings at full length, and alternatives one at a time."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from ..metrics import mean_entropy
from ..records import Record
from ..study import Study
from .common import studies_of, sweep, t_intervals
from .uncertainty import holm
from .verdicts import FEWEST, by_seed, final_scores, spread

# Readings at the paper's full length, by the rule of book/decisions.md. The bundle is what the early prototype did.
READINGS: dict[str, dict] = {
    "default": {},
    "60 epochs": {"epochs": 60},
    "20 epochs": {"epochs": 20},
    "bundle": {
        "alpha_form": "sigmoid",
        "alpha_range": (0.92, 0.27),
        "alpha_clip": (0.05, 0.99),
        "cw_mse_weight": 0.1 / 32,
        "keep_optimizer": True,
        "residual_blocks": True,
        "residual_denoiser": False,
        "scaling": "none",
    },
    "Adam's state kept": {"keep_optimizer": True},
    "sigmoid schedule": {"alpha_form": "sigmoid"},
}
# Runs of before the rule, which does not use them.
EARLY = {
    **studies_of({"ViT, 60 epochs": {"method": "vit", "epochs": 60}}, range(101, 104), split="validation"),
    **studies_of({"ViT": {"method": "vit"}}, [102], split="validation"),
    **studies_of({"CW-MSE, Adam": {"cw_mse_weight": 0.1 / 32, "keep_optimizer": True}}, [101, 102], split="validation"),
}
SHORT: dict = {"split": "validation", "acquired": 0.06, "cycles": 8, "epochs": 40}
# Each alternative by the number of the decision and what it changes.
ALTERNATIVES: dict[str, dict] = {
    **{f"1: window {window}": {"window": window} for window in (5, 9)},
    "1: residual denoising blocks": {"residual_blocks": True},
    "1: denoiser without its residual": {"residual_denoiser": False},
    "1: residual blocks alone": {"residual_blocks": True, "residual_denoiser": False},
    **{f"2: CW-MSE weight {weight:g}": {"cw_mse_weight": weight} for weight in (0.0, 0.003, 0.01, 0.03, 1.0)},
    "2: CW-MSE target detached": {"detach_target": True},
    "3: masked tokens weigh as much": {"unmasked_weight": 1.0},
    "3: masked tokens weigh more": {"unmasked_weight": 1 / 1.2},
    "3: masked where above one half": {"masked_above": "half"},
    "4: t = T at inference": {"refinement": "last"},
    "4: mean of 8 draws at inference": {"refinement": "average"},
    "5: schedule down to 0.01": {"alpha_range": (0.99, 0.01)},
    "5: schedule down to 0.9": {"alpha_range": (0.99, 0.9)},
    "5: clipped to 0.2..0.8": {"alpha_clip": (0.2, 0.8)},
    "5: sigmoid schedule": {"alpha_form": "sigmoid"},
    "5: fixed schedule": {"alpha_form": "fixed"},
    "5: denoiser without t": {"conditioned": False},
    "6: no mask at inference": {"mask_at_inference": False},
    "7: each training from scratch": {"warm_start": False},
    "7: Adam's state kept": {"keep_optimizer": True},
    "9: first labels from every class": {"stratified": True},
    "9: pool purely at random": {"stratified_pool": False},
    "10: PCA of the pool alone": {"pca": "pool"},
    "10: scores not whitened": {"whiten": False},
    "14: centre token": {"pooling": "centre"},
    "15: Z'_m before the LayerNorm": {"refined_after_norm": False},
    "16: cosine decay": {"decay": "cosine"},
}
READING_SEEDS = range(101, 106)


def readings() -> dict[str, list[Study]]:
    """The studies of the readings by name, one a seed."""
    return studies_of(READINGS, READING_SEEDS, split="validation")


def judged_readings(groups: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """The readings by the rule of book/decisions.md: a row each, with its seeds, the mean OA of the last five evaluations, the
    gain over the default on shared seeds with its 95 % interval (t), and what the rule says once all seeds are run."""
    late = {name: {r.study.seed: r.cycles.OA.dropna()[-5:].mean() for r in records} for name, records in groups.items()}
    means = pd.DataFrame({name: pd.Series(own, dtype=float) for name, own in late.items()}).T
    gains = (means - means.loc["default"]).drop(index="default").dropna(how="all")
    low, high = t_intervals(gains).T.to_numpy()
    count, gain = gains.count(axis=1), gains.mean(axis=1)
    verdict = np.where((gain >= 1) & (low > 0), "better", "not better")
    open_ = count.map(f"open: {{}} of {len(READING_SEEDS)} seeds".format)
    interval = [f"{a:+.2f} to {b:+.2f}" if a == a else "" for a, b in zip(low, high, strict=True)]
    columns = {
        "seeds": means.count(axis=1),
        "OA, last five evaluations, %": means.mean(axis=1).map("{:.2f}".format).replace("nan", "not run"),
        "gain, points": gain.map("{:+.2f}".format),
        "95 % interval": pd.Series(interval, gains.index),
        "by the rule": open_.where(count < len(READING_SEEDS), verdict),
    }
    return pd.DataFrame(columns, means.index).fillna("").rename_axis("reading")


def reading_p_values(groups: Mapping[str, Sequence[Record]], name: str) -> str:
    """The p of a reading's gain over the default (two-sided paired t-test), and the same by Holm's rule over all readings that
    were run, as a sentence; empty for a reading of fewer than three seeds."""
    late = {reading: final_scores(records, "OA", 5) for reading, records in groups.items()}
    gains = (pd.DataFrame(late).T.drop(index="default").sub(pd.Series(late["default"], dtype=float))).T
    p = pd.Series({each: stats.ttest_1samp(gains[each].dropna(), 0).pvalue for each in gains if gains[each].count() >= FEWEST})
    if name not in p:
        return ""
    adjusted = pd.Series(holm(p.tolist()), p.index)
    alone, together = f"p = {p[name]:.3f} as if it were the only reading", f"{adjusted[name]:.2f} by Holm's rule"
    return f"{alone}, and {together} over the {len(p)} that were run"


# Networks trained once, whose diagnostics stand beside those of the readings.
FEW: dict[str, dict] = {
    "1 of each class": {"per_class": 1},
    "10 of each class": {"per_class": 10},
    "half of the pool": {"initial": 0.5},
}
AT_ONCE = studies_of({f"{name}, once": values for name, values in FEW.items()}, range(3), cycles=0)

# What a record's diagnostics say of the modules, by column; shares in percent.
MODULES = {
    "alpha_t, mean": ("alpha_mean", 1),
    "steps at an end of the range, %": ("alpha_clipped", 100),
    "noise over token, %": ("noise_share", 100),
    "M_b, mean": ("mask_mean", 1),
    "M_b, standard deviation within a window": ("mask_within", 1),
    "M_b, standard deviation between windows": ("mask_between", 1),
    "gamma": ("gamma", 1),
    "predictions changed by a constant mask, %": ("changed_by_constant_mask", 100),
    "predictions changed by DGFR as in training, %": ("changed_by_dgfr", 100),
}


def module_table(groups: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """What the modules do in trained networks at the end of the loop, on the rest of the pool: a row a group, means over the
    seeds whose records say so."""
    ends = {name: [each.diagnostics.iloc[-1] for each in own if each.diagnostics.size] for name, own in groups.items()}
    rows = {
        name: {
            "seeds": len(own),
            **{column: scale * np.mean([e[key] for e in own]) for column, (key, scale) in MODULES.items()},
        }
        for name, own in ends.items()
        if own
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["seeds", *MODULES]).rename_axis("reading")


# Trainings of other lengths, in the words of the page.
LENGTHS = {
    "CPDGAL": {"200 epochs (the paper)": "default", "60 epochs": "60 epochs", "20 epochs": "20 epochs"},
    "ViT": {"200 epochs (the paper)": "ViT", "60 epochs": "ViT, 60 epochs"},
}


def broken(record: Record) -> pd.Series:
    """(cycles + 1,) whether a training broke down: its loss ended above 0.1 and above ten times the median of the run's."""
    loss = record.cycles.loss
    return (loss > 0.1) & (loss > 10 * loss.median())


def unbroken(record: Record) -> float:
    """The mean OA of the last ten evaluations, of trainings that did not break down, in percent."""
    return float(record.cycles.OA[-10:][~broken(record)[-10:]].mean())


def length_table(groups: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """What a training of some epochs does to the loop: a row a group, means and standard deviations over seeds.

    Overall accuracy on validation pixels (%), all trainings that broke down, the median of the losses at their ends, and the
    mean entropy of the remaining pool (% of log K) after cycle 10 and at the end.
    """
    measures = {
        "OA, last five evaluations, %": lambda r: r.cycles.OA[-5:].mean(),
        "OA, last ten, without broken trainings, %": unbroken,
        "loss, thousandths": lambda r: 1000 * r.cycles.loss.median(),
        "entropy of the remaining pool after cycle 10, %": lambda r: 100 * mean_entropy(r.entropy[10]),
        "at the end, %": lambda r: 100 * mean_entropy(r.entropy[-1]),
    }
    rows = {}
    for name, records in groups.items():
        late = [broken(r)[11:] for r in records]  # the first trainings end high because they are short of steps
        rows[name] = {
            "seeds": str(len(records)),
            **{what: spread(by_seed(records, of).values()) for what, of in measures.items()},
        }
        rows[name]["broken, cycles 11 to 30"] = f"{sum(map(sum, late))} of {sum(map(len, late))}"
    return pd.DataFrame(rows).T.rename_axis("trainings")


def probed_pixels(groups: Mapping[str, Sequence[Record]]) -> list[int]:
    """How many pixels of the pool were left at the end, of every record with diagnostics: those that these were taken on."""
    return [int(each.entropy[-1].sum()) for own in groups.values() for each in own if each.diagnostics.size]


def most_changed(groups: Mapping[str, Sequence[Record]]) -> dict[str, float]:
    """The largest share of predictions, in percent, that change in any one network at the end: by a constant "mask", and by
    "dgfr" acting as in training. Empty where no record says so."""
    ends = [each.diagnostics.iloc[-1] for own in groups.values() for each in own if each.diagnostics.size]
    keys = {"mask": "changed_by_constant_mask", "dgfr": "changed_by_dgfr"}
    return {name: float(100 * max(end[key] for end in ends)) for name, key in keys.items()} if ends else {}


def largest_changes(changes: pd.DataFrame) -> str:
    """How many alternatives are above the default on average, and the largest gain and loss in points, for a caption; `changes`
    has a row for each alternative and a column for each seed."""
    means = changes.mean(axis=1)
    return (
        f"{(means > 0).sum()} of {len(means)} alternatives have a higher mean than the default; the means range from "
        f"{means.min():+.2f} points ({means.idxmin()}) to {means.max():+.2f} points ({means.idxmax()})."
    )


def alternatives() -> dict[str, list[Study]]:
    """The studies of the short protocol by name: the default, the `ALTERNATIVES` and the ViT, one a seed."""
    return studies_of({"default": {}, **ALTERNATIVES, "ViT": {"method": "vit"}}, range(101, 104), **SHORT)


# What the paper says of its parts in passing: an alternative without the part has to be worse.
PARTS = {
    "learned": "5: fixed schedule",
    "conditioned": "5: denoiser without t",
    "weights": "3: masked tokens weigh as much",
    "cwmse": "2: CW-MSE weight 0",
}
_short = alternatives()
STUDIES = sweep({name: _short[name] for name in PARTS.values()}, readings(), EARLY, _short)
