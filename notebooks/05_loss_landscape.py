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
# (figure-3)=
# # Loss landscapes and Hessian spectra (Fig. 3)
#
# **The paper says** (Section 4, "Loss Landscape and Hessian Eigenvalue Analysis", Fig. 3; Botswana and Indian Pines, 5 % of the
# data): CPDGAL's surface is smooth and convex with a singular optimum, where the supervised ViT has multiple local minima;
# CPDGAL's minimum is broad and flat, the ViT's are sharp; the ViT's Hessian eigenvalues skew negative, CPDGAL's are
# symmetric around zero, slightly skewed positive; CPDGAL's magnitudes (e.g., 1, 2) far exceed the ViT's (e.g., 0.2, 0.4);
# CPDGAL's topology is "dataset- and initialization-invariant, converging to similar optima across runs".
#
# **Measured here**: CPDGAL and the ViT, which is CPDGAL's network without the paper's modules, each trained with several seeds for 200
# epochs on 5 % of the labelled pixels, drawn at random (half of the {term}`pool`, which is a tenth of them). At a given {term}`seed` both
# networks have the same labels. The loss is the cross-entropy on training {term}`windows <window>`, in evaluation mode. The trained
# networks are read from [run records](../book/records) with kept weights. The page runs as it is,
# [on Colab too](https://colab.research.google.com/github/cpdgal/cpdgal/blob/main/notebooks/05_loss_landscape.ipynb), in some minutes.

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
scene_name: str = "indian_pines"  # a known scene (paper: botswana), or a cube
labels_path: str = ""  # the ground truth of a cube of your own
reading: str = "{}"  # how files of your own are read, as JSON: {"no_data": 0}
other_scene: str = "salinas_a"  # evaluated with seed 0; not run where missing
profile: str = "paper"  # paper; smoke takes two seeds, a coarse grid, few windows
seeds: int = 3  # how many, counted from 0
train: bool = False  # run what the store lacks; always so for other runs
store: str = "results"  # the folder of records (else those of the package)
components: int = 15  # principal components of a window
grid: int = 51  # points along each direction, odd: the middle one is the weights
nodes: int = 17  # Chebyshev points along each, where networks are evaluated
count: int = 128  # training windows that the loss is the mean over
iterations: int = 20  # of Lanczos, for the Hessian's spectrum

# %% tags=["hide-input", "nbval-ignore-output"]
import json

import numpy as np
import torch
from IPython.display import Markdown

import cpdgal
from cpdgal.book import loss_landscape as page
from cpdgal.book.common import answer, check_parameters, glue, not_yet
from cpdgal.book.verdicts import on_record
from cpdgal.runner import gather
from cpdgal.study import named_values

check_parameters(seeds=seeds, train=train, grid=grid, nodes=nodes)
check_parameters(count=count, iterations=iterations, other_scene=other_scene)
smoke = profile == "smoke"
if smoke:
    seeds, grid, nodes, count, iterations = 2, 11, 5, 32, 8
rerun = train or (scene_name, profile) != ("indian_pines", "paper")


def trained(studies, train):
    """The records with weights, by seed and network."""
    found = gather(studies, cpdgal.Store(store), train=train, weights=True)
    by_seed = {}
    for name, records in found.items():
        for record in records:
            by_seed.setdefault(record.study.seed, {})[name] = record
    return dict(sorted(by_seed.items())), on_record(studies, found)


def loaded(records):
    """The networks of one seed, with windows and classes that they learned from."""
    record = next(iter(records.values()))
    scene, learned = record.study.load_scene(), record.labelled()[:count]
    windows = record.study.make_windows(scene, record.study.make_split(scene))
    networks = {name: each.network(scene) for name, each in records.items()}
    return networks, windows[learned], torch.from_numpy(scene.targets[learned])


# %%
shared = {"profile": profile, "components": components}
own = {"scene": scene_name, "labels_path": labels_path, **named_values(reading)}
studies = page.studies(range(seeds), **shared, **own)
records, said = trained(studies, rerun)
Markdown("With weights, " + said)

# %% [markdown]
# ## The surface
#
# The loss is evaluated on a plane through the trained weights, spanned by two random directions, each normalised filter by filter
# (Li et al. 2018): at distance 1 the weights have moved by their own norm. Biases and the parameters of the normalisation layers stay fixed.
# All networks and seeds use the same random directions. The height is the logarithm of the loss.

