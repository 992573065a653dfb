"""The pictures of Section 2: schedule, refinement, attention, masking."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from scipy.stats import spearmanr
from torch import Tensor

from ..model import DGFR
from ..plots import PALETTE, false_colour, line_styles, name_colours, one_legend, panels
from ..records import Record
from ..scenes import Scene
from ..study import Study
from ..training import diagnose, predict
from .common import curves_by_panel, sweep
from .verdicts import Verdict, above, combined, spread

# Trained networks whose modules are looked into: the headline's, and three that learned once from 5 % of the labels.
LOOP, ONCE = "the paper's loop", "5 % at once"
TRAINED = {LOOP: [Study()], ONCE: [Study(cycles=0, initial=0.5, seed=seed) for seed in range(3)]}
STUDIES = sweep(TRAINED, weights=range(3))


def schedule(before: Tensor, after: Tensor) -> Figure:
    """The schedule alpha_t of Eq. 4 before and after training, each (T,)."""
    curves = pd.DataFrame({"before training": before.detach(), "after training": after.detach()}, range(1, len(before) + 1))
    change = curves.diff(axis=1)[["after training"]]
    learned = {name: curves[[name]] for name in curves}
    shown = {"The learned noise schedule (Eq. 4)": learned, "What training changed": {"after training": change}}
    y = ["share of the clean token, $\\alpha_t$", "change of $\\alpha_t$"]
    figure = curves_by_panel(shown, "diffusion step t", y, share_y=False)
    figure.axes[1].axhline(0, color="#000000", lw=1, ls="--")
    return figure


def looked_into(record: Record, scene: Scene, count: int = 1000) -> tuple[np.ndarray, dict[str, float]]:
    """M_b (count, n) of so many test pixels' windows, drawn by the seed, in a trained network, and what `diagnose` says; beside
    it, as shares, `gamma_between`, the deviation of gamma between windows, `changed_by_no_mask` and `right`, the predictions
    that change without the mask and those that are correct with it, and `right_without_mask`."""
    split, seed = record.study.make_split(scene), record.study.seed
    asked = np.random.default_rng(seed).permutation(split.holdout)[:count]
    windows = record.study.make_windows(scene, split)
    network: Any = record.network(scene).eval()
    answers = predict(network, windows.batches(asked)).argmax(1)
    found = diagnose(network, lambda: windows.batches(asked), answers, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        masks = torch.cat([network(x).mask for x in windows.batches(asked)]).numpy()
        tokens = (network.dgfr(network.embedding(x)) for x in windows.batches(asked))
        gammas = torch.cat([network.masking.gamma(network.blocks[0].attention_weights(z).mean(1)) for z in tokens])
    network.mask_at_inference = False
    unmasked, classes = predict(network, windows.batches(asked)).argmax(1), torch.from_numpy(scene.targets[asked])
    shares = {"changed_by_no_mask": unmasked != answers, "right": answers == classes, "right_without_mask": unmasked == classes}
    found |= {"gamma_between": float(gammas.std(correction=0)), **{n: float(each.float().mean()) for n, each in shares.items()}}
    return masks, found


# The entries of `looked_into` in words.
SAYS = {
    "alpha_mean": "alpha_t, mean over the steps",
    "alpha_min": "alpha_t, smallest",
    "alpha_clipped": "share of the steps at an end of the clip",
    "noise_share": "norm of the noise over that of its token",
    "changed_by_dgfr": "predictions changed by DGFR as in training",
    "mask_mean": "M_b, mean",
    "mask_within": "M_b, standard deviation within a window",
    "mask_between": "M_b, standard deviation between windows",
    "gamma": "gamma (Eq. 14), mean",
    "gamma_between": "gamma, standard deviation between windows",
    "gamma_scale": "alpha of Eq. 14",
    "changed_by_constant_mask": "predictions changed by a constant mask",
    "changed_by_no_mask": "predictions changed without the mask",
    "right": "predictions that are correct",
    "right_without_mask": "correct without the mask",
}


def sample_specific(found: Mapping[int, dict[str, float]]) -> Verdict:
    """On "a sample-specific masking probability", from `looked_into` by seed: the windows' mean masks have a standard deviation
    of more than one percent of their mean, and more than one prediction in a hundred changes when every token has that mean.
    The spread of gamma itself, which Eq. 15 passes on to the masks, stands beside it."""
    deviation = {seed: 100 * each["mask_between"] / each["mask_mean"] for seed, each in found.items()}
    changed = {seed: 100 * each["changed_by_constant_mask"] for seed, each in found.items()}
    gamma = [100 * each["gamma_between"] / each["gamma"] for each in found.values()]
    verdict = combined(
        {
            "masks differ": above(1.0, deviation, "Standard deviation of M_b between windows over its mean", "%", 0.0),
            "predictions depend on them": above(1.0, changed, "Predictions that a constant mask changes", "%", 0.0),
        }
    )
    said = f" gamma itself (Eq. 14) has a standard deviation between windows of {spread(gamma)} % of its mean." if gamma else ""
    return verdict._replace(sentence=verdict.sentence + said)


def tunes_schedule(alphas: Mapping[int, np.ndarray]) -> Verdict:
    """On "the learnable alpha_t allows the model to tune the noise intensity per timestep", from trained schedules (T,) by
    seed: alpha_t has a standard deviation over the steps of more than one percent of its mean."""
    deviation = {seed: float(100 * alpha.std() / alpha.mean()) for seed, alpha in alphas.items()}
    return above(1.0, deviation, "Standard deviation of alpha_t over the steps over its mean", "%", 0.0)


def occludes(importance: Tensor, mask: Tensor) -> Verdict:
    """On "dynamically occluding salient regions", a matter of Eq. 15 and of no run: salient tokens are masked more. From the
    importance and the mask M_b of a window's tokens, each (n,)."""
    rho = float(spearmanr(importance, mask).statistic)
    here = f"rank correlation of mask and importance {rho:+.2f}"
    said = f"Here {here}: by Eq. 15 the mask decreases as a token's importance grows, so salient tokens are masked less."
    return Verdict("holds" if rho > 0 else "does not hold", here, said)


