"""Every figure of the book. Each function draws one figure from scenes, cycles or models and returns it.

Figures keep a white ground, so that they read the same on a light and on a dark page.
"""

import sys
from importlib.resources import files
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import stats
from torch import Tensor

from .landscape import Spectrum, Surface
from .model import DGFR
from .records import Record
from .scenes import Scene
from .splits import Split

# A palette for colour-blind readers; a curve has the same colour wherever it is drawn.
_PALETTE = sns.color_palette("colorblind")
_NAMED = ("margin", "random", "spectrum only (SVM)", "coordinates only (1-NN)", "coordinates, spread out", "ViT")
_STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
COLOURS = {**dict(zip(_NAMED, _PALETTE, strict=False)), "CPDGAL": _PALETTE[0], "CPDGAL, random questions": _PALETTE[1]}
COLOURS |= {"0.5 %": _PALETTE[3], "1 %": _PALETTE[2], "2 %": _PALETTE[0]}  # budgets


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
            curve.labels,
            curve.OA,
            marker=marker,
            ms=6,
            lw=2.4 if own else 1.6,
            ls="-" if own or name == "random" else "--",
            color=COLOURS.get(name, spare),
            label=f"{name}: {curve.OA.iloc[-1]:.1f} % at the end",
        )
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


def sizes(table: pd.DataFrame) -> Figure:
    """What size buys: a row a network, with the columns parameters, seconds (of a run), change (of OA against the paper's
    best, in points; NaN: not run), deviation (over seeds) and published (the paper's change)."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.8), sharey=True, layout="constrained")
    axes[0].scatter(
        table.parameters, table.published, marker="s", s=50, facecolors="none", edgecolors=_PALETTE[3], label="the paper"
    )
    for axis, x in zip(axes, ("parameters", "seconds"), strict=True):
        axis.axhline(0, color="#000000", lw=1, ls=":")
        axis.errorbar(
            table[x], table.change, table.deviation, fmt="o", ms=7, color=_PALETTE[0], capsize=3, label="here, one deviation"
        )
        for number, (name, row) in enumerate(table.dropna(subset=["change", x]).iterrows()):
            to = (6, -13) if number % 2 else (6, 6)  # in turns, so that the names of neighbours stay apart
            axis.annotate(name, (row[x], row.change), to, textcoords="offset points", fontsize=9)
        axis.margins(x=0.12)
        axis.grid(alpha=0.3)
    axes[0].set_xscale("log")
    axes[0].set_xlabel("parameters")
    axes[1].set_xlabel("time of a run (seconds, one core)")
    axes[0].set_ylabel("change of overall accuracy (points)")
    axes[1].tick_params(labelleft=True)
    axes[1].set_ylabel("change of overall accuracy (points)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=9)
    return figure


def contest(
    panels: dict[str, dict[str, list[Record]]], published: dict[str, float], labels: dict[str, str] | None = None
) -> Figure:
    """Methods in the order of the first panel, a panel a split: OA of each seed and the mean, with an interval of 95 %.

    Over three seeds or more the interval is that of the mean (t), else what the hold-out's size alone leaves open (Wilson). The
    paper's figures stand in the first panel; `labels` are for methods that are not shown by their own name.
    """
    means = {
        name: np.mean([each.final.OA for each in records]) for name, records in next(iter(panels.values())).items() if records
    }
    order = sorted(means, key=means.get)
    shown = [(labels or {}).get(name, name) for name in order]
    figure, axes = plt.subplots(
        1, len(panels), figsize=(10, 0.33 * len(order) + 1.6), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, (title, groups) in zip(axes[0], panels.items(), strict=True):
        for at, name in enumerate(order):
            records = groups.get(name, [])
            values = np.array([record.final.OA for record in records])
            colour = _PALETTE[3] if name.startswith("CPDGAL") else _PALETTE[0]
            if len(values):
                low, high = _interval(records)
                axis.plot([low, high], [at, at], lw=2, color=colour, label="95 % interval")
                axis.plot(values, np.full(len(values), at), "o", ms=5, color=colour, alpha=0.5, label="one seed")
                axis.plot(values.mean(), at, "D", ms=7, color=colour, label="mean")
            if axis is axes[0, 0] and name in published:
                axis.plot(published[name], at, "s", ms=8, mfc="none", color="#000000", label="the paper")
        axis.set_title(title)
        axis.set_xlabel("overall accuracy (%)")
        axis.grid(alpha=0.3)
    axes[0, 0].set_yticks(range(len(order)), shown)
    axes[0, 0].set_ylabel("method")
    _one_legend(figure, axes[0, 0], 4)
    return figure


def _interval(records: list[Record]) -> tuple[float, float]:
    values = np.array([record.final.OA for record in records])
    if len(values) > 2:
        return stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    judged = int(records[0].confusion.sum())
    interval = stats.binomtest(round(values.mean() / 100 * judged), judged).proportion_ci(0.95, "wilson")
    return 100 * interval.low, 100 * interval.high


def trade_off(table: pd.DataFrame, measures: dict[str, str]) -> Figure:
    """OA over what it costs: a row a method with the column "OA, %" and those of `measures`, which names their axes.

    Costs are on logarithmic scales; a number marks a method, and the legend tells which.
    """
    figure, axes = plt.subplots(1, len(measures), figsize=(10, 5.6), sharey=True, squeeze=False, layout="constrained")
    for axis, (measure, label) in zip(axes[0], measures.items(), strict=True):
        for number, (name, row) in enumerate(table.iterrows(), 1):
            colour = _PALETTE[3] if name.startswith("CPDGAL") else _PALETTE[0]
            axis.plot(row[measure], row["OA, %"], "o", ms=15, color=colour, alpha=0.35)
            axis.annotate(str(number), (row[measure], row["OA, %"]), ha="center", va="center", fontsize=9)
        axis.set_xscale("log")
        axis.set_xlabel(label)
        axis.grid(alpha=0.3)
        axis.margins(0.08)
    axes[0, 0].set_ylabel("overall accuracy (%)")
    entries = [Line2D([], [], ls="", marker=f"${number}$", ms=9, color="#000000") for number in range(1, len(table) + 1)]
    figure.legend(entries, table.index, loc="outside lower center", ncols=4, fontsize=9)
    return figure


def class_heatmap(table: pd.DataFrame, labels: pd.Series) -> Figure:
    """Accuracy of each class in percent: a row a method, a column a class, of which `labels` counts the labelled pixels."""
    figure, axes = plt.subplots(figsize=(10, 0.36 * len(table) + 2.6), layout="constrained")
    ticks = [f"{name} ({labels[name]})" for name in table]
    sns.heatmap(
        table,
        ax=axes,
        cmap="cividis",
        vmin=0,
        vmax=100,
        annot=True,
        fmt=".0f",
        annot_kws={"size": 8},
        linewidths=0.4,
        cbar_kws={"label": "accuracy of the class (%)"},
    )
    axes.set_xticklabels(ticks, rotation=50, ha="right", fontsize=8)
    axes.set_yticklabels(axes.get_yticklabels(), rotation=0)
    axes.set_xlabel("class (labelled pixels)")
    axes.set_ylabel("method")
    return figure


def _one_legend(figure: Figure, axis, columns: int) -> None:
    """A legend with one entry a mark, not one a row."""
    marks = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(marks.values(), marks, loc="outside upper center", ncols=columns, fontsize=9)


def over_settings(measured: dict[str, dict[int, float]], published: dict[str, float], setting: str) -> Figure:
    """Overall accuracy over a setting, measured (by seed) and published, side by side on scales of equal span.

    Settings that are numbers are joined by a line with a band of one deviation, others stand alone.
    """
    means = {name: np.mean(list(each.values())) for name, each in measured.items() if each}
    deviations = {name: np.std(list(measured[name].values()), ddof=1) if len(measured[name]) > 1 else 0.0 for name in means}
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    panels = (("here", means, deviations, _PALETTE[0], "o"), ("the paper (Botswana)", published, {}, _PALETTE[3], "s"))
    for axis, (title, values, bands, colour, marker) in zip(axes, panels, strict=True):
        y = np.array([values.get(name, np.nan) for name in published])
        band = np.array([bands.get(name, 0.0) for name in published])
        joined = np.array([name.replace(".", "").isdigit() for name in published])
        x = np.arange(len(y))
        axis.plot(x[joined], y[joined], ls="--" if bands == {} else "-", marker=marker, ms=7, lw=2, color=colour)
        axis.fill_between(x[joined], (y - band)[joined], (y + band)[joined], color=colour, alpha=0.2, lw=0)
        axis.errorbar(x[~joined], y[~joined], band[~joined], fmt="D", ms=8, color=colour, capsize=4)
        for seed in sorted({seed for each in measured.values() for seed in each}) if bands else ():
            axis.scatter(x, [measured.get(name, {}).get(seed, np.nan) for name in published], s=14, color=colour, alpha=0.5)
        axis.set_xticks(x, published)
        axis.set_title(title)
        axis.set_xlabel(setting)
        axis.set_ylabel("overall accuracy (%)")
        axis.grid(alpha=0.3)
    span = max(np.ptp(axis.get_ylim()) for axis in axes)
    for axis in axes:
        middle = np.mean(axis.get_ylim())
        axis.set_ylim(middle - span / 2, middle + span / 2)
    return figure


def forest(differences: dict[str, dict[int, float]], published: dict[str, float], against: str) -> Figure:
    """Differences of OA in points by seed, a row each: seeds as dots, mean and 95 % interval (t, three seeds or more), and
    the paper's difference."""
    figure, axes = plt.subplots(figsize=(8, 0.7 * len(published) + 1.7), layout="constrained")
    axes.axvline(0, color="#000000", lw=1)
    for at, (name, stated) in enumerate(published.items()):
        values = np.array(list(differences.get(name, {}).values()))
        reach = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values) if len(values) > 2 else None
        axes.plot(stated, at, "s", ms=8, mfc="none", color=_PALETTE[3], label="the paper")
        axes.plot(values, np.full(len(values), at - 0.18), "o", ms=5, color=_PALETTE[0], alpha=0.5, label="one seed")
        axes.errorbar(
            values.mean() if len(values) else np.nan,
            at,
            xerr=reach,
            fmt="D",
            ms=7,
            capsize=4,
            color=_PALETTE[0],
            label="mean, 95 % interval",
        )
    axes.set_yticks(np.arange(len(published)), published)
    axes.set_ylim(len(published) - 0.5, -0.5)
    axes.set_ylabel("network")
    axes.set_xlabel(f"overall accuracy minus that of {against} (points)")
    axes.grid(alpha=0.3, axis="x")
    _one_legend(figure, axes, 3)
    return figure


