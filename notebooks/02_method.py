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
# # The method, equation by equation
#
# Section 2 of the paper, read with the code beside it: every equation stands next to the call that computes it, on a real
# window of Indian Pines. Run it
# [on Colab](https://colab.research.google.com/github/cpdgal/cpdgal/blob/main/notebooks/02_method.ipynb) to change things.

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
profile: str = "quick"  # smoke trains for one epoch; quick and paper for 20
seed: int = 0  # decides weights, labelled pixels and noise
components: int = 15  # principal components, at most the cube's bands
pixel: int = 1000  # the labelled pixel whose window is looked at
store: str = "results"  # the folder of records (else those of the package)

# %% tags=["hide-input", "nbval-ignore-output"]
import copy

import numpy as np
import pandas as pd
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import cpdgal
from cpdgal.training import Training
from cpdgal.book import method as page
from cpdgal.book.common import answer, glue
from cpdgal.book.verdicts import agrees
from cpdgal.runner import gather

# %% [markdown]
# (figure-1)=
# (figure-2)=
# The paper draws this network in its Fig. 1, and DGFR and CM in its Fig. 2; here they are in one.

# %% mystnb={"figure": {"caption": "The network and the loop around it."}, "image": {"alt": "Flow diagram: a window passes through patch embedding, DGFR, masking driven by the first block's attention, six encoder blocks and a head; CW-MSE compares tokens before and after. Below, the loop: labelled pixels, training, least certain pixels, oracle."}}
page.flow_diagram()

# %% [markdown]
# ## Data and a trained network
#
# The pictures below compare a network before and after a short training on 5 % of the labelled pixels.

# %% tags=["nbval-ignore-output"]
scene = cpdgal.load_scene(scene_name, labels_path or None)
windows = cpdgal.Windows(scene, window=7, components=components)
before = cpdgal.build(
    "cpdgal", seed=seed, bands=components, window=7, classes=scene.classes
)
model = copy.deepcopy(before)

labelled = cpdgal.random_split(scene, 0.05, rng=np.random.default_rng(seed)).pool
generator = torch.Generator().manual_seed(seed)
x, y = windows[labelled], torch.from_numpy(scene.targets[labelled])
epochs = 1 if profile == "smoke" else 20
recipe = Training(epochs=epochs, decay="cosine")
cpdgal.fit(model, x, y, recipe, generator=generator)
model = model.eval()

# %%
x = windows[[pixel % len(windows)]]
x.shape  # (b, c, w, w)

# %% [markdown]
# ## 2.1 Patch embedding
#
# A window of $H \times W$ pixels is cut into patches of $P \times P$; each becomes a token, by one linear map, with a learned
# position added:
#
# $$N = \frac{H \times W}{P^2} \tag{1}$$
#
# $$\mathbf{Z}_i = \mathbf{W}_e \mathbf{X}_i + \mathbf{b}_e \tag{2}$$
#
# $$\mathbf{Z} \leftarrow \mathbf{Z} + \mathbf{E}_\text{pos} \tag{3}$$
#
# With a window of 7 and a patch of 1, every pixel is a token.

# %%
z = model.embedding(x).detach()
z.shape  # (b, n, d)

# %% [markdown]
# ## 2.2 Diffusion-guided feature refinement
#
# Training disturbs the tokens, by a step $t$ drawn for every sample, and asks a small network to restore them. The schedule
# $\alpha_t$ is learned and clipped:
#
# $$\mathbf{Z}_t = \alpha_t \mathbf{Z} + (1 - \alpha_t)\,\boldsymbol{\epsilon}, \quad \boldsymbol{\epsilon} \sim \mathcal{N}(\mathbf{0}, \mathbf{I}) \tag{4}$$

# %% mystnb={"figure": {"caption": "The learned schedule before and after training."}, "image": {"alt": "Two lines over the diffusion step from 1 to 100: the straight schedule before training and the learned one after it."}} tags=["nbval-ignore-output"]
schedule = page.schedule(before.dgfr.alpha(), model.dgfr.alpha())

