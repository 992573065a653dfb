"""3DSA-MFN-style network, after Qing, Huang, Feng, Qi and Liu, "Multiscale Feature Fusion Network Incorporating 3D
Self-Attention for Hyperspectral Image Classification", Remote Sensing 14(3):742, 2022, doi:10.3390/rs14030742.

Axes: ``b`` samples, ``c`` channels, ``n`` voxels as tokens, ``h`` heads, ``k`` classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .recipe import Recipe


class MFN3DSA(nn.Module):
    """3DSA-MFN-style, not a reproduction: multiscale 3-D convolutions, 3-D attention at two granularities, fusion.

    No code of 3DSA-MFN is public. The three ideas are those of the paper's abstract; every size here is a choice.

    Args:
        bands, window, classes: shape of the input windows and number of classes k. Any of both; default 30 principal components
            and a window of 9. The attention is quadratic in the voxels left after a stride of 2: 375 there, 2,500 at 200 bands.

    Raises:
        ValueError: When bands or window are below 1.
    """

    def __init__(self, bands: int = 30, window: int = 9, classes: int = 16):
        super().__init__()
        if bands < 1 or window < 1:
            raise ValueError(f"MFN3DSA takes at least one band and a window of at least 1, not {bands} and {window}")
        self.shape = (bands, window, window)
        self.scales = nn.ModuleList(nn.Sequential(*_conv(1, 8, size)) for size in (3, 5, 7))
        self.fuse = nn.Sequential(*_conv(24, 32, 3, stride=2))
        self.fine = Attention3D(32)
        self.pool = nn.AvgPool3d(2, ceil_mode=True)
        self.coarse = Attention3D(32)
        self.mix = nn.Sequential(*_conv(64, 64, 1))
        self.head = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.4), nn.Linear(64, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Windows x (b, bands, w, w) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"MFN3DSA takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        x = self.fuse(torch.cat([scale(x[:, None]) for scale in self.scales], 1))  # (b, 32, bands / 2, w / 2, w / 2)
        coarse = F.interpolate(self.coarse(self.pool(x)), x.shape[2:])
        x = self.mix(torch.cat([self.fine(x), coarse], 1))  # (b, 64, bands / 2, w / 2, w / 2)
        return self.head(x.mean((2, 3, 4)))


class Attention3D(nn.Module):
    """Attention over all voxels plus a depthwise convolution of its values, around a shortcut; shape kept.

    The convolution also tells where a voxel is: there is no positional embedding.
    """

    def __init__(self, channels: int, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Conv3d(channels, 3 * channels, 1)
        self.local = nn.Conv3d(channels, channels, 3, padding=1, groups=channels)
        self.out = nn.Conv3d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x.movedim(1, 4)).movedim(4, 1)).chunk(3, 1)  # each like x
        heads = (t.flatten(2).unflatten(1, (self.heads, -1)).mT for t in (q, k, v))
        q, k, tokens = heads  # each (b, h, n, c / h)
        weights = (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1)
        mixed = F.dropout(weights, 0.1, self.training) @ tokens
        return x + self.out(mixed.mT.reshape(x.shape) + self.local(v))


def _conv(channels: int, out: int, size: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv3d(channels, out, size, stride=stride, padding=size // 2, bias=False)
    return [conv, nn.BatchNorm3d(out), nn.ReLU()]


RECIPE = Recipe(
    network=MFN3DSA,
    title="3DSA-MFN-style",
    citation="after Qing et al., Remote Sensing 14(3), 2022",
    evidence="abstract only: not a reproduction, sizes and recipe chosen",
    rank=16,
    components=30,
    window=9,
    scaling="none",
    padding="zero",
    optimizer="adam",
    learning_rate=1e-3,
    decay="cosine",
    epochs=100,
    batch=64,
)
