"""The pictures of Section 2: schedule, refinement, attention, masking."""

from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from ..model import DGFR
from ..plots import false_colour
from ..scenes import Scene


def schedule(before: Tensor, after: Tensor) -> Figure:
    """The schedule alpha_t of Eq. 4 before and after training, each (T,)."""
    figure, (axes, change) = plt.subplots(1, 2, figsize=(10.5, 3.8), layout="constrained")
    t = np.arange(1, len(before) + 1)
    first, last = before.detach().numpy(), after.detach().numpy()
    axes.plot(t, first, "--", color="#000000", label="before training")
    axes.plot(t, last, color="#0072B2", label="after training")
    axes.set(ylabel="share of the clean token, $\\alpha_t$", title="The learned noise schedule (Eq. 4)")
    axes.legend()
    change.axhline(0, color="#000000", lw=1, ls="--")
    change.plot(t, last - first, color="#0072B2")
    change.set(ylabel="change of $\\alpha_t$", title="What training changed")
    for axis in (axes, change):
        axis.set_xlabel("diffusion step t")
        axis.grid(alpha=0.3)
    return figure


@torch.no_grad()
def refinement(dgfr: DGFR, tokens: Tensor, steps: list[int], generator: torch.Generator) -> Figure:
    """One embedding channel of the tokens (1, n, d) of a window: clean, corrupted and refined at several steps t."""
    side = round(tokens.shape[1] ** 0.5)
    channel = int(tokens[0].std(0).argmax())
    noise = torch.randn(tokens.shape, generator=generator)
    rows: dict[str, list[tuple[float, np.ndarray]]] = {"corrupted $Z_t$ (Eq. 4)": [], "refined $Z_{final}$ (Eq. 8)": []}
    for step in steps:
        t = torch.full(tokens.shape[:1], step)
        alpha = dgfr.alpha()[step - 1]
        for images, z in zip(rows.values(), (alpha * tokens + (1 - alpha) * noise, dgfr.refine(tokens, t, noise)), strict=True):
            images.append((float((z - tokens).norm() / tokens.norm()), z[0, :, channel].reshape(side, side).numpy()))
    figure, axes = plt.subplots(2, len(steps) + 1, figsize=(1.9 * (len(steps) + 1), 4.4), layout="constrained")
    clean = tokens[0, :, channel].reshape(side, side).numpy()
    limit = np.abs(clean).max()
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(name)
        for axis, (change, image), step in zip(row, [(0.0, clean), *images], [0, *steps], strict=True):
            shown = axis.imshow(image, cmap="PuOr", vmin=-limit, vmax=limit)
            axis.set_title("clean $Z$" if step == 0 else f"t = {step}\nchange {change:.2f}", fontsize=9)
            axis.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes, label=f"embedding channel {channel}", shrink=0.8)
    return figure


def attention(weights: Tensor) -> Figure:
    """The first block's attention, (h, n, n): every head for the centre token, and the mean over heads (Eq. 12)."""
    shares = weights.numpy()
    heads, n, _ = shares.shape
    side = round(n**0.5)
    columns = -(-heads // 2)
    figure = plt.figure(figsize=(2.0 * columns + 4.6, 4.2), layout="constrained")
    ((left, right),) = figure.subfigures(1, 2, squeeze=False, width_ratios=[columns * 2.0, 4.6])
    grid = left.subplots(2, columns, squeeze=False).ravel()
    top = float(shares[:, n // 2].max())
    for axis in grid:
        axis.set_axis_off()
    for number, (head, axis) in enumerate(zip(shares, grid, strict=False), 1):
        image = axis.imshow(head[n // 2].reshape(side, side), cmap="cividis", vmin=0, vmax=top)
        axis.set_title(f"head {number}", fontsize=9)
    left.colorbar(image, ax=grid.tolist(), label="attention", shrink=0.8)
    left.suptitle("From the centre token to each pixel", fontsize=10)
    axis = right.subplots()
    right.colorbar(axis.imshow(shares.mean(0), cmap="cividis"), ax=axis, label="mean over heads (Eq. 12)")
    axis.set(xlabel="to token", ylabel="from token")
    return figure


def masking(scene: Scene, pixel: tuple[int, int], window: int, importance: Tensor, mask: Tensor) -> Figure:
    """A window of the scene, its tokens' importance (Eq. 13), their mask M_b (Eq. 15) and which count as masked."""
    scores, shares = importance.numpy(), mask.numpy()
    side = round(len(shares) ** 0.5)
    figure, axes = plt.subplots(1, 4, figsize=(12.5, 3.3), layout="constrained")
    image = np.pad(false_colour(scene)[0], ((window, window), (window, window), (0, 0)))
    top, left = pixel[0] - window // 2 + window, pixel[1] - window // 2 + window
    axes[0].imshow(image[top : top + window, left : left + window])
    axes[0].set_title(f"window around ({pixel[0]}, {pixel[1]})")
    for axis, values, name in ((axes[1], scores, "importance $I$ (Eq. 13)"), (axes[2], shares, "mask $M_b$ (Eq. 15)")):
        figure.colorbar(axis.imshow(values.reshape(side, side), cmap="cividis"), ax=axis, shrink=0.8)
        axis.set_title(name)
    axes[3].imshow((shares > shares.mean()).reshape(side, side), cmap=ListedColormap(["#0072B2", "#E69F00"]), vmin=0, vmax=1)
    kinds = [Patch(color="#0072B2", label="unmasked: 1.2"), Patch(color="#E69F00", label="masked: 1.0")]
    figure.legend(handles=kinds, fontsize=8, loc="outside right center")
    axes[3].set_title("confidence $CS_i$ (Eq. 18)")
    for axis in axes:
        axis.set(xticks=[], yticks=[])
    return figure


def flow_diagram():
    """The network's flow, after the paper's Fig. 1 and 2, as a drawing of our own (SVG)."""
    from IPython.display import SVG

    return SVG(files("cpdgal").joinpath("flow.svg").read_text(encoding="utf-8"))