# %% [markdown]
# An embedding of the step is added to every token, so that the denoiser knows it:
#
# $$\mathbf{e}_t = \phi\!\left(\frac{t}{T}\right) \tag{5}$$
#
# $$\mathbf{Z}_t \leftarrow \mathbf{Z}_t + \mathbf{e}_t \tag{6}$$

# %%
t = torch.tensor([50])
e_t = model.dgfr.time_embedding(t)
e_t.shape  # (b, d)

# %% [markdown]
# The denoiser adds a correction, $\mathcal{F}_\theta$, two blocks of LayerNorm, Linear, GELU, Linear. Its last layer starts at
# zero, so that it changes nothing before training:
#
# $$\mathcal{D}_\theta(\mathbf{Z}_t, \mathbf{e}_t) = \mathbf{Z}_t + \mathcal{F}_\theta(\mathbf{Z}_t, \mathbf{e}_t) \tag{7}$$

# %%
same = torch.equal(before.dgfr.denoise(z), z)
print("before training, the denoiser is the identity:", same)

# %% [markdown]
# Clean and restored tokens are mixed, the more of the restored the later the step:
#
# $$\mathbf{Z}_\text{final} = \lambda_t\, \mathcal{D}_\theta(\mathbf{Z}_t, \mathbf{e}_t) + (1 - \lambda_t)\, \mathbf{Z}, \qquad \lambda_t = \min\!\left(1, \frac{t}{T}\right) \tag{8}$$

# %% mystnb={"figure": {"caption": "One embedding channel of the 49 tokens of a real window: corrupted (top) and refined (bottom) at growing steps t. The change is the distance from the clean tokens over their norm."}, "image": {"alt": "Two rows of 7 by 7 images. Corrupted tokens above, refined ones below, at growing t; each title gives the distance from the clean tokens."}} tags=["nbval-ignore-output"]
tokens = page.refinement(model.dgfr, z, [1, 25, 50, 75, 100], generator)

# %% [markdown]
# At inference there is nothing to restore: no noise is added and $\mathbf{Z}_\text{final} = \mathbf{Z}$, the limit of Eq. 8 at $t = 0$
# ([open decision 4](../book/decisions.md)).

# %%
z_final = model.dgfr(z)
print("at inference nothing is refined:", torch.equal(z_final, z))

# %% [markdown]
# ## 2.3 Contextual masking
#
# The first encoder block's attention tells which tokens matter:
#
# $$\mathbf{Q} = \mathbf{Z}_\text{final}\mathbf{W}_q, \quad \mathbf{K} = \mathbf{Z}_\text{final}\mathbf{W}_k, \quad \mathbf{V} = \mathbf{Z}_\text{final}\mathbf{W}_v \tag{9}$$
#
# $$\text{Attention}(\mathbf{Q}, \mathbf{K}, \mathbf{V}) = \text{softmax}\!\left(\frac{\mathbf{Q}\mathbf{K}^\top}{\sqrt{d_h}}\right)\mathbf{V} \tag{10}$$
#
# $$\text{MHSA}(\mathbf{Z}_\text{final}) = \text{Concat}(\text{head}_1, \dots, \text{head}_{HD})\,\mathbf{W}_o \tag{11}$$
#
# Only this block needs the weights themselves; all others use a fused kernel that never forms them.

# %%
with torch.no_grad():
    weights = model.blocks[0].attention_weights(z_final)
weights.shape  # (b, h, n, n)

# %% [markdown]
# $$\bar{\alpha}_{ij} = \frac{1}{HD} \sum_{h=1}^{HD} \alpha_{ij}^{(h)} \tag{12}$$

# %% mystnb={"figure": {"caption": "Attention of the first block for one window: each head from the centre token, and the mean over heads."}, "image": {"alt": "Eight small 7 by 7 maps, one a head, of the centre token's attention, and a 49 by 49 matrix of the mean attention between tokens."}} tags=["nbval-ignore-output"]
first_block = page.attention(weights[0])

