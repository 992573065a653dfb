"""What the paper says and what records answer: the runs to compare, the paper's figures, and verdicts by stated rules.

A verdict is one word, what was measured in short, and a sentence. The rules are the same on every page:

- `reached`, for a figure: "holds" when the mean over seeds is at most half a point below the paper's, "holds in part" at most
  two points, else "does not hold".
- `better`, for "A outperforms B": differences are taken seed by seed. "holds" when a paired t-test over three seeds or more is
  clear at the 5 % level, "holds in part" when the mean difference is positive but not clear, else "does not hold".
- `best`, for "this setting is best": "holds" when it is best here too, "holds in part" when it is at most half a point below
  the best here, else "does not hold".
- `agrees`, for a count: "holds" when ours is within 1 % of the paper's, "holds in part" within 5 %, else "does not hold".

Each is "not run here" where a run that it needs is not on record.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from scipy.integrate import trapezoid

from .methods import METHODS as BY_NAME
from .methods import size
from .metrics import mean_entropy
from .peers import PEERS
from .records import Record, Store
from .study import Study

# What the paper reports for CPDGAL, in percent (Table 1).
PUBLISHED = {
    "indian_pines": {"OA": 97.34, "AA": 96.74, "kappa": 97.21},
    "salinas": {"OA": 99.87, "AA": 99.41, "kappa": 99.81},
    "botswana": {"OA": 98.94, "AA": 99.03, "kappa": 98.82},
}

# What Table 1 gives for the peers on Indian Pines: OA, AA and kappa in percent. It has no supervised ViT.
TABLE_1 = {
    "cnn2d": (91.19, 87.42, 89.95),
    "cnn3d": (85.95, 80.11, 83.91),
    "hybridsn": (93.10, 88.43, 92.12),
    "sprn": (90.84, 82.18, 89.56),
    "spectralformer": (78.84, 70.28, 75.80),
    "ssftt": (93.15, 90.03, 92.18),
    "gaht": (94.42, 83.63, 93.64),
    "caevt": (93.93, 89.81, 93.08),
    "morphformer": (94.96, 89.74, 94.25),
    "gscvit": (97.12, 94.34, 96.67),
    "datn": (97.18, 93.61, 96.78),
    "dctn": (96.76, 93.10, 96.30),
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


# What the runs of workflow/sweeps.yml cut of a peer's own recipe or input, as values of `Study`, so that none takes over three
# quarters of an hour of one core.
CUT = {
    "spectralformer": {"epochs": 150},
    "vit_hong": {"epochs": 250},
    "caevt": {"epochs": 130},
    "morphformer": {"epochs": 80},
    "sst": {"epochs": 30},
    "datn": {"epochs": 30},
    "dctn": {"epochs": 15},
    "ssan": {"components": 30},
}

# CPDGAL's network with the labels that the peers have, and a peer with CPDGAL's protocol.
NO_LOOP = {"cycles": 0, "initial": 0.5, "stratified": True}
LOOP = {"cycles": 30, "initial": 0.05, "stratified": False}
# Blocks for all of Table 1: a gap for the widest window but HybridSN's, so that they share pool and hold-out.
BLOCKS = {"split": "block", "gap": 14}


def contenders(seeds: Sequence[int], *, capped: bool = True, **values) -> dict[str, list[Study]]:
    """The studies of Table 1 that share their labels, by title, one a seed: all peers, networks that other packages bring,
    CPDGAL and its twin without the loop.

    `values` name what they share; ``capped`` cuts long recipes as `CUT` says, where the profile has not cut them already.
    """
    cut = CUT if capped and values.get("profile") != "smoke" else {}
    networks = {name: method for name, method in BY_NAME.items() if method.kind == "network" and not method.takes}
    own = {
        method.title: {"method": name, **cut.get(name, {}), **({} if method.recipe else NO_LOOP)}
        for name, method in networks.items()
    }
    own |= {"CPDGAL, no loop": {"method": "cpdgal", **NO_LOOP}, "ViT, no loop": {"method": "vit", **NO_LOOP}}
    return {title: [Study(seed=seed, **{**values, **each}) for seed in seeds] for title, each in own.items()}


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
        (94.94, 96.79, 96.83, 96.48, 96.70, 97.32, 98.94, 98.50, 97.05, 97.27),
        "C7 (32, 8, 6)",
    ),
    3: Ablation(
        "Batch size",
        {str(size): {"batch": size} for size in (8, 16, 32, 64, 128, 256)},
        (96.17, 97.42, 98.73, 98.94, 98.55, 98.50),
        "64",
    ),
    4: Ablation(
        "Static masks against the learned one",
        {**{str(p): {"static_masking": p} for p in (0.2, 0.4, 0.6, 0.8)}, "learned": {}},
        (97.64, 98.02, 98.42, 97.05, 98.94),
        "learned",
    ),
    5: Ablation(
        "Diffusion steps T",
        {str(steps): {"steps": steps} for steps in (5, 10, 100, 500, 1000)},
        (98.20, 98.28, 98.94, 98.42, 98.59),
        "100",
    ),
    6: Ablation(
        "DGFR and CM",
        {
            "neither (ViT)": {"method": "vit"},
            "CM": {"method": "cpdgal-no-dgfr"},
            "DGFR": {"method": "cpdgal-no-masking"},
            "both": {"method": "cpdgal"},
        },
        (95.77, 97.64, 98.20, 98.94),
        "both",
    ),
}


def compared(seeds: Sequence[int], **values) -> dict[str, list[Study]]:
    """The studies of every method of `METHODS`, one a seed; `values` name what they share."""
    return {name: [Study(seed=seed, **{**values, **own}) for seed in seeds] for name, own in METHODS.items()}


# Few labels: so many of every class, or so much of the pool at random. The paper does not say how few are "extreme": here,
# at most five of each class, or a fifth of the pool (2 % of the labelled pixels where the pool is a tenth of them).
FEW_LABELS = {
    **{f"{count} of each class": {"per_class": count} for count in (1, 2, 3, 5, 10)},
    **{f"{100 * share:g} % of the pool": {"initial": share} for share in (0.05, 0.1, 0.2, 0.3, 0.5)},
}
EXTREME = tuple(name for name, given in FEW_LABELS.items() if given.get("per_class", 0) <= 5 and given.get("initial", 0) <= 0.2)


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


def average(by_seed: Mapping[int, float]) -> float:
    """The mean over seeds; NaN for none."""
    return float(np.mean(list(by_seed.values()))) if by_seed else np.nan


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
        word,
        f"{spread(values)} %",
        f"The mean over {_seeds(len(values))} is {values.mean():.2f} %, {abs(gap):.2f} points {sign} the paper's "
        f"{published:.2f} %.",
    )


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
    means = {name: average(values) for name, values in measured.items() if values}
    if claimed not in means or len(means) < 2:
        return not_run(f"{claimed} and at least one other setting have to be run first.")
    winner = max(means, key=means.get)
    gap = means[winner] - means[claimed]
    word = "holds" if winner == claimed else "holds in part" if gap <= 0.5 else "does not hold"
    missing = len(measured) - len(means)
    said = f"Best here is {winner} with {means[winner]:.2f} %; the paper's best, {claimed}, has {means[claimed]:.2f} %"
    return Verdict(
        word,
        f"best: {winner}, {gap:.2f} points above {claimed}" if gap else f"best: {claimed}",
        said + (f" ({missing} of {len(measured)} settings are not run yet)." if missing else "."),
    )


def agrees(published: float, counted: float, unit: str) -> Verdict:
    """On a published size of the network, given ours in the same unit."""
    off = abs(counted / published - 1)
    word = "holds" if off <= 0.01 else "holds in part" if off <= 0.05 else "does not hold"
    return Verdict(
        word, f"{counted:,.5g} {unit}", f"Here {counted:,.5g} {unit}, {100 * off:.2f} % off the paper's {published:,.5g}."
    )


def peak(measured: Mapping[str, Mapping[int, float]]) -> Verdict:
    """On "more helps until it is too much", given the percentage of every setting at every seed, in the settings' order.

    The best setting between the ends is compared with the first and with the last over the seeds that they share: "holds"
    when it is more than half a point above both, "holds in part" when above the first alone, else "does not hold".
    """
    first, *inner, last = measured
    means = {name: average(measured[name]) for name in inner if measured[name]}
    top = max(means, key=means.get, default=first)
    shared = [sorted(set(measured[top]) & set(measured[end])) for end in (first, last)]
    if not means or not all(shared):
        return not_run(f"{first}, {last} and a setting between them have to be run first.")
    rise, fall = (
        np.mean([measured[top][seed] - measured[end][seed] for seed in seeds])
        for end, seeds in zip((first, last), shared, strict=True)
    )
    return Verdict(
        "does not hold" if rise <= 0.5 else "holds" if fall > 0.5 else "holds in part",
        f"{top}: {rise:+.2f} points against {first}, {fall:+.2f} against {last}",
        f"Best between the ends is {top} with {means[top]:.2f} %: {rise:+.2f} points against {first} "
        f"({_seeds(len(shared[0]))}), {fall:+.2f} against {last} ({_seeds(len(shared[1]))}).",
    )


def together(parts: Mapping[str, Verdict]) -> Verdict:
    """On a claim of several parts: "holds" when all do, "does not hold" when none does, "not run here" when one is not run,
    else "holds in part"."""
    words = {part.word for part in parts.values()}
    word = "not run here" if "not run here" in words else words.pop() if len(words) == 1 else "holds in part"
    here = "; ".join(f"{name} {part.here}" for name, part in parts.items())
    return Verdict(word, here, " ".join(part.sentence for part in parts.values()))


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


def agreement(table: Ablation, groups: Mapping[str, Sequence[Record]]) -> str:
    """Whether the settings of a table are in the paper's order here, as a sentence."""
    means = [average(ends(groups.get(name, ()))) for name in table.settings]
    return _ranks(*rank_agreement(table.published, means), int(np.isfinite(means).sum()), "settings")