def trained_modules(alphas: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray]) -> Figure:
    """Schedules alpha_t (T,) of networks by name, and how their M_b (m, n) are spread over 0..1."""
    figure, (schedules, spread) = panels(9, 3.8, 2)
    for name, style in line_styles(alphas).items():
        style = {key: value for key, value in style.items() if key != "marker"}
        schedules.plot(np.arange(1, len(alphas[name]) + 1), alphas[name], lw=2, label=name, **style)
        if name in masks:
            heights, edges = np.histogram(masks[name], 200, (0, 1))
            spread.stairs(100 * heights / heights.sum(), edges, lw=2, color=style["color"])
    schedules.set(xlabel="diffusion step t", ylabel="share of the clean token, $\\alpha_t$", ylim=(0, 1.02))
    spread.set(xlabel="mask $M_b$", ylabel="tokens (%)", xlim=(0, 1))
    one_legend(figure, [schedules], 3)
    return figure


def _show(axis: Axes, values: Tensor, title: str, **options) -> AxesImage:
    """Draw the values of a window's tokens, (n,), as an image."""
    side = round(len(values) ** 0.5)
    axis.set(xticks=[], yticks=[], title=title)
    return axis.imshow(values.reshape(side, side).numpy(), **{"cmap": "cividis", **options})


def embedding(scene: Scene, pixel: tuple[int, int], x: Tensor, z: Tensor, position: Tensor) -> Figure:
    """A window of the scene, its first principal component in x (c, w, w), and of its tokens Z (n, d) the channel that varies
    most, beside that of their positions (n, d) (Eq. 2-3)."""
    figure, (there, component, token, place) = panels(12.5, 3.3, 4, grid=False)
    _show_window(there, scene, pixel, x.shape[-1])
    figure.colorbar(_show(component, x[0].flatten(), "first principal component"), ax=component, shrink=0.8)
    channel = int(z.std(0).argmax())
    for axis, values, title in ((token, z, "tokens $Z$ (Eq. 3)"), (place, position, "positions $E_{pos}$ (Eq. 3)")):
        shown = _show(axis, values[:, channel], f"{title}\nchannel {channel}", cmap="PuOr")
        limit = float(values[:, channel].abs().max())
        shown.set_clim(-limit, limit)
        figure.colorbar(shown, ax=axis, shrink=0.8)
    return figure


@torch.no_grad()
def refinement(dgfr: DGFR, tokens: Tensor, steps: list[int], generator: torch.Generator) -> Figure:
    """One embedding channel of the tokens (1, n, d) of a window: clean, corrupted and refined at several steps t."""
    noise = torch.randn(tokens.shape, generator=generator)
    rows = {
        "corrupted $Z_t$ (Eq. 4)": [alpha * tokens + (1 - alpha) * noise for alpha in dgfr.alpha()[torch.tensor(steps) - 1]],
        "refined $Z_{final}$ (Eq. 8)": [dgfr.refine(tokens, torch.full(tokens.shape[:1], step), noise) for step in steps],
    }
    channel, columns = int(tokens[0].std(0).argmax()), len(steps) + 1
    limit = float(tokens[0, :, channel].abs().max())
    figure, axes = panels(1.9 * columns, 2.2, 2 * columns, columns, grid=False)
    for row, (name, changed) in zip((axes[:columns], axes[columns:]), rows.items(), strict=True):
        row[0].set_ylabel(name)
        for axis, z, step in zip(row, [tokens, *changed], [0, *steps], strict=True):
            title = f"t = {step}\nchange {(z - tokens).norm() / tokens.norm():.2f}" if step else "clean $Z$"
            shown = _show(axis, z[0, :, channel], title, cmap="PuOr", vmin=-limit, vmax=limit)
    figure.colorbar(shown, ax=axes, label=f"embedding channel {channel}", shrink=0.8)
    return figure