# %% [markdown]
# A token's importance is the attention it receives; one number for each sample, $\gamma$, sets how much is masked; and a sigmoid
# turns both into a soft mask, which draws every token towards a learned one:
#
# $$\mathbf{I}_i = \frac{1}{N}\sum_{j=1}^{N} \bar{\alpha}_{ji} \tag{13}$$
#
# $$\gamma = \sigma\!\left(\alpha \cdot \frac{1}{N}\sum_{i=1}^{N} \max_j \bar{\alpha}_{ij}\right) \tag{14}$$
#
# $$\mathbf{M}_b = \sigma(\beta\,(\gamma - \mathbf{I})) \tag{15}$$
#
# $$\mathbf{Z}_m = (\mathbf{1} - \mathbf{M}_b) \odot \mathbf{Z}_\text{final} + \mathbf{M}_b \odot \mathbf{M} \tag{16}$$

# %%
with torch.no_grad():
    z_m, mask = model.masking(z_final, weights)
importance = weights.mean(1).mean(1)
z_m.shape, mask.shape

# %% mystnb={"figure": {"caption": "A real window, the importance of its tokens, their soft mask, and which count as masked in the loss."}, "image": {"alt": "Four 7 by 7 images: the window in false colour, token importance, the soft mask, which falls where importance rises, and the tokens above the mask's mean."}} tags=["nbval-ignore-output"]
masked = page.masking(
    scene, tuple(scene.pixels[pixel % len(windows)]), 7, importance[0], mask[0]
)

# %% tags=["remove-input", "nbval-ignore-output"]
from IPython.display import Markdown

Markdown(
    f"Read the colour scale: in this window $M_b$ runs from {mask.min():.3f} to {mask.max():.3f}. $\\gamma$ is a sigmoid of a "
    "small number, so it lies near one half, while the importances of 49 tokens sum to one. So every token is mostly "
    "replaced, and nearly equally. A fixed threshold of 0.5 would call all of them masked; we call masked what lies above "
    "its sample's mean ([open decision 3](../book/decisions.md))."
)

# %% [markdown]
# ## 2.4 The loss
#
# The masked tokens pass through all six blocks; the result $\mathbf{Z}'_m$ shall resemble the clean tokens, unmasked ones above all:
#
# $$\mathcal{L}_\text{CW-MSE} = \frac{1}{BN} \sum_{b=1}^{B} \sum_{i=1}^{N} CS_i\, \lVert \mathbf{Z}_i - \mathbf{Z}'_{m,i} \rVert^2 \tag{17}$$
#
# $$CS_i = 1.2 \text{ if unmasked (high confidence)}, \quad CS_i = 1.0 \text{ if masked (low confidence)} \tag{18}$$

# %%
out = model(x)
loss = cpdgal.cw_mse(out.tokens, out.refined, out.mask)
loss.shape  # one number for the batch

# %% [markdown]
# ## 2.5 Asking for labels
#
# A pixel's uncertainty is the margin of its best class over its third best; the pixels with the smallest margin are labelled next:
# $U(\mathbf{x}) = P(\text{top}) - P(k^\text{th}\,\text{top})$ with $k = 3$.

# %%
some = np.arange(min(500, len(windows)))
probabilities = cpdgal.predict(model, windows.batches(some))
uncertainty = cpdgal.margin(probabilities, k=3)
np.argsort(uncertainty)[:10].shape  # the ten to ask for next

# %% [markdown]
# ## What a whole training makes of it
#
# The network above was trained once, for 20 epochs. These are networks on record: the one at the end of the paper's loop, and networks that
# learned once, from 5 % of the labels. Their schedules, and the masks of 1,000 test pixels' windows, all 49 tokens of each.

# %% mystnb={"figure": {"caption": "Left: the schedule before training and in trained networks on record. Right: how the masks of all tokens of 1,000 windows are spread over the range from 0 to 1."}, "image": {"alt": "Left, the schedule over the diffusion step from 1 to 100, a line before training and one for each trained network on record. Right, the distribution of mask values over 0 to 1, a line for each of these networks."}} tags=["nbval-ignore-output"]
pines = cpdgal.load_scene("indian_pines")
kept = {
    f"{name}, seed {record.study.seed}": record
    for name, each in gather(page.TRAINED, cpdgal.Store(store)).items()
    for record in each
    if record.weights
}
looked = {name: page.looked_into(record, pines) for name, record in kept.items()}
alphas = {"before training": before.dgfr.alpha().detach().numpy()} | {
    name: record.network(pines).dgfr.alpha().detach().numpy()
    for name, record in kept.items()
}
masks = {name: masks for name, (masks, _) in looked.items()}
trained = page.trained_modules(alphas, masks)

