"""Fig. 3: verdicts on loss surfaces and Hessian spectra, and their figures."""

import sys

import numpy as np
from matplotlib.figure import Figure

from ..plots import line_styles, one_legend, panels
from ..study import Study
from .landscape import Spectrum, Surface, barriers, convexity
from .verdicts import Verdict

NETWORKS = {"CPDGAL": "cpdgal", "ViT": "vit"}
SCENES = ("indian_pines", "salinas_a")


def study(scene: str, method: str, profile: str = "paper", seed: int = 0, components: int = 15) -> Study:
    """The training on 5 % of the labels, drawn at random, whose loss is looked at."""
    return Study(scene=scene, method=method, profile=profile, seed=seed, components=components, cycles=0, initial=0.5)


STUDIES = {study(scene, method): True for scene in SCENES for method in NETWORKS.values()}


def _verdict(halves: tuple[bool, bool], here: str) -> Verdict:
    """What one training of each network says to a claim of two halves: a verdict takes three."""
    would = ("not hold", "hold in part", "hold")[sum(halves)]
    return Verdict("undecided", here, f"{here}. By this one training of each network it would {would}.", 1)


def verdict_convex(cpdgal: list[np.ndarray], vit: list[np.ndarray]) -> Verdict:
    """Section 4: "CPDGAL shows a smooth, convex 3D surface with a singular global optimum", ViT "multiple local minima".

    From the losses of each network's surfaces. CPDGAL's half holds when every surface has one minimum and is convex at 95 % of
    its points on average; ViT's when most surfaces have further minima.
    """
    shares = [100 * np.mean([convexity(loss) for loss in losses]) for losses in (cpdgal, vit)]
    ours, theirs = (np.array([len(barriers(loss)) for loss in losses]) for losses in (cpdgal, vit))
    here = (
        f"convex at {shares[0]:.0f} % of the points for CPDGAL and {shares[1]:.0f} % for ViT; further local minima on "
        f"{np.count_nonzero(ours)} of {len(ours)} surfaces and on {np.count_nonzero(theirs)} of {len(theirs)}"
    )
    return _verdict((shares[0] >= 95 and not ours.any(), np.median(theirs) > 0), here)


def verdict_flat(cpdgal: list[float], vit: list[float]) -> Verdict:
    """Section 4: "CPDGAL forms a broad, centralized flat minimum", ViT "sharply peaked minima".

    From the basin widths of each network's surfaces. *Holds* when the narrowest of CPDGAL's is wider than the widest of ViT's,
    *in part* when the means alone say so.
    """
    here = f"basins {np.mean(cpdgal):.2f} wide for CPDGAL and {np.mean(vit):.2f} for ViT"
    return _verdict((np.mean(cpdgal) > np.mean(vit), min(cpdgal) > max(vit)), here)


def verdict_skew(cpdgal: Spectrum, vit: Spectrum) -> Verdict:
    """Section 4: "For ViT, eigenvalues skew negative"; CPDGAL's are "symmetric around zero, slightly skewed positive".

    ViT's half holds when its skewness is below 0, CPDGAL's when its own is between 0 and 1.
    """
    here = (
        f"skewness {cpdgal.skewness:+.1f} for CPDGAL and {vit.skewness:+.1f} for ViT; "
        f"{100 * cpdgal.negative():.1f} % and {100 * vit.negative():.1f} % of the eigenvalues negative"
    )
    return _verdict((vit.skewness < 0, 0 <= cpdgal.skewness <= 1), here)


def verdict_magnitude(cpdgal: Spectrum, vit: Spectrum) -> Verdict:
    """Section 4: "CPDGAL's eigenvalue magnitudes (e.g., 1, 2) far exceed ViT's (e.g., 0.2, 0.4)": five times.

    *Holds* when CPDGAL's largest is at least five times ViT's, *in part* when it is larger.
    """
    here = f"largest magnitude {cpdgal.largest:.3g} for CPDGAL and {vit.largest:.3g} for ViT"
    return _verdict((cpdgal.largest > vit.largest, cpdgal.largest >= 5 * vit.largest), here)


def loss_surfaces(surfaces: dict[str, Surface]):
    """Loss surfaces to be turned by hand, side by side: HTML that loads plotly.js from the book's static files.

    The height is the logarithm of the loss, so that the minimum shows beside the walls.
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
    figure.update_scenes(**named, zaxis_range=span, camera_eye={"x": 1.6, "y": 1.6, "z": 0.9})
    shared = {"cmin": span[0], "cmax": span[1], "colorscale": "Cividis", "colorbar_title": "log10 loss"}
    figure.update_layout(height=460, margin={"l": 0, "r": 0, "t": 40, "b": 0}, template="plotly_white", coloraxis=shared)
    library = "cdn" if "google.colab" in sys.modules else "../_static/plotly.min.js"
    body = figure.to_html(full_html=False, include_plotlyjs=library, div_id="loss-surfaces")
    return HTML(f'<div role="img" aria-label="Turnable loss surfaces of {" and ".join(surfaces)}">{body}</div>')


def loss_contours(surfaces: dict[str, Surface]) -> Figure:
    """The same surfaces as contours, at levels shared by all; the cross marks the lowest point."""
    figure, axes = panels(4.7 * len(surfaces), 4.2, len(surfaces), grid=False)
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
