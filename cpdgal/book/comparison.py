"""The headline and Table 1: CPDGAL against the ViT, the floors and the peers."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ..methods import METHODS, size
from ..peers import PEERS
from ..plots import PALETTE, panels
from ..records import Record, Store
from ..runner import gather
from ..study import Study
from .common import (
    COMPARED,
    GAINS,
    NO_LOOP,
    PAPER,
    PLACE,
    RANDOM,
    REFERENCE,
    seeds_by_row,
    studies_of,
    sweep,
    t_intervals,
    to_level,
)
from .uncertainty import deviation_interval, seeds_needed, wilson
from .verdicts import FEWEST, MARGIN, Verdict, best, combined, final_scores, mean_over_seeds, rank_sentence, spread

SCORES = ("OA", "AA", "kappa")
PUBLISHED = {scene: dict(zip(SCORES, rows["cpdgal"], strict=True)) for scene, rows in PAPER["table_1"].items()}
TABLE_1 = {name: scores for name, scores in PAPER["table_1"]["indian_pines"].items() if name in PEERS}
# What is cut of a peer's own recipe or input, as values of `Study`, so that a run takes 45 minutes of one core at most.
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
# A peer with CPDGAL's protocol.
LOOP = {"cycles": 30, "initial": 0.05, "stratified": False}
# Blocks for all of Table 1: a gap for the widest window but HybridSN's, so that they share pool and hold-out.
BLOCKS = {"split": "block", "gap": 14}


def contenders(seeds: Sequence[int], *, capped: bool = True, **values) -> dict[str, list[Study]]:
    """The studies of Table 1 that share their labels, by title, one a seed: all peers, networks that other packages bring,
    CPDGAL and the ViT without the loop.

    `values` name what they share; ``capped`` cuts long recipes as `CUT` says, where the profile has not cut them already.
    """
    cut = CUT if capped and values.get("profile") != "smoke" else {}
    networks = {name: method for name, method in METHODS.items() if method.kind == "network" and not method.takes}
    changes = {name: cut.get(name, {}) if method.recipe else NO_LOOP for name, method in networks.items()}
    own = {method.title: {"method": name, **changes[name]} for name, method in networks.items()}
    own |= {"CPDGAL, no loop": {"method": "cpdgal", **NO_LOOP}, "ViT, no loop": {"method": "vit", **NO_LOOP}}
    return studies_of(own, seeds, **values)


def _planned(without: Sequence[str] = (), **values) -> dict[str, list[Study]]:
    """The `contenders` of the sweep: three seeds of CPDGAL, the ViT and three peers, one of the others."""
    several, wanted = ("cpdgal", "vit", "ssftt", "cnn2d", "sprn"), {"cpdgal", "vit", *PEERS} - set(without)
    groups = {title: each for title, each in contenders(range(3), **values).items() if each[0].method in wanted}
    return {title: each if each[0].method in several else each[:1] for title, each in groups.items()}


# 60 epochs per cycle in place of 200: better on validation pixels by the rule of the readings (open decisions).
TUNED = {"CPDGAL, tuned": {"method": "cpdgal"}, "ViT, tuned": {"method": "vit"}}
STUDIES = REFERENCE | sweep(studies_of(TUNED, range(5), profile="tuned"))
# Pairs of both networks that say how their difference varies between seeds; the first kind with three pairs on record does.
_both = {name: COMPARED[name] for name in ("CPDGAL", "ViT")}
_validated = studies_of(_both, range(101, 104), split="validation", epochs=60)
PAIRS = {
    "under the paper's protocol": studies_of(_both, range(5)),
    "at 60 epochs per cycle": studies_of(_both, range(5), profile="tuned"),
    "on validation pixels, whose small number adds to it, at 60 epochs per cycle": _validated,
}
STUDIES |= sweep(_validated)
STUDIES |= sweep(studies_of(COMPARED, range(3), [RANDOM], scene="salinas_a"), weights=[0])
STUDIES |= sweep(*(studies_of(PLACE, range(10), scene=scene) for scene in ("salinas", "botswana")))
STUDIES |= sweep(
    _planned(),
    _planned(without=["hybridsn", *CUT], **BLOCKS),
    {"CPDGAL": [Study(**BLOCKS)], "SSFTT, in CPDGAL's loop": [Study(method="ssftt", **LOOP)]},
)


def score_table(groups: Mapping[str, Sequence[Record]], paper: bool = True) -> pd.DataFrame:
    """Methods by row: seeds, labels, and mean and deviation of OA, AA and kappa in percent, beside those of the `paper` for
    Indian Pines, and what was cut of a recipe."""
    rows = {}
    for title, records in groups.items():
        rows[title] = {"seeds": len(records), "labels": "", "share, %": ""}
        if records:
            final = records[0].final
            rows[title] |= {"labels": f"{final.labels:.0f}", "share, %": f"{final.share:.2f}"}
        for score in SCORES:
            rows[title][f"{score}, %"] = spread(final_scores(records, score).values())
            if paper:
                published = published_scores(score).get(title)
                rows[title][f"paper's {score}"] = f"{published:.2f}" if published else ""
        rows[title]["budget-capped at"] = cuts(records)
    table = pd.DataFrame(rows).T.rename_axis("method")
    return table.loc[:, (table != "").any()]


def tested_classes(groups: Mapping[str, Sequence[Record]]) -> str:
    """Over how many classes the average accuracies of runs are means, as a sentence: blocks may leave a class without a test
    pixel."""
    counts = sorted({int((record.confusion.sum(1) > 0).sum()) for runs in groups.values() for record in runs})
    if not counts:
        return "No run is on record yet."
    classes = len(next(record for runs in groups.values() for record in runs).confusion)
    said = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    return f"AA is the mean over the classes that have test pixels, {said} of {classes}."


def cuts(records: Sequence[Record]) -> str:
    """What a peer's runs cut of its own recipe or input, in words; empty for none, and for what is no peer."""
    study = records[0].study if records else None
    peer = METHODS[study.method].recipe if study else None
    if study is None or peer is None:
        return ""
    epochs = [f"{study.epochs} of {peer.epochs} epochs"] if study.epochs < peer.epochs else []
    bands = [f"{study.components} components for its raw bands"] if study.components and not peer.components else []
    return ", ".join(epochs + bands)


