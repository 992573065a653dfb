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
# # Does the headline hold? CPDGAL and its twin
#
# **The paper says** (abstract, Table 1): with about 4.7 % of the labels CPDGAL reaches an overall accuracy of 97.34 % on
# Indian Pines, an average accuracy of 96.74 %, and a kappa of 97.21; it outperforms the vision transformer.
#
# **Measured here**: the paper's protocol whole, 30 cycles of 200 epochs, over several seeds that each decide split, first
# labels, weights and noise; the same for the transformer without the paper's modules, for random questions, and for two
# floors that use no network. All numbers on this page are read from [run records](../book/records). It runs as it is,
# [on Colab too](https://colab.research.google.com/github/cpdgal/cpdgal/blob/main/notebooks/03_comparison.ipynb): records come
# with the package.

# %% tags=["hide-input"]
# Set-up: a hosted notebook service gets the package, and nothing that it already has is changed. Elsewhere, no effect.
import sys

if "google.colab" in sys.modules:
    import subprocess

    address = "cpdgal @ git+https://github.com/cpdgal/cpdgal"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", address], check=True
    )

# %% tags=["parameters"]
profile: str = "paper"  # which records: paper, quick or smoke
store: str = "results"  # the folder of records (else those of the package)

# %% tags=["hide-input", "nbval-ignore-output"]
import numpy as np
import pandas as pd
from IPython.display import Markdown
from scipy import stats

import cpdgal
from cpdgal import figures
from cpdgal.figures import glue, spread
from cpdgal.metrics import PUBLISHED, verdict

METHODS = {
    "CPDGAL": {"method": "cpdgal"},
    "ViT": {"method": "vit"},
    "CPDGAL, random questions": {"method": "cpdgal", "query": "random"},
    "coordinates only (1-NN)": {"method": "coordinates", "query": "random"},
    "coordinates, spread out": {
        "method": "coordinates",
        "query": "farthest-first",
    },
    "spectrum only (SVM)": {"method": "spectra", "query": "random"},
}
records = cpdgal.Store(store)


def runs(scene, split):
    """The records of every method that has some, on a scene and split."""
    found = {
        name: records.select(
            **{"query": "margin", **values},
            scene=scene,
            split=split,
            profile=profile,
        )
        for name, values in METHODS.items()
    }
    return {name: each for name, each in found.items() if each}


def table(groups, published=None):
    """Mean and deviation over seeds, in percent, beside what the paper gives."""
    rows = {
        name: {
            "seeds": len(each),
            "labels": int(each[0].final.labels),
            "share, %": f"{each[0].final.share:.2f}",
            **{
                f"{score}, %": spread([record.final[score] for record in each])
                for score in ("OA", "AA", "kappa")
            },
        }
        for name, each in groups.items()
    }
    if published:
        rows["CPDGAL, the paper"] = {
            "share, %": "about 4.7",
            **{f"{score}, %": f"{value:.2f}" for score, value in published.items()},
        }
    return pd.DataFrame(rows).T.rename_axis("method").fillna("")


# %% [markdown]
# ## Indian Pines, the paper's split
#
# A tenth of the labelled pixels, drawn at random, is the pool; the others judge.

# %%
pines = runs("indian_pines", "random")
table(pines, PUBLISHED["indian_pines"])

# %% [markdown]
# The verdict follows a rule: *holds* when the mean is at most half a point below the paper's figure, *holds in part* when at most
# two, else *does not hold*.

# %% tags=["remove-input"]
lines = ["| | Paper, % | Here, % | Verdict |", "|---|---|---|---|"]
for score, published in PUBLISHED["indian_pines"].items():
    measured = [record.final[score] for record in pines.get("CPDGAL", [])]
    word, sentence = verdict(published, measured)
    shown = spread(measured) if measured else "not run"
    lines.append(
        f"| {score} | {published:.2f} | {shown} | **{word}**. {sentence} |"
    )
    glue(f"comparison-{score}", shown)
    glue(f"comparison-{score}-verdict", word)
    if score == "OA":
        glue("comparison-seeds", len(measured))
Markdown("\n".join(lines))

# %% [markdown]
# Is CPDGAL better than its twin? The two share split, first labels and seed, so their difference is taken seed by seed.


