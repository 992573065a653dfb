"""SSFTT: Sun et al., "Spectral-Spatial Feature Tokenization Transformer for Hyperspectral Image Classification",
IEEE TGRS 60, 2022.
"""

import torch
from torch import Tensor, nn

from .recipe import Recipe


class SSFTT(nn.Module):
    """Two convolutions, four tokens gathered from all pixels, and one transformer block with a class token.

    The authors feed it 30 principal components (0.15 million parameters); the 0.95 million of later tables is its size
    at some 200 raw bands.

    Args:
        bands, window, classes: shape of the input windows (c, w, w) and number of classes k: 3 bands and 5 pixels at least.

    Raises:
        ValueError: For fewer bands, or a smaller window, than the convolutions take away.
    """

    def __init__(self, bands=30, window=13, classes=16):
        super().__init__()
        if bands < 3 or window < 5:
            raise ValueError(f"SSFTT takes 3 bands and windows of 5 pixels or more, not {bands} bands and {window} pixels")
        self.shape = (bands, window, window)
        self.token_scores = nn.Parameter(nn.init.xavier_normal_(torch.empty(1, 4, 64)))
        self.token_values = nn.Parameter(nn.init.xavier_normal_(torch.empty(1, 64, 64)))
        self.position = nn.Parameter(0.02 * torch.randn(1, 5, 64))
        self.class_token = nn.Parameter(torch.zeros(1, 1, 64))
        self.spectral = nn.Sequential(nn.Conv3d(1, 8, 3), nn.BatchNorm3d(8), nn.ReLU())
        self.spatial = nn.Sequential(nn.Conv2d(8 * (bands - 2), 64, 3), nn.BatchNorm2d(64), nn.ReLU())
        self.block = Block()
        self.head = nn.Linear(64, classes)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.normal_(self.head.bias, std=1e-6)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (b, c, w, w) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"SSFTT takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        x = self.spectral(x[:, None])  # (b, 8, c - 2, w - 2, w - 2)
        x = self.spatial(x.flatten(1, 2))  # (b, 64, w - 4, w - 4)
        pixels = x.flatten(2).mT  # (b, n, 64) with n = (w - 4)^2
        scores = (self.token_scores @ pixels.mT).softmax(-1)  # (b, 4, n)
        tokens = scores @ (pixels @ self.token_values)  # (b, 4, 64)
        z = torch.cat([self.class_token.expand(len(x), -1, -1), tokens], 1) + self.position  # (b, 5, 64)
        return self.head(self.block(self.dropout(z))[:, 0])


class Block(nn.Module):
    """A pre-norm transformer block of 8 heads, (b, n, 64) -> (b, n, 64)."""

    def __init__(self):
        super().__init__()
        self.norm_attention = nn.LayerNorm(64)
        self.qkv = nn.Linear(64, 192)
        self.out = nn.Linear(64, 64)
        self.norm_ffn = nn.LayerNorm(64)
        self.ffn = nn.Sequential(nn.Linear(64, 8), nn.GELU(), nn.Dropout(0.1), nn.Linear(8, 64), nn.Dropout(0.1))
        self.dropout = nn.Dropout(0.1)

    def forward(self, z: Tensor) -> Tensor:
        qkv = self.qkv(self.norm_attention(z)).unflatten(2, (3, 8, 8))  # (b, n, 3, h, 8)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (b, h, n, 8) each
        attention = (q @ k.mT * 64**-0.5).softmax(-1)  # (b, h, n, n); the width of all heads, as published
        z = z + self.dropout(self.out((attention @ v).transpose(1, 2).flatten(2)))
        return z + self.ffn(self.norm_ffn(z))


RECIPE = Recipe(
    network=SSFTT,
    title="SSFTT",
    citation="Sun et al., IEEE TGRS 60, 2022",
    evidence="reference run",
    rank=6,
    published=0.95,
    components=30,
    window=13,
    scaling="none",
    padding="zero",
    optimizer="adam",
    learning_rate=1e-3,
    epochs=100,
    batch=64,
)
