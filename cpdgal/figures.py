"""Every figure of the book. Each function draws one figure from scenes, cycles or models and returns it.

Figures keep a white ground, so that they read the same on a light and on a dark page.
"""

from importlib.resources import files
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from .model import DGFR
from .scenes import Scene
from .splits import Split
from .study import Record

# A palette for colour-blind readers; a curve has the same colour wherever it is drawn.
_PALETTE = sns.color_palette("colorblind")
_NAMED = ("margin", "random", "spectrum only (SVM)", "coordinates only (1-NN)", "coordinates, spread out", "ViT")
_STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
COLOURS = {**dict(zip(_NAMED, _PALETTE, strict=False)), "CPDGAL": _PALETTE[0], "CPDGAL, random questions": _PALETTE[1]}


def glue(name: str, value) -> None:
    """Store a number, a text or a figure of a notebook for the pages of the book; without myst-nb, do nothing."""
    try:
        from myst_nb import glue as store
    except ImportError:  # a hosted notebook service
        return
    store(name, value.item() if isinstance(value, np.generic) else value, display=False)


def scene_overview(scene: Scene) -> Figure:
    """A false-colour image beside the ground truth, with every class and its number of labelled pixels."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 6), layout="constrained")
    image, bands = false_colour(scene)
    left.imshow(image)
    left.set_title(f"False colour: {bands}")
    right.imshow(painted(scene, scene.labels))
    right.set_title("Ground truth (white: unlabelled)")
    _pixels(left, right)
    _class_legend(figure, scene, np.bincount(scene.targets, minlength=scene.classes))
    return figure


def false_colour(scene: Scene, at_nm=(860, 650, 550)) -> tuple[np.ndarray, str]:
    """RGB (height, width, 3) in 0..1 from the bands nearest to near infrared, red and green, and their names.

    Without wavelengths, the scene's bands at three quarters, half and a quarter of the way. Each is stretched between
    its 2nd and 98th percentile.
    """
    if scene.band_centers_nm is None:
        chosen = [scene.bands * 3 // 4, scene.bands // 2, scene.bands // 4]
        named = "bands " + ", ".join(map(str, chosen))
    else:
        chosen = [int(np.argmin(np.abs(scene.band_centers_nm - nm))) for nm in at_nm]
        named = ", ".join(f"{scene.band_centers_nm[band]:.0f}" for band in chosen) + " nm as red, green, blue"
    image = scene.cube[..., chosen]
    low, high = np.percentile(image, (2, 98), axis=(0, 1))
    return np.clip((image - low) / np.maximum(high - low, 1e-9), 0, 1), named


def mean_spectra(scene: Scene) -> Figure:
    """The mean spectrum of every class over wavelength; lines break where bands were removed."""
    figure, axes = plt.subplots(figsize=(8.5, 5.6), layout="constrained")
    spectra = scene.cube[scene.labels > 0]
    if scene.band_centers_nm is None:
        x, order, seams = np.arange(scene.bands, dtype=float), slice(None), []
        axes.set_xlabel("band")
    else:
        order = np.argsort(scene.band_centers_nm)
        x = scene.band_centers_nm[order]
        seams = np.flatnonzero(np.diff(x) > 4 * np.median(np.diff(x))) + 1
        axes.set_xlabel("wavelength (nm)")
    for k, (name, colour) in enumerate(zip(scene.class_names, scene.palette, strict=True)):
        mean = spectra[scene.targets == k].mean(0)[order]
        style = ("-", "--", ":", "-.")[k % 4]  # a second cue beside colour
        axes.plot(np.insert(x, seams, np.nan), np.insert(mean, seams, np.nan), style, color=colour, label=name, lw=1.6)
    axes.set_ylabel("mean value (sensor units)")
    axes.set_title("Mean spectra of the classes")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    return figure


def learning_curves(curves: dict[str, pd.DataFrame], highlight: str = "margin") -> Figure:
    """Hold-out OA over labels; `curves` maps a name to a table with the columns labels and OA (in percent; NaN: not scored)."""
    figure, axes = plt.subplots(figsize=(8, 5.2), layout="constrained")
    for (name, curve), spare, marker in zip(curves.items(), cycle(_PALETTE[len(_NAMED) :]), cycle("osD^vP"), strict=False):
        own, curve = name == highlight, curve.dropna(subset="OA")
        axes.plot(
            curve.labels, curve.OA, marker=marker, ms=6, lw=2.4 if own else 1.6, ls="-" if own or name == "random" else "--",
            color=COLOURS.get(name, spare), label=f"{name}: {curve.OA.iloc[-1]:.1f} % at the end",
        )  # fmt: skip
    axes.set_xlabel("labelled pixels")
    axes.set_ylabel("overall accuracy on the hold-out (%)")
    axes.set_title("What a label buys")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


def curves_over_seeds(groups: dict[str, list[Record]], published: float | None = None) -> Figure:
    """Overall accuracy over labels for groups of records that differ in their seed: mean, and a band of one deviation."""
    figure, axes = plt.subplots(figsize=(8, 5.4), layout="constrained")
    for (name, records), spare, style in zip(groups.items(), cycle(_PALETTE[len(_NAMED) :]), cycle(_STYLES), strict=False):
        runs = pd.concat([record.cycles.set_index("labels").OA.dropna() for record in records], axis=1)
        mean, deviation = runs.mean(axis=1), runs.std(axis=1)
        colour = COLOURS.get(name, spare)
        seeds = f"{len(records)} seed{'s' if len(records) > 1 else ''}"
        axes.plot(mean.index, mean, ls=style, color=colour, lw=2, label=f"{name} ({seeds}): {mean.iloc[-1]:.1f} % at the end")
        axes.fill_between(mean.index, mean - deviation, mean + deviation, color=colour, alpha=0.2, lw=0)
    if published is not None:
        axes.axhline(published, color="#000000", lw=1, ls=":", label=f"the paper: {published:.2f} % at the end")
    axes.set_xlabel("labelled pixels")
    axes.set_ylabel("overall accuracy (%)")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


def run_progress(record: Record) -> Figure:
    """Scores over labels, and the reliability diagram at the end of a run."""
    figure, (curves, bins) = plt.subplots(1, 2, figsize=(10.5, 4.4), width_ratios=[3, 2], layout="constrained")
    scored = record.cycles.dropna(subset="OA")
    for column, colour, style in zip(("OA", "AA", "kappa", "ECE"), _PALETTE, _STYLES, strict=False):
        curves.plot(
            scored.labels, scored[column], ls=style, color=colour, lw=2, label=f"{column}: {scored[column].iloc[-1]:.1f} %"
        )
    curves.set_xlabel("labelled pixels")
    curves.set_ylabel("percent of the pixels that judge")
    curves.set_title("What a label buys")
    curves.legend(fontsize=9)
    table, width = record.calibration, 1 / len(record.calibration)
    bins.bar((np.arange(len(table)) + 0.5) * width, table.accuracy, width, color=_PALETTE[0], edgecolor="white")
    bins.plot([0, 1], [0, 1], "--", color="#000000", lw=1, label="as right as it is sure")
    bins.set_xlabel("probability of the predicted class")
    bins.set_ylabel("share that is right")
    bins.set_title("Reliability at the end")
    bins.legend(fontsize=9)
    for axis in (curves, bins):
        axis.grid(alpha=0.3)
    return figure


def maps(scene: Scene, predicted: dict[str, np.ndarray]) -> Figure:
    """The ground truth beside the class (height, width; 1..K) that each method predicts for every pixel."""
    figure, axes = plt.subplots(1, len(predicted) + 1, figsize=(3.7 * (len(predicted) + 1), 5), layout="constrained")
    for axis, (name, labels) in zip(axes, {"Ground truth": scene.labels, **predicted}.items(), strict=True):
        axis.imshow(painted(scene, labels))
        axis.set_title(name)
    _pixels(*axes)
    _class_legend(figure, scene)
    return figure


def fall(table: pd.DataFrame) -> Figure:
    """How far each method falls: rows are methods, columns are splits, values lists of OA in percent, one a seed
    (empty: not run)."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    at = np.arange(table.shape[1])
    for (name, row), spare, marker in zip(table.iterrows(), cycle(_PALETTE[len(_NAMED) :]), cycle("osD^vP"), strict=False):
        colour = COLOURS.get(name, spare)
        axes.plot(
            at, [np.mean(values) if values else np.nan for values in row], marker=marker, ms=7, lw=2, color=colour, label=name
        )
        for x, values in zip(at, row, strict=True):
            axes.scatter(np.full(len(values), x), values, s=14, color=colour, alpha=0.6)
    axes.set_xticks(at, table.columns)
    axes.set_xlim(-0.3, len(at) - 0.7)
    axes.set_xlabel("how pool and hold-out were parted")
    axes.set_ylabel("overall accuracy at the end (%)")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize=9)
    return figure


