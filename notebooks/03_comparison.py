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
# # Does the headline hold? CPDGAL and the ViT
#
# **The paper says** (abstract, Section 3, Table 1): with about 4.7 % of the labels CPDGAL reaches an overall accuracy of 97.34 % on
# Indian Pines, an average accuracy of 96.74 %, and a kappa of 97.21. Table 6 puts it above the supervised vision transformer (ViT) on Botswana.
#
# **Measured here**: the paper's full protocol, 30 {term}`cycles <cycle>` of 200 epochs, with several {term}`seeds <seed>`, each of which
# determines split, initial labels, weights and noise; the same for the ViT, which is the network without the paper's modules, and for random
# {term}`queries <query>`; and two {term}`baselines <baseline>`, one that knows only a pixel's row and column and one that knows only its
# spectrum. All numbers on this page are read from [run records](../book/records), which come with the package. The page runs as it is,
# [on Colab too](https://colab.research.google.com/github/cpdgal/cpdgal/blob/main/notebooks/03_comparison.ipynb).

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
profile: str = "paper"  # which records: paper, ablation, quick or smoke
seeds: int = 5  # how many, counted from 0
train: bool = False  # run what the store lacks, half an hour to two hours each
capped: bool = True  # cut recipes that take over 45 minutes
store: str = "results"  # the folder of records (else those of the package)

# %% tags=["hide-input", "nbval-ignore-output"]
import pandas as pd
from IPython.display import Markdown

import cpdgal
from cpdgal import plots
from cpdgal.book import comparison as page
from cpdgal.book.common import (
    COMPARED,
    GAINS,
    PLACE,
    answer,
    check_parameters,
    ends_of,
    extremes,
    glue,
    not_yet,
    on_shared_seeds,
    over_seeds,
    scores_by_cost,
    studies_of,
    to_level,
)
from cpdgal.book.comparison import BLOCKS, LOOP, PUBLISHED
from cpdgal.book.feasibility import outside
from cpdgal.book.uncertainty import claim_table, interval_table, power_table
from cpdgal.book.verdicts import (
    above,
    best,
    better,
    by_seed,
    combined,
    final_scores,
    mean_over_seeds,
    reached,
    seed_count,
    spread,
)
from cpdgal.runner import gather

check_parameters(seeds=seeds, train=train, capped=capped)

records = cpdgal.Store(store)


def runs(**values):
    """The records of every method, and none of what was not run."""
    studies = studies_of(COMPARED, range(seeds), profile=profile, **values)
    return gather(studies, records, train=train)


def curves_of(groups):
    """Accuracy over labels, a column a seed, by method."""
    return {name: over_seeds(each) for name, each in groups.items()}


place = {
    scene: gather(
        studies_of(PLACE, range(10), scene=scene, profile=profile), records
    )
    for scene in ("indian_pines", "salinas", "botswana")
}

# %% [markdown]
# (table-1)=
# ## Indian Pines, the paper's split
#
# A tenth of the labelled pixels, drawn at random, is the {term}`pool`; the others are the test pixels, the {term}`hold-out`. The other methods of Table 1 follow
# [below](#peers).

# %%
pines = runs(scene="indian_pines")
page.score_table(pines)

# %% [markdown]
# A published figure counts as reached when the mean of the last five evaluations on the test pixels is less than half a point
# below it, by {ref}`the rules shared by all pages <verdicts>` over seeds. A kappa that is arithmetically impossible beside its own
# overall accuracy ([why](13_feasibility)) cannot be reached.

# %% tags=["remove-input"]
said = {}
for score, published in PUBLISHED["indian_pines"].items():
    own = pines["CPDGAL"]
    late = final_scores(own, score, 5)
    glue(f"comparison-{score}", spread(late.values()))
    verdict = reached(published, late, score, outside("indian_pines", score))
    said[score] = answer(f"comparison-{score}", verdict)
glue("comparison-seeds", len(pines["CPDGAL"]))
Markdown("\n".join(f"- {score}: {each}" for score, each in said.items()))

