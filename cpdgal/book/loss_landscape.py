"""Fig. 3: what is around the trained weights of several seeds, the verdicts on it, and its figures.

Surfaces, spectra and answers come by seed, and within a seed by network: "CPDGAL", "ViT" and, at matched loss, "CPDGAL,
matched" and "ViT, matched". Numbers stand in one table (`measured`), by network and seed.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from ..plots import line_styles, one_legend, panels
from ..study import Study
from . import landscape
from .common import studies_of, sweep
from .figures import PLOTLY
from .landscape import Spectrum, Surface
from .verdicts import FEWEST, Verdict, above, better, combined, not_run, seed_count

NETWORKS = {"CPDGAL": "cpdgal", "ViT": "vit"}
MATCHED = {name: f"{name}, matched" for name in NETWORKS}
READINGS = {"as trained": tuple(NETWORKS), "at matched loss": tuple(MATCHED.values())}


def studies(seeds: Iterable[int], **values) -> dict[str, list[Study]]:
    """The trainings on 5 % of the labels, drawn at random, whose loss is looked at: of each network one a seed."""
    return studies_of({name: {"method": method} for name, method in NETWORKS.items()}, seeds, cycles=0, initial=0.5, **values)


# The other scene is looked at with one seed.
STUDIES = sweep(studies(range(3)), studies([0], scene="salinas_a"), weights=range(3))


def temperatures(networks: Mapping[str, nn.Module], x: Tensor, y: Tensor) -> dict[str, float]:
    """The number that divides each network's logits at matched loss, by network.

    All get the mean cross-entropy of the least sure one, whose own number is 1, on windows x (n, c, w, w) with classes y (n,).
    Empty where a network is missing, or the least sure one is no better than a guess: no temperature takes the other there.
    """
    with torch.inference_mode():
        logits = {name: torch.cat([network(part).logits for part in x.split(32)]) for name, network in networks.items()}
    loss = max((F.cross_entropy(each.double(), y).item() for each in logits.values()), default=np.inf)
    if len(logits) < len(NETWORKS) or loss >= np.log(next(iter(logits.values())).shape[1]):
        return {}
    return {name: landscape.matching_temperature(each, y, loss) for name, each in logits.items()}


def surfaces(networks: Mapping[str, nn.Module], x: Tensor, y: Tensor, **sizes) -> dict[str, Surface]:
    """The losses of one seed's networks, as trained and at matched loss, on windows x (n, c, w, w) with classes y (n,); `sizes`
    go to `landscape.surface`. The plane is spanned by the same two random directions for all networks and seeds."""
    divisors, found = temperatures(networks, x, y), dict[str, Surface]()
    for name, network in networks.items():
        plane = [landscape.random_direction(network, k) for k in (0, 1)]
        named = {name: 1.0} | ({MATCHED[name]: divisors[name]} if divisors else {})
        drawn = landscape.surface(network, x, y, *plane, temperatures=[*named.values()], **sizes)
        found |= dict(zip(named, drawn, strict=True))
    return found


def spectra(networks: Mapping[str, nn.Module], x: Tensor, y: Tensor, **sizes) -> dict[str, Spectrum]:
    """As `surfaces`, the Hessians at the trained weights; `sizes` go to `landscape.spectrum`."""
    divisors = temperatures(networks, x, y)
    found = {name: landscape.spectrum(network, x, y, **sizes) for name, network in networks.items()}
    for name, divisor in divisors.items():
        surer = divisor > 1
        found[MATCHED[name]] = landscape.spectrum(networks[name], x, y, temperature=divisor, **sizes) if surer else found[name]
    return found


def measured(surfaces: Mapping[int, Mapping[str, Surface]], spectra: Mapping[int, Mapping[str, Spectrum]]) -> pd.DataFrame:
    """Measures in columns, a row for each network and seed; seeds without spectra have none of their columns."""
    rows = {}
    for seed, each in surfaces.items():
        for name, surface in each.items():
            middle, climbs = len(surface.steps) // 2, landscape.barriers(surface.loss)
            rows[name, seed] = {
                "temperature": surface.temperature,
                "loss at the weights": surface.loss[middle, middle],
                "lowest loss": surface.loss.min(),
                "convex, %": 100 * landscape.convexity(surface.loss),
                "further minima": len(climbs),
                "highest barrier": max(climbs, default=0.0),
                "basin, %": 100 * landscape.basin_width(surface),
                "error, %": 100 * surface.error,
            }
            if spectrum := spectra.get(seed, {}).get(name):
                rows[name, seed] |= {
                    "lowest eigenvalue": spectrum.values[0],
                    "largest magnitude": spectrum.largest,
                    "skewness": spectrum.skewness,
                }
    return pd.DataFrame([*rows.values()], pd.MultiIndex.from_tuples(rows, names=["network", "seed"]))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds of what was `measured`, a row for each measure and a column for each network."""

    def shown(values: pd.Series) -> str:
        return f"{values.mean():.3g}" + (f" ± {values.std():.2g}" if len(values) > 1 else "")

    there = [name for names in READINGS.values() for name in names if name in table.index]
    columns = {name: {"seeds": str(len(table.loc[name]))} | table.loc[name].apply(shown).to_dict() for name in there}
    return pd.DataFrame(columns)


