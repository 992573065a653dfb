"""GSC-ViT: Zhao, Xu, Li and Plaza, "Hyperspectral Image Classification Using Groupwise Separable Convolutional Vision
Transformer Network", IEEE Transactions on Geoscience and Remote Sensing 62:1-17, 2024, doi:10.1109/TGRS.2024.3377610.

Axes: ``b`` samples, ``n`` windows of 4 x 4 pixels, ``d`` channels, ``h`` heads, ``k`` classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .recipe import Recipe

HEAD_WIDTH = 16


class GSCViT(nn.Module):
    """Two stages of groupwise separable convolution and groupwise separable self-attention.

    Args:
        bands, window, classes: shape of the input windows and number of classes k. The window is a multiple of 4, native 8; any
            number of bands, native 200, raw.
        heads, groups: attention heads (16 wide each) and groups of the convolutions. As published: 16 and 8 for Indian Pines, 1
            and 8 for Botswana, 4 and 16 for WHU-Hi-LongKou, 1 and 16 for Salinas and every other scene.

    The published code builds a 3 x 3 convolution (73,856 parameters) and never calls it; so it is here. It stops on a
    4 x 4 map; here the one window is mixed with itself alone, which changes nothing.

    Raises:
        ValueError: When 4 does not divide the window, or `groups` not the 256, 128 and 64 channels.
    """

    def __init__(self, bands: int = 200, window: int = 8, classes: int = 16, *, heads: int = 16, groups: int = 8):
        super().__init__()
        if window < 4 or window % 4:
            raise ValueError(f"GSC-ViT takes windows whose side is a multiple of 4, not {window}")
        if groups < 1 or 64 % groups:
            raise ValueError(f"GSC-ViT takes a number of groups that divides 64, not {groups}")
        self.shape = (bands, window, window)
        self.calibrate = nn.Sequential(nn.Conv2d(bands, 256, 1), nn.BatchNorm2d(256), nn.ReLU(), nn.BatchNorm2d(256), nn.ReLU())
        self.stages = nn.Sequential(Stage(256, 128, heads, groups), Stage(128, 64, heads, groups))
        self.spare = nn.Conv2d(64, 128, 3)
        self.norm = nn.LayerNorm(64)
        self.head = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Windows x (b, bands, w, w) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"GSCViT takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        x = self.stages(self.calibrate(x))  # (b, 64, w, w)
        return self.head(self.norm(x.mean((2, 3))))


class Stage(nn.Module):
    """Groupwise separable convolution, attention between channel norms, and a shortcut; (b, c, w, w) -> (b, d, w, w)."""

    def __init__(self, channels: int, dim: int, heads: int, groups: int):
        super().__init__()
        self.separable = nn.Sequential(
            nn.Conv2d(channels, dim, 1, groups=groups),
            nn.Conv2d(dim, dim, 3, padding=1, groups=groups),
            nn.BatchNorm2d(dim),
            nn.ReLU(),
        )
        self.norm_in = ChannelNorm(dim)
        self.attention = GroupwiseAttention(dim, heads)
        self.norm_out = ChannelNorm(dim)
        self.batch_norm = nn.BatchNorm2d(dim)
        self.pointwise = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.separable(x)
        z = self.norm_out(self.attention(self.norm_in(y)))
        return F.relu(self.batch_norm(self.pointwise(z) + y))


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel, (b, d, w, w) -> the same."""

    def __init__(self, dim: int):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1, dim, 1, 1))
        self.shift = nn.Parameter(torch.zeros(1, dim, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, 1, correction=0, keepdim=True)
        return (x - mean) / (variance + 1e-5).sqrt() * self.gain + self.shift


class GroupwiseAttention(nn.Module):
    """Attention inside 4 x 4 windows, then between windows through their group tokens; (b, d, w, w) -> the same."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        inner = heads * HEAD_WIDTH
        self.heads = heads
        self.group_token = nn.Parameter(torch.randn(dim))
        self.qkv = nn.Linear(dim, 3 * inner, bias=False)
        self.token_norm = nn.LayerNorm(HEAD_WIDTH)
        self.token_qk = nn.Linear(inner, 2 * inner)
        self.out = nn.Conv2d(inner, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, d, side, _ = x.shape
        h, m = self.heads, side // 4
        t = x.reshape(b, d, m, 4, m, 4).permute(0, 2, 4, 3, 5, 1).reshape(b * m * m, 16, d)  # (b * n, 16 pixels, d)
        t = torch.cat([self.group_token.expand(len(t), 1, -1), t], 1)
        q, k, v = self.qkv(t).unflatten(2, (3, h, HEAD_WIDTH)).permute(2, 0, 3, 1, 4)  # each (b * n, h, 17, 16)
        t = (self._weights(q, k) @ v).unflatten(0, (b, m * m))  # (b, n, h, 17, 16)

        token, pixels = t[:, :, :, 0], t[:, :, :, 1:]
        token = F.gelu(self.token_norm(token)).flatten(2)  # (b, n, h * 16)
        q, k = self.token_qk(token).unflatten(2, (h, 2, HEAD_WIDTH)).permute(3, 0, 2, 1, 4)  # each (b, h, n, 16)
        x = self._weights(q, k) @ pixels.transpose(1, 2).flatten(3)  # whole windows are mixed: (b, h, n, 16 pixels * 16)

        x = x.reshape(b, h, m, m, 4, 4, HEAD_WIDTH).permute(0, 1, 6, 2, 4, 3, 5)  # (b, h, 16, m, 4, m, 4)
        return F.dropout(self.out(x.reshape(b, h * HEAD_WIDTH, side, side)), 0.1, self.training)

    def _weights(self, q: Tensor, k: Tensor) -> Tensor:
        return F.dropout((q * HEAD_WIDTH**-0.5 @ k.mT).softmax(-1), 0.1, self.training)


RECIPE = Recipe(
    network=GSCViT,
    title="GSC-ViT",
    citation="Zhao et al., IEEE TGRS 62, 2024",
    evidence="reference run",
    rank=11,
    published=0.10,
    window=8,
    scaling="min-max minus band means",
    padding="reflect",
    optimizer="adamw",
    learning_rate=1e-3,
    weight_decay=0.05,
    epochs=200,
    batch=128,
    augment=True,
    options={"salinas": {"heads": 1, "groups": 16}, "botswana": {"heads": 1, "groups": 8}},
)
