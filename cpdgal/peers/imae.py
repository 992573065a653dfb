"""IMAE-style network, after Kong, Liu, Bi, Pei and Chen, "Instructional Mask Autoencoder: A Scalable Learner for
Hyperspectral Image Classification", IEEE Journal of Selected Topics in Applied Earth Observations and Remote Sensing,
2024.

Axes: ``b`` samples, ``c`` bands, ``n`` pixels as tokens, ``d`` embedding, ``h`` heads, ``k`` classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .recipe import Recipe


class IMAE(nn.Module):
    """IMAE-style, not a reproduction: the encoder of a masked autoencoder with an instruction token, and a classifier of all
    its tokens.

    No code of IMAE is public. The parts are those of the paper's abstract; every size is a choice. It is trained without
    the pretraining, and so without the decoder, and a comparison must say so.

    Args:
        bands, window, classes: shape of the input windows and number of classes k. Any of both; default 200 bands, raw, and a
            window of 9.

    Raises:
        ValueError: When bands or window are below 1.
    """

    def __init__(self, bands: int = 200, window: int = 9, classes: int = 16):
        super().__init__()
        if bands < 1 or window < 1:
            raise ValueError(f"IMAE takes at least one band and a window of at least 1, not {bands} and {window}")
        self.shape = (bands, window, window)
        self.embedding = Embedding(64)
        self.instruction = nn.Parameter(torch.randn(1, 1, 64) * 0.02)
        self.position = nn.Parameter(torch.randn(1, window * window + 1, 64) * 0.02)
        self.blocks = nn.Sequential(*(EncoderBlock(64) for _ in range(4)), nn.LayerNorm(64))
        self.aggregate = nn.Linear(64, 1)
        self.head = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Windows x (b, bands, w, w) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"IMAE takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        tokens = torch.cat([self.instruction.expand(len(x), -1, -1), self.embedding(x)], 1) + self.position  # (b, 1 + n, d)
        tokens = self.blocks(tokens)
        return self.head((self.aggregate(tokens).softmax(1) * tokens).sum(1))


class Embedding(nn.Module):
    """Any number of bands into one space: (b, c, w, w) -> (b, n, d), pixels in row-major order."""

    def __init__(self, dim: int):
        super().__init__()
        self.volume = nn.Sequential(
            nn.Conv3d(1, 8, (7, 3, 3), padding=(3, 1, 1), bias=False),
            nn.BatchNorm3d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d((16, None, None)),
        )
        self.pixel = nn.Sequential(nn.Conv2d(8 * 16, dim, 1, bias=False), nn.BatchNorm2d(dim), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        x = self.volume(x[:, None]).flatten(1, 2)  # (b, 128, w, w)
        return self.pixel(x).flatten(2).mT


class EncoderBlock(nn.Module):
    """A pre-norm transformer block, (b, n, d) -> (b, n, d)."""

    def __init__(self, dim: int, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.norm_ffn = nn.LayerNorm(dim)
        self.ffn = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm_attention(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1)  # (b, h, n, n)
        mixed = F.dropout(weights, 0.1, self.training) @ v  # (b, h, n, d / h)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.ffn(self.norm_ffn(x))


RECIPE = Recipe(
    network=IMAE,
    title="IMAE-style",
    citation="after Kong et al., IEEE JSTARS, 2024",
    evidence="abstracts only: not a reproduction, without pretraining, recipe chosen",
    rank=17,
    window=9,
    scaling="min-max minus band means",
    padding="reflect",
    optimizer="adamw",
    learning_rate=5e-4,
    weight_decay=0.05,
    epochs=100,
    batch=64,
)