def by_seed(table: pd.DataFrame, name: str, measure: str) -> dict[int, float]:
    """A measure of one network by seed; empty where there is none."""
    return table.loc[name][measure].to_dict() if name in table.index else {}


def verdict_convex(table: pd.DataFrame) -> Verdict:
    """Section 4: "CPDGAL shows a smooth, convex 3D surface with a singular global optimum", ViT "multiple local minima".

    CPDGAL is convex at more than 95 % of the points; and its plane has no minimum besides the lowest point where the ViT's has
    some, by `on_every_seed`: what the paper claims is the contrast.
    """
    ours, theirs = (by_seed(table, name, "further minima") for name in NETWORKS)
    contrast = {seed: theirs[seed] if ours[seed] == 0 else -ours[seed] for seed in ours if seed in theirs}
    return combined(
        {
            "CPDGAL is convex": above(95, by_seed(table, "CPDGAL", "convex, %"), "Convex share of the points", "%", 0.0),
            "one minimum against many": on_every_seed(
                contrast,
                lambda count: count > 0,
                "Further minima of the ViT where CPDGAL has none, otherwise those of CPDGAL with a minus sign",
                "above 0",
            ),
        }
    )


def on_every_seed(counts: Mapping[int, float], met: Callable[[float], bool], what: str, wanted: str) -> Verdict:
    """On whole numbers by seed, which may all be the same: an interval of no width would decide anything. *Holds* when `met` on
    every seed, *does not hold* when on none, *undecided* else and, as everywhere, below three seeds."""
    if not counts:
        return not_run(f"{what}: no run is on record yet.")
    here, answers = ", ".join(f"{count:g}" for count in counts.values()), [met(count) for count in counts.values()]
    word = "undecided" if len(counts) < FEWEST or len({*answers}) > 1 else "holds" if answers[0] else "does not hold"
    said = f"{what}, {seed_count(len(counts))}: {here}; the claim needs this on every seed: {wanted}."
    return Verdict(word, here, said, len(counts))


def verdict_flat(table: pd.DataFrame) -> Verdict:
    """Section 4: "CPDGAL forms a broad, centralized flat minimum", ViT "sharply peaked minima": CPDGAL's basin is wider, as
    trained and at matched loss."""
    parts = {}
    for reading, names in READINGS.items():
        ours, theirs = (by_seed(table, name, "basin, %") for name in names)
        parts[reading] = better(ours, theirs, ("Width of the basin, CPDGAL", "ViT"), "% of the norm of the weights", 0.0)
    return combined(parts)


def verdict_skew(table: pd.DataFrame) -> Verdict:
    """Section 4: "For ViT, eigenvalues skew negative"; CPDGAL's are "symmetric around zero, slightly skewed positive".

    The ViT's skewness is below 0, and CPDGAL's between 0 and 1. As numbers that have to be above 0: the ViT's times -1, and how
    far CPDGAL's is from the nearer of the two bounds, which counts as negative outside of them.
    """
    ours, theirs = (by_seed(table, name, "skewness") for name in NETWORKS)
    below = above(0.0, {seed: -each for seed, each in theirs.items()}, "Skewness times -1", "(no unit)", 0.0)
    inside = {seed: 0.5 - abs(each - 0.5) for seed, each in ours.items()}
    between = above(0.0, inside, "Distance of the skewness to the nearer bound (negative outside the bounds)", "(no unit)", 0.0)
    parts = {"ViT below 0": (below, theirs), "CPDGAL between 0 and 1": (between, ours)}
    return combined({name: each._replace(here=_mean(values)) for name, (each, values) in parts.items()})