def attention(weights: Tensor) -> Figure:
    """The first block's attention, (h, n, n): every head for the centre token, and the mean over heads (Eq. 12)."""
    heads, n, _ = weights.shape
    columns = -(-heads // 2)
    names = [*map(str, range(1, heads + 1)), *"." * (heads % 2)]  # a dot leaves a gap
    places = [[*names[:columns], "mean"], [*names[columns:], "mean"]]
    size, widths = (2 * columns + 4.6, 4.2), [2.0] * columns + [4.6]
    figure, axes = plt.subplot_mosaic(places, figsize=size, width_ratios=widths, layout="constrained")
    mean = axes.pop("mean")
    for name, head in zip(names, weights, strict=False):
        image = _show(axes[name], head[n // 2], f"head {name}", vmin=0, vmax=float(weights[:, n // 2].max()))
        axes[name].set_axis_off()
    figure.colorbar(image, ax=[*axes.values()], label="attention of the centre token to each pixel", shrink=0.8)
    figure.colorbar(mean.imshow(weights.mean(0).numpy(), cmap="cividis"), ax=mean, label="mean over heads (Eq. 12)")
    mean.set(xlabel="to token", ylabel="from token")
    return figure


def _show_window(axis: Axes, scene: Scene, pixel: tuple[int, int], window: int) -> None:
    """Draw the window around a pixel (row, column) in false colour."""
    half = window // 2
    image = np.pad(false_colour(scene)[0], ((half, half), (half, half), (0, 0)))
    axis.imshow(image[pixel[0] : pixel[0] + window, pixel[1] : pixel[1] + window])
    axis.set(xticks=[], yticks=[], title=f"window around ({pixel[0]}, {pixel[1]})")


def masking(scene: Scene, pixel: tuple[int, int], window: int, importance: Tensor, mask: Tensor) -> Figure:
    """A window of the scene, its tokens' importance (Eq. 13), their mask M_b (Eq. 15) and which count as masked."""
    figure, (there, important, masked, confidence) = panels(12.5, 3.3, 4, grid=False)
    _show_window(there, scene, pixel, window)
    figure.colorbar(_show(important, importance, "importance $I$ (Eq. 13)"), ax=important, shrink=0.8)
    figure.colorbar(_show(masked, mask, "mask $M_b$ (Eq. 15)"), ax=masked, shrink=0.8)
    colours = {"unmasked: 1.2": PALETTE[0], "masked: 1.0": PALETTE[1]}
    two = {"cmap": ListedColormap([*colours.values()]), "vmin": 0, "vmax": 1}
    _show(confidence, mask > mask.mean(), "confidence $CS_i$ (Eq. 18)", **two)
    name_colours(figure, colours)
    return figure


def loss(error: Tensor, confidence: Tensor) -> Figure:
    """The squared error of each token (n,), its confidence score (n,) and their product, whose mean is CW-MSE (Eq. 17-18)."""
    figure, axes = panels(10, 3.3, 3, grid=False)
    titles = ("$\\Vert Z_i - Z'_{m,i} \\Vert^2$", "confidence $CS_i$ (Eq. 18)", "term of the sum (Eq. 17)")
    for axis, values, title in zip(axes, (error, confidence, confidence * error), titles, strict=True):
        figure.colorbar(_show(axis, values, title), ax=axis, shrink=0.8)
    return figure


def margins(probabilities: np.ndarray, uncertainty: np.ndarray, count: int) -> Figure:
    """How the margins U(x) (n,) of pixels are distributed, the `count` smallest apart, and the class probabilities (n, k), the
    largest first, of the most and the least uncertain pixel (Section 2.5)."""
    figure, (spread, ranked) = panels(9, 3.8, 2)
    order = np.argsort(uncertainty, kind="stable")
    parts = [uncertainty[order[:count]], uncertainty[order[count:]]]
    names = [f"the {count} queried", "all others"]
    spread.hist(parts, np.linspace(0, 1, 21).tolist(), stacked=True, color=[PALETTE[1], PALETTE[0]], label=names)
    spread.set(xlabel="margin $U(x)$", ylabel="pixels")
    ranks = np.arange(1, probabilities.shape[1] + 1)
    for at, name, colour in ((order[0], "most uncertain", PALETTE[1]), (order[-1], "least uncertain", PALETTE[0])):
        label = f"{name}, margin {uncertainty[at]:.2f}"
        ranked.plot(ranks, np.sort(probabilities[at])[::-1], "o-", color=colour, label=label)
    ranked.set(xlabel="rank of the class", ylabel="probability", ylim=(0, 1.02))
    for axis in (spread, ranked):
        axis.legend(fontsize=9)
    return figure


def flow_diagram():
    """The network's flow, after the paper's Fig. 1 and 2, as a drawing of our own (SVG)."""
    from IPython.display import SVG

    return SVG(files("cpdgal").joinpath("flow.svg").read_text(encoding="utf-8"))