# %% [markdown]
# At inference it is not the *variation* of the mask that matters: in the network of seed 0, on 1,000 test pixels, one mask for every
# token and window changes {glue:text}`02_method.ipynb::headline-constant_mask:s` % of the predictions. (Leaving the mask out altogether
# changes {glue:text}`02_method.ipynb::headline-no_mask:s` %, since the network was trained with it.) DGFR is switched off at inference by our reading
# ([decision 4](../book/decisions)); acting as in training it changes {glue:text}`02_method.ipynb::headline-dgfr:s` %
# ([schedule and masks](02_method)). What both do for training is the subject of [Table 6](04_ablations).
#
# The table gives the last evaluation alone, the mean of the last five, and the best evaluation of each run, the value of a report of
# the best cycle:

# %% tags=["hide-input"]
ends = {"last": 1, "last five, mean": 5}
shown = {
    name: {
        **{
            f"OA, {n}, %": spread(final_scores(each, "OA", k).values())
            for n, k in ends.items()
        },
        "OA, best, %": spread(by_seed(each, lambda r: r.cycles.OA.max()).values()),
    }
    for name, each in pines.items()
    if name in ("CPDGAL", "ViT", "CPDGAL, random queries")
}
best_cycle = by_seed(
    pines["CPDGAL"], lambda r: r.cycles.OA.max() - r.cycles.OA.dropna()[-5:].mean()
)
glue("comparison-best-cycle", spread(best_cycle.values()))
pd.DataFrame(shown).T

# %% [markdown]
# Is CPDGAL better than the ViT? Does it need fewer labels with margin queries than with random queries to come within one
# point of the accuracy that both reach? The runs share split, initial labels and seed, so differences are taken seed by seed.


# %% tags=["remove-input"]
def against(groups, other, key):
    """CPDGAL's verdict against another method, on the page and for the start page."""
    scores = [final_scores(groups[n], "OA", 5) for n in ("CPDGAL", other)]
    verdict = better(*scores, ("CPDGAL", other))
    return f"- CPDGAL against {other}: {answer(f'comparison-{key}', verdict)}"


glue("comparison-vit", spread(final_scores(pines["ViT"], "OA", 5).values()))
spent = to_level(*(pines[name] for name in ("CPDGAL", "CPDGAL, random queries")))
fewer = better(*spent[::-1], ("Random queries", "the margin"), "labels", 0.0)
lines = [
    against(pines, "ViT", "twin"),
    f"- Labels to the common accuracy, random queries against the margin: {answer('comparison-loop', fewer)}",
]
Markdown("\n".join(lines))

# %% mystnb={"figure": {"caption": "{glue:text}`comparison-curves-finding:s` Overall accuracy on the hold-out over the number of labels, Indian Pines, the paper's split: mean over seeds, and a band of one standard deviation where there are several. The baselines that know only coordinates or only the spectrum have random labels or labels spread over the map."}, "image": {"alt": "Learning curves, one for each method on record, with its name at its end, and a dotted line at the paper's figure."}} tags=["nbval-ignore-output"]
if any(pines.values()):
    curves = plots.learning_curves(
        curves_of(pines), PUBLISHED["indian_pines"]["OA"]
    )
    glue("comparison-curves", curves)
    glue("comparison-curves-finding", ends_of(curves.axes))

# %% tags=["remove-input"]
floor = final_scores(place["indian_pines"]["coordinates, spread out"]).values()
Markdown(
    f"A classifier that knows **nothing but row and column**, its labels spread evenly over the map, reaches "
    f"{spread(floor)} % with as many labels ({seed_count(len(floor))}): on this split, place alone predicts the class that well. The accuracy that remains "
    "without this help is the subject of [the leakage audit](10_leakage_audit) and of [the block split](#indian-pines-block-split) below."
    if floor
    else "The baselines are not on record."
)

