"""Fig. 5: how well classes separate in the features of trained networks."""

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..plots import one_legend, panels
from ..scenes import Scene
from ..study import Study
from .common import studies_of, sweep
from .verdicts import Verdict, better, combined


def studies(seeds: Iterable[int], **values) -> dict[str, list[Study]]:
    """The studies by what was learned: once, from labels at random (one a seed), and in the loop (seed 0)."""
    once = {"CPDGAL, 5 % at random": {"method": "cpdgal"}, "ViT, 5 % at random": {"method": "vit"}}
    loop = {"CPDGAL, loop": {}, "ViT, loop": {"method": "vit"}, "CPDGAL, loop, random queries": {"query": "random"}}
    return studies_of(once, seeds, cycles=0, initial=0.5, **values) | studies_of(loop, [0], **values)


STUDIES = sweep(studies(range(3)), weights=range(3))


def neighbour_purity(features: np.ndarray, classes: np.ndarray, neighbours: int = 10) -> float:
    """Percent of the nearest neighbours of each sample, itself not counted, that share its class; features (n, d)."""
    nearest = NearestNeighbors(n_neighbors=neighbours).fit(features).kneighbors(return_distance=False)
    return float(100 * (classes[nearest] == classes[:, None]).mean())


def linear_probe(features: np.ndarray, classes: np.ndarray) -> float:
    """Percent of the second half of the samples that a logistic regression on the first half gets right; features (n, d)."""
    half = len(features) // 2
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(features[:half], classes[:half])
    return float(100 * probe.score(features[half:], classes[half:]))


def separation(features: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """How far apart classes are in a feature space (n, d): silhouette, `neighbour_purity`, `linear_probe`, each times 100."""
    return {
        "silhouette, hundredths": float(100 * silhouette_score(features, classes)),
        "purity, %": neighbour_purity(features, classes),
        "linear probe, %": linear_probe(features, classes),
    }


def more_separated(left: Mapping[int, dict], right: Mapping[int, dict], names: tuple[str, str]) -> Verdict:
    """On "compact, well-separated clusters": silhouette and neighbour purity are both higher on the left, each by `better`,
    given the `separation` of features at every seed."""
    verdicts = {}
    for name, unit in (("silhouette", "hundredths"), ("purity", "%")):
        one, other = ({seed: each[f"{name}, {unit}"] for seed, each in side.items()} for side in (left, right))
        named = (f"{name.capitalize()}, {names[0]}", names[1])
        verdicts[name] = better(one, other, named, "points" if unit == "%" else unit)
    return combined(verdicts)


def neighbours_in_the_plane(classes: np.ndarray, placed: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """The `neighbour_purity` of samples as they are drawn by `embeddings`, for a caption."""
    shares = {
        f"{network}, {setting}": neighbour_purity(points, classes)
        for network, settings in placed.items()
        for setting, points in settings.items()
    }
    listed = "; ".join(f"{share:.0f} % ({name})" for name, share in shares.items())
    return f"Of the ten nearest neighbours in the plane, the share with the class of the pixel is {listed}."


def embeddings(scene: Scene, classes: np.ndarray, placed: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Samples placed in the plane, (n, 2) for each network (rows) and setting (columns), coloured and marked by class (n,)."""
    titled = {f"{network}, {name}": points for network, settings in placed.items() for name, points in settings.items()}
    columns = len(titled) // len(placed)
    figure, axes = panels(max(3.1 * columns, 6.2), 3.1 + 1.2 / len(placed), len(titled), columns, grid=False)
    for axis, (title, points) in zip(axes, titled.items(), strict=True):
        for k, name in enumerate(scene.class_names):
            x, y = points[classes == k].T
            dot: dict = {"s": 14, "marker": "osD^"[k % 4], "edgecolors": "#333333", "linewidths": 0.2, "rasterized": True}
            axis.scatter(x, y, color=scene.palette[k], label=name, **dot)
        axis.set(title=title, xticks=[], yticks=[], xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)")
    one_legend(figure, axes, 4)
    return figure
