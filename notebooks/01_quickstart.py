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

    address = "cpdgal[pages] @ git+https://github.com/cpdgal/cpdgal"
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
store: str = "results"  # the folder of run records
fresh: bool = False  # train here even where the package brings the record

# %% tags=["hide-input", "nbval-ignore-output"]
import pandas as pd

import cpdgal
from cpdgal import plots
from cpdgal.book import quickstart as page
from cpdgal.book.common import glue, over_seeds

# %% [markdown]
# ## The scene
#
# The default is Indian Pines {cite}`baumgardner2015`: farmland in Indiana, seen in 1992 by the airborne spectrometer AVIRIS,
# 20 m to a pixel. It comes with the `tensorly` package, so nothing is downloaded. The ground truth covers about half of
# it; the rest stays white and is never used.

# %% mystnb={"figure": {"caption": "The scene in false colour, and its ground truth with the number of labelled pixels of every class."}, "image": {"alt": "Left, a false-colour image of fields; right, the same area painted by class, with a legend of class names and pixel counts."}} tags=["nbval-ignore-output"]
scene = cpdgal.load_scene(scene_name, labels_path or None)
overview = plots.scene_overview(scene)

# %% mystnb={"figure": {"caption": "Mean spectra of the classes. The gaps are bands that water vapour hides and the public file leaves out."}, "image": {"alt": "One line for every class: mean sensor value over wavelength, or over the band where wavelengths are not known."}} tags=["nbval-ignore-output"]
spectra = plots.mean_spectra(scene)

# %% [markdown]
# ## Pool and hold-out
#
# As in the paper, a tenth of the labelled pixels form the **pool**: the loop may ask for their labels. All others are the
# **hold-out** of test pixels. A network sees the 7 x 7 pixels around the one it classifies, in 15 principal components.

# %%
study = cpdgal.Study(
    scene=scene_name,
    labels_path=labels_path,
    method=method,
    profile=profile,
    seed=seed,
    components=components,
)
split = study.make_split(scene)
print(scene)
print(f"pool {len(split.pool)}, hold-out {len(split.holdout)}")
print(f"labels after each cycle: {study.protocol.label_counts(len(scene.pixels))}")

# %% [markdown]
# ## The loop
#
# Train on the labelled pixels; look at the rest of the pool; ask for the labels of the pixels whose best class leads the
# third best by least; train on. The same network run with random queries shows what asking is worth. Both start
# from the same weights and the same first labels, in this profile some of every class.
#
# Every run leaves a record. Where there is one already, it is shown instead of run again; a run that was cut off goes on.

# %% tags=["nbval-ignore-output"]
records = cpdgal.Store(store, packaged=not fresh)
studies = [study.but(query=query) for query in page.QUERIES]
once = page.once_on_blocks(study, len(scene.pixels))  # for the last section
*found, apart = cpdgal.side_by_side(*studies, once, store=records, weights=studies)
runs = dict(zip(page.QUERIES, found, strict=True))

# %% [markdown]
# Two floors keep the numbers honest. They get the same labels as the network, cycle by cycle: a classifier that knows
# **only a pixel's row and column** and takes the class of the nearest labelled pixel, and one that sees **a single
# pixel's spectrum** and no neighbourhood.

# %% mystnb={"figure": {"caption": "Overall accuracy on the hold-out over the number of labels: CPDGAL with margin and with random queries, and the two floors on the labels of the random run."}, "image": {"alt": "Learning curves of the network with margin and random queries and of two baselines; the legend gives each one's last value."}} tags=["nbval-ignore-output"]
floors = {
    "coordinates only (1-NN)": cpdgal.coordinates_floor,
    "spectrum only (SVM)": cpdgal.spectra_floor,
}
truth = scene.targets[split.holdout]
curves = {query: over_seeds([record]) for query, record in runs.items()}
for name, floor in floors.items():
    chance = runs["random"]
    guessed = [
        floor(scene, chance.labelled(cycle), split.holdout)
        for cycle in chance.cycles.cycle
    ]
    accuracies = [cpdgal.scores(truth, guess)["OA"] for guess in guessed]
    curves[name] = pd.DataFrame({"OA": accuracies}, chance.cycles.labels)
learning = plots.learning_curves(curves)

# %%
scores = ["OA", "AA", "kappa"]
rows = {("network", query): dict(r.final[scores]) for query, r in runs.items()}
for name, floor in floors.items():
    for query, record in runs.items():
        guessed = floor(scene, record.labelled(), split.holdout)
        rows[name, query] = cpdgal.scores(truth, guessed)
