"""The supervised ViT that Hong et al. compare SpectralFormer with (IEEE TGRS 60, 2022), after Dosovitskiy et al., "An Image
is Worth 16x16 Words: Transformers for Image Recognition at Scale", ICLR 2021.
"""

import torch
from torch import Tensor, nn

from .recipe import Recipe
from .spectralformer import Block


class PixelViT(nn.Module):
    """A token for each band of a single pixel, five transformer blocks, a class token.

    The published module also holds the three fusion layers of SpectralFormer and never calls them; they are left out.

    Args:
        bands, window, classes: shape of the input windows (c, w, w), of which the side is 1, and number of classes k.

    Raises:
        ValueError: For a window of more than one pixel.
    """

    def __init__(self, bands=200, window=1, classes=16):
        super().__init__()
        if window != 1:
            raise ValueError(f"this ViT takes single pixels, a window of 1, not of {window}")
        self.shape = (bands, 1, 1)
        tokens = bands + 1
        self.position = nn.Parameter(torch.randn(1, tokens, 64))
        self.class_token = nn.Parameter(torch.randn(1, 1, 64))
        self.embed = nn.Linear(1, 64)
        self.blocks = nn.Sequential(*(Block() for _ in range(5)))
        self.head = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, classes))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (b, c, 1, 1) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"this ViT takes windows of shape (b, {self.shape[0]}, 1, 1), not {tuple(x.shape)}")
        z = self.embed(x.flatten(2))  # (b, c, 64)
        z = torch.cat([self.class_token.expand(len(z), -1, -1), z], 1) + self.position  # (b, c + 1, 64)
        return self.head(self.blocks(self.dropout(z))[:, 0])


RECIPE = Recipe(
    network=PixelViT,
    title="ViT (Hong et al.)",
    citation="Hong et al., IEEE TGRS 60, 2022, after Dosovitskiy et al., ICLR 2021",
    evidence="reference run",
    rank=8,
    window=1,
    scaling="band min-max",
    padding="symmetric",
    optimizer="adam",
    learning_rate=5e-4,
    decay="0.9 every tenth",
    epochs=1400,
    batch=64,
)