def uncut(groups: Mapping[str, Sequence[Record]]) -> dict[str, Sequence[Record]]:
    """The groups that were run and whose recipe was not cut: how a method ranks cannot be seen from part of its training."""
    return {title: records for title, records in groups.items() if records and not cuts(records)}


def published_scores(score: str = "OA") -> dict[str, float]:
    """What Table 1 gives on Indian Pines, in percent, by title."""
    peers = {PEERS[name].title: scores[SCORES.index(score)] for name, scores in TABLE_1.items()}
    return peers | {"CPDGAL": PUBLISHED["indian_pines"][score]}


def order_sentence(groups: Mapping[str, Sequence[Record]], other: Mapping[str, float], whose: str) -> str:
    """Whether methods that were run `uncut` are in the order of `other`, a percentage by title, as a sentence."""
    ran = uncut(groups)
    shared = [title for title in other if title in ran]
    ours = [mean_over_seeds(final_scores(ran[title])) for title in shared]
    return rank_sentence([other[title] for title in shared], ours, "methods", whose)


def outperforms(groups: Mapping[str, Sequence[Record]], ours: str = "CPDGAL") -> Verdict:
    """On "CPDGAL outperforms sixteen methods": in OA, AA and kappa it is `best` among the peers, of which runs that were `cut`
    count as not run. The ViT of Hong et al. is none of the sixteen."""
    ran = uncut(groups)
    titles = [ours, *(peer.title for name, peer in PEERS.items() if name != "vit_hong")]
    return combined(
        {
            score: best(
                ours, {title: final_scores(ran.get(title, ()), score) for title in titles}, GAINS["indian_pines"][score]
            )
            for score in SCORES
        }
    )


