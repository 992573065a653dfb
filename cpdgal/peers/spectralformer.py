"""SpectralFormer: Hong et al., "SpectralFormer: Rethinking Hyperspectral Image Classification With Transformers",
IEEE TGRS 60, 2022.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .recipe import Recipe


class SpectralFormer(nn.Module):
    """A token for each band and its two neighbours, and a transformer whose blocks are fused with those two before them.

    This is the paper's CAF mode (cross-layer adaptive fusion) with group-wise spectral embedding. The first band and the
    last are neighbours.

    Args:
        bands, window, classes: shape of the input windows (c, w, w) and number of classes k; a window of 1 is the pixel-wise
            network.
        mixed_axes: read the memory (c, w, w) as (w, w, c), so that every token mixes bands and pixels, as the PyTorch port in
            the comparison code of GAHT and GSC-ViT does, which its published logits pin.
    """

    def __init__(self, bands=200, window=7, classes=16, *, mixed_axes=False):
        super().__init__()
        self.shape, self.mixed_axes = (bands, window, window), mixed_axes
        tokens = bands + 1
        self.position = nn.Parameter(torch.randn(1, tokens, 64))
        self.class_token = nn.Parameter(torch.randn(1, 1, 64))
        self.embed = nn.Linear(3 * window**2, 64)
        self.blocks = nn.ModuleList(Block() for _ in range(5))
        self.fusions = nn.ModuleList(nn.Conv2d(tokens, tokens, (1, 2)) for _ in range(3))
        self.head = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, classes))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (b, c, w, w) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            shape = ", ".join(map(str, self.shape))
            raise ValueError(f"SpectralFormer takes windows of shape (b, {shape}), not {tuple(x.shape)}")
        pixels = x.reshape(len(x), -1, x.shape[1]) if self.mixed_axes else x.flatten(2).mT  # (b, w * w, c)
        neighbours = torch.cat([pixels.roll(shift, 2) for shift in (1, 0, -1)], 1)  # (b, 3 * w * w, c)
        return self.encode(neighbours.mT)

    def encode(self, tokens: Tensor) -> Tensor:
        """Tokens (b, c, 3 * w * w) -> logits (b, k)."""
        z = torch.cat([self.class_token.expand(len(tokens), -1, -1), self.embed(tokens)], 1)
        outputs = [self.dropout(z + self.position)]  # (b, c + 1, 64)
        for n, block in enumerate(self.blocks):
            z = outputs[-1]
            if n >= 2:
                pair = torch.stack([z, outputs[-3]], 3)  # (b, c + 1, 64, 2)
                z = self.fusions[n - 2](pair).squeeze(3)
            outputs.append(block(z))
        return self.head(outputs[-1][:, 0])


class Block(nn.Module):
    """A pre-norm transformer block of 4 heads, (b, n, 64) -> (b, n, 64)."""

    def __init__(self):
        super().__init__()
        self.norm_attention = nn.LayerNorm(64)
        self.qkv = nn.Linear(64, 192, bias=False)
        self.out = nn.Linear(64, 64)
        self.norm_ffn = nn.LayerNorm(64)
        self.ffn = nn.Sequential(nn.Linear(64, 8), nn.GELU(), nn.Dropout(0.1), nn.Linear(8, 64), nn.Dropout(0.1))
        self.dropout = nn.Dropout(0.1)

    def forward(self, z: Tensor) -> Tensor:
        qkv = self.qkv(self.norm_attention(z)).unflatten(2, (3, 4, 16))  # (b, n, 3, h, 16)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (b, h, n, 16) each
        mixed = F.scaled_dot_product_attention(q, k, v)  # scaled by 1 / 4, (b, h, n, 16)
        z = z + self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        return z + self.ffn(self.norm_ffn(z))


RECIPE = Recipe(
    network=SpectralFormer,
    title="SpectralFormer",
    citation="Hong et al., IEEE TGRS 60, 2022",
    evidence="reference run",
    rank=5,
    published=0.34,
    window=7,
    scaling="band min-max",
    padding="symmetric",
    optimizer="adam",
    learning_rate=5e-4,
    weight_decay=5e-3,
    decay="0.9 every tenth",
    epochs=300,
    batch=64,
)
