"""SST-style network, after He, Chen and Lin, "Spatial-Spectral Transformer for Hyperspectral Image Classification",
Remote Sensing 13(3):498, 2021, doi:10.3390/rs13030498.

Axes: ``b`` samples, ``n`` bands as tokens, ``d`` embedding, ``h`` heads, ``k`` classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .recipe import Recipe

DIM, BLOCKS, HEADS = 64, 4, 4


class SST(nn.Module):
    """SST-style, not a reproduction: a small CNN reads each band, a densely connected transformer the series of bands.

    No code of SST is public. The skeleton is the paper's; every size here is a choice, and so is the way the dense
    connection joins earlier outputs (concatenate and project). The batch norms see samples and bands as one batch.

    Args:
        bands, window, classes: shape of the input windows and number of classes k. Any number of bands, default 200, raw; any
            window of 3 or more, default 9.

    Raises:
        ValueError: When the window is smaller than 3.
    """

    def __init__(self, bands: int = 200, window: int = 9, classes: int = 16):
        super().__init__()
        if window < 3:
            raise ValueError(f"SST takes windows of 3 pixels a side or more, not {window}")
        self.shape = (bands, window, window)
        self.cnn = nn.Sequential(
            *_conv(1, 16),
            *_conv(16, 16),
            nn.MaxPool2d(2, ceil_mode=True),
            *_conv(16, 32),
            *_conv(32, 32),
            nn.MaxPool2d(2, ceil_mode=True),
            *_conv(32, DIM),
            *_conv(DIM, DIM),
        )
        self.position = nn.Parameter(torch.randn(1, bands, DIM) * 0.02)
        self.dense = nn.ModuleList(nn.Linear(earlier * DIM, DIM) for earlier in range(2, BLOCKS + 1))
        self.blocks = nn.ModuleList(EncoderBlock() for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Sequential(nn.Linear(DIM, DIM), nn.GELU(), nn.Dropout(0.1), nn.Linear(DIM, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Windows x (b, bands, w, w) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"SST takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        bands = self.cnn(x.flatten(0, 1)[:, None]).mean((2, 3))  # (b * n, d)
        outputs = [bands.unflatten(0, x.shape[:2]) + self.position]  # of (b, n, d) each
        outputs.append(self.blocks[0](outputs[0]))
        for dense, block in zip(self.dense, self.blocks[1:], strict=True):
            outputs.append(block(dense(torch.cat(outputs, 2))))
        return self.head(self.norm(outputs[-1]).mean(1))


class EncoderBlock(nn.Module):
    """A pre-norm transformer block, (b, n, d) -> (b, n, d)."""

    def __init__(self):
        super().__init__()
        self.norm_attention = nn.LayerNorm(DIM)
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.out = nn.Linear(DIM, DIM)
        self.norm_ffn = nn.LayerNorm(DIM)
        self.ffn = nn.Sequential(nn.Linear(DIM, 4 * DIM), nn.GELU(), nn.Linear(4 * DIM, DIM), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm_attention(x)).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        weights = (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1)  # (b, h, n, n)
        mixed = F.dropout(weights, 0.1, self.training) @ v  # (b, h, n, d / h)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.ffn(self.norm_ffn(x))


def _conv(channels: int, out: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]


RECIPE = Recipe(
    network=SST,
    title="SST-style",
    citation="after He et al., Remote Sensing 13(3), 2021",
    evidence="no code found: not a reproduction, sizes and recipe chosen",
    rank=15,
    window=9,
    scaling="min-max minus band means",
    padding="reflect",
    optimizer="adam",
    learning_rate=1e-3,
    decay="cosine",
    epochs=100,
    batch=64,
)