# %% tags=["nbval-ignore-output"]
looked = {seed: loaded(each) for seed, each in records.items()}
surfaces = {
    seed: page.surfaces(*each, size=grid, nodes=nodes)
    for seed, each in looked.items()
}
pairs = [s for s, each in records.items() if len(each) == len(page.NETWORKS)]

# %% tags=["nbval-ignore-output"]
first = {name: surfaces[pairs[0]][name] for name in page.NETWORKS if pairs}
page.loss_surfaces(first) if pairs else not_yet("no seed of both networks")

# %% mystnb={"figure": {"caption": "{glue:text}`landscape-contours-finding:s` The cross-entropy around the trained weights on the same plane, as contours of its logarithm at shared levels: CPDGAL above, ViT below, a column for each seed that both networks have. The cross marks the lowest grid point."}, "image": {"alt": "Filled contour plots of the loss over two random directions in a grid, CPDGAL in the upper row and the vision transformer in the lower, a column for each seed; darker is lower, and a white cross marks the lowest point."}} tags=["nbval-ignore-output"]
drawn = {
    f"{name}, seed {s}": surfaces[s][name] for name in page.NETWORKS for s in pairs
}
if pairs:
    glue("landscape-contours", page.loss_contours(drawn, len(pairs)))
    glue("landscape-contours-finding", page.convex_points(drawn))
else:
    not_yet("no seed of both networks")

# %% [markdown]
# ## The Hessian
#
# The eigenvalue density is estimated by stochastic Lanczos quadrature with PyHessian, at the trained weights and over all parameters
# that the loss depends on. Those of {term}`DGFR` are not among them, because it is the identity in evaluation. The figure shows the
# first seed that both networks have.

# %% mystnb={"figure": {"caption": "{glue:text}`landscape-spectra-finding:s` Left: the density of the Hessian's eigenvalues, as shares on a logarithmic axis. Right: the six lowest and the six highest eigenvalues that the Lanczos iteration found. One seed of each network, as trained."}, "image": {"alt": "Left, two histograms of eigenvalues on logarithmic axes, for CPDGAL and the vision transformer. Right, bars of their lowest and highest eigenvalues side by side."}} tags=["nbval-ignore-output"]
spectra = {
    seed: page.spectra(*each, iterations=iterations)
    for seed, each in looked.items()
}
if pairs:
    shown = {name: spectra[pairs[0]][name] for name in page.NETWORKS}
    glue("landscape-spectra", page.hessian_spectra(shown))
    glue("landscape-spectra-finding", page.outer_eigenvalues(shown))
else:
    not_yet("no seed of both networks")

# %% [markdown]
# ## Measures, as trained and at matched loss
#
# Two networks that fit their training labels to a different degree have different landscapes for that reason alone: the derivatives of
# the cross-entropy vanish with it, so of two otherwise equal networks the more confident one has the smaller eigenvalues. *Matched*
# therefore stands for the same weights with the logits of the more confident network divided by one number, its *temperature*, chosen for
# each seed so that both networks have the same loss on the same windows. The network with a temperature above 1 is the more confident one.
#
# The table gives means and standard deviations over seeds.
#
# - *Convex*: the share of inner grid points where the 2 x 2 Hessian of the surface is positive definite.
# - *Further minima*: local minima inside the grid besides the lowest point.
# - *Highest barrier*: the largest rise of the loss on the way from one of these minima to a lower one (0 where there is none).
# - *Basin*: the diameter of a circle with the area of the connected region where the loss is at most twice its minimum, in percent of the
#   norm of the weights.
# - *Error*: the error of the interpolated surface at the points where it was checked, relative to the loss.
# - *Skewness*: the third standardised moment of the eigenvalue density.

# %% tags=["nbval-ignore-output"]
table = page.measured(surfaces, spectra)
stored = table.rename_axis(["network", "seed"]).reset_index()
glue("landscape-measured", stored.to_json(orient="records"))
page.summary(table)