# %% [markdown]
# ### Shorter training
#
# On validation pixels, training for 60 epochs per cycle is better than for the paper's 200 by [a rule](12_open_decisions) that was
# written down when three of its five seeds had been run. When runs whose training collapsed are left out, the verdict is
# {glue:text}`12_open_decisions.ipynb::length-60-whole-verdict:s`. The profile `tuned` is the paper's protocol with this one change.
# This table shows it on the hold-out.

# %% tags=["nbval-ignore-output"]
tuned = gather(
    page.studies_of(page.TUNED, range(5), profile="tuned"), cpdgal.Store(store)
)
page.score_table(tuned) if any(tuned.values()) else not_yet("no run")

# %% [markdown]
# (figure-4)=
# ### The map (Fig. 4)
#
# **The paper says** (Fig. 4): ground truth and predictions show "strong visual alignment". Any classifier that is correct on nine in ten
# test pixels of this split has such a map. For unlabelled pixels there is no ground truth to compare with.

# %% mystnb={"figure": {"caption": "{glue:text}`comparison-map-finding:s` {term}`Ground truth <ground truth>`, and the class that each network predicts for every pixel, for the first seed whose weights are kept."}, "image": {"alt": "Maps of Indian Pines: the ground truth with unlabelled pixels in white, and the full map of each network whose weights are kept."}} tags=["nbval-ignore-output"]
scene = cpdgal.load_scene("indian_pines")
kept = {
    name: next(record for record in pines[name] if record.weights)
    for name in ("CPDGAL", "ViT")
    if any(record.weights for record in pines[name])
}
predicted = {name: record.map(scene) for name, record in kept.items()}
if kept:
    drawn = plots.class_maps(scene, predicted)
    glue("comparison-map-finding", page.equal_pixels(predicted))
else:
    not_yet("no weights")

# %% tags=["remove-input"]
matches = above(
    90.0,
    final_scores(pines["CPDGAL"], "OA", 5),
    "Test pixels with the class of the ground truth",
    "%",
)
Markdown(
    f"Alignment is read as nine in ten test pixels with the correct class: {answer('comparison-map', matches)}"
)

# %% [markdown]
# ## How certain is that?
#
# **Pixels** are not independent: neighbours tend to be correct or wrong together, so nine thousand test pixels carry less information
# than nine thousand independent ones. The usual interval (Wilson's, or the normal one for a difference on the same pixels) takes them as
# independent. The interval beside it is from a bootstrap that resamples whole blocks of 15 x 15 pixels ten thousand times
# {cite}`lahiri2003`. Both describe one trained network, the first seed whose weights are kept; another seed may differ by more.

# %% tags=["nbval-ignore-output"]
intervals = interval_table(scene, kept)
own = intervals["by blocks"].get("CPDGAL: OA, %", "not run")
glue("comparison-interval", own)
intervals

# %% [markdown]
# **Claims** that are tested together need a stricter test: of eight independent claims that are all just false, at least one would *hold*
# by the rules of these pages in 18 % of all cases. Each claim is put as "this number lies above that threshold", as in
# {ref}`the rules of verdicts <verdicts>`, and p is that of the one-sided t-test over seeds. Holm's method {cite}`holm1979` adjusts p
# for the number of tests. A claim with fewer than three seeds has no p and does not count as a test.

# %%
others = page.contenders(
    range(seeds), capped=capped, scene="indian_pines", profile=profile
)
claim_table(page.headline(pines, gather(others, records, train=train)))

# %% [markdown]
# **Seeds**: their number determines which differences can be detected. How many does a paired t-test (two-sided, 5 % level) need to detect a
# difference in four of five attempts (a power of 80 %)?

# %% tags=["hide-input"]
where, between = page.between_seeds(records)
power_table(pd.Series(between).std()).to_frame() if between else None

# %% tags=["remove-input"]
Markdown(page.seeds_sentence(where, between))

# %% [markdown]
# ## Indian Pines, block split
#
# The same protocol on the block split: whole blocks of 15 x 15 pixels form the pool, the others the hold-out, with a gap between them, so
# that no window of the hold-out overlaps a window of the pool. A pool of so few blocks makes accuracy depend on which blocks they are, so
# methods are compared on the seeds that all of them have on record; [the leakage audit](10_leakage_audit) has the baselines on ten.

