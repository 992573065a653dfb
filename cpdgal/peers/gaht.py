"""GAHT: Mei et al., "Hyperspectral Image Classification Using Group-Aware Hierarchical Transformer", IEEE TGRS 60, 2022."""

import torch
from torch import Tensor, nn

from .recipe import Recipe


class GAHT(nn.Module):
    """Three stages, each a grouped 3 x 3 convolution and transformer blocks over all pixels of the window.

    No position is embedded and no map is reduced; the convolutions' zero padding tells where a pixel stands.

    Args:
        bands, window, classes: shape of the input windows (c, w, w) and number of classes k. Where the groups do not divide the
            bands, the last band is repeated.
        groups, depths: groups of the convolutions, and blocks of each stage: 4 and (1, 2, 1) for Indian Pines and Botswana in
            the comparison code of GSC-ViT; the authors take 16 and (2, 1, 1) for Salinas, 2 and (1, 2, 1) for Pavia University.

    Raises:
        ValueError: For groups that do not divide the widths of the stages, or other than three depths.
    """

    def __init__(self, bands=200, window=8, classes=16, *, groups=4, depths=(1, 2, 1)):
        super().__init__()
        if groups < 1 or 64 % groups:
            raise ValueError(f"the groups of GAHT divide 64, not {groups}")
        if len(depths) != 3:
            raise ValueError(f"GAHT has three stages, not {len(depths)}")
        self.shape = (bands, window, window)
        self.missing = -bands % groups
        widths = (bands + self.missing, 256, 128, 64)
        self.stages = nn.Sequential(*(Stage(widths[s], widths[s + 1], groups, depth) for s, depth in enumerate(depths)))
        self.head = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (b, c, w, w) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"GAHT takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        x = torch.cat([x, x[:, -1:].expand(-1, self.missing, -1, -1)], 1)
        return self.head(self.stages(x).mean((2, 3)))


class Stage(nn.Module):
    """Grouped pixel embedding and transformer blocks, (b, c, w, w) -> (b, d, w, w)."""

    def __init__(self, bands: int, dim: int, groups: int, depth: int):
        super().__init__()
        self.embed = nn.Sequential(nn.Conv2d(bands, dim, 3, padding=1, groups=groups), nn.BatchNorm2d(dim), nn.ReLU())
        self.blocks = nn.Sequential(*(Block(dim) for _ in range(depth)), nn.LayerNorm(dim))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        tokens = self.blocks(x.flatten(2).mT)  # (b, w * w, d)
        return tokens.mT.unflatten(2, x.shape[2:])


class Block(nn.Module):
    """A pre-norm transformer block of heads 32 wide, (b, n, d) -> (b, n, d)."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm_attention = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)
        self.norm_ffn = nn.LayerNorm(dim)
        self.ffn = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim))

    def forward(self, z: Tensor) -> Tensor:
        normed = self.norm_attention(z)
        q = self.query(normed).unflatten(2, (-1, 32)).transpose(1, 2)  # (b, h, n, 32)
        k, v = self.key_value(normed).unflatten(2, (2, -1, 32)).permute(2, 0, 3, 1, 4)  # (b, h, n, 32) each
        attention = (q @ k.mT).softmax(-1)  # (b, h, n, n); not scaled, as published
        z = z + self.out((attention @ v).transpose(1, 2).flatten(2))
        return z + self.ffn(self.norm_ffn(z))


RECIPE = Recipe(
    network=GAHT,
    title="GAHT",
    citation="Mei et al., IEEE TGRS 60, 2022",
    evidence="reference run",
    rank=7,
    published=0.97,
    window=8,
    scaling="min-max minus band means",
    padding="reflect",
    optimizer="sgd",
    learning_rate=1e-3,
    weight_decay=1e-4,
    epochs=300,
    batch=64,
    augment=True,
    options={"salinas": {"groups": 16, "depths": (2, 1, 1)}},
)
