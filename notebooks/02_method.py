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
# Section 2 of the paper with its code: next to each equation stand the call that computes it on a real window of
# Indian Pines, a line that computes the same by hand, and whether the two agree (`allclose`). Run it
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
scene_name: str = "indian_pines"  # a known scene, or the file of a cube
labels_path: str = ""  # the ground truth of a cube of your own
reading: str = "{}"  # how files of your own are read, as JSON: {"no_data": 0}
profile: str = "quick"  # smoke trains for one epoch; quick and paper for 20
seed: int = 0  # decides weights, labelled pixels and noise
components: int = 15  # principal components, at most the cube's bands
pixel: int = 1000  # the labelled pixel whose window is shown
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
from cpdgal.book.common import answer, check_parameters, glue
from cpdgal.book.verdicts import agrees
from cpdgal.runner import gather
from cpdgal.study import named_values

check_parameters(pixel=pixel)

# %% [markdown]
# (figure-1)=
# (figure-2)=
# The paper shows the network in its Fig. 1, and its two modules, diffusion-guided feature refinement (DGFR) and contextualized
# masking (CM), in its Fig. 2. This drawing combines them.

# %% mystnb={"figure": {"caption": "The network and the active learning loop around it."}, "image": {"alt": "Flow diagram: a window passes through patch embedding, DGFR, contextualized masking driven by the first block's attention, six encoder blocks and a head; CW-MSE compares tokens before and after. Below, the loop: labelled pixels, training, most uncertain pixels, oracle."}}
page.flow_diagram()

# %% [markdown]
# ## Data and a trained network
#
# The figures below compare a network before and after a short training on 5 % of the labelled pixels.

