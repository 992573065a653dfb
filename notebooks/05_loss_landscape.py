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
# symmetric around zero, slightly skewed positive; CPDGAL's magnitudes (e.g., 1, 2) far exceed the ViT's (e.g., 0.2, 0.4).
#
# **Measured here**: CPDGAL and the ViT, its network without the paper's modules, both trained for 200 epochs on the same 5 % of the labels, drawn
# at random (half of the pool of a tenth). The loss is the cross-entropy on windows that they were trained on, in
# evaluation mode. It runs as it is,
# [on Colab too](https://colab.research.google.com/github/cpdgal/cpdgal/blob/main/notebooks/05_loss_landscape.ipynb): some minutes,
# and two more to train what is not on [record](../book/records).

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
scene_name: str = "indian_pines"  # a known scene; the paper's other one is botswana
other_scene: str = "salinas_a"  # looked at with one plane; not run where missing
profile: str = "paper"  # paper; smoke takes a coarse grid and few windows
seed: int = 0  # of the studies: labels, weights and noise
store: str = "results"  # the folder of records and weights
components: int = 15  # principal components of a window
grid: int = 51  # points along each direction
nodes: int = 17  # Chebyshev points along each, where networks are evaluated
planes: int = 3  # pairs of random directions
count: int = 128  # training windows that the loss is the mean over
iterations: int = 40  # of Lanczos, for the Hessian's spectrum

# %% tags=["hide-input", "nbval-ignore-output"]
import pandas as pd
import torch
from IPython.display import Markdown

import cpdgal
from cpdgal.book import landscape
from cpdgal.book import loss_landscape as page
from cpdgal.book.common import answer, glue
from cpdgal.book.verdicts import spread

if profile == "smoke":
    grid, nodes, planes, count, iterations = 11, 5, 2, 32, 8


def trained(scene_name, method):
    """The trained network, with windows and classes that it learned from."""
    study = page.study(scene_name, method, profile, seed, components)
    record = cpdgal.run(study, cpdgal.Store(store), weights=True)
    scene, learned = study.load_scene(), record.labelled()[:count]
    windows = study.make_windows(scene, study.make_split(scene))
    return (
        record.network(scene),
        windows[learned],
        torch.from_numpy(scene.targets[learned]),
    )


def surfaces(network, planes):
    """The loss on planes spanned by random directions, the same for both networks."""
    model = network[0]
    drawn = [landscape.random_direction(model, k) for k in range(2 * planes)]
    return [
        landscape.surface(*network, *pair, size=grid, nodes=nodes)
        for pair in zip(drawn[::2], drawn[1::2], strict=True)
    ]


# %% [markdown]
# ## The surface
#
# A plane through the trained weights, spanned by two random directions, each normalised filter by filter (Li et al. 2018): at 1 the
# weights have moved as far as they are long. Biases and the parameters of norms do not move. The height is the
# logarithm of the loss.

# %% tags=["nbval-ignore-output"]
networks = {
    name: trained(scene_name, method) for name, method in page.NETWORKS.items()
}
seen = {name: surfaces(network, planes) for name, network in networks.items()}
first = {name: each[0] for name, each in seen.items()}

# %% tags=["nbval-ignore-output"]
page.loss_surfaces(first)

# %% mystnb={"figure": {"caption": "The cross-entropy around the trained weights of both networks on the same plane, as contours at shared levels of its logarithm. The cross marks the lowest grid point."}, "image": {"alt": "Two filled contour plots side by side over two random directions: the loss of CPDGAL and of the vision transformer, each with one dark basin around the centre that rises to all sides."}} tags=["nbval-ignore-output"]
contours = page.loss_contours(first)
glue("landscape-contours", contours)

# %% [markdown]
# Numbers beside the picture, mean and deviation over planes. *Convex*: the share of inner grid points where the surface's 2 x 2
# Hessian is positive definite. *Further minima*: local minima inside the grid besides the lowest point; *barrier*: the highest
# climb out of one of them to a lower one (0: there is none). *Basin*: the diameter of the circle as large as the
# connected region where the loss is at most twice its minimum, in units of the directions. *Error*: how far the interpolated
# surface is off where it was checked, relative to the loss.


# %% tags=["nbval-ignore-output"]
def row(each):
    """The numbers of one network's surfaces."""
    climbs = [landscape.barriers(one.loss) for one in each]
    return {
        "lowest loss": f"{min(one.loss.min() for one in each):.2g}",
        "convex, %": spread([100 * landscape.convexity(one.loss) for one in each]),
        "further minima": spread([len(climb) for climb in climbs]),
        "barrier": spread([max(climb, default=0) for climb in climbs]),
        "basin": spread([landscape.basin_width(one) for one in each]),
        "error, %, at most": f"{100 * max(one.error for one in each):.2f}",
    }