# %%
blocks = on_shared_seeds(runs(scene="indian_pines", split="block"))
page.score_table(blocks, paper=False)

# %% tags=["remove-input"]
here = final_scores(blocks["CPDGAL"], "OA", 5).values()
glue("comparison-blocks", spread(here))
glue("comparison-blocks-seeds", seed_count(len(here)))
known = final_scores(blocks["coordinates, spread out"], "OA", 5).values()
glue("comparison-blocks-place", spread(known))
Markdown(
    f"{page.tested_classes(blocks)}\n\n{against(blocks, 'ViT', 'twin-blocks')}"
)

# %% mystnb={"figure": {"caption": "{glue:text}`comparison-blocks-finding:s` Overall accuracy on the hold-out over the number of labels on the {term}`block split`: mean over the seeds that all have, and a band of one standard deviation where there are several."}, "image": {"alt": "Learning curves on the block split, one for each method on record, with its name at its end."}} tags=["nbval-ignore-output"]
if any(blocks.values()):
    apart = plots.learning_curves(curves_of(blocks))
    glue("comparison-blocks-finding", ends_of(apart.axes))

# %% [markdown]
# (peers)=
# ## The peers of Table 1
#
# **The paper says** (abstract, Section 3, Table 1): CPDGAL "outperforms sixteen CNN/transformer-based SOTA methods"; these train on 5 %
# of the labels, CPDGAL on 4.7 %.
#
# - *Which methods.* Table 1 has twelve. SSAN, SST, 3DSA-MFN and IMAE, which stand in the paper's reference list but not in its main text,
#   are taken as the other four. The ViT of Hong et al. is our addition and enters no verdict.
# - *Their code.* The peers are written anew from their publications. Each has the number of parameters that its own publication or code
#   gives for that publication's input (Table 1's numbers often differ) and, where a reference implementation exists, the same outputs. "Style" marks networks for which neither code nor full text was found: they are not reproductions.
# - *Their training.* Each follows its own recipe on its own input, on the same labelled pixels (5 %, from every class), a tenth of which
#   selects the epoch. Pool and hold-out are those of CPDGAL. "No loop" marks CPDGAL's network and the ViT, trained once on the labels of the peers.
# - *Cut recipes.* A recipe that would take more than 45 minutes on one core is cut, and its row says so; `capped=False` runs it in full. Part of a
#   training is no evidence of how a method ranks, so cut rows are shown, marked in the figures, and left out of verdicts and rank
#   correlations.
#
# A single seed has no standard deviation.

# %%
studies = page.contenders(
    range(seeds), capped=capped, scene="indian_pines", profile=profile
)
peers = gather(studies, records, train=train)
everyone = {"CPDGAL": pines["CPDGAL"], **peers}
cut = {title: f"{title} (cut)" for title in everyone.keys() - page.uncut(everyone)}
page.score_table(everyone)

# %% tags=["remove-input"]
every = answer("comparison-peers", page.outperforms(everyone))
ranks = page.order_sentence(everyone, page.published_scores(), "the paper's order")
whole = page.uncut(everyone)
titles = dict.fromkeys(["CPDGAL", *page.published_scores()])
margins = {
    score: best(
        "CPDGAL",
        {t: final_scores(whole.get(t, ()), score) for t in titles},
        GAINS["indian_pines"][score],
    )
    for score in ("OA", "AA")
}
Markdown(
    f"Does CPDGAL, with its loop, outperform them? {every} {ranks}\n\nIn the paper its overall accuracy is 0.16 points above "
    f"that of the best other method of Table 1: {answer('comparison-margin', margins['OA'])}\n\nIts average accuracy is 2.40 "
    f"points above the best of them: {answer('comparison-gscvit', margins['AA'])}"
)

