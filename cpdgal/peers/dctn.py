"""DCTN: Zhou, Huang, Yang, Peng and Ban, "DCTN: Dual-Branch Convolutional Transformer Network With Efficient
Interactive Self-Attention for Hyperspectral Image Classification", IEEE Transactions on Geoscience and Remote Sensing
62, 2024, doi:10.1109/TGRS.2024.3364143.

Axes: ``b`` samples, ``c`` channels, ``i`` rows, ``j`` columns, ``k`` classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .recipe import Recipe

GROUPS, DIM = 11, 11 * 40  # of the embedding's grouped convolutions, and its channels, as published for Indian Pines
WIDTH = 512  # of the last two stages and of what the head reads


class DCTN(nn.Module):
    """2-D and 3-D embeddings, then a transformer trunk, a convolutional branch and a skip, merged at the end.

    Args:
        bands, window, classes: shape of the input windows and number of classes k. The window is 15; at least 19 bands, of
            which the 3-D kernels take 18 away, native 200, raw. The last band is repeated until 11 groups divide their number.

    The published code builds 8.6 M parameters (at the native setting) that it never calls; so they are here.

    Raises:
        ValueError: When the window is not 15 or there are fewer than 19 bands.
    """

    def __init__(self, bands: int = 200, window: int = 15, classes: int = 16):
        super().__init__()
        if window != 15:
            raise ValueError(f"DCTN takes windows of 15 pixels a side, not {window}")
        if bands < 19:
            raise ValueError(f"DCTN takes 19 bands or more, not {bands}: its 3-D kernels are 11 and 9 deep")
        self.shape = (bands, window, window)
        self.spare_a, self.spare_b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
        self.spare_c = nn.Parameter(torch.ones(3))
        self.embedding = Embedding(bands)
        rates = [0.1 * i / 11 for i in range(12)]  # of the drop path
        self.wide = nn.Sequential(*(Block(DIM, 7, rate) for rate in rates[:4]))  # stages 1 and 2
        self.down = nn.Conv2d(DIM, WIDTH, 2, stride=2)
        self.deep = nn.Sequential(*(Block(WIDTH, 3, rate) for rate in rates[4:]))  # stages 3 and 4
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, classes)
        self.spare_head = nn.Linear(368, classes)
        self.skip = nn.Conv2d(DIM, WIDTH, 2, stride=2)
        self.cnn = nn.Sequential(
            *_conv(DIM, 128),
            *_conv(128, 128, 128),
            *_conv(128, 256),
            nn.MaxPool2d(2),
            *_conv(256, 256),
            *_conv(256, 512),
            *_conv(512, 512, 512),
        )
        self.merge = nn.Conv2d(3 * WIDTH, WIDTH, 1)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Windows x (b, bands, 15, 15) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"DCTN takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        z = self.embedding(x)  # (b, c, 7, 7)
        trunk = self.deep(self.down(self.wide(z)))  # (b, 512, 3, 3), as the other two
        x = self.merge(torch.cat([self.cnn(z), trunk, self.skip(z)], 1))
        return self.head(self.norm(x.flatten(2).mT).mean(1))


class Embedding(nn.Module):
    """Grouped 2-D and plain 3-D convolutions, mixed by two learned weights; (b, bands, 15, 15) -> (b, c, 7, 7)."""

    def __init__(self, bands: int):
        super().__init__()
        self.pad = -bands % GROUPS
        self.mix = nn.Parameter(torch.ones(2))
        self.volume = nn.Sequential(
            nn.Conv3d(1, 4, (11, 7, 7), padding=(0, 3, 3)),
            nn.Conv3d(4, 8, (9, 5, 5), padding=(0, 2, 2)),
            nn.AdaptiveAvgPool3d((DIM // 8, None, None)),
            nn.BatchNorm3d(8),
        )
        self.group = nn.Sequential(nn.Conv2d(bands + self.pad, DIM, 1, groups=GROUPS), nn.BatchNorm2d(DIM), nn.ReLU())
        self.residual = nn.Sequential(
            nn.Conv2d(DIM, DIM, 3, padding=1, groups=GROUPS),
            nn.BatchNorm2d(DIM),
            nn.ReLU(),
            nn.Conv2d(DIM, DIM, 5, padding=2, groups=GROUPS),
            nn.BatchNorm2d(DIM),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(DIM, DIM, 1), nn.BatchNorm2d(DIM))
        self.down = nn.Conv2d(DIM, DIM, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        u = self.group(torch.cat([x, x[:, -1:].expand(-1, self.pad, -1, -1)], 1))  # (b, c, 15, 15)
        flat = F.relu(self.shortcut(u) + self.residual(u))
        volume = self.volume(x[:, None]).flatten(1, 2)  # (b, 8, c / 8, 15, 15) -> (b, c, 15, 15)
        return self.down(self.mix[0] * volume + self.mix[1] * flat)


class Block(nn.Module):
    """Interactive attention and a convolutional feed-forward network, (b, c, i, j) -> the same.

    The normalised maps replace the input, so that the shortcuts carry them, as published.
    """

    def __init__(self, dim: int, side: int, rate: float):
        super().__init__()
        groups = 8 if dim % 16 else 16
        self.norm_attention = nn.GroupNorm(groups, dim)
        self.attention = InteractiveAttention(dim, side)
        self.norm_ffn = nn.GroupNorm(groups, dim)
        self.ffn = nn.Sequential(
            nn.Conv2d(dim, 3 * dim, 1, bias=False),
            nn.GELU(),
            nn.Conv2d(3 * dim, 3 * dim, 3, padding=1, groups=3 * dim, bias=False),
            nn.GELU(),
            nn.Conv2d(3 * dim, dim, 1, bias=False),
        )
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm_attention(x)
        x = x + self._drop_path(self.attention(x))
        x = self.norm_ffn(x)
        return x + self._drop_path(self.ffn(x))

    def _drop_path(self, x: Tensor) -> Tensor:
        """In training, drop the whole branch of a sample with probability `rate`."""
        return x * F.dropout(x.new_ones(len(x), 1, 1, 1), self.rate, self.training)


class InteractiveAttention(nn.Module):
    """Gates over rows, columns and channels, each read from its own and the previous pooled signals.

    ``forward``: (b, c, i, j) -> (b, c, i, j), i = j = side.
    """

    def __init__(self, dim: int, side: int):
        super().__init__()
        self.mix = nn.Parameter(torch.ones(2))
        self.spare = nn.Conv2d(3 * dim, dim, 1, bias=False)
        self.rows, self.columns, self.channels = (nn.Conv2d(dim, dim, 1, bias=False) for _ in range(3))
        self.out = nn.Linear(dim, dim)
        self.rows_to_channels, self.columns_to_channels = nn.Linear(side, dim), nn.Linear(side, dim)
        self.gate_rows, self.gate_columns, self.gate_channels = (_gate(signals) for signals in (1, 2, 3))
        self.merge = nn.Conv2d(3 * dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h, w, s = F.gelu(self.rows(x)), F.gelu(self.columns(x)), F.gelu(self.channels(x))
        p_h, p_w, p_s = h.mean((1, 3)), w.mean((1, 2)), s.mean((2, 3))  # (b, i), (b, j), (b, c)
        gate_h = self.gate_rows(p_h[:, None])  # (b, 1, i)
        gate_w = self.gate_columns(torch.stack([p_h, p_w], 1))  # (b, 1, j)
        gate_s = self.gate_channels(torch.stack([self.rows_to_channels(p_h), self.columns_to_channels(p_w), p_s], 1))
        gated = torch.cat([h * gate_h[..., None], w * gate_w[:, :, None], s * gate_s.mT[..., None]], 1)  # (b, 3c, i, j)
        attended = self.out(self.merge(gated).movedim(1, 3)).movedim(3, 1)
        return self.mix[0] * attended + self.mix[1] * x


def _gate(signals: int) -> nn.Sequential:
    # Two sigmoids in a row, as published.
    return nn.Sequential(nn.Conv1d(signals, 1, 1, bias=False), nn.Sigmoid(), nn.Conv1d(1, 1, 3, padding=1), nn.Sigmoid())


def _conv(channels: int, out: int, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, 3, padding=1, groups=groups), nn.BatchNorm2d(out), nn.GELU()]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)


RECIPE = Recipe(
    network=DCTN,
    title="DCTN",
    citation="Zhou et al., IEEE TGRS 62, 2024",
    evidence="reference run; padding chosen",
    rank=13,
    published=45.32,
    window=15,
    scaling="min-max",
    padding="reflect",
    optimizer="adam",
    learning_rate=1e-4,
    decay="tenth on plateau",
    epochs=200,
    batch=100,
)
