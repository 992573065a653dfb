# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version,-all
#     cell_metadata_filter: tags,mystnb,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which pixels to query
#
# **The paper says**: the loop "selects uncertain samples using confidence-aware ranking, prioritizing challenging data for
# efficient retraining" (abstract), for "maximum utility under budget constraints" (Section 2.5). A pixel counts as uncertain when the
# {term}`margin` between its largest and its **third largest** class probability is small; the usual margin is that to the second largest.
# In its main text the paper compares its margin with no other {term}`query` strategy, not even with random queries.
#
# **Measured here**: CPDGAL on Indian Pines with every strategy of the package. For a given {term}`seed` all strategies have the same split,
# first labels and initial weights. The profile is `ablation`: the paper's {term}`pool` and {term}`hold-out`, 15 {term}`cycles <cycle>` that
# each query 4 % of the remaining pool, 60 epochs per cycle. SalinasA is one parameter away (`scene_name = "salinas_a"`). All numbers
# come from [run records](../book/records). The page runs as it is,
# [on Colab too](https://colab.research.google.com/github/cpdgal/cpdgal/blob/main/notebooks/11_query_strategies.ipynb).

# %% tags=["hide-input"]
# Set-up: a hosted notebook service gets the package, and nothing that it already has is changed. Elsewhere, no effect.
import sys

if "google.colab" in sys.modules:
    import subprocess

    address = "cpdgal[pages] @ git+https://github.com/cpdgal/cpdgal"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", address], check=True
    )

# %% tags=["parameters"]
scene_name: str = "indian_pines"  # a known scene, or the file of a cube
labels_path: str = ""  # the ground truth of a cube of your own
reading: str = "{}"  # how files of your own are read, as JSON: {"no_data": 0}
profile: str = "ablation"  # ablation, paper (days), quick or smoke (seconds)
seeds: int = 3  # how many, counted from 0; at smoke one
components: int = 15  # principal components, at most the cube's bands
train: bool = False  # run what the store lacks; always so for other runs
store: str = "results"  # the folder of records (else those of the package)

# %% tags=["hide-input", "nbval-ignore-output"]
import pandas as pd
from IPython.display import Markdown

import cpdgal
from cpdgal import plots
from cpdgal.book import query_strategies as page
from cpdgal.book.common import (
    answer,
    check_parameters,
    curves_by_panel,
    extremes,
    glue,
    not_yet,
    over_seeds,
    seeds_by_row,
)
from cpdgal.book.verdicts import best, better, on_record, spread
from cpdgal.runner import gather
from cpdgal.study import named_values

check_parameters(seeds=seeds, train=train)

# %% [markdown]
# ## The strategies
#
# | | queries |
# |---|---|
# | margin | pixels with the smallest margin to the third largest probability, as in the paper |
# | usual-margin | pixels with the smallest margin to the second largest probability |
# | entropy, least-confidence | pixels with the highest {term}`entropy`; with the lowest maximum probability |
# | balanced-margin | as margin, in turn over the predicted classes |
# | bald | pixels on which repeated draws of {term}`DGFR` disagree (Houlsby et al., 2011) |
# | badge | pixels with large and mutually different gradients (Ash et al., 2020) |
# | core-set | pixels with features far from those of all labelled pixels (Sener & Savarese, 2018) |
# | typiclust | the most typical pixel of each cluster without a label (Hacohen et al., 2022) |
# | farthest-first | pixels far from all labelled pixels, by row and column alone |
# | random | pixels drawn at random |
#
# The profile `smoke` runs margin, random and farthest-first with one seed.

# %%
smoke, rerun = (
    profile == "smoke",
    (scene_name, profile) != ("indian_pines", "ablation"),
)
asked = ("margin", "random", "farthest-first") if smoke else page.QUERIES
shared = {
    "scene": scene_name,
    "labels_path": labels_path,
    "profile": profile,
    "components": components,
    **named_values(reading),
}
counted = range(1 if smoke else seeds)
studies = page.studies(counted, asked, **shared)

# %%
found = gather(studies, cpdgal.Store(store), train=train or rerun)
runs = {name: each for name, each in found.items() if each}


def by_seed(measure):
    """A measure of every record: a row a strategy, a column a seed."""
    values = {
        name: {r.study.seed: measure(r) for r in each}
        for name, each in runs.items()
    }
    return pd.DataFrame.from_dict(values, orient="index")


# %% tags=["remove-input"]
Markdown(on_record(studies, found))

# %% [markdown]
# ## What a label buys
#
# A strategy is measured by the **area under its learning curve**: the integral of overall accuracy over the number of labels (trapezoid
# rule), divided by the range of labels. It is the mean accuracy in percent from the first labels to the last, and so counts gains from
# early labels as well as from late ones.

