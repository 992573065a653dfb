"""Windows: principal components of a scene, zero-padded, and cut out around pixels only when asked for."""

from collections.abc import Iterator
from copy import copy

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from .scenes import Scene


class Windows:
    """Square windows of principal-component scores around the labelled pixels of a scene.

    Bands are standardised, reduced by PCA, and the image is padded with zeros. Only this one image is kept; a window
    is copied out of it when it is asked for, so memory does not grow with the number of windows.

    Parameters
    ----------
    scene
        the scene.
    window
        side in pixels. The window of the pixel (r, c) covers rows r - window // 2 up to, not including,
        r - window // 2 + window, and columns likewise: its pixel stands at [window // 2, window // 2], so an even
        window reaches one pixel further up and left than down and right.
    components
        number of principal components.
    whiten
        scale the scores to unit variance.
    fit_on
        labelled pixels (positions as in ``windows[...]``) that the standardisation and the PCA are fitted on;
        None fits on every pixel of the scene, as the paper's preprocessing reads (open decision 10).
    device
        where windows are delivered.

    Raises
    ------
    ValueError
        For a window or number of components that the scene does not have.
    """

    def __init__(self, scene: Scene, window=7, components=15, *, whiten=True, fit_on=None, device="cpu"):
        if window < 1:
            raise ValueError(f"a window has a side of at least 1 pixel, not {window}")
        bands = scene.bands
        fitted_on = scene.cube.reshape(-1, bands) if fit_on is None else scene.cube[tuple(scene.pixels[fit_on].T)]
        if not 1 <= components <= min(fitted_on.shape):
            raise ValueError(
                f"{scene.name}: {components} components from {bands} bands and {len(fitted_on)} pixels; "
                f"choose 1 to {min(fitted_on.shape)}"
            )
        self.scene, self.window, self.device, self._components = scene, window, device, components
        self.reduction = make_pipeline(StandardScaler(), PCA(components, whiten=whiten, svd_solver="covariance_eigh"))
        self.reduction.fit(fitted_on)
        self._rows = self._padded(scene)

    def on(self, scene: Scene) -> "Windows":
        """The windows of another scene through this one's standardisation and PCA.

        Raises ``ValueError`` when the scene has another number of bands.
        """
        if scene.bands != self.scene.bands:
            raise ValueError(f"{scene.name} has {scene.bands} bands, and the PCA was fitted on {self.scene.bands}")
        other = copy(self)
        other.scene, other._rows = scene, self._padded(scene)
        return other

    def _padded(self, scene: Scene) -> np.ndarray:
        """The scores of the scene, zero-padded; bands innermost: a row of a window is one run of numbers."""
        height, width, bands = scene.cube.shape
        scores = self.reduction.transform(scene.cube.reshape(-1, bands)).reshape(height, width, -1)
        before, after = self.window // 2, (self.window - 1) // 2
        padded = np.pad(scores.astype(np.float32), ((before, after), (before, after), (0, 0)))
        return padded.reshape(len(padded), -1)

    def __len__(self) -> int:
        return len(self.scene.pixels)

    def __getitem__(self, index) -> Tensor:
        """float32 (len(index), components, window, window); `index` counts the labelled pixels row by row."""
        rows, columns = self.scene.pixels[np.asarray(index)].reshape(-1, 2).T
        return self.at(rows, columns)

    def at(self, rows, columns) -> Tensor:
        """float32 (n, components, window, window) around any pixels, labelled or not; rows and columns (n,)."""
        run = self.window * self._components
        view = sliding_window_view(self._rows, (self.window, run))[:, :: self._components]  # (height, width, w, w * c)
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


def _parts(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))