# %% tags=["nbval-ignore-output"]
study = cpdgal.Study(
    scene=scene_name,
    labels_path=labels_path,
    profile=profile,
    seed=seed,
    components=components,
    **named_values(reading),
)
scene = study.load_scene()
windows = cpdgal.Windows(scene, window=7, components=components)
before = cpdgal.build(
    "cpdgal",
    seed=seed,
    bands=components or scene.bands,
    window=7,
    classes=scene.classes,
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
torch.set_grad_enabled(False)  # from here on nothing is trained


def agree(what, call, by_hand):
    """Say whether a call and a hand-written line give the same numbers."""
    same = np.allclose(call, by_hand, rtol=1e-4, atol=1e-5)
    print(f"{what}: allclose = {same}")


x = windows[[pixel % len(windows)]]
x.shape  # (b, c, w, w)

# %% [markdown]
# ## 2.1 Patch embedding
#
# A window of $H \times W$ pixels is partitioned into patches of $P \times P$ pixels. A linear projection turns each patch into a
# token, to which a learned positional encoding is added:
#
# $$N = \frac{H \times W}{P^2} \tag{1}$$
#
# $$\mathbf{Z}_i = \mathbf{W}_e \mathbf{X}_i + \mathbf{b}_e \tag{2}$$
#
# $$\mathbf{Z} \leftarrow \mathbf{Z} + \mathbf{E}_\text{pos} \tag{3}$$
#
# With a window of 7 and a patch of 1, each pixel is a token.

# %%
z = model.embedding(x)
z.shape  # (b, n, d)

# %%
n = 7 * 7 // 1**2
agree("Eq. 1", z.shape[1], n)

projection, position = model.embedding.project, model.embedding.position
pixels = x[0].permute(1, 2, 0).reshape(n, -1)  # X_i, one row per pixel
by_hand = pixels @ projection.weight.T + projection.bias
agree("Eq. 2", projection(pixels), by_hand)
agree("Eq. 3", z[0], by_hand + position)

# %% mystnb={"figure": {"caption": "From the window to its tokens: false colour, the first principal component, and one embedding channel of the tokens and of their positional encoding."}, "image": {"alt": "Four 7 by 7 images: the window in false colour, its first principal component, one channel of the tokens, and the same channel of the positional encoding."}} tags=["nbval-ignore-output"]
where = tuple(scene.pixels[pixel % len(windows)])
embedded = page.embedding(scene, where, x[0], z[0], position.detach())

# %% [markdown]
# ## 2.2 Diffusion-guided feature refinement
#
# In training, the tokens are corrupted by Gaussian noise, and a small network, the denoiser, refines them. Each sample draws a
# diffusion step $t$, which decides the share of noise. The schedule $\alpha_t$ is learned and clipped:
#
# $$\mathbf{Z}_t = \alpha_t \mathbf{Z} + (1 - \alpha_t)\,\boldsymbol{\epsilon}, \quad \boldsymbol{\epsilon} \sim \mathcal{N}(\mathbf{0}, \mathbf{I}) \tag{4}$$

# %% mystnb={"figure": {"caption": "The learned schedule before and after training."}, "image": {"alt": "Two lines over the diffusion step from 1 to 100: the straight schedule before training and the learned one after it."}} tags=["nbval-ignore-output"]
schedule = page.schedule(before.dgfr.alpha(), model.dgfr.alpha())

# %% [markdown]
# A timestep embedding, added to every token, tells the denoiser the level of corruption:
#
# $$\mathbf{e}_t = \phi\!\left(\frac{t}{T}\right) \tag{5}$$
#
# $$\mathbf{Z}_t \leftarrow \mathbf{Z}_t + \mathbf{e}_t \tag{6}$$

# No call gives $\mathbf{Z}_t$ alone. But before training the denoiser is the identity (Eq. 7) and at $t = T$ nothing is mixed in
# (Eq. 8), so the module then returns $\mathbf{Z}_t + \mathbf{e}_t$.

# %%
t = torch.tensor([50])
noise = torch.randn(z.shape, generator=generator)
e_t = model.dgfr.time_embedding(t)
e_t.shape  # (b, d)

# %%
alpha_t = model.dgfr.schedule[t - 1].clamp(0.01, 0.99)
agree("clip of the schedule", model.dgfr.alpha()[t - 1], alpha_t)

phi = model.dgfr.phi
agree("Eq. 5", e_t, 50 / 100 * phi.weight[:, 0] + phi.bias)

last = torch.tensor([100])
corrupted = before.dgfr.alpha()[99] * z + (1 - before.dgfr.alpha()[99]) * noise
corrupted = corrupted + before.dgfr.time_embedding(last)
agree("Eq. 4 and 6", before.dgfr(z, last, noise), corrupted)

# %% [markdown]
# The denoiser adds a correction $\mathcal{F}_\theta$, two blocks of LayerNorm, Linear, GELU and Linear. Its last layer is
# initialised with zeros, so that the denoiser is the identity before training:
#
# $$\mathcal{D}_\theta(\mathbf{Z}_t, \mathbf{e}_t) = \mathbf{Z}_t + \mathcal{F}_\theta(\mathbf{Z}_t, \mathbf{e}_t) \tag{7}$$

# %%
same = torch.equal(before.dgfr.denoise(z), z)
print("before training, the denoiser is the identity:", same)

z_t = alpha_t * z + (1 - alpha_t) * noise + e_t
correction = z_t
for norm, widen, activation, narrow in model.dgfr.blocks:
    hidden = activation(norm(correction) @ widen.weight.T + widen.bias)
    correction = hidden @ narrow.weight.T + narrow.bias
agree("Eq. 7", model.dgfr.denoise(z_t), z_t + correction)

# %% [markdown]
# The output is a convex combination of clean and denoised tokens, with more of the denoised ones at later steps:
#
# $$\mathbf{Z}_\text{final} = \lambda_t\, \mathcal{D}_\theta(\mathbf{Z}_t, \mathbf{e}_t) + (1 - \lambda_t)\, \mathbf{Z}, \qquad \lambda_t = \min\!\left(1, \frac{t}{T}\right) \tag{8}$$

# %%
mix = min(1, 50 / 100)
by_hand = mix * (z_t + correction) + (1 - mix) * z
agree("Eq. 8", model.dgfr(z, t, noise), by_hand)

# %% mystnb={"figure": {"caption": "One embedding channel of the 49 tokens of a real window: corrupted (top) and refined (bottom) at increasing diffusion steps t. The change is the distance from the clean tokens over their norm."}, "image": {"alt": "Two rows of 7 by 7 images. Corrupted tokens above, refined ones below, at increasing t; each title gives the distance from the clean tokens."}} tags=["nbval-ignore-output"]
tokens = page.refinement(model.dgfr, z, [1, 25, 50, 75, 100], generator)

# %% [markdown]
# The paper does not say what the module does at inference. Here no noise is added and
# $\mathbf{Z}_\text{final} = \mathbf{Z}$, the limit of Eq. 8 at $t = 0$ ([open decision 4](../book/decisions.md)).

# %%
z_final = model.dgfr(z)
print("at inference the tokens are unchanged:", torch.equal(z_final, z))

# %% [markdown]
# ## 2.3 Contextualized masking
#
# The attention of the first encoder block determines the importance of each token:
#
# $$\mathbf{Q} = \mathbf{Z}_\text{final}\mathbf{W}_q, \quad \mathbf{K} = \mathbf{Z}_\text{final}\mathbf{W}_k, \quad \mathbf{V} = \mathbf{Z}_\text{final}\mathbf{W}_v \tag{9}$$
#
# $$\text{Attention}(\mathbf{Q}, \mathbf{K}, \mathbf{V}) = \text{softmax}\!\left(\frac{\mathbf{Q}\mathbf{K}^\top}{\sqrt{d_h}}\right)\mathbf{V} \tag{10}$$
#
# $$\text{MHSA}(\mathbf{Z}_\text{final}) = \text{Concat}(\text{head}_1, \dots, \text{head}_{HD})\,\mathbf{W}_o \tag{11}$$
#
# Our blocks are pre-norm: a LayerNorm precedes the projections, with a residual connection and a feed-forward network after them, as in
# the standard vision transformer. The paper leaves this open.

# %%
block = model.blocks[0]
weights = block.attention_weights(z_final)
weights.shape  # (b, h, n, n)

# %%
normed = block.norm_attention(z_final)
qkv = normed @ block.qkv.weight.T + block.qkv.bias  # Eq. 9, all heads
q, k, v = qkv.unflatten(2, (3, block.heads, -1)).permute(2, 0, 3, 1, 4)
by_hand = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
agree("Eq. 9 and 10, the attention weights", weights, by_hand)

heads = by_hand @ v  # Eq. 10
concatenated = heads.transpose(1, 2).flatten(2)
mhsa = concatenated @ block.out.weight.T + block.out.bias  # Eq. 11
attended = z_final + mhsa
by_hand = attended + block.ffn(block.norm_ffn(attended))
agree("Eq. 10 and 11, within the whole block", block(z_final), by_hand)

# %% [markdown]
# The mean over the heads:
#

# %% [markdown]
# $$\bar{\alpha}_{ij} = \frac{1}{HD} \sum_{h=1}^{HD} \alpha_{ij}^{(h)} \tag{12}$$

# %% mystnb={"figure": {"caption": "Attention of the first block for one window: from the centre token, head by head, and between all tokens, mean over heads."}, "image": {"alt": "Eight small 7 by 7 maps, one per head, of the centre token's attention, and a 49 by 49 matrix of the mean attention between tokens."}} tags=["nbval-ignore-output"]
first_block = page.attention(weights[0])

# %% [markdown]
# The importance of a token is the mean attention that it receives. One number per sample, the masking probability $\gamma$, sets
# how much is masked. A sigmoid turns both into a soft mask, which interpolates between each token and a learned mask token:
#
# $$\mathbf{I}_i = \frac{1}{N}\sum_{j=1}^{N} \bar{\alpha}_{ji} \tag{13}$$
#
# $$\gamma = \sigma\!\left(\alpha \cdot \frac{1}{N}\sum_{i=1}^{N} \max_j \bar{\alpha}_{ij}\right) \tag{14}$$
#
# $$\mathbf{M}_b = \sigma(\beta\,(\gamma - \mathbf{I})) \tag{15}$$
#
# $$\mathbf{Z}_m = (\mathbf{1} - \mathbf{M}_b) \odot \mathbf{Z}_\text{final} + \mathbf{M}_b \odot \mathbf{M} \tag{16}$$

# %%
z_m, mask = model.masking(z_final, weights)
importance = weights.mean(1).mean(1)
z_m.shape, mask.shape

# %%
sigmoid = torch.sigmoid
mean = sum(weights[0]) / len(weights[0])
agree("Eq. 12", weights.mean(1)[0], mean)

received = torch.stack([sum(mean[:, i]) / n for i in range(n)])
agree("Eq. 13", importance[0], received)

largest = torch.stack([max(mean[i]) for i in range(n)])
gamma = sigmoid(model.masking.scale * sum(largest) / n)
agree("Eq. 14", model.masking.gamma(mean[None]), gamma)

m_b = sigmoid(2 * (gamma - received))
agree("Eq. 15", mask[0], m_b)

by_hand = (1 - m_b[:, None]) * z_final[0] + m_b[:, None] * model.masking.mask_token
agree("Eq. 16", z_m[0], by_hand)

# %% mystnb={"figure": {"caption": "A real window, the importance of its tokens, their soft mask, and the confidence score that the loss gives them."}, "image": {"alt": "Four 7 by 7 images: the window in false colour, token importance, the soft mask, which falls where importance rises, and the tokens above the mask's mean."}} tags=["nbval-ignore-output"]
masked = page.masking(scene, where, 7, importance[0], mask[0])

# %% tags=["remove-input", "nbval-ignore-output"]
from IPython.display import Markdown

Markdown(
    f"Mind the colour scale: in this window $M_b$ runs from {mask.min():.3f} to {mask.max():.3f}. $\\gamma$ is the sigmoid of a "
    "small number, so it lies near one half, while the importances of 49 tokens sum to one and are small. So every token is "
    "largely replaced by the mask token, and all nearly equally. At a fixed threshold of 0.5 all would count as masked; here "
    "a token counts as masked where its $M_b$ lies above the mean of its window ([open decision 3](../book/decisions.md))."
)

# %% [markdown]
# ## 2.4 The loss
#
# The masked tokens pass through all six blocks. The confidence-weighted mean squared error (CW-MSE) pulls the encoder's output
# $\mathbf{Z}'_m$ towards the clean tokens, and unmasked tokens weigh more:
#
# $$\mathcal{L}_\text{CW-MSE} = \frac{1}{BN} \sum_{b=1}^{B} \sum_{i=1}^{N} CS_i\, \lVert \mathbf{Z}_i - \mathbf{Z}'_{m,i} \rVert^2 \tag{17}$$
#
# $$CS_i = 1.2 \text{ if unmasked (high confidence)}, \quad CS_i = 1.0 \text{ if masked (low confidence)} \tag{18}$$

# %%
out = model(x)
loss = cpdgal.cw_mse(out.tokens, out.refined, out.mask)
loss.shape  # one number for the batch

# %%
is_masked = out.mask > out.mask.mean()
confidence = torch.where(is_masked, 1.0, 1.2)  # Eq. 18
error = ((out.tokens - out.refined) ** 2).sum(2)
agree("Eq. 17 and 18", loss, (confidence * error).sum() / (1 * n))

# %% mystnb={"figure": {"caption": "The loss of one window, token by token: squared error, confidence score, and their product, whose mean is CW-MSE."}, "image": {"alt": "Three 7 by 7 images: the squared error of each token, its confidence score, and their product."}} tags=["nbval-ignore-output"]
terms = page.loss(error[0], confidence[0])

# %% [markdown]
# The paper does not name the loss that the classes are learned with. Here it is the cross-entropy of the class probabilities, to
# which CW-MSE is added with a weight ([open decisions](../book/decisions.md)).
#
# ## 2.5 Active sampling
#
# The smaller the margin between the most probable and the third most probable class, the more uncertain the pixel. The pixels
# with the smallest margins are queried: $U(\mathbf{x}) = P(\text{top}) - P(k^\text{th}\,\text{top})$ with $k = 3$.

# %%
some = np.arange(min(500, len(windows)))
probabilities = cpdgal.predict(model, windows.batches(some)).numpy()
uncertainty = cpdgal.margin(probabilities, k=3)
np.argsort(uncertainty)[:10].shape  # the ten to query next

# %%
ranked = np.sort(probabilities, axis=1)[:, ::-1]  # the most probable class first
agree("U(x)", uncertainty, ranked[:, 0] - ranked[:, 2])

# %% mystnb={"figure": {"caption": "Left: the margins of the first labelled pixels of the scene; the smallest ten would be queried. Right: the class probabilities of the most and the least uncertain of them, in decreasing order."}, "image": {"alt": "Left, a histogram of margins from 0 to 1 with the ten smallest in a colour of their own. Right, two curves of class probability over the rank of the class."}} tags=["nbval-ignore-output"]
queried = page.margins(probabilities, uncertainty, 10)

# %% [markdown]
# ## The modules after a full training
#
# The network above was trained once, for 20 epochs. The following ones are on record: the network at the end of the paper's loop, and
# networks trained once on 5 % of the labelled pixels. The figure shows their schedules and the masks of all 49 tokens in the windows of 1,000 test pixels.

# %% mystnb={"figure": {"caption": "Left: the schedule before training and in trained networks on record. Right: the distribution of the masks of all tokens of 1,000 windows over the range from 0 to 1."}, "image": {"alt": "Left, the schedule over the diffusion step from 1 to 100, a line before training and one for each trained network on record. Right, the distribution of mask values over 0 to 1, a line for each of these networks."}} tags=["nbval-ignore-output"]
pines = cpdgal.load_scene("indian_pines")
kept = {
    f"{name}, seed {record.study.seed}": record
    for name, each in gather(page.TRAINED, cpdgal.Store(store)).items()
    for record in each
    if record.weights
}
examined = {name: page.looked_into(record, pines) for name, record in kept.items()}
alphas = {"before training": before.dgfr.alpha().detach().numpy()} | {
    name: record.network(pines).dgfr.alpha().detach().numpy()
    for name, record in kept.items()
}
masks = {name: masks for name, (masks, _) in examined.items()}
trained = page.trained_modules(alphas, masks)

# %% tags=["nbval-ignore-output"]
found = examined.get(f"{page.LOOP}, seed 0", ({}, {}))[1]
said = {
    "constant_mask": "changed_by_constant_mask",
    "dgfr": "changed_by_dgfr",
    "no_mask": "changed_by_no_mask",
    "oa": "right",
    "no_mask_oa": "right_without_mask",
}
headline = {
    name: f"{100 * found[key]:.1f}" if found else "not run"
    for name, key in said.items()
}
for name, share in headline.items():
    glue(f"headline-{name}", share)
table = pd.DataFrame({name: found for name, (_, found) in examined.items()})
table.rename(page.SAYS).round(4)

# %% [markdown]
# A constant mask tests whether the *variation* of the mask matters, not whether the mask does: the same weights without any mask are
# another network than the one that was trained. And {term}`DGFR` is off at inference here ([decision 4](../book/decisions.md)); "as in training"
# switches it on.

# %% tags=["remove-input", "nbval-ignore-output"]
Markdown(
    f"In the headline's network a constant mask changes {headline['constant_mask']} % of the predictions for 1,000 test pixels. Leaving the mask "
    f"out altogether changes {headline['no_mask']} % of them, and {headline['no_mask_oa']} % are correct in place of {headline['oa']} %."
    if found
    else "The headline's network is not on record."
)

# %% [markdown]
# **Is the mask sample-specific?** Section 2.3 speaks of a sample-specific masking probability. If so, masks should differ between
# windows by more than one percent of their mean, and predictions should depend on them: more than one in a hundred should change
# when every token is masked by the same mean value. The verdict follows {ref}`the rules shared by all pages <verdicts>`, over the
# networks trained once. **Does the model tune the noise per timestep?** Section 2.2 says that the learnable $\alpha_t$ allows this.
# In the same networks $\alpha_t$ should vary over the steps by more than one percent of its mean; with a sigmoid in place of the clamp
# the gradient does not vanish ([the reading *bundle*](#what-the-modules-do)). **Does the mask occlude salient regions?** Section 1 says so.
# Eq. 15 alone decides this.

# %% tags=["remove-input", "nbval-ignore-output"]
by_seed = {
    record.study.seed: examined[name][1]
    for name, record in kept.items()
    if name.startswith(page.ONCE)
}
learned = {
    record.study.seed: alphas[name]
    for name, record in kept.items()
    if name.startswith(page.ONCE)
}
Markdown(
    f"- Sample-specific: {answer('method-specific', page.sample_specific(by_seed))}\n"
    f'- Tuned per timestep: {answer("method-schedule", page.tunes_schedule(learned))} So it is under the clamp, our reading of "clipped" '
    f"([open decision 5](../book/decisions.md)), under which a step that reaches the end of the range has no gradient and stays there; "
    f"before training the deviation is {100 * alphas['before training'].std() / alphas['before training'].mean():.0f} %.\n"
    f"- Occluding salient regions: {answer('method-occludes', page.occludes(importance[0], mask[0]))}"
)

# %% [markdown]
# ## Parameters and operations
#
# The paper gives 87,538 parameters and 5.17 MFLOPs, and leaves window, patch, feed-forward width and denoiser open. One standard
# design comes within one parameter and one percent of the operations, if a multiply-add counts as one operation and DGFR is
# included: a window of 7 pixels with a patch of 1, pre-norm blocks with bias, a feed-forward network four times as wide as the
# embedding, and the two denoising blocks above.


# %%
def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def multiply_adds(network, *inputs):
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):
        network(*inputs)
    return counter.get_total_flops() / 2  # it counts a multiply-add as two


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
millions = pd.Series(operations, name="million multiply-adds per window") / 1e6
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
# How the count determines the design: every tensor of the network has a multiple of 32 entries, except for the schedule with its
# $T = 100$, the scalar of Eq. 14, and the bias of the head with one entry per class. 87,538 is 18 modulo 32. For the 14 classes
# of Botswana, 100 + 14 is 18 modulo 32 as well, so the published count is ours without the scalar of Eq. 14. The design was
# fitted to these two counts; they do not prove that it is the paper's.
#
# ## Exercises
#
# Change one thing, predict what will come out, run, and compare.
#
# **1. The sharpness of the mask.** Eq. 15 has $\beta = 2$, "controlling the steepness". Add a cell with `model.masking.beta = 100`
# and compute the mask again. Will it separate important from unimportant tokens more clearly?
#
# :::{dropdown} Answer
# No: all 49 entries of $M_b$ become one. The importances sum to one, so each is far below $\gamma$, which is near one half.
# $\gamma - \mathbf{I}$ is positive for every token, and a steeper sigmoid drives all of them to one. To separate tokens, the
# threshold would have to lie among the importances, near $1/N$.
# :::
#
# **2. More diffusion steps.** Table 5 varies $T$ from 5 to 1000. What does `cpdgal.CPDGAL(steps=1000)` add in parameters and in
# operations?
#
# :::{dropdown} Answer
# 900 parameters, one per additional entry of the schedule, and no operation: a training step draws a single $t$ per sample,
# whatever $T$ is. The timestep embedding takes $t/T$, so it does not grow either.
# :::
#
# **3. A larger window.** How many parameters has the network with `window=9`, and by how much do the operations grow?
#
# :::{dropdown} Answer
# 1,024 parameters more, since only the positional encoding grows: $(81 - 49) \times 32$. The operations grow by more than the
# number of tokens does, 81 to 49, since attention is quadratic in it; `multiply_adds` above says how much.
# :::