results = pd.DataFrame(rows).T.rename_axis(["method", "labels"])
results.rename(columns="{}, %".format).round(1)

# %% tags=["remove-cell"]
asked = runs["margin"]
spent = len(asked.queried)
for name, value in results.loc["network", "margin"].items():
    glue(f"quickstart-{name}", round(float(value), 1))
glue("quickstart-random", round(float(results.OA["network", "random"]), 1))
glue(
    "quickstart-coordinates",
    round(float(results.OA["coordinates only (1-NN)", "random"]), 1),
)
glue("quickstart-labels", spent)
glue("quickstart-share", round(asked.final.share, 2))

# %% tags=["remove-input", "nbval-ignore-output"]
from IPython.display import Markdown

rounded = results.OA.round(1)  # so that the difference is that of the numbers shown
network_oa = rounded["network", "margin"]
place_oa = rounded["coordinates only (1-NN)", "random"]
gain = network_oa - rounded["network", "random"]
Markdown(
    f"With {spent} labels ({asked.final.share:.1f} % of the labelled pixels) the loop reaches an "
    f"overall accuracy of **{network_oa:.1f} %**, {abs(gain):.1f} points {'above' if gain > 0 else 'below'} random queries. "
    f"A classifier that knows nothing but row and column, given as many random labels, reaches **{place_oa:.1f} %**: "
    f"{'more' if place_oa > network_oa else 'less'} than the network. Fields are large and the split is random, so test pixels "
    "lie beside training pixels. The last section shows what is left when they do not."
)

# %% [markdown]
# ## What it asked for

# %% mystnb={"figure": {"caption": "Where the labels were spent, cycle by cycle."}, "image": {"alt": "The ground truth in pale colours with a dot for every labelled pixel, coloured by the cycle that asked for it."}} tags=["nbval-ignore-output"]
where = plots.queried_pixels(scene, {f"The {spent} labelled pixels": asked.queried})

# %% [markdown]
# ## The map

# %% mystnb={"figure": {"caption": "Ground truth, the class predicted for every pixel, and the errors on the hold-out."}, "image": {"alt": "Three maps: the ground truth, the predicted class of every pixel including unlabelled ones, and hold-out pixels in grey where right and in orange where wrong."}} tags=["nbval-ignore-output"]
predicted = asked.map(scene)
map_figure = plots.class_maps(
    scene, {"Predicted for every pixel": predicted}, split
)

# %%
table = asked.classes.rename(
    columns={
        "judged": "in the hold-out",
        "pool": "in the pool",
        "labels": "labels used",
        "accuracy": "accuracy, %",
    }
)
table.round(1)

# %% [markdown]
# ## What an honest split leaves
#
# Here blocks of 15 x 15 pixels go to the pool or to the hold-out as a whole, and hold-out pixels whose window touches a
# training window are left out. As many labels as above are drawn at random, class by class; network and floors learn
# from them, once.

# %%
blocks = once.make_split(scene)
for warning in blocks.warnings(scene):
    print(warning)

# %% tags=["nbval-ignore-output"]
held_out = scene.targets[blocks.holdout]
rows = {"network": dict(apart.final[scores])}
for name, floor in floors.items():
    rows[name] = cpdgal.scores(
        held_out, floor(scene, apart.labelled(), blocks.holdout)
    )
honest = pd.DataFrame(rows).T.rename_axis("method")
glue("quickstart-blocks", round(float(honest.OA["network"]), 1))

# %%
honest.rename(columns="{}, %".format).round(1)

# %% tags=["remove-cell", "nbval-ignore-output"]
glue("quickstart-curves", learning)
glue("quickstart-map", map_figure)
glue("quickstart-seconds", round(asked.cycles.seconds.sum()))
made = asked.provenance
glue(
    "quickstart-versions",
    f"Python {made['python']}, torch {made['torch']}, {made['processor']}",
)

# %% [markdown]
# ## Next
#
# - Another seed, or the paper's full protocol, from a shell:
#   `papermill notebooks/01_quickstart.ipynb runs/seed-1.ipynb -p seed 1 -p profile paper`.
# - A cube of your own: `-p scene_name my_cube.mat -p labels_path my_ground_truth.mat`.
# - How the network works, equation by equation: [the method](../notebooks/02_method.ipynb).
# - Which choices the paper leaves open, and what we chose: [open decisions](../book/decisions.md).
