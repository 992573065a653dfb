"""Figures of a scene and of a run: bands and classes, learning curves, queried pixels, maps.

Figures keep a white ground, so that they read the same on a light and on a dark page.
"""

from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .records import Record
from .scenes import Scene
from .splits import Split

# Seaborn's palette for colour-blind readers. A curve has the same colour wherever it is drawn.
PALETTE = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9")
_NAMED = ("margin", "random", "spectrum only (SVM)", "coordinates only (1-NN)", "coordinates, spread out", "ViT")
COLOURS = dict(zip(_NAMED, PALETTE, strict=False)) | {"CPDGAL, random queries": PALETTE[1]}
COLOURS |= dict.fromkeys(("CPDGAL", "here"), PALETTE[0])
COLOURS |= {"0.5 %": PALETTE[3], "1 %": PALETTE[2], "2 %": PALETTE[0]}  # of the pool a cycle


def scene_overview(scene: Scene) -> Figure:
    """A false-colour image beside the ground truth, with every class and its number of labelled pixels."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 6), layout="constrained")
    image, bands = false_colour(scene)
    left.imshow(image)
    left.set_title(f"False colour: {bands}")
    right.imshow(painted(scene, scene.labels))
    right.set_title("Ground truth (white: unlabelled)")
    name_axes(left, right)
    show_classes(figure, scene, np.bincount(scene.targets, minlength=scene.classes))
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
        order, seams = np.arange(scene.bands), np.empty(0, dtype=int)
        x = order.astype(float)
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
    axes.set(ylabel="mean value (sensor units)", title="Mean spectra of the classes")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    return figure


def line_styles(names) -> dict[str, dict]:
    """Colour, dashes and marker of each curve by its name, as `Axes.plot` takes them."""
    spare, dashes = cycle(PALETTE[len(_NAMED) :]), cycle(("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1))))
    return {
        name: {"color": COLOURS.get(name) or next(spare), "ls": style, "marker": marker}
        for name, style, marker in zip(names, dashes, cycle("osD^vP"), strict=False)
    }


def draw_mean(axes: Axes, runs: pd.DataFrame, **line) -> None:
    """Draw the mean over the columns of a table, over its index, and a band of one standard deviation; `line` goes to
    `Axes.plot`."""
    mean, deviation = runs.mean(axis=1), runs.std(axis=1)
    (curve,) = axes.plot(mean.index, mean, **{"lw": 2, **line})
    axes.fill_between(mean.index, mean - deviation, mean + deviation, color=curve.get_color(), alpha=0.2, lw=0)


def learning_curves(curves: dict[str, pd.DataFrame], published: float | None = None) -> Figure:
    """Overall accuracy in percent over labels: mean over runs, a band of one deviation, and a line at the `published` one.

    A curve is a table with a row for each number of labels (its index) and a column for each run.
    """
    figure, axes = plt.subplots(figsize=(8, 5.4), layout="constrained")
    for name, style in line_styles(curves).items():
        runs = curves[name].dropna(how="all")
        seeds = f" ({runs.shape[1]} seeds)" if runs.shape[1] > 1 else ""
        draw_mean(axes, runs, label=f"{name}{seeds}: {runs.iloc[-1].mean():.1f} % at the end", ms=5, **style)
    if published is not None:
        axes.axhline(published, color="#000000", lw=1, ls=":", label=f"the paper: {published:.2f} % at the end")
    axes.set(xlabel="labelled pixels", ylabel="overall accuracy on the hold-out (%)")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


def run_progress(record: Record) -> Figure:
    """Scores over labels, and the reliability diagram at the end of a run."""
    figure, (curves, bins) = plt.subplots(1, 2, figsize=(10.5, 4.4), width_ratios=[3, 2], layout="constrained")
    scored = record.cycles.dropna(subset="OA")
    for score, colour, style in zip(("OA", "AA", "kappa", "ECE"), PALETTE, ("-", "--", "-.", ":"), strict=False):
        label = f"{score}: {scored[score].iloc[-1]:.1f} %"
        curves.plot(scored.labels, scored[score], ls=style, color=colour, lw=2, label=label)
    curves.set(xlabel="labelled pixels", ylabel="percent of the test pixels", title="Scores over labels")
    table, width = record.calibration, 1 / len(record.calibration)
    bins.bar((np.arange(len(table)) + 0.5) * width, table.accuracy, width, color=PALETTE[0], edgecolor="white")
    bins.plot([0, 1], [0, 1], "--", color="#000000", lw=1, label="calibrated confidence")
    bins.set(xlabel="probability of the predicted class", ylabel="share that is right", title="Reliability at the end")
    for axis in (curves, bins):
        axis.legend(fontsize=9)
        axis.grid(alpha=0.3)
    return figure


def queried_pixels(scene: Scene, queried: dict[str, pd.DataFrame]) -> Figure:
    """The pixels that were queried, on the ground truth in pale colours, coloured by the cycle: a panel a title, three a row.

    Tables have the columns cycle, row and column.
    """
    columns = min(len(queried), 3)
    rows, side = -(-len(queried) // columns), 6.0 if len(queried) == 1 else 3.2
    size = (side * columns + 0.6, 0.85 * side * rows + 0.3)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    cycles = 1 + max(table["cycle"].max() for table in queried.values())
    steps = ListedColormap(plt.get_cmap("viridis")(np.linspace(0, 1, cycles)))
    for axis, (title, table) in zip(axes.flat, queried.items(), strict=False):
        axis.imshow(0.6 + 0.4 * painted(scene, scene.labels))
        shown = {
            "cmap": steps,
            "vmin": -0.5,
            "vmax": cycles - 0.5,
            "s": 3 * side,
            "edgecolors": "white",
            "linewidths": side / 15,
        }
        dots = axis.scatter(table["column"], table["row"], c=table["cycle"], **shown)
        axis.set_title(title, fontsize=10)
        name_axes(axis)
        axis.label_outer()
    for axis in axes.flat[len(queried) :]:
        axis.set_axis_off()
    ticks = np.unique(np.linspace(0, cycles - 1, min(cycles, 8)).astype(int))
    bar = figure.colorbar(dots, ax=axes, ticks=ticks, label="cycle of the query (0: the random start)", shrink=0.8)
    bar.ax.tick_params(length=0)
    return figure


def class_maps(scene: Scene, predicted: dict[str, np.ndarray], split: Split | None = None) -> Figure:
    """The ground truth beside the class (height, width; 1..K) predicted for every pixel, a panel a title; with a split, also
    the errors of the last of them on the hold-out."""
    panels = {"Ground truth (white: unlabelled)": scene.labels, **predicted}
    count = len(panels) + (split is not None)
    figure, axes = plt.subplots(1, count, figsize=(3.7 * count, 5), layout="constrained")
    for axis, (title, labels) in zip(axes, panels.items(), strict=False):
        axis.imshow(painted(scene, labels))
        axis.set_title(title)
    if split is not None:
        outcome = np.zeros(scene.labels.shape, dtype=int)
        tested = tuple(scene.pixels[split.holdout].T)
        outcome[tested] = np.where(labels[tested] == scene.labels[tested], 1, 2)
        meanings = {"no test pixel": "white", "right": "#BBBBBB", "wrong": "#D55E00"}
        axes[-1].imshow(outcome, cmap=ListedColormap([*meanings.values()]), vmin=0, vmax=2)
        axes[-1].set_title("Errors on the hold-out")
        patches = [Patch(facecolor=colour, edgecolor="grey", label=name) for name, colour in meanings.items()]
        axes[-1].legend(handles=patches, loc="upper right", fontsize=7, framealpha=0.9)
    name_axes(*axes)
    show_classes(figure, scene)
    return figure


def painted(scene: Scene, labels: np.ndarray) -> np.ndarray:
    """RGB (height, width, 3) of labels 0..K, white where 0."""
    return np.vstack([np.ones(3), scene.palette])[labels]


def show_classes(figure: Figure, scene: Scene, counts: np.ndarray | None = None) -> None:
    """A legend of the classes, with their `counts` where given."""
    names = (
        list(scene.class_names) if counts is None else [f"{n} ({c})" for n, c in zip(scene.class_names, counts, strict=True)]
    )
    figure.legend([Patch(color=colour) for colour in scene.palette], names, loc="outside lower center", ncols=4, fontsize=8)


def name_axes(*axes: Axes) -> None:
    """Label the axes of maps."""
    for axis in axes:
        axis.set(xlabel="column (pixels)", ylabel="row (pixels)")
