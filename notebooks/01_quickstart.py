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
# # Quickstart: a scene learned from a few labels
#
# This notebook takes a real hyperspectral scene, lets CPDGAL ask for the labels it wants, and draws the map that comes
# of it. It runs as it is on your machine or
# [on Colab](https://colab.research.google.com/github/cpdgal/cpdgal/blob/main/notebooks/01_quickstart.ipynb).

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
scene_name: str = "indian_pines"  # a known scene, or a .mat or .npy cube
labels_path: str = ""  # the ground truth of a cube of your own
method: str = "cpdgal"  # cpdgal, vit, cpdgal-no-dgfr, cpdgal-no-masking
profile: str = "quick"  # smoke (seconds), quick (minutes), paper (hours)
seed: int = 0  # decides split, first labels, weights and noise
components: int = 15  # principal components, at most the cube's bands

# %% tags=["nbval-ignore-output"]
import numpy as np
import pandas as pd

import cpdgal
from cpdgal import figures
from cpdgal.figures import glue

# %% [markdown]
# ## The scene
#
# The default is Indian Pines {cite}`baumgardner2015`: farmland in Indiana, seen in 1992 by the airborne spectrometer AVIRIS,
# 20 m to a pixel. It comes with the `tensorly` package, so nothing is downloaded. The ground truth covers about half of
# it; the rest stays white and is never used.

# %% mystnb={"figure": {"caption": "The scene in false colour, and its ground truth with the number of labelled pixels of every class."}, "image": {"alt": "Left, a false-colour image of fields; right, the same area painted by class, with a legend of class names and pixel counts."}} tags=["nbval-ignore-output"]
scene = cpdgal.load_scene(scene_name, labels_path or None)
overview = figures.scene_overview(scene)

# %% mystnb={"figure": {"caption": "Mean spectra of the classes. The gaps are bands that water vapour hides and the public file leaves out."}, "image": {"alt": "One line for every class: mean sensor value over wavelength from 400 to 2500 nanometres. Crops lie close together."}} tags=["nbval-ignore-output"]
spectra = figures.mean_spectra(scene)

# %% [markdown]
# ## Pool and hold-out
#
# As in the paper, a tenth of the labelled pixels form the **pool**: the loop may ask for their labels. All others are the
# **hold-out** that judges. A network sees the 7 x 7 pixels around the one it classifies, in 15 principal components.

# %%
protocol = cpdgal.protocol(scene_name, profile)
rng = np.random.default_rng(seed)
split = cpdgal.random_split(scene, protocol.pool, rng=rng)
windows = cpdgal.Windows(scene, window=7, components=components)
print(scene)
print(f"pool {len(split.pool)}, hold-out {len(split.holdout)}")
print(f"labels after each cycle: {protocol.label_counts(len(windows))}")

# %% [markdown]
# ## The loop
#
# Train on the labelled pixels; look at the rest of the pool; ask for the labels of the pixels whose best class leads the
# third best by least; train on. The same network run with random questions shows what asking is worth. Both start
# from the same weights and the same first labels, in this profile some of every class.


# %% tags=["nbval-ignore-output"]
def network():
    return cpdgal.build(
        method, seed=seed, bands=components, window=7, classes=scene.classes
    )


models = {query: network() for query in ("margin", "random")}
loops = [
    cpdgal.active_learning(model, windows, split, protocol, query=query, seed=seed)
    for query, model in models.items()
]
runs = dict(zip(models, cpdgal.side_by_side(*loops), strict=True))

# %% [markdown]
# Two floors keep the numbers honest. They get the same labels as the network, cycle by cycle: a classifier that knows
# **only a pixel's row and column** and takes the class of the nearest labelled pixel, and one that sees **a single
# pixel's spectrum** and no neighbourhood.

# %% mystnb={"figure": {"caption": "Overall accuracy on the hold-out over the number of labels: CPDGAL with margin and with random questions, and the two floors on the labels of the random run."}, "image": {"alt": "Learning curves: overall accuracy rises with the number of labelled pixels for every method; each method's last value is in the legend."}} tags=["nbval-ignore-output"]
floors = {
    "coordinates only (1-NN)": cpdgal.coordinates_floor,
    "spectrum only (SVM)": cpdgal.spectra_floor,
}
truth = scene.targets[split.holdout]
curves = {
    query: pd.DataFrame([c.row for c in cycles]) for query, cycles in runs.items()
}
for name, floor in floors.items():
    guessed = [floor(scene, c.labelled, split.holdout) for c in runs["random"]]
    accuracies = [cpdgal.scores(truth, guess)["OA"] for guess in guessed]
    curves[name] = curves["random"].assign(OA=accuracies)
learning = figures.learning_curves(curves)

# %%
rows = {("network", query): cycles[-1].scores for query, cycles in runs.items()}
for name, floor in floors.items():
    for query, cycles in runs.items():
        rows[name, query] = cpdgal.scores(
            truth, floor(scene, cycles[-1].labelled, split.holdout)
        )