def _mean(values: Mapping[int, float]) -> str:
    return f"{np.mean([*values.values()]):+.1f}" if values else "not run"


def verdict_magnitude(table: pd.DataFrame) -> Verdict:
    """Section 4: "CPDGAL's eigenvalue magnitudes (e.g., 1, 2) far exceed ViT's (e.g., 0.2, 0.4)": five times, as trained and at
    matched loss. The number by seed is the logarithm to base 10 of the ratio of the largest magnitudes."""
    parts = {}
    for reading, names in READINGS.items():
        ours, theirs = (by_seed(table, name, "largest magnitude") for name in names)
        ratios = {seed: np.log10(ours[seed] / theirs[seed]) for seed in ours if seed in theirs}
        found = above(np.log10(5), ratios, "Ratio of the largest magnitudes, CPDGAL to ViT", "powers of ten", 0.0)
        parts[reading] = found._replace(here=f"{10**found.mean:.3g} times") if ratios else found
    return combined(parts)


# By what two seeds are alike, by part, and then by pair of seeds: a number for CPDGAL and one for the ViT.
Likeness = Mapping[str, Mapping[tuple[int, int], tuple[float, float]]]


def likenesses(
    surfaces: Mapping[int, Mapping[str, Surface]], answers: Mapping[int, Mapping[str, np.ndarray]]
) -> dict[str, dict[tuple[int, int], tuple[float, float]]]:
    """How alike two seeds of each network are, by part and pair: in "shape", the correlation of the logarithms of their losses
    over the plane, in hundredths, and in "predictions", the percentage of equal ones among their `answers` (n,)."""
    alike: dict[str, tuple[Mapping, Callable]] = {
        "shape": (surfaces, _correlation),
        "predictions": (answers, lambda one, other: float(100 * (one == other).mean())),
    }
    found = {}
    for part, (each, measure) in alike.items():
        seeds = sorted(seed for seed, networks in each.items() if set(NETWORKS) <= set(networks))
        pairs = combinations(seeds, 2)
        found[part] = {(a, b): tuple(measure(each[a][name], each[b][name]) for name in NETWORKS) for a, b in pairs}
    return found


def verdict_invariant(likeness: Likeness, seeds: int) -> Verdict:
    """Section 4: "CPDGAL's topology is seen to be dataset- and initialization-invariant, converging to similar optima across
    runs".

    Two seeds of CPDGAL are more alike than two of the ViT in the shape of the loss, by `likenesses`; the share of equal answers
    is a remark, since it follows the accuracy. A loss barrier between their weights would not say it: neurons in another order
    are another place and the same network (Entezari et al. 2022). Pairs share seeds, so the numbers by seed are the jackknife's
    (`pseudo_values`). Seeds differ in their labels and noise too; data sets do not enter. One of the `seeds` alone has no other
    to be like.
    """
    if seeds == 1:
        return Verdict("undecided", "one seed", "One seed has no other to be compared with.", 1)
    shape, same = (
        {pair: ours - theirs for pair, (ours, theirs) in likeness[part].items()} for part in ("shape", "predictions")
    )
    what = "Similarity of the shapes of two seeds, CPDGAL minus ViT, jackknife values"
    found = above(0.0, pseudo_values(shape), what, "hundredths")
    if not shape:
        return found
    said = f" The interval is that of {len(shape)} pairs, which share seeds, not one of independent seeds."
    said += f" Two seeds of CPDGAL share {np.mean([*same.values()]):+.1f} points more of their predictions than two of the ViT."
    return found._replace(sentence=found.sentence + said)


def _correlation(one: Surface, other: Surface) -> float:
    return float(100 * np.corrcoef(np.log(one.loss).ravel(), np.log(other.loss).ravel())[0, 1])


