"""SPRN: Zhang et al., "Spectral Partitioning Residual Network With Spatial Attention Mechanism for Hyperspectral Image
Classification", IEEE TGRS, 2021.
"""

import torch
from torch import Tensor, nn

from .recipe import Recipe

GROUPS, WIDTH = 11, 11 * 37  # as published for Indian Pines and Salinas


class SPRN(nn.Module):
    """Groups of neighbouring bands, two residual blocks, and a mean over the window.

    It is the variant without the authors' homogeneous pixel detection: every convolution is 1 x 1, so the order of the
    pixels in a window does not matter.

    Args:
        bands, window, classes: shape of the input windows (c, w, w) and number of classes k. Where the groups do not divide the
            bands, the last band is repeated.
    """

    def __init__(self, bands=200, window=7, classes=16):
        super().__init__()
        self.shape = (bands, window, window)
        self.missing = -bands % GROUPS
        self.stem = _convolution(bands + self.missing, WIDTH, GROUPS)
        self.blocks = nn.Sequential(Block(), Block())
        self.fuse = _convolution(WIDTH, 128)
        self.head = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (b, c, w, w) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"SPRN takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        x = torch.cat([x, x[:, -1:].expand(-1, self.missing, -1, -1)], 1)
        x = self.blocks(self.stem(x).relu())  # (b, 407, w, w)
        return self.head(self.fuse(x).relu().mean((2, 3)))


class Block(nn.Module):
    """A branch inside the groups, and a narrow one across them, added to the input; (b, d, w, w) -> (b, d, w, w)."""

    def __init__(self):
        super().__init__()
        self.within = nn.Sequential(_convolution(WIDTH, WIDTH, GROUPS), nn.ReLU(), _convolution(WIDTH, WIDTH, GROUPS))
        self.across = nn.Sequential(_convolution(WIDTH, 32), nn.ReLU(), _convolution(32, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.within(x) + self.across(x)).relu()


def _convolution(bands_in: int, bands_out: int, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(bands_in, bands_out, 1, groups=groups), nn.BatchNorm2d(bands_out))


RECIPE = Recipe(
    network=SPRN,
    title="SPRN",
    citation="Zhang et al., IEEE TGRS, 2021, doi:10.1109/TGRS.2021.3074196",
    evidence="reference run",
    rank=4,
    published=0.18,
    window=7,
    scaling="min-max",
    padding="reflect",
    optimizer="adam",
    learning_rate=1e-3,
    decay="tenth at 100 and 250",
    epochs=300,
    batch=64,
    augment=True,
)
