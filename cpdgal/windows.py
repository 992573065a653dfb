"""Windows: a scene projected and padded, and cut out around pixels only when asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import Tensor

from .scenes import Scene

PADDINGS: dict[str, Any] = {"zero": "constant", "reflect": "reflect", "symmetric": "symmetric"}  # as numpy names them


BLOCK = 2**24  # values of a cube up to which it is scaled and projected at once, and a block's beyond


def _blocks(spectra: np.ndarray) -> Iterator[np.ndarray]:
    rows = max(1, BLOCK // (8 * spectra.shape[1])) if spectra.size > BLOCK else len(spectra)
    for start in range(0, len(spectra), rows):
        yield spectra[start : start + rows]


def _through(steps: Iterable[Any], x: np.ndarray) -> np.ndarray:
    for step in steps:
        x = step.transform(x)
    return x


class Projection:
    """Scaling and PCA, fitted on the spectra of one scene, kept with a network, and applied to any scene of as many bands.

    Args:
        components: number of principal components; 0 keeps the bands.
        whiten: scale the scores to unit variance.
        scaling: a name of `SCALINGS`, for the bands before the PCA.

    Raises ``ValueError`` for an unknown scaling, and for spectra of another number of bands than it was fitted on.
    """

    def __init__(self, components: int = 15, *, whiten: bool = True, scaling: str = "band standard"):
        if scaling not in SCALINGS:
            raise ValueError(f"{scaling!r} is none of {', '.join(SCALINGS)}")
        pca = [PCA(components, whiten=whiten, svd_solver="covariance_eigh")] if components else []
        self.pipeline = make_pipeline(*(step() for step in SCALINGS[scaling]), *pca)

    @property
    def bands(self) -> int:
        """The number of bands that it was fitted on."""
        return self.pipeline.n_features_in_

    def fit(self, spectra: np.ndarray) -> "Projection":
        """Fit on spectra (n, bands), float32; on many values block by block, which is the same to rounding."""
        if spectra.size <= BLOCK:
            self.pipeline.fit(spectra)
        else:
            self._fit_in_blocks(spectra)
        return self

    def _fit_in_blocks(self, spectra: np.ndarray) -> None:
        steps = [step for _, step in self.pipeline.steps]
        *scalings, last = steps
        for number, step in enumerate(scalings if isinstance(last, PCA) else steps):
            for x in _blocks(spectra):
                step.partial_fit(_through(steps[:number], x))
        if not isinstance(last, PCA):
            return
        n, bands = spectra.shape
        total, products = np.zeros(bands), np.zeros((bands, bands))
        for x in _blocks(spectra):
            x = _through(scalings, x).astype(float)
            total, products = total + x.sum(0), products + x.T @ x
        mean = total / n
        variances, vectors = np.linalg.eigh((products - n * np.outer(mean, mean)) / (n - 1))
        root = (vectors * np.sqrt(np.maximum(variances, 0))).T  # root' root is the covariance, which these few rows have too
        last.fit(np.concatenate([root, -root]) * np.sqrt(bands - 0.5))
        last.mean_, last.n_samples_ = mean, n
        last.singular_values_ = np.sqrt(last.explained_variance_ * (n - 1))
        for name, value in vars(last).items():
            if isinstance(value, np.ndarray):
                setattr(last, name, value.astype(np.float32))  # as the spectra

    def scores(self, cube: np.ndarray, mask: np.ndarray | None = None, name: str = "the scene") -> np.ndarray:
        """float32 (height, width, components), or all bands scaled, of a cube (height, width, bands); 0 where the mask
        (height, width) says that a pixel has no data."""
        height, width, bands = cube.shape
        if bands != self.bands:
            raise ValueError(f"{name} has {bands} bands, and the scaling was fitted on {self.bands}")
        scores = np.concatenate([self.pipeline.transform(x).astype(np.float32) for x in _blocks(cube.reshape(-1, bands))])
        scores = scores.reshape(height, width, -1)
        if mask is not None:
            scores[mask] = 0  # as the padding around the scene
        return scores

    def state(self) -> dict[str, Tensor]:
        """What was fitted, by step and name."""
        return {
            f"{number}.{name}": torch.as_tensor(value).contiguous()
            for number, (_, step) in enumerate(self.pipeline.steps)
            for name, value in vars(step).items()
            if name.endswith("_") and isinstance(value, (int, float, np.number, np.ndarray))
        }

    def restore(self, state: Mapping[str, Tensor]) -> "Projection":
        """Take a `state` in place of fitting; the projection is then the one that was fitted, to the bit."""
        for name, value in state.items():
            number, attribute = name.split(".")
            fitted = np.asfortranarray(value.numpy()) if value.ndim else value.item()  # in the order of PCA: sums round alike
            setattr(self.pipeline[int(number)], attribute, fitted)
        return self


class _WholeRange(TransformerMixin, BaseEstimator):
    """The range of all values together, to [0, 1]."""

    def fit(self, x: np.ndarray, y=None) -> "_WholeRange":
        self.low_, self.high_ = float("inf"), float("-inf")
        return self.partial_fit(x)

    def partial_fit(self, x: np.ndarray, y=None) -> "_WholeRange":
        low, high = getattr(self, "low_", float("inf")), getattr(self, "high_", float("-inf"))
        self.low_, self.high_, self.n_features_in_ = min(low, float(x.min())), max(high, float(x.max())), x.shape[1]
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        return (x - self.low_) / (self.high_ - self.low_ or 1.0)


# How bands are brought to one scale, by name.
SCALINGS: dict[str, tuple[Callable, ...]] = {
    "band standard": (StandardScaler,),  # each to mean 0 and variance 1
    "band min-max": (MinMaxScaler,),  # each to [0, 1]
    "min-max": (_WholeRange,),  # the whole scene to [0, 1]
    "min-max minus band means": (_WholeRange, partial(StandardScaler, with_std=False)),
    "none": (partial(StandardScaler, with_mean=False, with_std=False),),
}


class Padded:
    """An image of scores (height, width, channels) with a margin on its four sides, from which windows are cut.

    Args:
        scores: float32 (height, width, channels).
        window, padding: as for `Windows`.
        margins: ((above, below), (left, right)) pixels that are padded; by default what a window reaches over the edge. A part
            of a scene brings its own neighbours where it has them.
    """

    def __init__(self, scores: np.ndarray, window: int, padding: str = "zero", margins=None):
        self.window, self.channels = window, scores.shape[2]
        margins = margins or (((window // 2, (window - 1) // 2),) * 2)
        padded = np.pad(scores, (*margins, (0, 0)), mode=PADDINGS[padding])
        self._rows = padded.reshape(len(padded), -1)  # bands innermost: a row of a window is one run of numbers

    def at(self, rows, columns) -> Tensor:
        """float32 (n, channels, window, window) on the CPU around pixels; rows and columns (n,) count within the margins."""
        run = self.window * self.channels
        view = sliding_window_view(self._rows, (self.window, run))[:, :: self.channels]  # (height, width, w, w * c)
        gathered = torch.from_numpy(view[rows, columns])
        return gathered.unflatten(2, (self.window, -1)).permute(0, 3, 1, 2)


class Windows:
    """Square windows of principal-component scores, or of bands, around the labelled pixels of a scene.

    The scene is projected and padded. Only this one image is kept; a window is copied out of it when it is asked for, so memory
    does not grow with the number of windows.

    Args:
        scene: the scene.
        window: side in pixels. The window of the pixel (r, c) covers rows r - window // 2 up to, not including, r - window // 2
            + window, and columns likewise: its pixel stands at [window // 2, window // 2], so an even window reaches one pixel
            further up and left than down and right.
        components, whiten, scaling: as for `Projection`.
        padding: "zero", "reflect" at the edge pixel, or "symmetric", which repeats it.
        fit_on: labelled pixels (positions as in ``windows[...]``) that the scaling and the PCA are fitted on; None fits on
            every pixel of the scene, as the paper's preprocessing reads (open decision 10).
        projection: one that is fitted already; the four before it are then not asked for.
        device: where windows are delivered.

    Raises ``ValueError`` for a window or number of components that the scene does not have, and for an unknown padding.
    """

    def __init__(
        self,
        scene: Scene,
        window: int = 7,
        components: int = 15,
        *,
        whiten: bool = True,
        scaling: str = "band standard",
        padding: str = "zero",
        fit_on=None,
        projection: Projection | None = None,
        device: str = "cpu",
    ):
        if padding not in PADDINGS:
            raise ValueError(f"{padding!r} is none of {', '.join(PADDINGS)}")
        reach = max(64, 2 * max(scene.labels.shape) - 1)
        if not 1 <= window <= reach:
            raise ValueError(f"{scene.name}: a window has a side of 1 to {reach} pixels, not {window}")
        if projection is None:
            if fit_on is not None:
                spectra = scene.cube[tuple(scene.pixels[fit_on].T)]
            else:
                spectra = scene.cube.reshape(-1, scene.bands) if scene.mask is None else scene.cube[~scene.mask]
            if not (scene.bands and 0 <= components <= min(spectra.shape)):
                raise ValueError(
                    f"{scene.name}: {components} components from {scene.bands} bands and {len(spectra)} pixels; "
                    f"choose 1 to {min(spectra.shape)}, or 0 for the bands themselves"
                )
            projection = Projection(components, whiten=whiten, scaling=scaling)
            try:
                with np.errstate(over="ignore", invalid="ignore"):
                    projection.fit(spectra)
            except np.linalg.LinAlgError as error:
                large = f"values up to {abs(spectra).max():g} are too large for a PCA"
                raise ValueError(f"{scene.name}: {large}; rescale the cube, or choose another scaling") from error
        self.scene, self.window, self.projection, self.padding, self.device = scene, window, projection, padding, device
        self._image = Padded(projection.scores(scene.cube, scene.mask, scene.name), window, padding)
        self.channels = self._image.channels

    def on(self, scene: Scene) -> "Windows":
        """The windows of another scene of as many bands through this one's projection."""
        return Windows(scene, self.window, padding=self.padding, projection=self.projection, device=self.device)

    def __len__(self) -> int:
        return len(self.scene.pixels)

    def __getitem__(self, index) -> Tensor:
        """float32 (len(index), channels, window, window); `index` counts the labelled pixels row by row."""
        rows, columns = self.scene.pixels[np.asarray(index)].reshape(-1, 2).T
        return self.at(rows, columns)

    def at(self, rows, columns) -> Tensor:
        """float32 (n, channels, window, window) around any pixels, labelled or not; rows and columns (n,)."""
        return self._image.at(rows, columns).to(self.device)

    def batches(self, index, size: int = 32) -> Iterator[Tensor]:
        """The windows of `index`, `size` at a time."""
        for start in range(0, len(index), size):
            yield self[index[start : start + size]]

    def scene_batches(self, size: int = 32) -> Iterator[Tensor]:
        """The windows of every pixel of the scene, row by row, `size` at a time: for maps."""
        height, width = self.scene.labels.shape
        for start in range(0, height * width, size):
            yield self.at(*np.divmod(np.arange(start, min(start + size, height * width)), width))