def effects(table: pd.DataFrame, noise: float) -> Figure:
    """Alternatives against the default: `table` has a row an alternative (its index) and a column a seed, values the
    change of OA in points. The grey band is one standard error of a difference on so many judged pixels."""
    table = table.loc[table.mean(axis=1).sort_values().index]
    figure, axes = plt.subplots(figsize=(8, 0.36 * len(table) + 1.4), layout="constrained")
    at = np.arange(len(table))
    axes.axvspan(-noise, noise, color="#DDDDDD", lw=0, label="one standard error of the default")
    axes.axvline(0, color="#000000", lw=1)
    for seed in table:
        axes.scatter(
            table[seed], at, s=18, color=_PALETTE[0], alpha=0.45, label="one seed" if seed == table.columns[0] else None
        )
    axes.scatter(table.mean(axis=1), at, marker="D", s=40, color=_PALETTE[3], label="mean", zorder=3)
    axes.set_yticks(at, table.index)
    axes.set_ylabel("alternative")
    axes.set_xlabel("change of overall accuracy against the default (points)")
    axes.grid(alpha=0.3, axis="x")
    figure.legend(loc="outside upper center", ncols=3, fontsize=9)
    return figure


def accuracy_by_distance(curves: dict[str, pd.DataFrame], gap: int) -> Figure:
    """Share of right answers over the distance to the nearest labelled pixel; columns distance, accuracy (percent)."""
    figure, axes = plt.subplots(figsize=(8, 4.8), layout="constrained")
    for (name, curve), spare, style in zip(curves.items(), cycle(_PALETTE[len(_NAMED) :]), cycle(_STYLES), strict=False):
        axes.plot(curve.distance, curve.accuracy, ls=style, marker="o", ms=4, lw=2, color=COLOURS.get(name, spare), label=name)
    axes.axvline(gap, color="#000000", lw=1, ls=":", label="from here on no windows overlap")
    axes.set_xlabel("distance to the nearest labelled pixel (pixels; the larger of rows and columns)")
    axes.set_ylabel("right answers (%)")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