# %% [markdown]
# ## Verdicts
#
# Each {term}`verdict` is reached seed by seed and by {ref}`the rules that are the same on every page <verdicts>`. A claim *holds in part*
# when some of its parts hold.
#
# - **Convex**: CPDGAL's share of convex points is above 95 %; CPDGAL has no further minimum where the ViT has some. Numbers of minima may
#   be the same on all seeds and then have no interval, so this part holds when it is true on every seed, and does not hold when it is
#   true on none.
# - **Flat**: CPDGAL's basin is wider than the ViT's, as trained and at matched loss.
# - **Skew**: the skewness of the ViT's eigenvalue density is below 0, and that of CPDGAL's is between 0 and 1.
# - **Magnitude**: CPDGAL's largest eigenvalue is at least five times the ViT's, the ratio of the paper's 1 and 0.2, as trained and at
#   matched loss. The comparison is made on logarithms to base 10; that of five is 0.70.
# - **Invariant**: two seeds of CPDGAL are more similar in shape than two seeds of the ViT (the correlation of the logarithms of their losses
#   over the plane). Each pair of seeds gives a number, and pairs share seeds, so the rule uses jackknife values by seed, whose
#   interval is twice as wide as if three pairs were independent; it is still no interval of independent seeds. The share of equal
#   predictions, on a quarter of the labelled pixels, none of them used for training, is a remark: it follows the accuracy of the networks.
#   Seeds differ in labels and noise as well as in the initial weights; other data sets are not part of the test.

# %% tags=["nbval-ignore-output"]
answers = {}
if records:
    scene = studies["CPDGAL"][0].load_scene()
    of_all = [r.labelled() for each in records.values() for r in each.values()]
    unseen = np.setdiff1d(np.arange(len(scene.pixels)), np.concatenate(of_all))[::4]
    answers = {
        seed: {name: record.answers(scene, unseen) for name, record in each.items()}
        for seed, each in records.items()
    }

# %% tags=["remove-input", "nbval-ignore-output"]
likeness = page.likenesses(surfaces, answers)
glue(
    "landscape-shapes", json.dumps([[*k, *v] for k, v in likeness["shape"].items()])
)
verdicts = {
    "convex": page.verdict_convex(table),
    "flat": page.verdict_flat(table),
    "skew": page.verdict_skew(table),
    "magnitude": page.verdict_magnitude(table),
    "invariant": page.verdict_invariant(likeness, len(pairs)),
}
lines = [
    f"- {name}: {answer(f'landscape-{name}', verdict)}"
    for name, verdict in verdicts.items()
]
Markdown("\n".join(lines))

# %% [markdown]
# ## What differs, and why it may
#
# - The paper states neither the loss of its figure nor the windows, the directions, their normalisation and their extent. Without the
#   normalisation a surface can be made to look flat or sharp at will (Li et al. 2018, Section 3).
# - The basin depends on the value of the minimum, and a more confident network has smaller eigenvalues. The matched columns remove this
#   effect and no other: a temperature scales all logits alike, which no training does.
# - The weights minimise the training loss, with noise and, for CPDGAL, {term}`CW-MSE`. In evaluation they are near a minimum, not at one.
# - Trained classifiers typically have a few large positive eigenvalues, about one per class, above a bulk near zero (Papyan 2020). Such a
#   density has a skewness far above 1. The paper does not say what the bars of its figure count.
# - "Converging to similar optima" might mean that the weights are close to each other. Independently trained networks have their neurons in
#   a different order, so the loss on the straight line between them says nothing about this (Entezari et al. 2022); predictions do. The more
#   accurate two networks are, the more of their predictions agree, whatever their optima.
# - Between Chebyshev points the logits are interpolated and the cross-entropy is computed from them; the row *error* gives
#   the size of the resulting error. A plane of two directions among tens of thousands shows little of the whole.

# %% [markdown]
# ## Another scene
#
# The same measures for seed 0 on another scene, without the Hessian.

# %% tags=["nbval-ignore-output"]
try:
    others = page.studies([0], scene=other_scene, **shared)
    there, said = trained(others, train or smoke)
    seen = {
        s: page.surfaces(*loaded(r), size=grid, nodes=nodes)
        for s, r in there.items()
    }
    shown = page.summary(page.measured(seen, {})) if seen else Markdown(said)
except cpdgal.SceneError as error:
    shown = Markdown(f"{other_scene}: **not run here** ({error}).")
shown