# %% mystnb={"figure": {"caption": "{glue:text}`comparison-ranking-finding:s` Overall accuracy of every method of Table 1 on Indian Pines, on the paper's split and on the block split. Intervals are over seeds where there are three or more, else over test pixels taken as independent, which makes them several times too narrow."}, "image": {"alt": "Two panels of dots with intervals, a row per method in the order of its accuracy on the paper's split, with the paper's figures as open squares."}} tags=["nbval-ignore-output"]
studies = page.contenders(
    range(seeds), capped=capped, scene="indian_pines", profile=profile, **BLOCKS
)
studies["CPDGAL"] = [
    cpdgal.Study(profile=profile, seed=seed, **BLOCKS) for seed in range(seeds)
]
apart = on_shared_seeds(gather(studies, records, train=train))
panels = {"the paper's split": everyone, "block split": apart}
if any(everyone.values()):
    drawn = page.ranking(panels, page.published_scores(), cut)
    glue("comparison-ranking-finding", page.highest_by_split(panels))

# %% [markdown]
# At a glance: CPDGAL, its nearest rivals and the baselines on both splits. CPDGAL, the ViT and SSFTT are trained in the loop, SPRN on 5 %
# of the labels by its own recipe. The block split is that of [the section above](#indian-pines-block-split), on the seeds that all have;
# the peers were run on blocks with a wider gap and more labels only ([below](#the-peers-on-the-block-split)), so they have no dot there.

# %% mystnb={"figure": {"caption": "{glue:text}`comparison-glance-finding:s` Overall accuracy on random pixels and on the block split: seeds, their mean and a 95 % interval; squares are the paper's figures. Intervals are over seeds where there are three or more, else over test pixels taken as independent, which makes them several times too narrow. SSFTT and SPRN were run on blocks of another gap only, where the best peer has {glue:text}`comparison-best-apart:s`."}, "image": {"alt": "Two panels of dots with intervals, a row per method on record, in the order of its accuracy at random pixels."}} tags=["nbval-ignore-output"]
loop = {
    "SSFTT, in CPDGAL's loop": [
        cpdgal.Study(method="ssftt", profile=profile, seed=seed, **LOOP)
        for seed in range(seeds)
    ]
}
looped = gather(loop, records, train=train)
near = {**pines, **looped, "SPRN": peers["SPRN"]}
glue("comparison-best-apart", page.best_of_peers(apart))
if any(near.values()):
    panels = {"random pixels": near, "block split": blocks}
    glance = page.ranking(panels, page.published_scores(), {})
    glue("comparison-glance-finding", page.highest_by_split(panels))
    for axis in glance.axes:
        axis.set_xlim(0, 100)
    glue("comparison-glance", glance)

# %% [markdown]
# ### The peers on the block split
#
# The same networks, recipes and label budget on a block split. Its gap of fourteen pixels between pool and hold-out is wide enough for every
# window but HybridSN's, so all others have the same labels and the same test pixels, and no window of the hold-out overlaps one of the
# pool. So wide a gap leaves some small classes without test pixels.

# %%
page.score_table(apart, paper=False)

# %% tags=["remove-input"]
every = page.outperforms(apart, "CPDGAL, no loop")
every = answer("comparison-peers-blocks", every)
near = {
    title: mean_over_seeds(final_scores(each))
    for title, each in everyone.items()
    if each
}
ranks = page.order_sentence(apart, near, "their order on the paper's split")
Markdown(
    f"{page.tested_classes(apart)}\n\nDoes CPDGAL's network outperform them there, on the same labels? {every} {ranks}"
)

# %% [markdown]
# ### With the loop and without
#
# What does active learning add to CPDGAL, and what would it add to a peer? SSFTT queries by the same margin, from the same initial labels
# up to the same number. In every cycle it trains by its own recipe on its own input, with a tenth of the labels set aside to select the
# epoch. Without the loop, each network is trained once on 5 % of the labels, drawn from every class. So the two differ in the queries and in
# the length of training, 31 trainings against one; the loop with random queries tells them apart, and is
# *{glue:text}`comparison-loop-verdict:s`* ([above](#table-1)).

