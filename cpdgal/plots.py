"""Figures of a scene and of a run: bands and classes, learning curves, queried pixels, maps.

`panels`, `one_legend` and `name_curves` decide how figures look, those of the book too. Their ground stays white, so that
they read the same on a light and on a dark page.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from types import MappingProxyType

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from .records import Record
from .scenes import Scene
from .splits import Split

# Seaborn's palette for colour-blind readers. A curve has the same colour wherever it is drawn.
PALETTE = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9")
_NAMED = ("margin", "random", "spectrum only (SVM)", "coordinates only (1-NN)", "coordinates, spread out", "ViT")
COLOURS = dict(zip(_NAMED, PALETTE, strict=False)) | {"CPDGAL, random queries": PALETTE[1]}
COLOURS |= dict.fromkeys(("CPDGAL", "here", "after training"), PALETTE[0]) | {"before training": "#000000"}
RIGHT, WRONG = to_rgb("#BBBBBB"), to_rgb("#D55E00")  # predictions, on maps
COLOURS |= {"0.5 %": PALETTE[3], "1 %": PALETTE[2], "2 %": PALETTE[0]}  # of the pool a cycle
NAME_SIZE = 9  # points, of the names of curves


def panels(width: float, height: float, count: int = 1, columns: int = 0, *, grid=True, **options) -> tuple[Figure, list[Axes]]:
    """A figure so many inches wide, each row of it so many inches high, and its axes: in one row, or in so many columns."""
    columns = columns or count
    rows = -(-count // columns)
    options |= {"figsize": (width, height * rows), "squeeze": False, "layout": "constrained"}
    figure, grid_of_axes = plt.subplots(rows, columns, **options)  # in no rc_context: it would switch off what notebooks show
    axes = [*grid_of_axes.flat]
    for axis in axes[count:]:
        axis.set_axis_off()
    for axis in axes if grid else ():
        axis.grid(alpha=0.3)
    return figure, axes[:count]


def one_legend(figure: Figure, axes: Iterable[Axes], columns: int, above: bool = False) -> None:
    """A legend below or above the panels with one entry a label."""
    entries = {label: mark for axis in axes for mark, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    place = f"outside {'upper' if above else 'lower'} center"
    figure.legend([*entries.values()], [*entries], loc=place, ncols=columns, fontsize=9)  # type: ignore[call-overload]


def name_curves(figure: Figure, axes: Iterable[Axes], texts: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write the label of each curve to the right of its panel, at the height of its end and in its colour, or the text that
    `texts` has for the label; labels without a curve, such as those of `not_run`, stand in a legend below the panels."""
    figure.draw_without_rendering()  # which gives the panels their size
    without: dict[str, Line2D] = {}
    for axis in axes:
        curves: list[tuple[float, float, Line2D, np.ndarray]] = []
        for line in (line for line in axis.lines if not str(line.get_label()).startswith("_")):
            points = np.asarray(line.get_xydata())
            if len(points := points[np.isfinite(points).all(1)]):
                x, height = axis.transAxes.inverted().transform(line.get_transform().transform(points[-1]))
                curves.append((height, x, line, points[-1]))
            else:
                without[str(line.get_label())] = line
        curves.sort(key=lambda curve: curve[0])
        heights = _spread([height for height, *_ in curves], 1.3 * NAME_SIZE * figure.dpi / 72 / axis.bbox.height)
        for height, (_, x, line, end) in zip(heights, curves, strict=True):
            name, colour = str(line.get_label()), _legible(line.get_color())
            dots = "-" if x > 0.9 else (0, (1, 4))  # a long leader is not to be taken for the curve
            leader = {"arrowstyle": "-", "color": colour, "lw": 0.6, "ls": dots, "shrinkA": 1, "shrinkB": 3, "relpos": (0, 0.5)}
            place: dict = {"xycoords": line.get_transform(), "textcoords": "axes fraction", "va": "center", "size": NAME_SIZE}
            axis.annotate(texts.get(name, name), tuple(end), (1.03, height), color=colour, arrowprops=leader, **place)
    if without:
        figure.legend([*without.values()], [*without], loc="outside lower center", ncols=4, fontsize=NAME_SIZE)  # type: ignore[call-overload]


