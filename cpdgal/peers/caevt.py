"""CAEVT: Zhang, Li, Tang, Hu and Peng, "CAEVT: Convolutional Autoencoder Meets Lightweight Vision Transformer for
Hyperspectral Image Classification", Sensors 22(10):3902, 2022, doi:10.3390/s22103902.

Axes: ``b`` samples, ``c`` channels, ``n`` tokens, ``d`` embedding, ``h`` heads, ``k`` classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .recipe import Recipe


class CAEVT(nn.Module):
    """A 3-D convolutional encoder, a MobileViT block over its map, a linear classifier.

    Encoder only: the decoder of the paper's autoencoder, its pretraining and its reconstruction loss are in no public
    code, and are not here.

    Args:
        bands, window, classes: shape of the input windows and number of classes k. The window is 8; at least 29 bands, native
            200, raw. Of bands - 20, what 9 does not divide is dropped by the strided encoder layer.

    Raises:
        ValueError: When the window is not 8 or there are fewer than 29 bands.
    """

    def __init__(self, bands: int = 200, window: int = 8, classes: int = 16):
        super().__init__()
        if window != 8:
            raise ValueError(f"CAEVT takes windows of 8 pixels a side, not {window}")
        if bands < 29:
            raise ValueError(f"CAEVT takes 29 bands or more, not {bands}: its encoder consumes 20 and pools the rest by 9")
        self.shape = (bands, window, window)
        self.encoder = nn.Sequential(
            nn.Conv3d(1, 24, (11, 3, 3)),
            nn.BatchNorm3d(24),
            nn.PReLU(),
            nn.Conv3d(24, 48, (11, 1, 1)),
            nn.BatchNorm3d(48),
            nn.PReLU(),
            nn.Conv3d(48, 48, (9, 1, 1), stride=(9, 1, 1)),
        )
        slices = (bands - 20) // 9
        self.conv3x3 = nn.Sequential(nn.Conv2d(48 * slices, 32, 3), nn.BatchNorm2d(32), nn.SiLU())
        self.vit = MobileViTBlock(32)
        self.conv1x1 = nn.Sequential(nn.Conv2d(32, 16, 1), nn.BatchNorm2d(16), nn.SiLU())
        self.head = nn.Linear(16 * 4 * 4, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Windows x (b, bands, 8, 8) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"CAEVT takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        x = self.encoder(x[:, None])  # (b, 48, slices, 6, 6)
        x = self.conv3x3(x.flatten(1, 2))  # (b, 32, 4, 4)
        x = self.conv1x1(self.vit(x))  # (b, 16, 4, 4)
        return self.head(x.flatten(1))


class MobileViTBlock(nn.Module):
    """Local convolutions, one transformer block across 2 x 2 patches, fusion with the input; (b, c, 4, 4) -> the same."""

    def __init__(self, dim: int):
        super().__init__()
        self.local = nn.Sequential(_conv(dim, dim, 3), nn.Conv2d(dim, dim, 1, bias=False))
        self.norm_attention = nn.LayerNorm(dim)
        self.attention = Attention(dim)
        self.norm_ffn = nn.LayerNorm(dim)
        self.ffn = nn.Sequential(nn.Linear(dim, 4 * dim), nn.SiLU(), nn.Linear(4 * dim, dim), nn.Dropout(0.1))
        self.norm = nn.LayerNorm(dim)
        self.project = _conv(dim, dim, 1)
        self.fuse = _conv(2 * dim, dim, 3)

    def forward(self, x: Tensor) -> Tensor:
        t = self.local(x).unflatten(3, (2, 2)).unflatten(2, (2, 2))  # (b, d, patch row, row, patch column, column)
        b, d = t.shape[:2]
        # A sequence joins the pixels at one place of every patch.
        t = t.permute(0, 3, 5, 2, 4, 1).reshape(4 * b, 4, d)  # (b * places, n, d)
        t = t + self.attention(self.norm_attention(t))
        t = t + self.ffn(self.norm_ffn(t))
        t = self.norm(t).reshape(b, 2, 2, 2, 2, d)  # (b, row, column, patch row, patch column, d)
        t = t.permute(0, 5, 3, 1, 4, 2).reshape(x.shape)
        return self.fuse(torch.cat([x, self.project(t)], 1))


class Attention(nn.Module):
    """Multi-head self-attention, (b, n, d) -> (b, n, d)."""

    def __init__(self, dim: int, heads: int = 8):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (b, h, n, d / h)
        weights = (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1)
        mixed = F.dropout(weights, 0.1, self.training) @ v
        return F.dropout(self.out(mixed.transpose(1, 2).flatten(2)), 0.1, self.training)


def _conv(channels: int, out: int, size: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, size, padding=size // 2, bias=False), nn.BatchNorm2d(out), nn.SiLU())


RECIPE = Recipe(
    network=CAEVT,
    title="CAEVT",
    citation="Zhang et al., Sensors 22(10), 2022",
    evidence="reference run of a port, encoder only; recipe chosen",
    rank=9,
    published=0.36,
    window=8,
    scaling="min-max minus band means",
    padding="reflect",
    optimizer="adam",
    learning_rate=1e-3,
    epochs=200,
    batch=128,
    augment=True,
)