# %%
(by_margin,) = looped.values()
glue("comparison-ssftt", spread(final_scores(by_margin, "OA", 5).values()))
glue("comparison-ssftt-seeds", seed_count(len(by_margin)))
pairs = ("SSFTT", "CPDGAL", "CPDGAL, no loop", "ViT", "ViT, no loop")
page.score_table(
    {**looped, **{name: {**pines, **peers}[name] for name in pairs}}, paper=False
)

# %% tags=["remove-input"]
both = {
    ("SSFTT, in CPDGAL's loop", "SSFTT"): (*looped.values(), peers["SSFTT"]),
    ("CPDGAL", "CPDGAL, no loop"): (pines["CPDGAL"], peers["CPDGAL, no loop"]),
    ("ViT", "ViT, no loop"): (pines["ViT"], peers["ViT, no loop"]),
}
said = {pair: better(*map(final_scores, each), pair) for pair, each in both.items()}
keys = ("ssftt", "cpdgal", "vit")
lines = [
    f"- {a} against {b}: {answer(f'comparison-asked-{key}', verdict)}"
    for key, ((a, b), verdict) in zip(keys, said.items(), strict=True)
]
Markdown("Is a network better with the loop than without?\n\n" + "\n".join(lines))

# %% [markdown]
# ### Class by class

# %% mystnb={"figure": {"caption": "{glue:text}`comparison-classes-finding:s` Accuracy of each class on the hold-out of the paper's split, mean over seeds; in brackets the number of labels of the class that the peers have."}, "image": {"alt": "Heat map of accuracies, a row per method and a column per class, dark where the accuracy is low."}} tags=["nbval-ignore-output"]
shared = next((runs[0] for runs in peers.values() if runs), None)
if shared:
    by_class = page.accuracy_by_class(everyone).rename(index=cut)
    drawn = page.class_heatmap(by_class, shared.classes.labels)
    hardest = extremes(by_class.T, "Accuracy, mean over methods,", "{:.0f} %")
    glue("comparison-classes-finding", hardest)

# %% [markdown]
# ### What they cost
#
# - *Used* parameters are those that the prediction depends on; *counted* ones are those of the layers that a forward pass calls, as
#   common counters count them. Both, and the multiply-adds per window, are for each network's own input, also for cut runs.
# - *Minutes* are those of the runs on record, one thread each, often two runs at a time.
# - *Pixels per second* and memory are measured by `benchmarks/inference.py`, with one thread on an otherwise idle machine. Windows are cut
#   when they are needed; for "built first" all windows of the scene are in memory beforehand. There were two runs; each ratio is to CPDGAL
#   in the same run.

# %% tags=["nbval-ignore-output"]
costs = page.costs(everyone, page.measured_inference(records))
shown = costs.map(lambda each: f"{each:,.{0 if each >= 1000 else 2}f}")
shown.replace("nan", "").rename(columns=lambda name: name.replace(" a ", " per "))

# %% tags=["remove-input"]
Markdown(page.published_sizes())

# %% mystnb={"figure": {"caption": "{glue:text}`comparison-costs-finding:s` Overall accuracy on the paper's split over the number of parameters and over the minutes of training on one core."}, "image": {"alt": "Two panels of numbered dots on logarithmic scales: overall accuracy over parameters, and over minutes of training, a number for each method."}} tags=["nbval-ignore-output"]
axes = {"parameters": "parameters", "minutes": "time of a run (minutes, one core)"}
if any(everyone.values()):
    priced = costs.dropna(subset="OA, %").rename(index=cut)
    drawn = scores_by_cost(priced, "OA, %", axes)
    glue("comparison-costs-finding", page.cheaper_and_better(priced))

# %% [markdown]
# ## Salinas and Botswana
#
# The paper's other two scenes, under its protocol for each. Their cubes were not available to us, so no network was run on them;
# `cpdgal run --scene salinas` downloads the cube and adds a record. Their ground truths were, and a classifier that knows row and column alone needs no more: it
# takes the class of the nearest labelled pixel, with the paper's pool and number of labels, drawn at random or spread over the map.