pd.DataFrame({name: row(each) for name, each in seen.items()}).T

# %% [markdown]
# ## The Hessian
#
# Its eigenvalue density by stochastic Lanczos quadrature and its trace by Hutchinson's method, with PyHessian, at the trained weights
# and over all parameters that the loss depends on; DGFR's are not among them, because it is the identity in evaluation.
# An eigenvalue counts as negative below a thousandth of the largest magnitude; nearer to zero it cannot be told from it. That share
# is rough: Lanczos stands for the bulk near zero with a few point masses.

# %% mystnb={"figure": {"caption": "Left: the density of the Hessian's eigenvalues, as shares on a logarithmic axis. Right: the six lowest and the six highest that Lanczos found."}, "image": {"alt": "Left, two histograms with nearly all eigenvalues at zero and a long thin tail to the right. Right, bars: small negative eigenvalues for both networks, and positive ones that are much larger."}} tags=["nbval-ignore-output"]
spectra = {
    name: landscape.spectrum(*network, iterations=iterations, seed=seed)
    for name, network in networks.items()
}
density = page.hessian_spectra(spectra)
glue("landscape-spectra", density)

# %% tags=["nbval-ignore-output"]
summary = {
    name: {
        "parameters": each.parameters,
        "lowest": f"{each.values[0]:.3g}",
        "highest": f"{each.values[-1]:.3g}",
        "trace": f"{each.trace:.3g}",
        "negative, %": f"{100 * each.negative():.1f}",
        "skewness": f"{each.skewness:.1f}",
    }
    for name, each in spectra.items()
}
pd.DataFrame(summary).T

# %% [markdown]
# ## Verdicts
#
# Of each network one training is looked at, and a verdict takes three: what stands here is what that training would say.
#
# - **Convex** holds when every surface of CPDGAL has one minimum and is convex at 95 % of its points on average, and most of
#   the ViT's have further minima; in part with one of the two.
# - **Flat** holds when the narrowest basin of CPDGAL is wider than the widest of the ViT; in part when the means alone say so.
# - **Skew** holds when the skewness of the ViT's density is below 0 and that of CPDGAL's between 0 and 1; in part with one.
# - **Magnitude** holds when CPDGAL's largest magnitude is at least five times the ViT's, as 1 is of 0.2; in part when it is
#   larger.

# %% tags=["remove-input", "nbval-ignore-output"]
widths = [[landscape.basin_width(one) for one in each] for each in seen.values()]
losses = [[one.loss for one in each] for each in seen.values()]
verdicts = {
    "convex": page.verdict_convex(*losses),
    "flat": page.verdict_flat(*widths),
    "skew": page.verdict_skew(*spectra.values()),
    "magnitude": page.verdict_magnitude(*spectra.values()),
}
lines = [
    f"- {name}: {answer(f'landscape-{name}', verdict)}"
    for name, verdict in verdicts.items()
]
Markdown("\n".join(lines))

# %% [markdown]
# ## What differs, and why it may
#
# - The paper names neither the loss of its figure nor its windows, directions, their normalisation or their reach. A surface
#   without the normalisation can be made to look flat or sharp at will (Li et al. 2018, Section 3).
# - Two networks that fit their labels to a different degree have different landscapes: the second derivatives of a cross-entropy near zero
#   are near zero too, so a network that is surer of its labels has smaller eigenvalues and, at twice a smaller minimum, another
#   basin. CPDGAL is held back by its noise and by CW-MSE; its loss is higher. The lowest losses stand in the first table.
# - The weights minimise the training loss, with noise and, for CPDGAL, CW-MSE. In evaluation they are near a minimum, not at one.
# - A trained network's Hessian has a few large positive eigenvalues, one or more for each class, and a bulk near zero, so its
#   skewness is far above 1 as a rule. What the paper's bars count is not said.
# - Between Chebyshev points the logits are interpolated, and the cross-entropy is taken of them; the table's last column says
#   how far that is off. A plane of two directions among tens of thousands shows little of the whole.

# %% [markdown]
# ## Another scene
#
# One plane, Hessian left out.

# %% tags=["nbval-ignore-output"]
try:
    there = {
        name: surfaces(trained(other_scene, method), 1)
        for name, method in page.NETWORKS.items()
    }
    shown = pd.DataFrame({name: row(each) for name, each in there.items()}).T
except cpdgal.SceneError as error:
    shown = Markdown(f"{other_scene}: **not run here** ({error}).")
shown