def queried_pixels(scene: Scene, queried: pd.DataFrame) -> Figure:
    """The pixels that the loop asked for (columns cycle, row, column), on the ground truth, coloured by the cycle."""
    figure, axes = plt.subplots(figsize=(6.6, 5.4), layout="constrained")
    axes.imshow(0.55 + 0.45 * painted(scene, scene.labels))
    cycles = queried["cycle"].max() + 1
    steps = ListedColormap(plt.get_cmap("viridis")(np.linspace(0, 1, cycles)))
    dots = axes.scatter(
        queried["column"], queried["row"], c=queried["cycle"], cmap=steps, vmin=-0.5, vmax=cycles - 0.5, s=18,
        edgecolors="white", linewidths=0.5,
    )  # fmt: skip
    ticks = np.unique(np.linspace(0, cycles - 1, min(cycles, 8)).astype(int))
    bar = figure.colorbar(dots, ax=axes, ticks=ticks, label="cycle that asked (0: the random start)")
    bar.ax.tick_params(length=0)
    axes.set_title(f"The {len(queried)} labelled pixels, over the ground truth")
    _pixels(axes)
    return figure


def classification_map(scene: Scene, predicted: np.ndarray, split: Split) -> Figure:
    """Ground truth, the class predicted for every pixel (height, width; 1..K), and the errors on the hold-out."""
    figure, (truth, prediction, errors) = plt.subplots(1, 3, figsize=(11, 5), layout="constrained")
    truth.imshow(painted(scene, scene.labels))
    truth.set_title("Ground truth (white: unlabelled)")
    prediction.imshow(painted(scene, predicted))
    prediction.set_title("Predicted for every pixel")
    verdict = np.zeros(scene.labels.shape, dtype=int)
    rows, columns = scene.pixels[split.holdout].T
    verdict[rows, columns] = np.where(predicted[rows, columns] == scene.labels[rows, columns], 1, 2)
    colours = ["white", "#BBBBBB", "#D55E00"]
    errors.imshow(verdict, cmap=ListedColormap(colours), vmin=0, vmax=2)
    errors.set_title("Errors on the hold-out")
    meaning = ("not judged", "right", "wrong")
    errors.legend(
        [Patch(facecolor=colour, edgecolor="grey") for colour in colours],
        meaning,
        loc="upper right",
        fontsize=7,
        framealpha=0.9,
    )
    _pixels(truth, prediction, errors)
    _class_legend(figure, scene)
    return figure