def pseudo_values(pairs: Mapping[tuple[int, int], float]) -> dict[int, float]:
    """A number by seed from one by pair of seeds: n times the mean over all pairs, less n - 1 times the mean over those without
    the seed (Tukey's jackknife; Arvesen 1969). Their mean is that over all pairs, and their interval knows that pairs share
    seeds: it is twice as wide as if three pairs were three independent numbers. A lone pair stands for both of its seeds."""
    seeds, whole = sorted({seed for pair in pairs for seed in pair}), float(np.mean([*pairs.values()])) if pairs else 0.0
    without = {seed: [each for pair, each in pairs.items() if seed not in pair] or [whole] for seed in seeds}
    return {seed: float(len(seeds) * whole - (len(seeds) - 1) * np.mean(without[seed])) for seed in seeds}


# One view of all surfaces: a drag that ends on one turns the others alike, each told only where it differs, so that this ends.
# On a phone they stand one below the other.
TOGETHER = """
const plot = document.getElementById('{plot_id}');
const scenes = Object.keys(plot._fullLayout).filter((key) => /^scene[0-9]*$/.test(key));
plot.on('plotly_relayout', (changed) => {
  const turned = Object.keys(changed).find((key) => key.endsWith('.camera'));
  const eye = (key) => JSON.stringify(plot.layout[key].camera.eye);
  const behind = turned ? scenes.filter((key) => eye(key) !== JSON.stringify(changed[turned].eye)) : [];
  if (behind.length) Plotly.relayout(plot, Object.fromEntries(behind.map((key) => [`${key}.camera`, changed[turned]])));
});
if (plot.clientWidth < 560) {
  const stacked = {height: 320 * scenes.length};
  scenes.forEach((key, place) => {
    const top = 1 - place / scenes.length;
    stacked[`${key}.domain`] = {x: [0, 1], y: [top - 0.9 / scenes.length, top]};
    Object.assign(stacked, {[`annotations[${place}].x`]: 0.5, [`annotations[${place}].y`]: top});
  });
  Plotly.relayout(plot, stacked);
}
"""


def loss_surfaces(surfaces: dict[str, Surface]):
    """Loss surfaces side by side that turn together, with a caption: HTML that loads plotly.js from the book's static files.

    Axes and colours are shared. The height is the logarithm of the loss, so that the minimum shows beside the walls.
    """
    from IPython.display import HTML
    from plotly import graph_objects, subplots

    figure = subplots.make_subplots(1, len(surfaces), specs=[[{"type": "surface"}] * len(surfaces)], subplot_titles=[*surfaces])
    heights = np.log10([surface.loss for surface in surfaces.values()]).astype(np.float32)
    for column, (surface, height) in enumerate(zip(surfaces.values(), heights, strict=True), 1):
        steps = surface.steps.astype(np.float32)
        figure.add_trace(graph_objects.Surface(x=steps, y=steps, z=height.T, coloraxis="coloraxis"), 1, column)
    span = heights.min(), heights.max()
    named = {"xaxis_title": "first direction", "yaxis_title": "second direction", "zaxis_title": "log10 loss"}
    figure.update_scenes(**named, zaxis_range=span, camera_eye={"x": 1.8, "y": 1.8, "z": 1.0})
    shared = {"cmin": span[0], "cmax": span[1], "colorscale": "Cividis"}
    shared["colorbar"] = {"title": "log10 loss", "orientation": "h", "y": 0, "yanchor": "top", "thickness": 12}
    figure.update_layout(height=500, margin={"l": 0, "r": 0, "t": 60, "b": 70}, coloraxis=shared, **PLOTLY)
    library = "cdn" if "google.colab" in sys.modules else "../_static/plotly.min.js"
    body = figure.to_html(full_html=False, include_plotlyjs=library, div_id="loss-surfaces", post_script=TOGETHER)
    names = " and ".join(surfaces)
    lowest = ", ".join(f"{name} {surface.loss.min():.2g}" for name, surface in surfaces.items())
    caption = (
        f"The lowest cross-entropy on the plane: {lowest}. The logarithm (base 10) of the cross-entropy around the trained "
        f"weights of {names}, over the same two directions and with the same axes and colours. Dragging one surface turns "
        f"all of them. The contours below show the same without scripts."
    )
    label = f'role="group" aria-label="Turnable loss surfaces of {names}"'
    return HTML(f"<figure><div {label}>{body}</div><figcaption>{caption}</figcaption></figure>")


