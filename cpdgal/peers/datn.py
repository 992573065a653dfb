"""DATN: Shu, Wang and Yu, "Dual attention transformer network for hyperspectral image classification", Engineering
Applications of Artificial Intelligence 127:107351, 2024, doi:10.1016/j.engappai.2023.107351.

Axes: ``b`` samples, ``c`` channels, ``n`` pixels as tokens, ``d`` features, ``h`` heads, ``k`` classes.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from .recipe import Recipe


class DATN(nn.Module):
    """Four stages of channel gate, spectral and spatial transformer block, beside local spectral convolutions.

    Args:
        bands, window, classes: shape of the input windows and number of classes k. The window is 11; any number of bands,
            native 200, raw.

    Raises:
        ValueError: When the window is not 11.
    """

    def __init__(self, bands: int = 200, window: int = 11, classes: int = 16):
        super().__init__()
        if window != 11:
            raise ValueError(f"DATN takes windows of 11 pixels a side, not {window}")
        self.shape = (bands, window, window)
        widths, heads = (64, 256, 64, 256), (4, 8, 4, 8)
        self.convs = nn.ModuleList(_conv(c, out) for c, out in zip((bands, *widths[:-1]), widths, strict=True))
        self.head = nn.Linear(256, classes, bias=False)
        self.gates = nn.ModuleList(ChannelGate(width) for width in widths)
        self.locals = nn.ModuleList([LocalSpectralBlock(bands, 256), LocalSpectralBlock(256, 256)])
        self.blocks = nn.ModuleList(
            nn.Sequential(Block(width, SpectralAttention(window * window)), Block(width, WindowAttention(width, h, window)))
            for width, h in zip(widths, heads, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Windows x (b, bands, 11, 11) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"DATN takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        x = F.relu(self._stage(1, self._stage(0, x)) + self.locals[0](x))  # (b, 256, 11, 11)
        x = F.relu(F.relu(self._stage(3, self._stage(2, x))) + self.locals[1](x))
        return self.head(x.mean((2, 3)))

    def _stage(self, i: int, x: Tensor) -> Tensor:
        x = self.gates[i](self.convs[i](x))
        return self.blocks[i](x.flatten(2).mT).mT.reshape(x.shape)


class ChannelGate(nn.Module):
    """Squeeze and excitation, (b, c, w, w) -> the same."""

    def __init__(self, dim: int):
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(dim, dim // 16), nn.ReLU(), nn.Linear(dim // 16, dim), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.mean((2, 3)))[..., None, None]


class LocalSpectralBlock(nn.Module):
    """Convolutions along the channel axis alone, (b, c, w, w) -> (b, d, w, w)."""

    def __init__(self, channels: int, dim: int):
        super().__init__()
        self.enter = _conv(channels, dim)
        self.spectral = nn.Sequential(
            nn.Conv3d(1, 12, (1, 1, 3), padding=(0, 0, 1), bias=False),
            nn.BatchNorm3d(12),
            nn.ReLU(),
            nn.Conv3d(12, 12, (1, 1, 7), padding=(0, 0, 3), bias=False),
            nn.BatchNorm3d(12),
            nn.ReLU(),
            nn.Conv3d(12, 1, (1, 1, 3), padding=(0, 0, 1), bias=False),
            nn.BatchNorm3d(1),
            nn.ReLU(),
        )
        self.leave = _conv(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x).transpose(1, 3)[:, None]  # (b, 1, w, w, d)
        return self.leave(self.spectral(x)[:, 0].transpose(1, 3))


class Block(nn.Module):
    """Attention and feed-forward network, (b, n, d) -> (b, n, d).

    The attention reads the tokens as they are, and the shortcut around it is the normalised one, as published.
    """

    def __init__(self, dim: int, attention: nn.Module):
        super().__init__()
        self.norm_shortcut = nn.LayerNorm(dim)
        self.attention = attention
        self.norm_ffn = nn.LayerNorm(dim)
        self.ffn = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention(x) + self.norm_shortcut(x)
        return x + self.ffn(self.norm_ffn(x))


class SpectralAttention(nn.Module):
    """One head of attention between features, each a vector over the pixels; (b, n, d) -> (b, n, d).

    The result (d, n) is read in memory order as (n, d), so that its rows are not pixels, as published.
    """

    def __init__(self, tokens: int):
        super().__init__()
        self.qkv = nn.Linear(tokens, 3 * tokens, bias=False)
        self.out = nn.Linear(tokens, tokens)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x.mT).chunk(3, -1)  # each (b, d, n)
        weights = (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1)  # (b, d, d)
        mixed = self.out(weights @ v)  # (b, d, n)
        return mixed.reshape(x.shape)


class WindowAttention(nn.Module):
    """Multi-head attention inside 3 x 3 windows of the zero-padded map, (b, n, d) -> (b, n, d).

    The padding takes part, as published.
    """

    def __init__(self, dim: int, heads: int, side: int):
        super().__init__()
        self.heads, self.side = heads, side
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        b, _, d = x.shape
        side, pad = self.side, -self.side % 3
        m = (side + pad) // 3
        x = F.pad(x.unflatten(1, (side, side)), (0, 0, 0, pad, 0, pad))  # (b, 12, 12, d)
        x = x.reshape(b, m, 3, m, 3, d).transpose(2, 3).reshape(b * m * m, 9, d)  # (b * windows, 9, d)
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (b * windows, h, 9, d / h)
        weights = (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1)
        x = self.out((weights @ v).transpose(1, 2).flatten(2))
        x = x.reshape(b, m, m, 3, 3, d).transpose(2, 3).reshape(b, 3 * m, 3 * m, d)
        return x[:, :side, :side].flatten(1, 2)


def _conv(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU())


RECIPE = Recipe(
    network=DATN,
    title="DATN",
    citation="Shu et al., Eng. Appl. Artif. Intell. 127, 2024",
    evidence="reference run; scaling, padding and schedule chosen",
    rank=12,
    published=3.31,
    window=11,
    scaling="min-max minus band means",
    padding="reflect",
    optimizer="adam",
    learning_rate=0.008,
    weight_decay=1e-4,
    decay="cosine",
    epochs=100,
    batch=64,
)