# %% mystnb={"figure": {"caption": "{glue:text}`query-curves-finding:s` Learning curves on the hold-out, a panel for each strategy on record: the mean over seeds, and a band of one standard deviation where there are several. The curves of *margin* and *random*, where they are on record, are repeated in every panel."}, "image": {"alt": "Small panels of overall accuracy over labelled pixels, one for each strategy on record."}} tags=["nbval-ignore-output"]
if runs:
    curves = {name: over_seeds(each) for name, each in runs.items()}
    given = {name: curves[name] for name in ("margin", "random") if name in runs}
    panels = {
        name: {**given, "this strategy": each}
        for name, each in curves.items()
        if name not in given
    }
    multiples = curves_by_panel(
        panels or {"": given}, "labelled pixels", "OA (%)", columns=3
    )
    ends = {name: each.tail(1) for name, each in curves.items()}
    ends = pd.concat(ends).droplevel(1)
    glue("query-curves-finding", extremes(ends, "Accuracy at the end"))
else:
    not_yet("no run")

# %%
area = by_seed(lambda r: page.area_under_curve(r.cycles["labels"], r.cycles.OA))
tables = {
    "area, %": area,
    "OA at the end, %": by_seed(lambda r: r.final.OA),
    "AA at the end, %": by_seed(lambda r: r.final.AA),
    "seconds per cycle": by_seed(lambda r: r.cycles.seconds.iloc[1:].mean()),
}
order = area.mean(axis=1).sort_values(ascending=False).index.rename("strategy")


def shown(tables):
    """Mean and standard deviation over seeds, strategies in the order of their area."""
    rows = {
        measure: [spread(table.loc[name].dropna()) for name in order]
        for measure, table in tables.items()
    }
    return pd.DataFrame(rows, order)


shown(tables) if runs else None

# %% [markdown]
# The time of a cycle includes the query, the training on the labels so far and the evaluation on the hold-out, on one core while
# another run used the other. Strategies differ in the time of the query.

# %% mystnb={"figure": {"caption": "{glue:text}`query-area-finding:s` Area under the learning curve, accuracy at the end and time of a cycle: dots are seeds, diamonds their means, strategies in the order of their area."}, "image": {"alt": "Three panels of dots with a row for each strategy on record: area under the learning curve, overall accuracy at the end in percent, and seconds of a cycle."}} tags=["nbval-ignore-output"]
if runs:
    panels = ("area, %", "OA at the end, %", "seconds per cycle")
    SHOWN = {"margin": plots.PALETTE[3], "random": plots.PALETTE[1]}
    ranked = seeds_by_row(
        {name: tables[name] for name in panels}, "strategy", highlighted=SHOWN
    )
    glue("query-area-finding", extremes(area, "The area"))

# %% [markdown]
# ## Verdicts
#
# Differences of the area are taken seed by seed, and each {term}`verdict` follows
# {ref}`the rules that are the same on every page <verdicts>`. "Maximum utility" is read as: the paper's margin is better than each of
# the other strategies.

# %% tags=["remove-input"]
NAMES = {
    "margin": "the third-best margin",
    "usual-margin": "the usual margin",
    "farthest-first": "spreading over the map",
    "random": "random queries",
}
QUESTIONS = {
    "third-margin": ("margin", "usual-margin"),
    "margin-spread": ("margin", "farthest-first"),
    "usual-margin-spread": ("usual-margin", "farthest-first"),
    "margin-random": ("margin", "random"),
    "usual-margin-random": ("usual-margin", "random"),
}

# %% tags=["remove-input"]
areas = {
    name: area.loc[name].dropna().to_dict() if name in runs else {}
    for name in asked
}


lines = []
for key, pair in QUESTIONS.items():
    left, right = (areas.get(name, {}) for name in pair)
    question = f"Is {NAMES[pair[0]]} better than {NAMES[pair[1]]}?"
    names = (NAMES[pair[0]], NAMES[pair[1]])
    verdict = better(left, right, names, "points of area")
    lines.append(f"- {question} {answer(f'query-{key}', verdict)}")
utility = answer("query-utility", best("margin", areas))
lines.append(
    f"- Is the third-best margin better than every other strategy? {utility}"
)
Markdown("\n".join(lines))

# %% [markdown]
# The comparison with spreading matters on this split: [the leakage audit](10_leakage_audit) shows how accurate a classifier is that
# knows nothing but row and column, once its labels are spread over the map.

# %% [markdown]
# ## Where the labels went

# %% mystnb={"figure": {"caption": "{glue:text}`query-places-finding:s` Pixels queried by some of the strategies with the first seed on record, coloured by the cycle, on the {term}`ground truth` in pale colours."}, "image": {"alt": "Small maps of the scene with a dot for every labelled pixel, one map for each strategy that its title names."}} tags=["nbval-ignore-output"]
FEW = (
    "margin",
    "usual-margin",
    "random",
    "core-set",
    "typiclust",
    "farthest-first",
)
some = {name: runs[name][0].queried for name in FEW if name in runs}
if some:
    scene = next(iter(runs.values()))[0].study.load_scene()
    places = plots.queried_pixels(scene, some)
    glue("query-places-finding", page.nearest_queried(some))