# %% tags=["nbval-ignore-output"]
for change in ("constant_mask", "dgfr"):
    found = looked.get(f"{page.LOOP}, seed 0", ({}, {}))[1]
    share = found.get(f"changed_by_{change}")
    glue(f"headline-{change}", "not run" if share is None else f"{100 * share:.1f}")
pd.DataFrame({name: found for name, (_, found) in looked.items()}).round(4)

# %% [markdown]
# **Is the mask specific to a sample?** Section 2.3 speaks of a sample-specific masking probability. Then masks should differ between
# windows, by more than one percent of their mean, and answers should depend on it: more than one in a hundred should change when
# every token is masked by the same mean. By {ref}`the rules that are the same on every page <verdicts>`, over the networks that
# learned once. **Does it occlude what is salient?** So says Section 1. Eq. 15 answers that without any run.

# %% tags=["remove-input", "nbval-ignore-output"]
by_seed = {
    record.study.seed: looked[name][1]
    for name, record in kept.items()
    if name.startswith(page.ONCE)
}
Markdown(
    f"- Sample-specific: {answer('method-specific', page.sample_specific(by_seed))}\n"
    f"- Occluding what is salient: {answer('method-occludes', page.occludes(importance[0], mask[0]))}"
)

# %% [markdown]
# ## Parameters and operations
#
# The paper gives 87,538 parameters and 5.17 MFLOPs, and leaves window, patch, feed-forward width and denoiser open. One plain
# design comes within one parameter and one percent of the operations (multiply-adds counted once, DGFR included): a window of 7 pixels with a patch of 1, pre-norm blocks with bias, a feed-forward network four
# times as wide as the embedding, and the two denoising blocks above.


# %%
def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def multiply_adds(network, *inputs):
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        network(*inputs)
    return (
        counter.get_total_flops() / 2
    )  # it takes a multiply-add for two operations


published = {classes: cpdgal.CPDGAL(classes=classes) for classes in (14, 16)}
parts = ["embedding", "dgfr", "masking", "blocks", "norm", "head"]
counts = pd.DataFrame(index=parts)
for classes, network in published.items():
    counted = [parameters(getattr(network, part)) for part in parts]
    counts[f"{classes} classes"] = counted
counts.loc["all"] = counts.sum()
counts

# %%
sample, step, noise = (
    torch.zeros(1, 15, 7, 7),
    torch.tensor([50]),
    torch.zeros(1, 49, 32),
)
network = published[16].eval()
training = multiply_adds(network, sample, step, noise)
inference = multiply_adds(network, sample)
vit = multiply_adds(cpdgal.build("vit").eval(), sample)
operations = {
    "training (with DGFR)": training,
    "inference (no noise)": inference,
    "supervised ViT": vit,
}
millions = pd.Series(operations, name="million multiply-adds a window") / 1e6
millions.round(2).to_frame()

# %% tags=["remove-cell"]
glue("parameters-14", int(counts["14 classes"]["all"]))
glue("parameters-16", int(counts["16 classes"]["all"]))
glue("multiply-adds", round(training / 1e6, 2))
glue("multiply-adds-inference", round(inference / 1e6, 2))
sizes = {
    "parameters": agrees(87_538, int(counts["14 classes"]["all"]), "parameters"),
    "megabytes": agrees(
        0.333, int(counts["14 classes"]["all"]) * 4 / 2**20, "MB of 32-bit floats"
    ),
    "operations": agrees(5.17, training / 1e6, "million multiply-adds"),
}
for name, verdict in sizes.items():
    answer(f"method-{name}", verdict)

# %% [markdown]
# How the counts pin the design down: every tensor of the network has a multiple of 32 entries, but for the schedule with its
# $T = 100$, the scalar of Eq. 14 and the head's bias with one entry a class. 87,538 leaves 18 modulo 32. For Botswana's 14
# classes, 100 + 14 leaves 18 as well: the published count is ours without the scalar of Eq. 14. The operations agree when a
# multiply-add counts as one.