def ranking(panels: dict[str, pd.DataFrame]) -> Figure:
    """Measures side by side: each table has a row a strategy and a column a seed; rows are in the order of the first."""
    order = next(iter(panels.values())).mean(axis=1).sort_values().index
    figure, axes = plt.subplots(
        1, len(panels), figsize=(10, 0.36 * len(order) + 1.5), sharey=True, squeeze=False, layout="constrained"
    )
    at = np.arange(len(order))
    colours = [COLOURS.get(name, "#555555") for name in order]
    for axis, (measure, table) in zip(axes[0], panels.items(), strict=True):
        for seed in table:
            axis.scatter(table.loc[order, seed], at, s=18, c=colours, alpha=0.45)
        axis.scatter(table.loc[order].mean(axis=1), at, marker="D", s=40, c=colours, zorder=3)
        axis.set_xlabel(measure)
        axis.grid(alpha=0.3)
    axes[0, 0].set_yticks(at, order)
    axes[0, 0].set_ylabel("strategy")
    return figure


def curves_against(groups: dict[str, list[Record]], against: tuple[str, ...] = ("margin", "random")) -> Figure:
    """Learning curves as small multiples: a panel a strategy, its mean and band of one deviation before those of `against`."""
    runs = {
        name: pd.concat([record.cycles.set_index("labels").OA.dropna() for record in records], axis=1)
        for name, records in groups.items()
    }
    shown = [name for name in runs if name not in against] or list(runs)
    rows = -(-len(shown) // 3)
    figure, axes = plt.subplots(
        rows, 3, figsize=(10, 2.6 * rows + 0.7), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes.ravel(), shown, strict=False):
        for other, style in zip(against, ("--", ":"), strict=False):
            if other in runs:
                axis.plot(runs[other].mean(axis=1), ls=style, lw=1.6, color=COLOURS[other], label=other)
        mean, deviation = runs[name].mean(axis=1), runs[name].std(axis=1)
        axis.plot(mean, color="#000000", lw=2, label="the panel's strategy")
        axis.fill_between(mean.index, mean - deviation, mean + deviation, color="#000000", alpha=0.15, lw=0)
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("labelled pixels")
        axis.set_ylabel("OA (%)")
        axis.label_outer()
        axis.grid(alpha=0.3)
    for axis in axes.ravel()[len(shown) :]:
        axis.set_axis_off()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return figure


def queried_maps(scene: Scene, queried: dict[str, pd.DataFrame]) -> Figure:
    """The pixels that each strategy asked for (columns cycle, row, column), on the ground truth, coloured by the cycle."""
    columns = min(len(queried), 3)
    rows = -(-len(queried) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(10, 3.1 * rows + 0.3), squeeze=False, layout="constrained")
    last = max(table["cycle"].max() for table in queried.values())
    for axis, (name, table) in zip(axes.ravel(), queried.items(), strict=False):
        axis.imshow(0.7 + 0.3 * painted(scene, scene.labels))
        dots = axis.scatter(table["column"], table["row"], c=table["cycle"], cmap="viridis", vmin=0, vmax=last, s=7)
        axis.set_title(name, fontsize=10)
        _pixels(axis)
        axis.label_outer()
    for axis in axes.ravel()[len(queried) :]:
        axis.set_axis_off()
    figure.colorbar(dots, ax=axes, label="cycle that asked (0: the random start)", shrink=0.8)
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


def panels_over_seeds(
    panels: dict[str, dict[str, pd.DataFrame]], x: str | list[str], y: str | list[str], *, log=False, share_y=True
) -> Figure:
    """Panels by title, two a row, each with curves by name: the mean over seeds, and a band of one deviation.

    A curve is a table with a row for each x (its index) and a column for each seed; an empty one is left out. `x` and `y` name
    the axes, all alike or one a panel; ``log`` puts x on a logarithmic scale.
    """
    rows = -(-len(panels) // 2)
    figure, grid = plt.subplots(rows, 2, figsize=(9, 3.5 * rows + 0.7), layout="constrained", squeeze=False, sharey=share_y)
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    for number, (axis, (title, curves)) in enumerate(zip(grid.flat, panels.items(), strict=True)):
        for name, runs in curves.items():
            if runs.empty:
                continue
            style, marker = _STYLES[names.index(name) % len(_STYLES)], "osD^vP"[names.index(name) % 6]
            colour = COLOURS.get(name, _PALETTE[-1 - names.index(name) % 4])
            mean, deviation = runs.mean(axis=1), runs.std(axis=1)
            axis.plot(runs.index, mean, ls=style, marker=marker, ms=5, lw=2, color=colour, label=name)
            axis.fill_between(runs.index, mean - deviation, mean + deviation, color=colour, alpha=0.2, lw=0)
        axis.set_title(title)
        axis.set_xlabel(x if isinstance(x, str) else x[number])
        axis.set_ylabel(y if isinstance(y, str) else y[number])
        axis.grid(alpha=0.3, which="both" if log else "major")
        if log:
            axis.set_xscale("log")
            ticks = sorted({round(at) for runs in curves.values() for at in runs.index})
            axis.set_xticks(ticks, map(str, ticks))
            axis.minorticks_off()
        else:
            axis.locator_params(axis="x", nbins=5)
    handles = {label: line for axis in grid.flat for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=4, fontsize=9)
    return figure


def reliability_diagrams(groups: dict[str, list[Record]]) -> Figure:
    """How often answers are right over how sure the network is, and how many are so sure: all seeds of a group together."""
    figure, (right, share) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    right.plot([0, 1], [0, 1], color="#000000", lw=1, ls=":", label="as right as it is sure")
    for (name, records), style, marker in zip(groups.items(), _STYLES, "osD^vP", strict=False):
        count = np.array([record.calibration["count"] for record in records])
        sums = [np.nansum(count * [record.calibration[part] for record in records], 0) for part in ("confidence", "accuracy")]
        filled = count.sum(0) > 0
        confidence, accuracy = (total[filled] / count.sum(0)[filled] for total in sums)
        drawn = {"ls": style, "marker": marker, "ms": 5, "lw": 2, "color": COLOURS.get(name), "label": name}
        right.plot(confidence, accuracy, **drawn)
        share.plot(confidence, 100 * count.sum(0)[filled] / count.sum(), **{**drawn, "label": None})
    share.set_yscale("log")
    right.set_ylabel("share that is right")
    share.set_ylabel("pixels of the hold-out (%)")
    for axis in (right, share):
        axis.set_xlabel("probability of the predicted class")
        axis.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    return figure


def improvement(groups: dict[str, list[Record]], first: dict[str, float], threshold: tuple[str, float]) -> Figure:
    """EMI over cycles (above) and per label (below), a column a budget: seeds thin, their mean thick, and what the paper says:
    the value of the `first` cycle, and a `threshold` at one budget."""
    size = (max(3.1 * len(groups), 6.5), 5.8)
    figure, axes = plt.subplots(2, len(groups), figsize=size, sharex=True, sharey="row", squeeze=False, layout="constrained")
    for column, (name, records) in zip(axes.T, groups.items(), strict=True):
        for axis, measure in zip(column, ("EMI", "EMI per label"), strict=True):
            runs = pd.concat([record.cycles.set_index("cycle")[measure] for record in records], axis=1)
            axis.axhline(0, color="#000000", lw=0.8)
            axis.plot(runs.index, runs, color=_PALETTE[0], lw=0.8, alpha=0.6)
            axis.plot(runs.index, runs.mean(axis=1), color=_PALETTE[0], lw=2, marker="o", ms=3.5, label="here, mean over seeds")
            axis.set_xlabel("cycle")
            axis.label_outer()
            axis.grid(alpha=0.3)
        column[0].set_title(f"{name} of the pool ({len(records)} seed{'s' if len(records) > 1 else ''})", fontsize=10)
        column[0].plot(1, first[name], "s", ms=8, mfc="none", mew=1.8, color=_PALETTE[3], label="the paper, first cycle")
        if name == threshold[0]:
            column[0].axhline(threshold[1], color=_PALETTE[3], lw=1.5, ls="--", label="the paper, diminishing returns")
    axes[0, 0].set_ylabel("EMI: gain of OA (fraction)")
    axes[1, 0].set_ylabel("EMI per label (fraction)")
    handles = {label: line for axis in axes[0] for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=3, fontsize=9)
    return figure


def entropy_maps(groups: dict[str, list[Record]]) -> Figure:
    """Pixels by predictive entropy (rows, low above) and cycle (columns), mean over seeds, a panel a budget, one scale."""
    shown = {name: np.mean([record.entropy for record in records], axis=0).T for name, records in groups.items() if records}
    figure, axes = plt.subplots(len(shown), 1, figsize=(8, 2.3 * len(shown) + 0.4), squeeze=False, layout="constrained")
    top = max(counts.max() for counts in shown.values())
    for axis, (name, counts) in zip(axes[:, 0], shown.items(), strict=True):
        extent = (-0.5, counts.shape[1] - 0.5, 1, 0)
        image = axis.imshow(counts, cmap="viridis", vmin=0, vmax=top, aspect="auto", extent=extent, interpolation="nearest")
        axis.set_title(f"{name} a cycle ({len(groups[name])} seed{'s' if len(groups[name]) > 1 else ''})", fontsize=10)
        axis.set_xlabel("cycle")
        axis.set_ylabel("entropy / log K")
        axis.label_outer()
    figure.colorbar(image, ax=axes, label="pixels left in the pool")
    return figure


def right_by_entropy(tables: dict[str, pd.DataFrame], fewest: int = 20) -> Figure:
    """Right answers over predictive entropy, from tables of `accuracy_by_entropy`; bins with fewer pixels than `fewest` are
    pale and hollow. Numbers beside the dots count pixels."""
    figure, axes = plt.subplots(figsize=(8, 4.4), layout="constrained")
    for number, ((name, table), marker) in enumerate(zip(tables.items(), "osD^", strict=False)):
        x = (np.arange(len(table)) + 0.5) / len(table) + 0.02 * (number - (len(tables) - 1) / 2)
        many = (table["count"] >= fewest).to_numpy()
        axes.plot(x[many], table.accuracy[many], marker, ls=_STYLES[number], ms=8, lw=1.5, color=_PALETTE[number], label=name)
        axes.plot(x[~many], table.accuracy[~many], marker, ms=7, mfc="none", color="#AAAAAA")
        for at, row in zip(x, table.itertuples(), strict=True):
            if row.count:
                beside = {"xytext": (0, 9 if number else -16), "textcoords": "offset points", "ha": "center", "fontsize": 8}
                axes.annotate(row.count, (at, row.accuracy), **beside)
    axes.set_xlim(0, 1)
    axes.set_ylim(-12, 112)
    axes.set_xlabel("predictive entropy / log K")
    axes.set_ylabel("right answers (%)")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


def embeddings(scene: Scene, classes: np.ndarray, placed: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Samples placed in the plane, (n, 2) for each network (rows) and setting (columns), coloured and marked by class (n,)."""
    columns = max(map(len, placed.values()))
    size = (max(3.1 * columns, 6.2), 3.1 * len(placed) + 1.2)
    figure, axes = plt.subplots(len(placed), columns, figsize=size, squeeze=False, layout="constrained")
    for row, (network, settings) in zip(axes, placed.items(), strict=True):
        for axis, (setting, points) in zip(row, settings.items(), strict=True):
            for k in np.unique(classes):
                own = points[classes == k]
                axis.scatter(*own.T, s=14, marker="osD^"[k % 4], color=scene.palette[k], edgecolors="#333333", linewidths=0.2)
            axis.set_title(f"{network}, {setting}", fontsize=10)
            axis.set(xticks=[], yticks=[], xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)")
    outline = {"ls": "", "markeredgecolor": "#333333"}
    handles = [Line2D([], [], marker="osD^"[k % 4], color=colour, **outline) for k, colour in enumerate(scene.palette)]
    figure.legend(handles, scene.class_names, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def queried_pixels(scene: Scene, queried: pd.DataFrame) -> Figure:
    """The pixels that the loop asked for (columns cycle, row, column), on the ground truth, coloured by the cycle."""
    figure, axes = plt.subplots(figsize=(6.6, 5.4), layout="constrained")
    axes.imshow(0.55 + 0.45 * painted(scene, scene.labels))
    cycles = queried["cycle"].max() + 1
    steps = ListedColormap(plt.get_cmap("viridis")(np.linspace(0, 1, cycles)))
    dots = axes.scatter(
        queried["column"],
        queried["row"],
        c=queried["cycle"],
        cmap=steps,
        vmin=-0.5,
        vmax=cycles - 0.5,
        s=18,
        edgecolors="white",
        linewidths=0.5,
    )
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


def loss_surfaces(surfaces: dict[str, Surface]):
    """Loss surfaces to be turned by hand, side by side: HTML that loads plotly.js from the book's static files.

    The height is the logarithm of the loss, so that the minimum shows beside the walls.
    """
    from IPython.display import HTML
    from plotly import graph_objects, subplots

    figure = subplots.make_subplots(1, len(surfaces), specs=[[{"type": "surface"}] * len(surfaces)], subplot_titles=[*surfaces])
    height = {name: np.log10(surface.loss).astype(np.float32) for name, surface in surfaces.items()}
    span = {"cmin": min(map(np.min, height.values())), "cmax": max(map(np.max, height.values())), "colorscale": "Cividis"}
    for column, (name, surface) in enumerate(surfaces.items(), 1):
        steps = surface.steps.astype(np.float32)
        shown = graph_objects.Surface(
            x=steps, y=steps, z=height[name].T, showscale=column == 1, colorbar_title="log10 loss", **span
        )
        figure.add_trace(shown, 1, column)
    figure.update_scenes(
        xaxis_title="first direction",
        yaxis_title="second direction",
        zaxis={"title": "log10 loss", "range": [span["cmin"], span["cmax"]]},
        camera_eye={"x": 1.6, "y": 1.6, "z": 0.9},
    )
    figure.update_layout(height=460, margin={"l": 0, "r": 0, "t": 40, "b": 0}, template="plotly_white")
    library = "cdn" if "google.colab" in sys.modules else "../_static/plotly.min.js"
    body = figure.to_html(full_html=False, include_plotlyjs=library, div_id="loss-surfaces")
    return HTML(f'<div role="img" aria-label="Turnable loss surfaces of {" and ".join(surfaces)}">{body}</div>')


def loss_contours(surfaces: dict[str, Surface]) -> Figure:
    """The same surfaces as contours, at levels shared by all; the cross marks the lowest point."""
    figure, axes = plt.subplots(1, len(surfaces), figsize=(4.7 * len(surfaces), 4.2), squeeze=False, layout="constrained")
    every = np.log10([surface.loss for surface in surfaces.values()])
    levels = np.linspace(every.min(), every.max(), 21)
    for axis, (name, surface), height in zip(axes[0], surfaces.items(), every, strict=True):
        filled = axis.contourf(surface.steps, surface.steps, height.T, levels, cmap="cividis")
        axis.contour(surface.steps, surface.steps, height.T, levels, colors="white", linewidths=0.4)
        row, column = np.unravel_index(surface.loss.argmin(), surface.loss.shape)
        axis.plot(surface.steps[row], surface.steps[column], "x", color="white", ms=9, mew=2)
        axis.set_title(f"{name}: lowest {surface.loss.min():.2g}")
        axis.set_xlabel("first direction")
        axis.set_ylabel("second direction")
        axis.set_aspect("equal")
    figure.colorbar(filled, ax=axes[0].tolist(), label="cross-entropy (logarithm to base 10)", format="%.1f")
    return figure


def hessian_spectra(spectra: dict[str, Spectrum], shown: int = 6) -> Figure:
    """Eigenvalue densities of several Hessians, and for each its lowest and highest eigenvalues as bars."""
    figure, (density, ends) = plt.subplots(1, 2, figsize=(10.5, 4), layout="constrained")
    largest = max(spectrum.largest for spectrum in spectra.values())
    least = 1e-4 * largest
    half = np.geomspace(least, largest * 1.01, 25)
    bins = np.concatenate([-half[::-1], half])
    for (name, spectrum), spare, style in zip(spectra.items(), cycle(_PALETTE[len(_NAMED) :]), _STYLES, strict=False):
        colour = COLOURS.get(name, spare)
        share = np.histogram(spectrum.values, bins, weights=spectrum.weights)[0]
        density.stairs(100 * share, bins, color=colour, ls=style, lw=1.6, label=name)
        outer = np.concatenate([spectrum.values[:shown], spectrum.values[-shown:]])
        at = np.arange(2 * shown) + (0.4 if ends.patches else 0)
        ends.bar(at, outer, 0.4, color=colour, label=name, hatch="//" if ends.patches else None, edgecolor="white")
    for axis, scale in ((density, density.set_xscale), (ends, ends.set_yscale)):
        scale("symlog", linthresh=least)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=9)
    density.set_yscale("log")
    powers = 10.0 ** np.arange(np.ceil(np.log10(least)) + 1, np.log10(largest), 2)
    density.set_xticks([*-powers[::-1], 0, *powers])
    density.set_xlabel("eigenvalue")
    density.set_ylabel("share of the eigenvalues (%)")
    ends.set_xticks(np.arange(2 * shown) + 0.2, [*range(1, shown + 1), *range(shown, 0, -1)])
    ends.axhline(0, color="#000000", lw=1)
    ends.set_xlabel("place among the lowest (left) and the highest (right)")
    ends.set_ylabel("eigenvalue")
    return figure