def _legible(colour) -> np.ndarray:
    """RGB of a colour, darkened where it is too light for text on white: to a contrast of 3 (WCAG 2, with a gamma of 2.2)."""
    rgb = np.array(to_rgb(colour))
    luminance = float(rgb**2.2 @ np.array([0.2126, 0.7152, 0.0722]))
    return rgb * min(1, 0.3 / max(luminance, 0.3)) ** (1 / 2.2)


def _spread(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights in a panel, moved apart to at least the `gap`, and below the top of the panel where they all fit."""
    apart = list(heights)
    for i in range(1, len(apart)):
        apart[i] = max(apart[i], apart[i - 1] + gap)
    for i in reversed(range(len(apart))):
        apart[i] = min(apart[i], apart[i + 1] - gap if i + 1 < len(apart) else 1.0)
    return apart


def maps(images: dict[str, np.ndarray], width: float, height: float, columns: int = 0) -> tuple[Figure, list[Axes]]:
    """Images (height, width, 3) of a scene by title, and their axes: `panels`."""
    figure, axes = panels(width, height, len(images), columns, grid=False)
    for axis, (title, image) in zip(axes, images.items(), strict=True):
        axis.imshow(image)
        axis.set(title=title, xlabel="column (pixels)", ylabel="row (pixels)")
    return figure, axes


def painted(scene: Scene, labels: np.ndarray) -> np.ndarray:
    """RGB (height, width, 3) of labels 0..K, white where 0."""
    return np.vstack([np.ones(3), scene.palette])[labels]


def name_colours(figure: Figure, colours: dict) -> None:
    """A legend of colours by name below the panels, in as many columns as there is room for."""
    longest, inches = max(map(len, colours), default=1), figure.get_size_inches()[0]
    columns = int(np.clip(14 * inches // (longest + 6), 1, 4))
    handles = [Patch(facecolor=colour, edgecolor="grey", label=name) for name, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8)


def scene_overview(scene: Scene) -> Figure:
    """A false-colour image beside the ground truth, with every class and its number of labelled pixels."""
    image, bands = false_colour(scene)
    titled = {f"False colour: {bands}": image, "Ground truth (white: unlabelled)": painted(scene, scene.labels)}
    figure, _ = maps(titled, 9, 6)
    names = map("{} ({})".format, scene.class_names, np.bincount(scene.targets, minlength=scene.classes))
    name_colours(figure, dict(zip(names, scene.palette, strict=True)))
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
    """The mean spectrum of every class over wavelength, a panel a class, with all others in grey behind it; lines break where
    bands were removed."""
    columns = min(scene.classes, 4)
    sharing: dict = {"sharex": True, "sharey": True}
    figure, axes = panels(9, 1.6, scene.classes, columns, **sharing)
    known = scene.band_centers_nm
    order = np.arange(scene.bands) if known is None else np.argsort(known)
    x = order.astype(float) if known is None else known[order]
    seams = np.flatnonzero(np.diff(x) > 4 * np.median(np.diff(x))) + 1
    spectra = scene.cube[scene.labels > 0]
    means = [np.insert(spectra[scene.targets == k].mean(0)[order], seams, np.nan) for k in range(scene.classes)]
    x = np.insert(x, seams, np.nan)
    for axis, name, colour, mean in zip(axes, scene.class_names, scene.palette, means, strict=True):
        axis.plot(x, mean, color=colour, lw=2.2, zorder=3)
        for other in means:
            axis.plot(x, other, color="#999999", lw=0.4, alpha=0.6)
        axis.set_title(name, fontsize=10)
    figure.supxlabel("band" if known is None else "wavelength (nm)")
    figure.supylabel("mean value (sensor units)")
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
    `Axes.plot`. A long curve has a marker at some thirty to sixty of its points."""
    mean, deviation = runs.mean(axis=1), runs.std(axis=1)
    (curve,) = axes.plot(mean.index, mean, lw=2, markevery=max(len(mean) // 30, 1), **line)
    axes.fill_between(mean.index, mean - deviation, mean + deviation, color=curve.get_color(), alpha=0.2, lw=0)


def not_run(axes: Axes, name: str) -> None:
    """Say in the legend that a curve is missing."""
    axes.plot([], [], ls="", label=f"{name}: not run")


def learning_curves(curves: dict[str, pd.DataFrame], published: float | None = None) -> Figure:
    """Overall accuracy in percent over labels: mean over runs, a band of one standard deviation, and a line at the `published`
    one; each has its name and its last value at its end.

    A curve is a table with a row for each number of labels (its index) and a column for each run; a legend says which are
    empty.
    """
    figure, (axis,) = panels(9, 5.4)
    texts = {}
    for name, style in line_styles(curves).items():
        runs = curves[name].dropna(how="all")
        if runs.empty:
            not_run(axis, name)
            continue
        seeds = f" ({runs.shape[1]} seeds)" if runs.shape[1] > 1 else ""
        draw_mean(axis, runs, label=name, ms=5, **style)
        texts[name] = f"{name}{seeds}: {runs.iloc[-1].mean():.1f} %"
    if published is not None:
        axis.axhline(published, color="#000000", lw=1, ls=":", label=f"the paper: {published:.2f} %")
    axis.set(xlabel="labelled pixels", ylabel="overall accuracy on the hold-out (%)")
    name_curves(figure, [axis], texts)
    return figure


def run_progress(record: Record) -> Figure:
    """Scores over labels, and the reliability diagram at the end of a run."""
    figure, (curves, bins) = panels(10.5, 4.6, 2, width_ratios=[3, 2])
    scored = record.cycles.dropna(subset="OA")
    for score, colour, style in zip(("OA", "AA", "kappa", "ECE"), PALETTE, ("-", "--", "-.", ":"), strict=False):
        label = f"{score}: {scored[score].iloc[-1]:.1f} %"
        curves.plot(scored.labels, scored[score], ls=style, color=colour, lw=2, label=label)
    curves.set(xlabel="labelled pixels", ylabel="percent of the test pixels", title="Scores over labels")
    table, width = record.calibration, 1 / len(record.calibration)
    bins.bar((np.arange(len(table)) + 0.5) * width, table.accuracy, width, color=PALETTE[0], edgecolor="white")
    bins.plot([0, 1], [0, 1], "--", color="#000000", lw=1, label="calibrated confidence")
    bins.set(xlabel="probability of the predicted class", ylabel="share of correct predictions", title="Reliability at the end")
    one_legend(figure, [curves, bins], 5)
    return figure


def queried_pixels(scene: Scene, queried: dict[str, pd.DataFrame]) -> Figure:
    """The pixels that were queried, on the ground truth in pale colours, coloured by the cycle: a panel a title, three a row.

    Tables have the columns cycle, row and column.
    """
    columns = min(len(queried), 3)
    side = 6.0 if len(queried) == 1 else 3.2
    pale = 0.6 + 0.4 * painted(scene, scene.labels)
    figure, axes = maps(dict.fromkeys(queried, pale), side * columns + 0.6, 0.85 * side + 0.2, columns)
    cycles = 1 + max(table["cycle"].max() for table in queried.values())
    steps = ListedColormap(plt.get_cmap("viridis")(np.linspace(0, 1, cycles)))
    dot = {"cmap": steps, "vmin": -0.5, "vmax": cycles - 0.5, "s": 3 * side, "edgecolors": "white", "linewidths": side / 15}
    for axis, table in zip(axes, queried.values(), strict=True):
        dots = axis.scatter(table["column"], table["row"], c=table["cycle"], **dot)
        axis.label_outer()
    ticks = np.unique(np.linspace(0, cycles - 1, min(cycles, 8)).astype(int))
    bar = figure.colorbar(dots, ax=figure.axes, ticks=ticks, label="cycle of the query (0: the random start)", shrink=0.8)
    bar.ax.tick_params(length=0)
    return figure


def asked_pixels(scene: Scene, points: pd.DataFrame) -> Figure:
    """Pixels that a person is asked for, numbered on a false-colour image; a table of number, row and column."""
    image, bands = false_colour(scene)
    height, width = image.shape[:2]
    figure, (axis,) = maps({f"Pixels to label, on {bands}": image}, 9, min(1 + 8 * height / width, 16))
    outlined = [withStroke(linewidth=3, foreground="#000000")]
    ring: dict = {"s": 40, "facecolor": "none", "edgecolor": "#FFFF00", "linewidths": 1.2}
    axis.scatter(points["column"], points["row"], **ring, path_effects=outlined)
    for number, row, column in zip(points["number"], points["row"], points["column"], strict=True):
        place: dict = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": 9, "color": "#FFFF00"}
        axis.annotate(str(number), (column, row), **place, path_effects=outlined)
    return figure


def class_maps(scene: Scene, predicted: dict[str, np.ndarray], split: Split | None = None) -> Figure:
    """The ground truth beside the class (height, width; 1..K) predicted for every pixel, a panel a title; with a split, also
    the errors of the last of them on the hold-out."""
    titled = {"Ground truth (white: unlabelled)": scene.labels, **predicted}
    images = {title: painted(scene, labels) for title, labels in titled.items()}
    colours: dict = dict(zip(scene.class_names, scene.palette, strict=True))
    if split is not None:
        *_, last = titled.values()
        tested, errors = tuple(scene.pixels[split.holdout].T), np.ones((*last.shape, 3))
        errors[tested] = np.where((last == scene.labels)[tested][:, None], RIGHT, WRONG)
        images["Errors on the hold-out"] = errors
        colours |= {"correct on the hold-out": RIGHT, "wrong on the hold-out": WRONG}
    figure, _ = maps(images, 3.7 * len(images), 5)
    name_colours(figure, colours)
    return figure


def map_with_legend(
    classes: np.ndarray,
    counts: np.ndarray,
    names: Iterable[str],
    palette: np.ndarray,
    step: int = 1,
    metres: float | None = None,
) -> Figure:
    """A map of classes (height, width; 0 = none, 1..K) with a scale bar, and below it every class that it has with its share.

    Args:
        counts: (K,) pixels of each class on the whole map.
        step: so many pixels of the map are one here.
        metres: the width of a pixel of the map; None measures the bar in pixels.
    """
    height, width = classes.shape
    figure, (axes,) = panels(7, max(3.5, 6.5 * min(height / width, 2)), grid=False)
    axes.imshow(np.vstack([np.ones(3), palette])[classes], interpolation="nearest")
    axes.set_axis_off()
    unit = step * (metres or 1)
    about = width * unit / 4
    size = 10 ** np.floor(np.log10(about))
    size *= max(each for each in (1, 2, 5) if each * size <= about)
    named = f"{size:g} pixels" if metres is None else f"{size / 1000:g} km" if size >= 1000 else f"{size:g} m"
    bar = AnchoredSizeBar(axes.transData, size / unit, named, "lower right", size_vertical=max(height / 200, 0.2), pad=0.4)
    bar.patch.set_alpha(0.8)
    axes.add_artist(bar)
    shares = 100 * counts / max(counts.sum(), 1)
    listed = zip(names, palette, shares, strict=True)
    name_colours(figure, {f"{name} ({share:.1f} %)": colour for name, colour, share in listed if share})
    return figure