def schedule(before: Tensor, after: Tensor) -> Figure:
    """The schedule alpha_t of Eq. 4 before and after training, each (T,)."""
    figure, (axes, change) = plt.subplots(1, 2, figsize=(10.5, 3.8), layout="constrained")
    t = np.arange(1, len(before) + 1)
    before, after = before.detach().numpy(), after.detach().numpy()
    axes.plot(t, before, "--", color="#000000", label="before training")
    axes.plot(t, after, color="#0072B2", label="after training")
    axes.set_ylabel("share of the clean token, $\\alpha_t$")
    axes.set_title("The learned noise schedule (Eq. 4)")
    axes.legend()
    change.axhline(0, color="#000000", lw=1, ls="--")
    change.plot(t, after - before, color="#0072B2")
    change.set_ylabel("change of $\\alpha_t$")
    change.set_title("What training changed")
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
    rows = {"corrupted $Z_t$ (Eq. 4)": [], "refined $Z_{final}$ (Eq. 8)": []}
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
            axis.set_xticks([])
            axis.set_yticks([])
    figure.colorbar(shown, ax=axes, label=f"embedding channel {channel}", shrink=0.8)
    return figure


def attention(weights: Tensor) -> Figure:
    """The first block's attention, (h, n, n): every head for the centre token, and the mean over heads (Eq. 12)."""
    weights = weights.numpy()
    heads, n, _ = weights.shape
    side = round(n**0.5)
    columns = -(-heads // 2)
    figure = plt.figure(figsize=(2.0 * columns + 4.6, 4.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[columns * 2.0, 4.6])
    grid = left.subplots(2, columns, squeeze=False).ravel()
    top = float(weights[:, n // 2].max())
    for axis in grid:
        axis.set_axis_off()
    for head, axis in zip(weights, grid, strict=False):
        image = axis.imshow(head[n // 2].reshape(side, side), cmap="cividis", vmin=0, vmax=top)
    for number, axis in zip(range(1, heads + 1), grid, strict=False):
        axis.set_title(f"head {number}", fontsize=9)
    left.colorbar(image, ax=grid.tolist(), label="attention", shrink=0.8)
    left.suptitle("From the centre token to each pixel", fontsize=10)
    axis = right.subplots()
    right.colorbar(axis.imshow(weights.mean(0), cmap="cividis"), ax=axis, label="mean over heads (Eq. 12)")
    axis.set_xlabel("to token")
    axis.set_ylabel("from token")
    return figure


def masking(scene: Scene, pixel: tuple[int, int], window: int, importance: Tensor, mask: Tensor) -> Figure:
    """A window of the scene, its tokens' importance (Eq. 13), their mask M_b (Eq. 15) and which count as masked."""
    importance, mask = importance.numpy(), mask.numpy()
    side = round(len(mask) ** 0.5)
    figure, axes = plt.subplots(1, 4, figsize=(12.5, 3.3), layout="constrained")
    image = np.pad(false_colour(scene)[0], ((window, window), (window, window), (0, 0)))
    top, left = pixel[0] - window // 2 + window, pixel[1] - window // 2 + window
    axes[0].imshow(image[top : top + window, left : left + window])
    axes[0].set_title(f"window around ({pixel[0]}, {pixel[1]})")
    for axis, values, name in ((axes[1], importance, "importance $I$ (Eq. 13)"), (axes[2], mask, "mask $M_b$ (Eq. 15)")):
        figure.colorbar(axis.imshow(values.reshape(side, side), cmap="cividis"), ax=axis, shrink=0.8)
        axis.set_title(name)
    axes[3].imshow((mask > mask.mean()).reshape(side, side), cmap=ListedColormap(["#0072B2", "#E69F00"]), vmin=0, vmax=1)
    kinds = [Patch(color="#0072B2", label="unmasked: 1.2"), Patch(color="#E69F00", label="masked: 1.0")]
    figure.legend(handles=kinds, fontsize=8, loc="outside right center")
    axes[3].set_title("confidence $CS_i$ (Eq. 18)")
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    return figure


def flow_diagram():
    """The network's flow, after the paper's Fig. 1 and 2, as a drawing of our own (SVG)."""
    from IPython.display import SVG

    return SVG(files("cpdgal").joinpath("flow.svg").read_text(encoding="utf-8"))


def painted(scene: Scene, labels: np.ndarray) -> np.ndarray:
    """RGB (height, width, 3) of labels 0..K, white where 0."""
    return np.vstack([[1.0, 1.0, 1.0], scene.palette])[labels]


def _class_legend(figure: Figure, scene: Scene, counts: np.ndarray | None = None) -> None:
    names = scene.class_names if counts is None else [f"{n} ({c})" for n, c in zip(scene.class_names, counts, strict=True)]
    figure.legend([Patch(color=colour) for colour in scene.palette], names, loc="outside lower center", ncols=4, fontsize=8)


def _pixels(*axes) -> None:
    for axis in axes:
        axis.set_xlabel("column (pixels)")
        axis.set_ylabel("row (pixels)")
