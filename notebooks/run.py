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
# # One run, from study to record
#
# The unit of every batch: one study, its record, and the figures that belong to it. A run that is on record is loaded, an interrupted
# one resumes, and any other starts. As it stands, this page shows the paper's protocol on Indian Pines, seed 0. It runs with other
# parameters on your machine or
# [on Colab](https://colab.research.google.com/github/cpdgal/cpdgal/blob/main/notebooks/run.ipynb).

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
method: str = "cpdgal"  # a network, or a baseline: coordinates, spectra
split: str = "random"  # random, block (leak-free) or validation
query: str = "margin"  # a query strategy
profile: str = "paper"  # smoke (seconds), quick (minutes), paper (half an hour up)
seed: int = 0  # decides split, first labels, weights and noise
changes: str = "{}"  # other values of cpdgal.Study, as JSON or a YAML mapping
store: str = "results"  # the folder of records
weights: bool = False  # keep the trained weights beside the record
device: str = "cpu"  # cpu, or cuda where there is one

# %% tags=["hide-input", "nbval-ignore-output"]
import pandas as pd

import cpdgal
from cpdgal import plots
from cpdgal.study import named_values

# %%
study = cpdgal.Study(
    scene=scene_name,
    labels_path=labels_path,
    method=method,
    split=split,
    query=query,
    profile=profile,
    seed=seed,
    **named_values(changes),
)
print(study.name)
print(study.protocol)
print("changed from the defaults:", study.changes or "nothing")

# %% tags=["nbval-ignore-output"]
record = cpdgal.run(study, cpdgal.Store(store), device=device, weights=weights)
pd.Series(record.provenance).drop("seconds")

# %% [markdown]
# ## Accuracy over labels

# %% mystnb={"figure": {"caption": "Left: overall accuracy, average accuracy, kappa and calibration error over the number of labels. Right: reliability after the last cycle, the share of correct pixels by the probability of the predicted class."}, "image": {"alt": "Two panels: four curves over the number of labelled pixels, and a bar chart of the share of correct pixels over the predicted probability beside the diagonal."}} tags=["nbval-ignore-output"]
progress = plots.run_progress(record)

# %%
columns = ["labels", "share", "OA", "AA", "kappa", "ECE", "EMI"]
scored = record.cycles.dropna(subset="OA").set_index("cycle")[columns]
scored.round(2).tail(8)

# %% [markdown]
# All columns but the number of labels and EMI are in percent. ECE is the expected calibration error, the mean distance between
# confidence and accuracy. EMI is the expected model improvement of Section 4 ([how it is read](07_model_improvement)).
#
# ## Queried pixels and the map

# %% mystnb={"figure": {"caption": "The labelled pixels, by the cycle in which each was queried."}, "image": {"alt": "The ground truth in pale colours with a dot for each labelled pixel, coloured by the cycle in which it was queried."}} tags=["nbval-ignore-output"]
scene = study.load_scene()
queried = plots.queried_pixels(
    scene, {f"The {len(record.queried)} labelled pixels": record.queried}
)

# %% mystnb={"figure": {"caption": "Ground truth, the class predicted for every pixel, and the errors on the test pixels."}, "image": {"alt": "Three maps: the ground truth, the predicted class of every pixel including unlabelled ones, and the test pixels in grey where correct and in orange where wrong."}} tags=["nbval-ignore-output"]
if record.weights:
    classes = plots.class_maps(
        scene,
        {"Predicted for every pixel": record.map(scene)},
        study.make_split(scene),
    )
else:
    print(
        "no map: the weights of this run were not kept; weights = True keeps them"
    )

# %%
columns = {
    "judged": "in the hold-out",
    "pool": "in the pool",
    "labels": "labels used",
    "accuracy": "accuracy, %",
}
record.classes.rename(columns=columns).round(1)