def headline(groups: Mapping[str, Sequence[Record]], peers: Mapping[str, Sequence[Record]]) -> dict[str, tuple[dict, float]]:
    """The eight headline claims on Indian Pines, each a number by seed and the threshold that it is to lie above.

    `groups` are the runs of the loop, `peers` those of Table 1's others, of which `uncut` ones count. Scores are means of the
    last five evaluations, and against the best other those of the last one; differences are taken seed by seed.
    """
    own, ran = groups.get("CPDGAL", []), uncut(peers)
    late = {name: final_scores(groups.get(name, []), "OA", 5) for name in ("CPDGAL", "ViT", "coordinates, spread out")}
    claims = {
        f"{score} reaches the paper's {published:.2f} %": (final_scores(own, score, 5), published - MARGIN)
        for score, published in PUBLISHED["indian_pines"].items()
    }
    for score in ("OA", "AA"):
        others = [final_scores(ran[title], score) for title in published_scores() if title in ran and title != "CPDGAL"]
        highest = max(others, key=mean_over_seeds, default={})
        claims[f"{score} over the best other method of Table 1, points"] = (
            _differences(final_scores(own, score), highest),
            0.0,
        )
    for name in ("ViT", "coordinates, spread out"):
        claims[f"OA over {name}, points"] = (_differences(late["CPDGAL"], late[name]), 0.0)
    by_margin, by_chance = to_level(own, groups.get(RANDOM, []))
    return claims | {"labels that the margin saves over random queries": (_differences(by_chance, by_margin), 0.0)}


def _differences(left: Mapping[int, float], right: Mapping[int, float]) -> dict[int, float]:
    """Left minus right at every seed that both have."""
    return {seed: left[seed] - right[seed] for seed in sorted(left) if seed in right}


def between_seeds(store: Store) -> tuple[str, dict[int, float]]:
    """CPDGAL minus the ViT, mean OA of the last five evaluations, by seed, and in words where `PAIRS` has it from; empty where
    no three pairs are on record."""
    for where, studies in PAIRS.items():
        found = _differences(*(final_scores(records, "OA", 5) for records in gather(studies, store).values()))
        if len(found) >= FEWEST:
            return where, found
    return "", {}


def seeds_sentence(where: str, differences: Mapping[int, float], margin: float = 0.16) -> str:
    """How many seeds it takes to find the paper's margin over the best other, given what `between_seeds` found."""
    if not differences:
        return (
            "Fewer than three pairs of CPDGAL and the ViT are on record: how their difference varies between seeds is unknown."
        )
    deviation, low, high = deviation_interval([*differences.values()])
    fewer = " It will vary less on the hold-out, which has many times as many pixels." if "validation" in where else ""
    needed, fewest, most = (seeds_needed(margin, each) for each in (deviation, low, high))
    return (
        f"The difference between CPDGAL and the ViT has a standard deviation of {deviation:.2f} points between seeds "
        f"({where}, {len(differences)} seeds; 95 % interval {low:.2f} to {high:.2f}). If the paper's margin over the best "
        f"other method, {margin:+.2f} points, varied as much, detecting it in four of five attempts would take {needed:,} "
        f"seeds ({fewest:,} to {most:,}).{fewer} The paper states no number of seeds."
    )


def below_place(scene: str, records: Sequence[Record]) -> str:
    """How many of Table 1's methods report less on a scene than a classifier that knows row and column alone, as a sentence."""
    if not records:
        return f"On {scene} no run of a classifier by row and column is on record yet."
    mean, title = mean_over_seeds(final_scores(records)), scene.replace("_", " ").title()
    below = [METHODS[name].title for name, scores in PAPER["table_1"][scene].items() if scores[0] < mean]
    rows = f" ({', '.join(below)})" if below else ""
    with_labels = f"with {records[0].final.labels:.0f} labels, as many as CPDGAL's"
    said = f"{len(below)} of Table 1's {len(PAPER['table_1'][scene])} methods report less{rows}"
    return (
        f"On {title}, {with_labels}, row and column alone reach {spread(final_scores(records).values())} % over {len(records)} "
        f"seeds: {said}."
    )


