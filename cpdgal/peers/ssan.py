"""SSAN: Sun, Zheng, Lu and Wu, "Spectral-Spatial Attention Network for Hyperspectral Image Classification", IEEE
Transactions on Geoscience and Remote Sensing 58(5):3232-3245, 2020, doi:10.1109/TGRS.2019.2951160.

Axes: ``b`` samples, ``c`` channels, ``n`` pixels of a map, ``k`` classes.
"""

from torch import Tensor, nn

from .recipe import Recipe


class SSAN(nn.Module):
    """Spectral convolutions, then spatial convolutions between non-local attention blocks.

    This is the public PyTorch port, which comparisons use; the authors' TensorFlow code is another network.

    Args:
        bands, window, classes: shape of the input windows and number of classes k. Any of both; native 200 bands, raw, and a
            window of 9. The parameters grow with the square of the bands: 87 M at 200.

    Raises:
        ValueError: When bands or window are below 1.
    """

    def __init__(self, bands: int = 200, window: int = 9, classes: int = 16):
        super().__init__()
        if bands < 1 or window < 1:
            raise ValueError(f"SSAN takes at least one band and a window of at least 1, not {bands} and {window}")
        self.shape = (bands, window, window)
        self.spectral = nn.Sequential(
            nn.Conv3d(1, 32, (1, 1, 7), padding=(0, 0, 3)), nn.Conv3d(32, 32, (1, 1, 7), padding=(0, 0, 3))
        )
        self.attention1 = NonLocal(32 * bands, 16 * bands)
        self.attention2 = NonLocal(64, 32)  # called twice
        self.conv1 = nn.Sequential(nn.Conv2d(32 * bands, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU())
        self.conv2 = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU())
        self.head = nn.Sequential(
            nn.Linear(64 * window * window, 256),
            nn.Dropout(0.5),
            nn.BatchNorm1d(256),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(256, classes),
            nn.BatchNorm1d(classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Windows x (b, bands, w, w) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"SSAN takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        x = self.spectral(x.movedim(1, 3)[:, None])  # (b, 32, w, w, bands)
        x = self.attention1(x.movedim(4, 2).flatten(1, 2))  # (b, 32 * bands, w, w)
        x = self.attention2(self.conv1(x))  # (b, 64, w, w)
        x = self.attention2(self.conv2(x))
        return self.head(x.flatten(1))


class NonLocal(nn.Module):
    """Attention of every pixel to every other, around a shortcut; (b, c, w, w) -> the same.

    The last norm starts at zero, so that the block starts as the identity.
    """

    def __init__(self, channels: int, inner: int):
        super().__init__()
        self.value = nn.Conv2d(channels, inner, 1)
        norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(norm.weight)
        nn.init.zeros_(norm.bias)
        self.out = nn.Sequential(nn.Conv2d(inner, channels, 1), norm)
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (project(x).flatten(2) for project in (self.query, self.key, self.value))  # each (b, inner, n)
        y = v @ (q.mT @ k).softmax(-1).mT  # not scaled: (b, inner, n)
        return self.out(y.unflatten(2, x.shape[2:])) + x


RECIPE = Recipe(
    network=SSAN,
    title="SSAN",
    citation="Sun et al., IEEE TGRS 58(5), 2020",
    evidence="reference run of a port",
    rank=14,
    window=9,
    scaling="band standard",
    padding="zero",
    optimizer="adam",
    learning_rate=1e-3,
    epochs=100,
    batch=32,
)