# %% [markdown]
# ## Which classes the labels went to
#
# Evenness is the entropy of the classes' shares of the labels, divided by log K: it is 1 when every class has the same number of labels.
# The table also gives the number of classes with a label, and the percentage of labels in the quarter of the classes that have the fewest
# pixels in the scene.


# %%
def balance(record):
    """How evenly the labels at the end went to the classes."""
    counts = record.classes
    return page.class_balance(counts["labels"], counts["pool"] + counts["judged"])


parts = {
    "evenness, 0..1": "evenness",
    "classes seen": "seen",
    "labels of the rarest classes, %": "rarest",
}
balances = {
    name: by_seed(lambda r, part=part: balance(r)[part])
    for name, part in parts.items()
}
shown(balances) if runs else None

# %% mystnb={"figure": {"caption": "{glue:text}`query-balance-finding:s` Evenness over the classes, and the share of labels in the rarest quarter of them: dots are seeds, diamonds their means, strategies in the order of their evenness."}, "image": {"alt": "Two panels of dots with a row for each strategy on record: evenness of the labels over classes between 0 and 1, and percent of labels that went to the rarest classes."}} tags=["nbval-ignore-output"]
if runs:
    drawn = ("evenness, 0..1", "labels of the rarest classes, %")
    balanced = seeds_by_row(
        {name: balances[name] for name in drawn}, "strategy", highlighted=SHOWN
    )
    glue(
        "query-balance-finding", extremes(balances[drawn[0]], "Evenness", "{:.2f}")
    )

# %% [markdown]
# ## When to stop
#
# The paper stops after a fixed number of cycles. Two rules look at the models instead, and need no test pixels. **Agreement of
# successive predictions** {cite}`bloodgood2009` says stop when Cohen's kappa between the classes that successive models give the
# same pixels, the stop set, stays high for a few rounds. **Overall uncertainty** {cite}`zhu2010` says stop when the mean entropy
# of the class probabilities of what is left of the pool is small. `cpdgal.queries.stopping` puts both into one sentence.
#
# What each rule would have cost here is read from every record of the scene in which a network asked for labels in more cycles than
# agreement looks back, whatever its settings. "Lost" is overall accuracy on the pixels that a record is tested on, against the end of
# the same loop. Two limits:
#
# - *Entropies* are on record as histograms, so their mean is an estimate, off by at most half a bin. It ends at half a bin, when
#   every pixel left is in the lowest one; the mean itself may be far smaller by then. A threshold below that, as the default of
#   `cpdgal.queries.certain` is, cannot be read from records.
# - *Predictions of every cycle* were kept for one loop alone, that of [the view of the loop](01_quickstart). For all other
#   records the agreement was not computed.

# %%
records = cpdgal.Store(store).records()
asking = page.loops(records, scene_name)
name, maps = page.loop_maps()
shown_loop = next((r for r in asking if r.study.name == name), None)
agreed = {}
if shown_loop:
    whole = shown_loop.study.load_scene()
    agreed = page.agreements(maps, shown_loop, whole)
stopped = page.stops(asking, shown_loop, agreed)

# %% mystnb={"figure": {"caption": "Left, agreement of successive maps on three stop sets in the one loop whose maps were kept, where it is on record, with the accuracy on the hold-out. Middle, the overall uncertainty in every loop on record, and the thresholds. Right, what each rule saves and loses: a mark for every loop that it stops."}, "image": {"alt": "Three panels: kappa of successive maps over cycles, overall uncertainty over cycles with a line for each loop, and points of overall accuracy lost over percent of labels saved."}} tags=["nbval-ignore-output"]
if asking:
    costs = page.stopping_figure(asking, shown_loop, agreed, stopped)
else:
    not_yet("no loop of more than three cycles")

# %% tags=["remove-input"]
Markdown(page.stops_sentence(stopped) if asking else "")

# %%
page.stops_table(stopped) if asking else None

# %% [markdown]
# Two things may make the uncertainty a poor witness: the strategy takes the uncertain pixels out of the pool that the rule looks
# at, so what is left is easier than the map, and a network may be sure long before it is right. Agreement depends on its stop set in the
# same way: the network is trained on ever more pixels of the pool, so they may settle before the map does. The rule is meant for a
# set that stands for the map.

# %% [markdown]
# ## What differs, and why it may
#
# - **The protocol** is shorter than the paper's: fewer cycles with larger queries, and shorter training. A strategy that
#   scores each pixel on its own may query many similar ones, the more so the larger the query.
# - **One scene, one kind of split.** Nearly every pixel of the hold-out has neighbours in the pool, so a strategy may gain merely by
#   covering the map. On unlabelled land the order may be different.
# - **One network.** CPDGAL makes the queries and CPDGAL is tested; another network would query other pixels.