# %%
pd.DataFrame(
    {
        scene: {n: spread(final_scores(e).values()) for n, e in groups.items()}
        | {"the paper's CPDGAL": f"{PUBLISHED[scene]['OA']:.2f}"}
        for scene, groups in place.items()
    }
).add_suffix(": OA, %")

# %% tags=["remove-input"]
for scene, groups in place.items():
    for name, asked in zip(PLACE, ("random", "spread"), strict=True):
        found = final_scores(groups[name])
        glue(f"place-{scene}-{asked}", spread(found.values()))
said = [
    page.below_place(scene, groups[name])
    for scene, groups in place.items()
    for name in PLACE
]
Markdown("\n".join(f"- {each}" for each in said))

# %% tags=["remove-input"]
lines = []
for name in ("salinas", "botswana"):
    each = runs(scene=name)["CPDGAL"]
    for score, published in PUBLISHED[name].items():
        verdict = reached(
            published, final_scores(each, score, 5), score, outside(name, score)
        )
        said = answer(f"comparison-{name}-{score}", verdict)
        lines.append(f"- {name}, {score}: {said}")
    others = gather(
        page.contenders(range(seeds), scene=name, profile=profile), records
    )
    whole = page.uncut({"CPDGAL": each, **others})
    surpasses = {
        score: best(
            "CPDGAL",
            {t: final_scores(whole.get(t, ()), score) for t in titles},
            GAINS[name][score],
        )
        for score in ("OA", "AA")
    }
    said = answer(f"comparison-{name}-margin", combined(surpasses))
    lines.append(f"- {name}, above the best of the others: {said}")
Markdown("\n".join(lines))

# %% [markdown]
# ## SalinasA
#
# A corner of Salinas that is published as a scene of its own, under the protocol of Indian Pines. The paper does not use it.

# %%
salinas = runs(scene="salinas_a")
page.score_table(salinas, paper=False)

# %% tags=["remove-input"]
Markdown(against(salinas, "ViT", "twin-salinas"))

# %% [markdown]
# ## Exercises
#
# Change one thing, predict what will come out, run, and compare.
#
# **1. A single seed.** Most papers of the field report one run. Run this page with `seeds = 1`. Which of its verdicts can still be
# *holds* or *does not hold*?
#
# :::{dropdown} Answer
# Only those that rest on arithmetic, such as a kappa that its own overall accuracy does not allow. A claim of accuracy needs three seeds
# for an interval, so all others become *undecided* where there is a run and *not run here* where there is none. The
# standard deviations of the baselines disappear as well.
# :::
#
# **2. How large can kappa be?** With $K$ classes of equal size the expected agreement is $1/K$ whatever is predicted, and
# $\kappa = (\text{OA} - 1/K) / (1 - 1/K)$. Compute it for the paper's overall accuracy on Indian Pines, 97.34 %, and 16 classes.
# Can the paper's kappa, 97.21, be reached?
#
# :::{dropdown} Answer
# No. `(0.9734 - 1/16) / (1 - 1/16)` is already below 97.21 %, and the largest value that rounds to the same overall accuracy does not change this. The
# classes of the scene differ in size, which lowers the bound further: [which figures are possible](13_feasibility).
# :::
#
# **3. How few labels does place need?** `cpdgal.Study(method="coordinates", query="farthest-first", cycles=15)` stops after 15 of the
# paper's 30 cycles, with 299 labels in place of 482. How much accuracy does the classifier by row and column lose, its labels spread over the map?
#
# ```python
# fewer = cpdgal.Study(method="coordinates", query="farthest-first", cycles=15)
# cpdgal.run(fewer, cpdgal.Store("runs")).final.OA
# ```
#
# :::{dropdown} Answer
# About one point at seed 0: six tenths of the labels are nearly enough. Spread labels soon lie in every field, and more of them
# only sharpen the borders. With `query="random"` it loses between two and three points.
# :::