def measured_inference(store: Store) -> pd.DataFrame:
    """Pixels per second and memory in MiB by name of the method, as `benchmarks/inference.py` measured them; empty without."""
    found = [path for folder in store.folders if (path := folder / "inference.csv").is_file()]
    return pd.read_csv(found[0], comment="#", index_col="method") if found else pd.DataFrame()


def costs(groups: Mapping[str, Sequence[Record]], measured: pd.DataFrame) -> pd.DataFrame:
    """The size and the cost of methods on Indian Pines, by title, NaN where unknown.

    Overall accuracy in percent, parameters (all, used, counted by common counters, and the paper's in millions),
    multiply-adds of one window in millions, minutes of a run, and what `measured_inference` gives.
    """
    names = {method.title: name for name, method in METHODS.items()}
    rows = {}
    for title, records in groups.items():
        name = names.get(title) or names[title.split(",")[0]]
        peer, counted = METHODS[name].recipe, size(name)
        minutes = [sum(record.provenance["seconds"]) / 60 for record in records]
        rows[title] = {
            "OA, %": mean_over_seeds(final_scores(records)),
            "parameters": counted.parameters,
            "used": counted.used,
            "counted": counted.counted,
            "paper, millions": peer.published if peer else 0.09 if name == "cpdgal" else None,
            "multiply-adds, millions": counted.multiply_adds / 1e6,
            "minutes": np.mean(minutes) if records else np.nan,
            **(measured.loc[name] if name in measured.index else {}),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def published_sizes() -> str:
    """For which peers Table 1's parameters, in millions with two decimals, are one of our counts, as a sentence: all, used or
    counted parameters, at the raw bands of Indian Pines or Salinas or at the 15 components that the paper speaks of."""
    wanted = {"200 or 204 raw bands": (200, 204), "15 components": (15,)}
    found: dict[str, list[str]] = {where: [] for where in wanted}
    too_few = []
    for name in TABLE_1:
        published, title = PEERS[name].published, PEERS[name].title
        for where, numbers in wanted.items():
            try:
                counts = {count for bands in numbers for count in size(name, bands=bands)[:3]}
            except ValueError:
                too_few.append(title)
                continue
            if any(round(count / 1e6, 2) == published for count in counts):
                found[where].append(title)
    listed = "; ".join(f"at {where} for {len(each)} ({', '.join(each) or '-'})" for where, each in found.items())
    said = f"Of Table 1's {len(TABLE_1)} peers, the published number of parameters is one of these counts {listed}."
    return f"{said} At 15 components {' and '.join(too_few)} cannot run at all." if too_few else said


def accuracy_by_class(groups: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Accuracy of each class in percent, mean over seeds: a row a method that was run, a column a class."""
    ran = {title: pd.concat([each.classes.accuracy for each in runs], axis=1) for title, runs in groups.items() if runs}
    return pd.DataFrame({title: accuracies.mean(axis=1) for title, accuracies in ran.items()}).T


def ranking(splits: dict[str, Mapping[str, Sequence[Record]]], published: dict[str, float], labels: dict[str, str]) -> Figure:
    """Methods in the order of the first of the splits, a panel a split: OA of each seed, the mean, and an interval of 95 %.

    The paper's figures stand in the first panel; `labels` are for methods that are not shown by their own name.
    """
    scores, intervals = {}, {}
    for split, groups in splits.items():
        ran = {labels.get(name, name): records for name, records in groups.items() if records}
        table = pd.DataFrame({name: final_scores(records) for name, records in ran.items()}).T
        wilson = pd.DataFrame({name: _wilson(records) for name, records in ran.items()}, ["low", "high"]).T
        scores[f"OA (%), {split}"], intervals[f"OA (%), {split}"] = table, t_intervals(table).fillna(wilson)
    ours = {name: PALETTE[3] for table in scores.values() for name in table.index if name.startswith("CPDGAL")}
    paper = {labels.get(name, name): value for name, value in published.items()}
    return seeds_by_row(scores, "method", intervals=intervals, published=paper, highlighted=ours)


def highest_by_split(splits: Mapping[str, Mapping[str, Sequence[Record]]]) -> str:
    """The method with the highest mean OA on each of the splits of a `ranking`, for a caption."""
    means = {
        split: {name: mean_over_seeds(final_scores(records)) for name, records in groups.items() if records}
        for split, groups in splits.items()
    }
    tops = {split: max(each, key=lambda name: each[name]) for split, each in means.items() if each}
    listed = "; ".join(f"{split}, {top} ({means[split][top]:.2f} %)" for split, top in tops.items())
    return f"Highest mean accuracy: {listed}." if listed else "No run is on record yet."


def best_of_peers(groups: Mapping[str, Sequence[Record]]) -> str:
    """The peer with the highest mean OA, CPDGAL and the ViT aside, as "SPRN, 56.16 %"; "no run" without."""
    means = {title: mean_over_seeds(final_scores(records)) for title, records in uncut(groups).items()}
    peers = {title: mean for title, mean in means.items() if title in published_scores() and title != "CPDGAL"}
    return "{}, {:.2f} %".format(*max(peers.items(), key=lambda each: each[1])) if peers else "no run"


def equal_pixels(predicted: Mapping[str, np.ndarray]) -> str:
    """On how many pixels of their maps (height, width) networks predict the same class, for a caption; empty for one map."""
    first, *others = predicted.items()
    shares = [
        f"{first[0]} and {name} predict the same class for {100 * (first[1] == each).mean():.0f} %" for name, each in others
    ]
    return f"{'; '.join(shares)} of the pixels." if shares else ""


def cheaper_and_better(costs: pd.DataFrame) -> str:
    """Which methods of `costs` are more accurate than CPDGAL with fewer parameters, and which in less time, for a caption."""
    if "CPDGAL" not in costs.index:
        return "CPDGAL has no run on record yet."
    ours = costs.loc["CPDGAL"]
    better = costs[costs["OA, %"] > ours["OA, %"]]
    named = (", ".join(better.index[better[cost] < ours[cost]]) or "none" for cost in ("parameters", "minutes"))
    return "More accurate than CPDGAL with fewer parameters: {}; in less time: {}.".format(*named)


def _wilson(records: Sequence[Record]) -> tuple[float, float]:
    """What the number of test pixels alone leaves open of a mean OA, in percent (Wilson's interval of 95 %)."""
    count = int(records[0].confusion.sum())
    right = round(np.mean([record.final.OA for record in records]) / 100 * count)
    return wilson(right, count)


def class_heatmap(table: pd.DataFrame, labels: pd.Series) -> Figure:
    """Accuracy of each class in percent: a row a method, a column a class, of which `labels` counts the labelled pixels."""
    figure, (axis,) = panels(10, 0.36 * len(table) + 2.6, grid=False)
    numbers = {"annot": True, "fmt": ".0f", "annot_kws": {"size": 8}, "cbar_kws": {"label": "accuracy of the class (%)"}}
    sns.heatmap(table, ax=axis, cmap="cividis", vmin=0, vmax=100, linewidths=0.4, **numbers)
    axis.set_xticklabels([f"{name} ({labels[name]})" for name in table], rotation=50, ha="right", fontsize=8)
    axis.tick_params(axis="y", rotation=0)
    axis.set(xlabel="class (labelled pixels)", ylabel="method")
    return figure