def loss_contours(surfaces: dict[str, Surface], columns: int = 2) -> Figure:
    """Surfaces as contours, at levels shared by all; the cross marks the lowest point."""
    figure, axes = panels(1.4 + 3.3 * columns, 3.3, len(surfaces), columns, grid=False)
    heights = np.log10([surface.loss for surface in surfaces.values()])
    levels = np.linspace(heights.min(), heights.max(), 21)
    for axis, (name, surface), height in zip(axes, surfaces.items(), heights, strict=True):
        steps, lowest = surface.steps, np.unravel_index(surface.loss.argmin(), surface.loss.shape)
        filled = axis.contourf(steps, steps, height.T, levels, cmap="cividis")
        axis.contour(steps, steps, height.T, levels, colors="white", linewidths=0.4)
        axis.plot(*steps[[*lowest]], "x", color="white", ms=9, mew=2)
        axis.set(title=f"{name}: lowest {surface.loss.min():.2g}", aspect=1)
        axis.set(xlabel="first direction", ylabel="second direction")
    figure.colorbar(filled, ax=axes, label="cross-entropy (logarithm to base 10)", format="%.1f")
    return figure


def convex_points(surfaces: Mapping[str, Surface]) -> str:
    """The share of points at which the surfaces of each network are convex, mean over them, for a caption; surfaces are named
    "network, seed"."""
    shares = pd.Series({name: 100 * landscape.convexity(surface.loss) for name, surface in surfaces.items()})
    means = shares.groupby(lambda name: name.split(",")[0], sort=False).mean()
    return f"The share of convex points is {' and '.join(f'{mean:.0f} % for {name}' for name, mean in means.items())}."


def outer_eigenvalues(spectra: Mapping[str, Spectrum]) -> str:
    """The lowest and the highest eigenvalue of each network, for a caption."""
    ends = [f"from {min(each.values):.2g} to {max(each.values):.2g} for {name}" for name, each in spectra.items()]
    return f"Eigenvalues reach {' and '.join(ends)}."


def hessian_spectra(spectra: dict[str, Spectrum], shown: int = 6) -> Figure:
    """Eigenvalue densities of several Hessians, and for each its lowest and highest eigenvalues as bars."""
    figure, (density, extremes) = panels(10.5, 4.2, 2)
    largest = max(spectrum.largest for spectrum in spectra.values())
    least = 1e-4 * largest
    half = np.geomspace(least, largest * 1.01, 25)
    bins = np.concatenate([-half[::-1], half])
    places = np.arange(2 * shown)
    for number, (name, style) in enumerate(line_styles(spectra).items()):
        spectrum, colour = spectra[name], style["color"]
        share = np.histogram(spectrum.values, bins, weights=spectrum.weights)[0]
        density.stairs(100 * share, bins, color=colour, ls=style["ls"], lw=1.6, label=name)
        outer = np.concatenate([spectrum.values[:shown], spectrum.values[-shown:]])
        extremes.bar(places + 0.4 * number, outer, 0.4, color=colour, label=name, hatch="//" * number, edgecolor="white")
    density.set_xscale("symlog", linthresh=least)
    powers = 10.0 ** np.arange(np.ceil(np.log10(least)) + 1, np.log10(largest), 2)
    density.set(xticks=[*-powers[::-1], 0, *powers], yscale="log")
    density.set(xlabel="eigenvalue", ylabel="share of the eigenvalues (%)")
    extremes.set_yscale("symlog", linthresh=least)
    extremes.set_xticks(places + 0.2, [*range(1, shown + 1), *range(shown, 0, -1)])
    extremes.axhline(0, color="#000000", lw=1)
    extremes.set(xlabel="place among the lowest (left) and the highest (right)", ylabel="eigenvalue")
    one_legend(figure, [density, extremes], len(spectra))
    return figure