# %% tags=["remove-input"]
def paired(groups, left, right):
    """A sentence on the differences between two methods at the seeds that both have."""
    both = [
        {record.study.seed: record.final.OA for record in groups.get(name, [])}
        for name in (left, right)
    ]
    seeds = sorted(set(both[0]) & set(both[1]))
    if not seeds:
        return f"No seed has both {left} and {right} yet."
    differences = np.array([both[0][seed] - both[1][seed] for seed in seeds])
    said = (
        f"{left} minus {right}, overall accuracy in points, seed by seed: "
        f"{', '.join(f'{each:+.2f}' for each in differences)}."
    )
    if len(seeds) < 3:
        return said + " Too few seeds for a test."
    test = stats.ttest_1samp(differences, 0)
    low, high = test.confidence_interval()
    decided = "differ" if test.pvalue < 0.05 else "cannot be told apart"
    return said + (
        f" Mean {differences.mean():+.2f}, 95 % interval {low:+.2f} to {high:+.2f} (paired t-test, "
        f"p = {test.pvalue:.3f}): at the 5 % level the two {decided}."
    )


twin = [record.final.OA for record in pines.get("ViT", [])]
glue("comparison-vit", spread(twin) if twin else "not run")
pairs = [("CPDGAL", "ViT"), ("CPDGAL", "CPDGAL, random questions")]
Markdown("\n\n".join(paired(pines, *pair) for pair in pairs))

# %% mystnb={"figure": {"caption": "Overall accuracy on the hold-out over the labels spent, Indian Pines, the paper's split: mean over seeds, and a band of one standard deviation. Floors take labels at random or spread over the map."}, "image": {"alt": "Learning curves of CPDGAL, the vision transformer, random questions and three floors, with bands over seeds and a dotted line at the paper's figure."}} tags=["nbval-ignore-output"]
if pines:
    curves = figures.curves_over_seeds(pines, PUBLISHED["indian_pines"]["OA"])
    glue("comparison-curves", curves)

# %% tags=["remove-input"]
place = pines.get("coordinates, spread out", [])
network = pines.get("CPDGAL", [])
floor = spread([record.final.OA for record in place]) if place else "not run"
glue("comparison-spread-out", floor)
if place and network:
    shown = Markdown(
        f"A classifier that knows **nothing but row and column**, its labels spread evenly over the map, reaches "
        f"{floor} % with as many labels: on this split, memory of place alone goes that far. What is left "
        "without it is the matter of [the leakage audit](10_leakage_audit) and of the next section."
    )
else:
    shown = Markdown("The floors are not on record.")
shown

# %% [markdown]
# ### The map (Fig. 4)

# %% mystnb={"figure": {"caption": "Ground truth, and the class that each network predicts for every pixel, seed 0."}, "image": {"alt": "Maps of Indian Pines: the ground truth with white where unlabelled, and full maps predicted by CPDGAL and by the vision transformer."}} tags=["nbval-ignore-output"]
scene = cpdgal.load_scene("indian_pines")
kept = {
    name: next(record for record in each if record.weights)
    for name, each in pines.items()
    if name in ("CPDGAL", "ViT") and any(record.weights for record in each)
}
if kept:
    drawn = figures.maps(
        scene, {name: record.map(scene)[0] for name, record in kept.items()}
    )
else:
    print("no weights are on record")

# %% [markdown]
# ## Indian Pines, blocks apart
#
# The same protocol where pool and hold-out are blocks of 15 x 15 pixels with a gap between them, so that no window of
# the hold-out overlaps a window of the pool.

# %%
blocks = runs("indian_pines", "block")
table(blocks)

# %% tags=["remove-input"]
here = [record.final.OA for record in blocks.get("CPDGAL", [])]
glue("comparison-blocks", spread(here) if here else "not run")
Markdown(paired(blocks, "CPDGAL", "ViT"))

# %% mystnb={"figure": {"caption": "The same curves where blocks are kept apart."}, "image": {"alt": "Learning curves on the block split: every method ends far below its accuracy on the random split."}} tags=["nbval-ignore-output"]
if blocks:
    apart = figures.curves_over_seeds(blocks)

# %% [markdown]
# ## SalinasA
#
# The corner of Salinas that the public record holds as a scene of its own, under the protocol of Indian Pines. The paper does
# not have it; its figure for the whole of Salinas, 99.87 %, is not run here.

# %%
salinas = runs("salinas_a", "random")
table(salinas)

# %% tags=["remove-input"]
Markdown(paired(salinas, "CPDGAL", "ViT"))
