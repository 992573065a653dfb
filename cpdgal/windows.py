"""Windows: a scene scaled, reduced and padded, and cut out around pixels only when asked for."""

from collections.abc import Iterator
from copy import copy

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from torch import Tensor

from .scenes import Scene

# How bands are brought to one scale: by name, for `Windows`.
SCALINGS = {
    "band standard": "each band to mean 0 and variance 1",
    "band min-max": "each band to [0, 1]",
    "min-max": "the whole scene to [0, 1]",
    "min-max minus band means": "the whole scene to [0, 1], then each band's mean subtracted",
    "none": "as they come",
}
PADDINGS = {"zero": "constant", "reflect": "reflect", "symmetric": "symmetric"}  # as numpy names them


class Windows:
    """Square windows of principal-component scores, or of bands, around the labelled pixels of a scene.

    Bands are scaled, reduced by PCA, and the image is padded. Only this one image is kept; a window is copied out of it when
    it is asked for, so memory does not grow with the number of windows.

    Parameters
    ----------
    scene
        the scene.
    window
        side in pixels. The window of the pixel (r, c) covers rows r - window // 2 up to, not including,
        r - window // 2 + window, and columns likewise: its pixel stands at [window // 2, window // 2], so an even
        window reaches one pixel further up and left than down and right.
    components
        number of principal components; 0 keeps the bands.
    whiten
        scale the scores to unit variance.
    scaling
        a name of `SCALINGS`, for the bands before the PCA.
    padding
        "zero", "reflect" at the edge pixel, or "symmetric", which repeats it.
    fit_on
        labelled pixels (positions as in ``windows[...]``) that the scaling and the PCA are fitted on;
        None fits on every pixel of the scene, as the paper's preprocessing reads (open decision 10).
    device
        where windows are delivered.

    Raises
    ------
    ValueError
        For a window or number of components that the scene does not have, and for an unknown scaling or padding.
    """

    def __init__(
        self,
        scene: Scene,
        window=7,
        components=15,
        *,
        whiten=True,
        scaling="band standard",
        padding="zero",
        fit_on=None,
        device="cpu",
    ):
        for value, known in ((scaling, SCALINGS), (padding, PADDINGS)):
            if value not in known:
                raise ValueError(f"{value!r} is none of {', '.join(known)}")
        if window < 1:
            raise ValueError(f"a window has a side of at least 1 pixel, not {window}")
        bands = scene.bands
        fitted_on = scene.cube.reshape(-1, bands) if fit_on is None else scene.cube[tuple(scene.pixels[fit_on].T)]
        if not 0 <= components <= min(fitted_on.shape):
            raise ValueError(
                f"{scene.name}: {components} components from {bands} bands and {len(fitted_on)} pixels; "
                f"choose 1 to {min(fitted_on.shape)}, or 0 for the bands themselves"
            )
        self.scene, self.window, self.device, self._padding = scene, window, device, PADDINGS[padding]
        self.channels = components or bands
        pca = [PCA(components, whiten=whiten, svd_solver="covariance_eigh")] if components else []
        self.reduction = make_pipeline(*_scalers(scaling, fitted_on), *pca).fit(fitted_on)
        self._rows = self._padded(scene)

    def on(self, scene: Scene) -> "Windows":
        """The windows of another scene through this one's scaling and PCA.

        Raises ``ValueError`` when the scene has another number of bands.
        """
        if scene.bands != self.scene.bands:
            raise ValueError(f"{scene.name} has {scene.bands} bands, and the scaling was fitted on {self.scene.bands}")
        other = copy(self)
        other.scene, other._rows = scene, self._padded(scene)
        return other

    def _padded(self, scene: Scene) -> np.ndarray:
        """The scores of the scene, padded; bands innermost: a row of a window is one run of numbers."""
        height, width, bands = scene.cube.shape
        scores = self.reduction.transform(scene.cube.reshape(-1, bands)).reshape(height, width, -1)
        before, after = self.window // 2, (self.window - 1) // 2
        padded = np.pad(scores.astype(np.float32), ((before, after), (before, after), (0, 0)), mode=self._padding)
        return padded.reshape(len(padded), -1)

    def __len__(self) -> int:
        return len(self.scene.pixels)

    def __getitem__(self, index) -> Tensor:
        """float32 (len(index), channels, window, window); `index` counts the labelled pixels row by row."""
        rows, columns = self.scene.pixels[np.asarray(index)].reshape(-1, 2).T
        return self.at(rows, columns)

    def at(self, rows, columns) -> Tensor:
        """float32 (n, channels, window, window) around any pixels, labelled or not; rows and columns (n,)."""
        run = self.window * self.channels
        view = sliding_window_view(self._rows, (self.window, run))[:, :: self.channels]  # (height, width, w, w * c)
        gathered = torch.from_numpy(view[rows, columns])
        return gathered.unflatten(2, (self.window, -1)).permute(0, 3, 1, 2).to(self.device)

    def batches(self, index, size: int = 128) -> Iterator[Tensor]:
        """The windows of `index`, `size` at a time."""
        for part in _parts(len(index), size):
            yield self[index[part]]

    def scene_batches(self, size: int = 128) -> Iterator[Tensor]:
        """The windows of every pixel of the scene, row by row, `size` at a time: for maps."""
        height, width = self.scene.labels.shape
        for part in _parts(height * width, size):
            yield self.at(*np.divmod(np.arange(part.start, min(part.stop, height * width)), width))


def _scalers(scaling: str, fitted_on: np.ndarray) -> list:
    """The steps before the PCA. Whole-scene ranges are a function of two numbers, the lowest and the highest."""
    if scaling == "band standard":
        return [StandardScaler()]
    if scaling == "band min-max":
        return [MinMaxScaler()]
    if scaling == "none":
        return [FunctionTransformer()]
    low, high = float(fitted_on.min()), float(fitted_on.max())
    whole = FunctionTransformer(_ranged, kw_args={"low": low, "high": high})
    return [whole] if scaling == "min-max" else [whole, StandardScaler(with_std=False)]


def _ranged(x: np.ndarray, low: float, high: float) -> np.ndarray:
    return (x - low) / (high - low or 1.0)


def _parts(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))