def _ranks(rho: float, low: float, high: float, count: int, what: str, whose: str = "the paper's order") -> str:
    if np.isnan(rho):
        return f"For a rank correlation with {whose}, four {what} have to be run."
    return f"Spearman's rank correlation with {whose} is {rho:+.2f} (95 % interval {low:+.2f} to {high:+.2f}, {count} {what})."


def on_record(studies: Mapping[str, Sequence[Study]], groups: Mapping[str, Sequence[Record]]) -> str:
    """How many of the studies there are records of, and which are missing, as a sentence."""
    missing = {
        name: sorted({study.seed for study in each} - {record.study.seed for record in groups.get(name, ())})
        for name, each in studies.items()
    }
    total = sum(map(len, studies.values()))
    there = total - sum(map(len, missing.values()))
    said = "; ".join(
        f"{name} (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))})" for name, seeds in missing.items() if seeds
    )
    return f"{there} of {total} runs are on record" + (f"; missing: {said}." if said else ".")


def beside(table: Ablation, groups: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """A table of the paper beside what was measured: a row a setting, OA in percent."""
    rows = [
        {
            "setting": name,
            "the paper (Botswana), %": f"{published:.2f}",
            "seeds": len(groups.get(name, ())),
            "here, %": spread(ends(groups[name]).values()) if groups.get(name) else "not run",
        }
        for name, published in zip(table.settings, table.published, strict=True)
    ]
    return pd.DataFrame(rows).set_index("setting")


def against_best(table: Ablation, groups: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Settings by row: OA minus that of the setting the paper calls best, in points. `change` and `deviation` are taken seed by
    seed over the seeds that both have (NaN: none, or one), `published` is the paper's."""
    top = ends(groups.get(table.best, ()))
    rows = {}
    for name, published in zip(table.settings, table.published, strict=True):
        own = ends(groups.get(name, ()))
        changes = pd.Series({seed: own[seed] - top[seed] for seed in own if seed in top}, dtype=float)
        rows[name] = {"change": changes.mean(), "deviation": changes.std(), "published": published - max(table.published)}
    return pd.DataFrame.from_dict(rows, orient="index")


def table_1(groups: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Table 1 on Indian Pines: a row a method, by title, with OA, AA and kappa in percent, each beside the paper's."""
    published = stated("OA"), stated("AA"), stated("kappa")
    rows = {}
    for title, records in groups.items():
        row = {"labels": f"{records[0].final.labels:.0f}" if records else ""}
        for score, paper in zip(("OA", "AA", "kappa"), published, strict=True):
            row[f"{score}, %"] = spread(ends(records, score).values()) if records else "not run"
            row[f"paper's {score}"] = f"{paper[title]:.2f}" if title in paper else ""
        rows[title] = row | {"seeds": len(records), "budget-capped at": capped_at(records)}
    return pd.DataFrame(rows).T.rename_axis("method")


def capped_at(records: Sequence[Record]) -> str:
    """What a peer's runs cut of its own recipe or input, in words; empty for none, and for what is no peer."""
    peer = BY_NAME[records[0].study.method].recipe if records else None
    if peer is None:
        return ""
    study = records[0].study
    epochs = [f"{study.epochs} of {peer.epochs} epochs"] if study.epochs < peer.epochs else []
    bands = [f"{study.components} components for its raw bands"] if study.components and not peer.components else []
    return ", ".join(epochs + bands)


def whole(groups: Mapping[str, Sequence[Record]]) -> dict[str, Sequence[Record]]:
    """The groups that were run and cut nothing: how a method ranks cannot be told from a part of its training."""
    return {title: records for title, records in groups.items() if records and not capped_at(records)}


def stated(score: str = "OA") -> dict[str, float]:
    """What Table 1 gives on Indian Pines, in percent, by title."""
    at = ("OA", "AA", "kappa").index(score)
    return {PEERS[name].title: scores[at] for name, scores in TABLE_1.items()} | {"CPDGAL": PUBLISHED["indian_pines"][score]}


def order(groups: Mapping[str, Sequence[Record]], other: Mapping[str, float], whose: str) -> str:
    """Whether methods that are `whole` are in the order that they have by `other`, a percentage by title, as a sentence."""
    ran = whole(groups)
    shared = [title for title in other if title in ran]
    ours = [average(ends(ran[title])) for title in shared]
    return _ranks(*rank_agreement([other[title] for title in shared], ours), len(shared), "methods", whose)


def weighed(groups: Mapping[str, Sequence[Record]], measured: pd.DataFrame) -> pd.DataFrame:
    """What methods weigh and cost on Indian Pines, by title, NaN where unknown.

    Overall accuracy in percent, parameters (all, used, counted by common counters, and the paper's in millions),
    multiply-adds of one window in millions, minutes of a run, and what `inference` tells.
    """
    names = {method.title: name for name, method in BY_NAME.items()}
    rows = {}
    for title, records in groups.items():
        name = names.get(title) or names[title.split(",")[0]]
        peer, weight = BY_NAME[name].recipe, size(name)
        minutes = [sum(record.provenance["seconds"]) / 60 for record in records]
        rows[title] = {
            "OA, %": average(ends(records)),
            "parameters": weight.parameters,
            "used": weight.used,
            "counted": weight.counted,
            "paper, millions": peer.published if peer else 0.09 if name == "cpdgal" else None,
            "multiply-adds, millions": weight.multiply_adds / 1e6,
            "minutes": np.mean(minutes) if records else np.nan,
            **(measured.loc[name] if name in measured.index else {}),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def inference(store: Store) -> pd.DataFrame:
    """Pixels a second and memory in MiB by name of the method, as `benchmarks/inference.py` measured them; empty without."""
    found = [path for folder in store.folders if (path := folder / "inference.csv").is_file()]
    return pd.read_csv(found[0], comment="#", index_col="method") if found else pd.DataFrame()


def by_class(groups: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Accuracy of each class in percent, mean over seeds: a row a method that was run, a column a class."""
    ran = {title: pd.concat([each.classes.accuracy for each in runs], axis=1) for title, runs in groups.items() if runs}
    return pd.DataFrame({title: accuracies.mean(axis=1) for title, accuracies in ran.items()}).T


def outperforms(groups: Mapping[str, Sequence[Record]], ours: str = "CPDGAL") -> Verdict:
    """On "CPDGAL outperforms all peers", by the mean over seeds: "holds" when it is above every peer that was run `whole`,
    "holds in part" when it is above half of them or more, else "does not hold"."""
    means = {title: average(ends(runs)) for title, runs in whole(groups).items()}
    peers = [peer.title for peer in PEERS.values()]
    ran = [means[title] for title in peers if title in means]
    if ours not in means or not ran:
        return not_run(f"{ours} and at least one peer have to be run whole first.")
    below = sum(mean < means[ours] for mean in ran)
    word = "holds" if below == len(ran) else "holds in part" if 2 * below >= len(ran) else "does not hold"
    here = f"above {below} of {len(ran)} peers run whole"
    cut = sum(bool(groups.get(title)) for title in peers) - len(ran)
    others = [f"{cut} more were cut and do not count."] * bool(cut)
    others += [f"{len(peers) - len(ran) - cut} more are not run yet."] * (len(ran) + cut < len(peers))
    return Verdict(word, here, " ".join([f"{ours} ({means[ours]:.2f} %) is {here}.", *others]))


def overview(groups: Mapping[str, Sequence[Record]], published: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Methods by row: seeds, labels and mean and deviation of OA, AA and kappa in percent, beside what the paper gives."""
    rows = {
        name: {
            "seeds": len(records),
            "labels": int(records[0].final.labels),
            "share, %": f"{records[0].final.share:.2f}",
            **{f"{score}, %": spread(ends(records, score).values()) for score in ("OA", "AA", "kappa")},
        }
        for name, records in groups.items()
        if records
    }
    if published:
        rows["CPDGAL, the paper"] = {"share, %": "about 4.7", **{f"{s}, %": f"{value:.2f}" for s, value in published.items()}}
    return pd.DataFrame(rows).T.rename_axis("method").fillna("")


def mean_ends(groups: Sequence[Sequence[Record]], score: str = "OA") -> dict[int, float]:
    """The mean over groups of the score at the end, for every seed that all of the groups have."""
    scores = [ends(records, score) for records in groups]
    seeds = set.intersection(*map(set, scores)) if scores else set()
    return {seed: float(np.mean([each[seed] for each in scores])) for seed in sorted(seeds)}


def sooner(left: Sequence[Record], right: Sequence[Record], names: tuple[str, str]) -> Verdict:
    """On "left converges faster": by `better`, on the `epochs_to_level`, seed by seed, the fewer the better."""
    turned = ({seed: -count for seed, count in each.items()} for each in epochs_to_level(left, right))
    return better(*turned, names, "epochs sooner")


def epochs_to_level(left: Sequence[Record], right: Sequence[Record]) -> tuple[dict[int, int], dict[int, int]]:
    """Epochs until the OA on the hold-out first is at most one point below the lower of the two ends, by seed, for records that
    train on the same labels in stages."""
    runs = [{record.study.seed: record for record in records} for records in (left, right)]
    counts = ({}, {})
    for seed in sorted(set(runs[0]) & set(runs[1])):
        level = min(each[seed].final.OA for each in runs) - 1
        for count, record in zip(counts, (each[seed] for each in runs), strict=True):
            reached_in = record.cycles["cycle"][record.cycles.OA >= level].iloc[0]
            count[seed] = int(reached_in + 1) * record.study.epochs
    return counts


def by_setting(methods: Mapping[str, Mapping[str, Sequence[Record]]]) -> pd.DataFrame:
    """Settings by row, methods by column: OA in percent, beside the labels and their share of the labelled pixels (means)."""
    rows = {}
    for name in next(iter(methods.values())):
        spent = [record.final for settings in methods.values() for record in settings[name]]
        rows[name] = {
            "labels": f"{np.mean([each.labels for each in spent]):.0f}" if spent else "",
            "share, %": f"{np.mean([each.share for each in spent]):.2f}" if spent else "",
            **{f"{m}, %": spread(ends(s[name]).values()) if s[name] else "not run" for m, s in methods.items()},
        }
    return pd.DataFrame(rows).T.rename_axis("labels given")


def over_labels(groups: Sequence[Sequence[Record]]) -> pd.DataFrame:
    """OA in percent at the end of groups of records: a row a group, by its mean number of labels, and a column a seed."""
    rows = {np.mean([record.final.labels for record in records]): ends(records) for records in groups if records}
    return pd.DataFrame(rows).T


def kept(accuracies: pd.Series) -> float:
    """How much of an accuracy stays under disturbance: the area under `accuracies` over their index, the strengths from 0 up,
    in percent of the area that the first of them would have throughout."""
    strengths = accuracies.index.to_numpy(dtype=float)
    return float(100 * trapezoid(accuracies, strengths) / (accuracies.iloc[0] * np.ptp(strengths)))


# Figures 6 and 7: what a cycle asks for, of the remaining pool, and the paper's EMI of the first cycle.
BUDGETS = {"0.5 %": 0.005, "1 %": 0.01, "2 %": 0.02}
FIRST_EMI = {"0.5 %": 0.0214, "1 %": 0.0468, "2 %": 0.0340}


def budgets(seeds: Sequence[int], **values) -> dict[str, list[Study]]:
    """The studies of every budget of Fig. 6 and 7, one a seed; `values` name what they share."""
    return {name: [Study(seed=seed, acquired=share, **values) for seed in seeds] for name, share in BUDGETS.items()}


def emi(records: Sequence[Record], first: int, last: int, of=np.mean) -> dict[int, float]:
    """The mean EMI over cycles first..last by seed, or another statistic `of` it, in points of OA; runs with fewer cycles, or
    with one of these not scored, are left out."""
    gains = {r.study.seed: 100 * r.cycles.EMI[first : last + 1] for r in records if len(r.cycles) > last}
    return {seed: float(of(gain)) for seed, gain in gains.items() if gain.notna().all()}


def emi_first(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On the EMI of the first cycle at the three budgets, means over seeds. "holds" when they stand in the paper's order and
    each is within a factor of 1.5 of the paper's, "holds in part" when one of the two is so, else "does not hold"."""
    measured = {name: emi(groups[name], 1, 1) for name in FIRST_EMI}
    if not all(measured.values()):
        return not_run("The first cycle of all three budgets has to be run first.")
    means = {name: average(values) / 100 for name, values in measured.items()}
    ordered = sorted(means, key=means.get) == sorted(FIRST_EMI, key=FIRST_EMI.get)
    near = sum(FIRST_EMI[name] / 1.5 <= mean <= FIRST_EMI[name] * 1.5 for name, mean in means.items())
    return Verdict(
        ("does not hold", "holds in part", "holds")[ordered + (near == len(means))],
        ", ".join(f"{mean:.4f} at {name}" for name, mean in means.items()),
        f"The order of the budgets is {'the same' if ordered else 'another'}, and {near} of {len(means)} are within "
        "a factor of 1.5 of the paper's.",
    )


def emi_declines(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On "EMI declines": at each budget the mean over cycles 1 to 5 is `better` than that over cycles 11 to 30."""
    return together(
        {
            f"{name}:": better(
                emi(records, 1, 5), emi(records, 11, 30), (f"{name}, cycles 1 to 5,", "cycles 11 to 30"), "points a cycle"
            )
            for name, records in groups.items()
        }
    )


def emi_stabilises(records: Sequence[Record]) -> Verdict:
    """On "EMI stabilises after the 20th cycle": its standard deviation over cycles 21 to 30 is below that over all cycles
    before, which the early decline raises, and below that over the ten cycles before, each by `better`."""
    late = emi(records, 21, 30, np.std)
    spans = {"cycles 1 to 20": (1, 20), "cycles 11 to 20": (11, 20)}
    return together(
        {
            f"{name}:": better(emi(records, *span, np.std), late, (f"Deviation over {name}", "cycles 21 to 30"))
            for name, span in spans.items()
        }
    )


def budget_tradeoff(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On "larger batches reduce variance": the standard deviation of EMI over cycles 11 to 30 at 2 % is below that at 0.5 %
    and at 1 %, each by `better`."""
    deviations = {name: emi(groups[name], 11, 30, np.std) for name in BUDGETS}
    return together(
        {f"{name}:": better(deviations[name], deviations["2 %"], (f"Deviation at {name}", "2 %")) for name in ("0.5 %", "1 %")}
    )


def in_bins(record: Record, bins: slice) -> np.ndarray:
    """(cycles + 1,) percent of what is left of the pool that lies in some of the ten entropy bins."""
    return 100 * record.entropy[:, bins].sum(1) / record.entropy.sum(1)


LOWEST, UPPER_HALF = slice(0, 1), slice(5, 10)


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
    return together(verdicts)


def gathers_low(records: Sequence[Record], first: int, last: int, full: float, part: float) -> Verdict:
    """On pixels gathering in the lowest entropy bin over cycles first..last. "holds" when it has at least `full` percent of the
    remaining pool at every one of them (mean over seeds), "holds in part" when it has at least `part`, else "does not hold"."""
    shares = [in_bins(record, LOWEST)[first : last + 1] for record in records if len(record.entropy) > last]
    if not shares:
        return not_run(f"A run with cycles {first} to {last} has to be on record first.")
    mean = np.mean(shares, axis=0)
    return Verdict(
        "holds" if mean.min() >= full else "holds in part" if mean.min() >= part else "does not hold",
        f"{mean.min():.1f} to {mean.max():.1f} % of the pool over {_seeds(len(shares))}",
        f"From cycle {first} to {last} the lowest bin has {mean.min():.1f} to {mean.max():.1f} % of the remaining pool, "
        f"{mean.mean():.1f} % on average.",
    )


def entropy_lighter(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On "globally lighter, minimal low-entropy accumulation" at 2 %: over cycles 1 to 30 the lowest bin has fewer pixels
    than at 0.5 %, and a smaller share of what is left of the pool, each by `better`."""
    names, verdicts = ("0.5 %", "2 %"), {}
    measures = {"pixels": lambda record: record.entropy[:, 0], "points": lambda record: in_bins(record, LOWEST)}
    for unit, measure in measures.items():
        means = [{r.study.seed: float(measure(r)[1:31].mean()) for r in groups[name] if len(r.entropy) > 30} for name in names]
        verdicts["share:" if unit == "points" else "number:"] = better(*means, names, unit)
    return together(verdicts)


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
    return together(verdicts)


def more_separated(left: Mapping[int, dict], right: Mapping[int, dict], names: tuple[str, str]) -> Verdict:
    """On "compact, well-separated clusters": silhouette and neighbour purity are both higher on the left, each by `better`,
    given the `separation` of features at every seed."""
    verdicts = {}
    for measure in ("silhouette, hundredths", "purity, %"):
        scores = [{seed: each[measure] for seed, each in side.items()} for side in (left, right)]
        name, unit = measure.split(", ")
        named = (f"{name.capitalize()}, {names[0]}", names[1])
        verdicts[f"{name}:"] = better(*scores, named, "points" if unit == "%" else unit)
    return together(verdicts)


def _seeds(count: int) -> str:
    return f"{count} seeds" if count > 1 else "one seed"
