"""SSAN: Sun, Zheng, Lu and Wu, "Spectral-Spatial Attention Network for Hyperspectral Image Classification", IEEE
Transactions on Geoscience and Remote Sensing 58(5):3232-3245, 2020, doi:10.1109/TGRS.2019.2951160.

Axes: ``b`` samples, ``c`` channels, ``n`` pixels of a map, ``k`` classes.
"""

from torch import Tensor, nn

from .recipe import Recipe


class SSAN(nn.Module):
    """Spectral convolutions, then spatial convolutions between non-local attention blocks.

    Parameters
    ----------
    bands, window, classes
        shape of the input windows and number of classes k. Any of both; native 200 bands, raw, and a window of 9. The
        parameters grow with the square of the bands: 87 M at 200.
    original
        False is the public PyTorch port, which comparisons use. True follows the authors' TensorFlow code and is
        another network ("SSAN-TF", 6.7 M parameters at the native setting): attention 64 wide,
        a third block with its own weights, ReLU after the spectral convolutions and inside the blocks, one dropout,
        no bias in front of a batch norm, and batch statistics with a decay of 0.95.

    Raises
    ------
    ValueError
        When bands or window are below 1.
    """

    def __init__(self, bands: int = 200, window: int = 9, classes: int = 16, *, original: bool = False):
        super().__init__()
        if bands < 1 or window < 1:
            raise ValueError(f"SSAN takes at least one band and a window of at least 1, not {bands} and {window}")
        self.shape = (bands, window, window)
        channels, bias = 32 * bands, not original
        momentum = 0.05 if original else 0.1
        act = nn.ReLU if original else nn.Identity
        self.spectral = nn.Sequential(
            nn.Conv3d(1, 32, (1, 1, 7), padding=(0, 0, 3)), act(), nn.Conv3d(32, 32, (1, 1, 7), padding=(0, 0, 3)), act()
        )
        self.attention1 = NonLocal(channels, 64 if original else channels // 2, act, bias, momentum)
        self.attention2 = NonLocal(64, 64 if original else 32, act, bias, momentum)
        # The port calls its second block twice.
        self.attention3 = NonLocal(64, 64, act, bias, momentum) if original else self.attention2
        self.conv1 = nn.Sequential(
            nn.Conv2d(channels, 64, 3, padding=1, bias=bias), nn.BatchNorm2d(64, momentum=momentum), nn.ReLU()
        )
        self.conv2 = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1, bias=bias), nn.BatchNorm2d(64, momentum=momentum), nn.ReLU())
        self.head = nn.Sequential(
            nn.Linear(64 * window * window, 256, bias=bias),
            nn.Identity() if original else nn.Dropout(0.5),
            nn.BatchNorm1d(256, momentum=momentum),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(256, classes, bias=bias),
            nn.BatchNorm1d(classes, momentum=momentum),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Windows x (b, bands, w, w) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"SSAN takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        x = self.spectral(x.movedim(1, 3)[:, None])  # (b, 32, w, w, bands)
        x = self.attention1(x.movedim(4, 2).flatten(1, 2))  # (b, 32 * bands, w, w)
        x = self.attention2(self.conv1(x))  # (b, 64, w, w)
        x = self.attention3(self.conv2(x))
        return self.head(x.flatten(1))


class NonLocal(nn.Module):
    """Attention of every pixel to every other, around a shortcut; (b, c, w, w) -> the same.

    The last norm starts at zero, so that the block starts as the identity.
    """

    def __init__(self, channels: int, inner: int, act: type[nn.Module], bias: bool, momentum: float):
        super().__init__()
        self.value = nn.Sequential(nn.Conv2d(channels, inner, 1), act())
        self.out = nn.Sequential(nn.Conv2d(inner, channels, 1, bias=bias), nn.BatchNorm2d(channels, momentum=momentum), act())
        self.query = nn.Sequential(nn.Conv2d(channels, inner, 1), act())
        self.key = nn.Sequential(nn.Conv2d(channels, inner, 1), act())
        nn.init.zeros_(self.out[1].weight)
        nn.init.zeros_(self.out[1].bias)

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
