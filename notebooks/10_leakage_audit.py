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
# # The leakage audit
#
# Fields are large, and neighbouring pixels look alike. Where the pixels that judge are drawn at random among those that
# teach, nearly every one of them has a teacher next to it, and its window holds that very pixel. An accuracy measured
# so says how well a method remembers places; how well it would do on a field it has not seen is another number. This page
# measures both. Nothing here is trained: all of it is read from [run records](../book/records) and saved weights. It
# runs as it is, [on Colab too](https://colab.research.google.com/github/cpdgal/cpdgal/blob/main/notebooks/10_leakage_audit.ipynb).

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
from scipy.ndimage import distance_transform_cdt

import cpdgal
from cpdgal import figures
from cpdgal.figures import glue, spread
from cpdgal.splits import touched

METHODS = {
    "CPDGAL": {"method": "cpdgal", "query": "margin"},
    "ViT": {"method": "vit", "query": "margin"},
    "coordinates only (1-NN)": {"method": "coordinates", "query": "random"},
    "coordinates, spread out": {
        "method": "coordinates",
        "query": "farthest-first",
    },
    "spectrum only (SVM)": {"method": "spectra", "query": "random"},
}
SPLITS = {
    "random pixels": {"split": "random"},
    "blocks": {"split": "block", "gap": 0},
    "blocks with a gap": {"split": "block"},
}
records = cpdgal.Store(store)
scene = cpdgal.load_scene("indian_pines")
found = {
    (method, split): records.select(
        scene="indian_pines", profile=profile, **values, **part
    )
    for method, values in METHODS.items()
    for split, part in SPLITS.items()
}

# %% [markdown]
# ## How close the teachers stand
#
# For the pixels that judge: how many have a labelled pixel inside their own 7 x 7 window, and how many have a window that
# overlaps that of a labelled pixel. Means over the seeds on record, labels as the method asked for them.

# %%
rows = []
for (method, split), each in found.items():
    if not each or method not in ("CPDGAL", "coordinates only (1-NN)"):
        continue
    shares = []
    for record in each:
        held = record.study.make_split(scene).holdout
        labelled = record.labelled()
        shares.append(
            [touched(scene, labelled, held, 7, reach) for reach in (0, 3)]
        )
    inside, overlap = 100 * np.mean(shares, axis=0)
    rows.append(
        {
            "split": split,
            "labels asked for by": "margin" if method == "CPDGAL" else "chance",
            "labels": int(each[0].final.labels),
            "window holds a labelled pixel, %": f"{inside:.1f}",
            "windows overlap, %": f"{overlap:.1f}",
        }
    )
    if method == "coordinates only (1-NN)":
        key = split.replace(" ", "-")
        glue(f"leakage-inside-{key}", f"{inside:.1f}")
        glue(f"leakage-overlap-{key}", f"{overlap:.1f}")
pd.DataFrame(rows)

# %% [markdown]
# ## How far each method falls
#
# *Random pixels* is the paper's split. *Blocks* deals blocks of 15 x 15 pixels to the pool or to the hold-out. *Blocks with a
# gap* also leaves out every hold-out pixel whose window would overlap that of a pool pixel. Each has as many labels as
# the others. A dash: not run.

# %%
ends = pd.DataFrame(
    {
        split: {
            method: [record.final.OA for record in found[method, split]]
            for method in METHODS
        }
        for split in SPLITS
    }
)
ends.map(lambda values: spread(values) if values else "-").rename(
    columns="{}: OA, %".format
).rename_axis("method")

# %% mystnb={"figure": {"caption": "Overall accuracy at the end under three ways of parting pool and hold-out: means as lines, seeds as dots."}, "image": {"alt": "Lines fall from left to right: every method, networks and floors alike, loses most of its accuracy from random pixels to blocks with a gap."}} tags=["nbval-ignore-output"]
drop = figures.fall(ends[[split for split in SPLITS if any(map(len, ends[split]))]])
glue("leakage-fall", drop)

# %% [markdown]
# ## Accuracy over distance
#
# The same trained networks of seed 0, asked about every labelled pixel of the scene that did not teach them, sorted by how
# far the nearest teacher is. A random split has hardly a pixel beyond the first few steps; the networks trained on blocks
# show what comes behind.

# %% mystnb={"figure": {"caption": "Share of right answers over the distance to the nearest labelled pixel, for the networks and the floors that learned from blocks (seed 0); bins of 200 pixels or more."}, "image": {"alt": "Curves that start high next to a labelled pixel and fall with distance, for CPDGAL, the vision transformer and two floors, with a dotted line where windows no longer overlap."}} tags=["nbval-ignore-output"]
curves = {}
for method in METHODS:
    each = [
        record
        for record in found[method, "blocks with a gap"]
        if record.study.seed == 0
    ]
    if not each or (
        each[0].study.method in ("cpdgal", "vit") and not each[0].weights
    ):
        continue
    record = each[0]
    labelled = record.labelled()
    others = np.setdiff1d(np.arange(len(scene.pixels)), labelled)
    if record.weights:
        answers = record.map(scene)[0][tuple(scene.pixels[others].T)] - 1
    else:
        floor = (
            cpdgal.coordinates_floor
            if record.study.method == "coordinates"
            else cpdgal.spectra_floor
        )
        answers = floor(scene, labelled, others)
    taught = np.ones(scene.labels.shape, dtype=int)
    taught[tuple(scene.pixels[labelled].T)] = 0
    distance = distance_transform_cdt(taught, metric="chessboard")[
        tuple(scene.pixels[others].T)
    ]
    bins = pd.cut(distance, [0, 1, 2, 3, 4, 6, 9, 13, 18, 25, 35, 200])
    judged = pd.DataFrame(
        {
            "distance": distance,
            "accuracy": 100.0 * (answers == scene.targets[others]),
        }
    ).groupby(bins, observed=True)
    curve = judged.mean()[judged.size() >= 200]
    curves[method] = curve
    key = record.study.method + "-" + record.study.query
    glue(f"leakage-near-{key}", f"{curve.accuracy.iloc[0]:.1f}")
    glue(f"leakage-far-{key}", f"{curve.accuracy.iloc[-1]:.1f}")
over_distance = figures.accuracy_by_distance(curves, 7)

# %% [markdown]
# ## An honest number for this scene

# %% tags=["remove-input"]
said = []
for method in ("CPDGAL", "ViT", "spectrum only (SVM)", "coordinates only (1-NN)"):
    near, far = (
        ends[split][method] for split in ("random pixels", "blocks with a gap")
    )
    if near and far:
        said.append(
            f"- **{method}**: {spread(far)} % where no window of the hold-out overlaps one of the pool, "
            f"against {spread(near)} % on random pixels."
        )
    key = METHODS[method]["method"]
    glue(f"leakage-honest-{key}", spread(far) if far else "not run")
Markdown("\n".join(said) or "No method has both splits on record yet.")

# %% [markdown]
# The first figure of each line is the one to expect on land that nobody labelled. It has a wide spread, since one scene of
# 145 x 145 pixels holds few fields of each class, and some classes are in one or two fields only: a pool of
# blocks then cannot show what the hold-out asks for. So it is no verdict on the method either. It says that this
# scene, split at random, cannot tell a good classifier of spectra from a good memory for places, and that differences of a
# tenth of a point between methods on it mean nothing.
