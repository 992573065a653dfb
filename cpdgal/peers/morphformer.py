"""MorphFormer: Roy, Deria, Shah, Haut, Du and Plaza, "Spectral-Spatial Morphological Attention Transformer for
Hyperspectral Image Classification", IEEE Transactions on Geoscience and Remote Sensing 61:1-15, 2023,
doi:10.1109/TGRS.2023.3242346.

Axes: ``b`` samples, ``n`` tokens (the class token and 32 others), ``d`` their 64 features, ``h`` heads, ``k`` classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .recipe import Recipe

TOKENS, DIM, SIDE = 32, 64, 8  # a token's 64 features are also a map of 8 x 8


class MorphFormer(nn.Module):
    """Spectral and heterogeneous convolution, a tokenizer, and two blocks of morphology and class attention.

    The published code adds the learned positions and discards the sum; here they are parameters that nothing reads.

    Args:
        bands, window, classes: shape of the input windows and number of classes k. Any window, native 11; at least 9 bands,
            native 200, raw.
        classify: False returns the 64 features of the class token, as the official code does, which never calls the classifier
            it builds; its published features pin this.

    Raises:
        ValueError: When there are fewer than 9 bands.
    """

    def __init__(self, bands: int = 200, window: int = 11, classes: int = 16, *, classify: bool = True):
        super().__init__()
        if bands < 9:
            raise ValueError(f"MorphFormer takes 9 bands or more, not {bands}: its spectral kernel is 9 deep")
        self.shape = (bands, window, window)
        self.class_token = nn.Parameter(torch.zeros(1, 1, DIM))
        self.position = nn.Parameter(torch.randn(1, TOKENS + 1, DIM))
        self.score = nn.Parameter(nn.init.xavier_normal_(torch.empty(1, TOKENS, DIM)))
        self.value = nn.Parameter(nn.init.xavier_normal_(torch.empty(1, DIM, DIM)))
        self.spectral = nn.Sequential(nn.Conv3d(1, 8, (9, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(8), nn.ReLU())
        channels = 8 * (bands - 8)
        self.groupwise = nn.Conv2d(channels, DIM, 3, padding=1, groups=8 if channels % 16 else 16)
        self.pointwise = nn.Conv2d(channels, DIM, 1)
        self.norm_conv = nn.BatchNorm2d(DIM)
        self.blocks = nn.Sequential(Block(3), Block(5))
        self.norm = nn.LayerNorm(DIM, eps=1e-6)
        self.head = nn.Linear(DIM, classes)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.normal_(self.head.bias, std=1e-6)
        self.classify = classify

    def forward(self, x: Tensor) -> Tensor:
        """Windows x (b, bands, w, w) -> logits (b, k), or features (b, 64) without `classify`."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"MorphFormer takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        x = self.spectral(x[:, None]).flatten(1, 2)  # (b, 8 * (bands - 8), w, w)
        x = F.relu(self.norm_conv(self.groupwise(x) + self.pointwise(x)))
        pixels = x.flatten(2).mT  # (b, w * w, d)
        tokens = (pixels @ self.score.mT).mT.softmax(-1) @ (pixels @ self.value)  # (b, 32, d)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), tokens], 1)  # (b, n, d)
        features = self.norm(self.blocks(tokens))[:, 0]
        return self.head(features) if self.classify else features


class Block(nn.Module):
    """Morphology renews the other tokens, attention the class token; (b, n, d) -> (b, n, d)."""

    def __init__(self, size: int):
        super().__init__()
        self.norm_attention = nn.LayerNorm(DIM, eps=1e-6)
        self.norm_class = nn.LayerNorm(DIM, eps=1e-6)
        self.spectral = MorphologicalBranch(size, 1)
        self.spatial = MorphologicalBranch(size, 3)
        self.attention = ClassAttention()

    def forward(self, x: Tensor) -> Tensor:
        token, maps = x[:, :1], x[:, 1:].unflatten(2, (SIDE, SIDE))
        maps = torch.cat([self.spectral(maps), self.spatial(maps)], 1)  # (b, 16 + 16, 8, 8)
        x = torch.cat([token, maps.flatten(2)], 1)
        token = self.norm_class(self.attention(self.norm_attention(x)) + token)
        return torch.cat([token, x[:, 1:]], 1)


class MorphologicalBranch(nn.Module):
    """Learned erosion and dilation, a convolution after each, summed; (b, 32, 8, 8) -> (b, 16, 8, 8)."""

    def __init__(self, size: int, conv: int):
        super().__init__()
        self.erosion = Dilation(TOKENS, 16, size)
        self.after_erosion = nn.Conv2d(16, 16, conv, padding=conv // 2)
        self.dilation = Dilation(TOKENS, 16, size)
        self.after_dilation = nn.Conv2d(16, 16, conv, padding=conv // 2)
        self.norm = nn.BatchNorm2d(16)

    def forward(self, x: Tensor) -> Tensor:
        eroded = -self.erosion(-x)  # min(x - W) = -max(-x + W)
        return F.gelu(self.norm(self.after_erosion(eroded) + self.after_dilation(self.dilation(x))))


class Dilation(nn.Module):
    """Non-flat grey dilation: each output map is max(x + W) over channels and neighbourhood, (b, c, s, s) -> (b, o, s, s).

    The border is padded with zeros, as published, not with minus infinity.
    """

    def __init__(self, channels: int, out: int, size: int):
        super().__init__()
        self.element = nn.Parameter(torch.zeros(out, channels, size, size))

    def forward(self, x: Tensor) -> Tensor:
        size = self.element.shape[-1]
        around = F.unfold(x, size, padding=size // 2)  # (b, c * size * size, s * s)
        # One output map at a time: all together would take 16 times the memory.
        maps = [(around + element[:, None]).max(1).values for element in self.element.flatten(1)]
        return torch.stack(maps, 1).unflatten(2, x.shape[2:])


class ClassAttention(nn.Module):
    """Multi-head attention of the class token over all tokens, (b, n, d) -> (b, 1, d)."""

    def __init__(self, heads: int = 8):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(DIM, DIM, bias=False) for _ in range(3))
        self.out = nn.Linear(DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in (self.q(x[:, :1]), self.k(x), self.v(x)))
        weights = (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1)  # (b, h, 1, n)
        mixed = F.dropout(weights, 0.1, self.training) @ v  # (b, h, 1, d / h)
        return F.dropout(self.out(mixed.transpose(1, 2).flatten(2)), 0.1, self.training)


RECIPE = Recipe(
    network=MorphFormer,
    title="MorphFormer",
    citation="Roy et al., IEEE TGRS 61, 2023",
    evidence="reference run",
    rank=10,
    published=0.19,
    window=11,
    scaling="min-max minus band means",
    padding="reflect",
    optimizer="adam",
    learning_rate=5e-4,
    weight_decay=5e-3,
    decay="0.9 every tenth",
    epochs=500,
    batch=64,
)