results = pd.DataFrame(rows).T.rename_axis(["method", "labels"])
results.rename(columns="{}, %".format).round(1)

# %% tags=["remove-cell"]
last = runs["margin"][-1]
for name, value in results.loc["network", "margin"].items():
    glue(f"quickstart-{name}", round(float(value), 1))
glue("quickstart-random", round(float(results.OA["network", "random"]), 1))
glue(
    "quickstart-coordinates",
    round(float(results.OA["coordinates only (1-NN)", "random"]), 1),
)
glue("quickstart-labels", len(last.labelled))
glue("quickstart-share", round(100 * len(last.labelled) / len(windows), 2))

# %% tags=["remove-input", "nbval-ignore-output"]
from IPython.display import Markdown

rounded = results.OA.round(1)  # so that the difference is that of the numbers shown
network_oa = rounded["network", "margin"]
place_oa = rounded["coordinates only (1-NN)", "random"]
gain = network_oa - rounded["network", "random"]
Markdown(
    f"With {len(last.labelled)} labels ({len(last.labelled) / len(windows):.1%} of the labelled pixels) the loop reaches an "
    f"overall accuracy of **{network_oa:.1f} %**, {abs(gain):.1f} points {'above' if gain > 0 else 'below'} random questions. "
    f"A classifier that knows nothing but row and column, given as many random labels, reaches **{place_oa:.1f} %**: "
    f"{'more' if place_oa > network_oa else 'less'} than the network. Fields are large and the split is random, so the pixels "
    "that judge lie beside the pixels that taught. The last section shows what is left when they do not."
)

# %% [markdown]
# ## What it asked for

# %% mystnb={"figure": {"caption": "Where the labels were spent, cycle by cycle."}, "image": {"alt": "The ground truth in pale colours with a dot for every labelled pixel, coloured by the cycle that asked for it."}} tags=["nbval-ignore-output"]
asked = figures.queried_pixels(scene, runs["margin"])

# %% [markdown]
# ## The map

# %% mystnb={"figure": {"caption": "Ground truth, the class predicted for every pixel, and the errors on the hold-out."}, "image": {"alt": "Three maps: the ground truth, the predicted class of every pixel including unlabelled ones, and hold-out pixels in grey where right and in orange where wrong."}} tags=["nbval-ignore-output"]
probabilities = cpdgal.predict(models["margin"], windows.scene_batches())
predicted = probabilities.argmax(1).reshape(scene.labels.shape).numpy() + 1
map_figure = figures.classification_map(scene, predicted, split)

# %% tags=["nbval-ignore-output"]
accuracy = cpdgal.class_accuracies(
    truth, last.probabilities.argmax(1), scene.classes
)
table = split.table(scene)[["labelled", "holdout"]]
table["labels used"] = np.bincount(
    scene.targets[last.labelled], minlength=scene.classes
)
table.assign(**{"accuracy, %": accuracy.round(1)})

# %% [markdown]
# ## What an honest split leaves
#
# Here blocks of 15 x 15 pixels go to the pool or to the hold-out as a whole, and hold-out pixels whose window touches a
# training window are left out. As many labels as above are drawn at random, class by class; network and floors learn
# from them, once.

# %%
blocks = cpdgal.block_split(
    scene, protocol.pool, window=7, rng=np.random.default_rng(seed)
)
for warning in blocks.warnings(scene):
    print(warning)

# %% tags=["nbval-ignore-output"]
from dataclasses import replace

share = len(last.labelled) / len(blocks.pool)
once = replace(protocol, initial=share, cycles=0, stratified=True)
model = network()
loop = cpdgal.active_learning(model, windows, blocks, once, seed=seed)
((apart,),) = cpdgal.side_by_side(loop)
held_out = scene.targets[blocks.holdout]
rows = {"network": apart.scores}
for name, floor in floors.items():
    rows[name] = cpdgal.scores(
        held_out, floor(scene, apart.labelled, blocks.holdout)
    )
honest = pd.DataFrame(rows).T.rename_axis("method")
glue("quickstart-blocks", round(float(honest.OA["network"]), 1))

# %%
honest.rename(columns="{}, %".format).round(1)

# %% tags=["remove-cell", "nbval-ignore-output"]
import platform

import torch

glue("quickstart-curves", learning)
glue("quickstart-map", map_figure)
glue("quickstart-seconds", round(sum(c.seconds for c in runs["margin"])))
glue(
    "quickstart-versions",
    f"Python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}",
)

# %% [markdown]
# ## Next
#
# - Another seed, or the paper's full protocol, from a shell:
#   `papermill notebooks/01_quickstart.ipynb runs/seed-1.ipynb -p seed 1 -p profile paper`.
# - A cube of your own: `-p scene_name my_cube.mat -p labels_path my_ground_truth.mat`.
# - How the network works, equation by equation: [the method](../notebooks/02_method.ipynb).
# - Which choices the paper leaves open, and what we chose: [open decisions](../book/decisions.md).
