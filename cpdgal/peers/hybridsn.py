"""HybridSN: Roy et al., "HybridSN: Exploring 3-D-2-D CNN Feature Hierarchy for Hyperspectral Image Classification",
IEEE GRSL 17(2), 2020.
"""

from torch import Tensor, nn

from .recipe import Recipe


class HybridSN(nn.Module):
    """Three convolutions over band, row and column, one over rows and columns, and three linear layers.

    The paper feeds it 30 principal components (15 of Salinas) in windows of 25: 5.12 million parameters. The 0.51
    million of later tables is near its size at 15 components and a window of 13.

    Args:
        bands, window, classes: shape of the input windows (c, w, w) and number of classes k: 13 bands and 9 pixels at least.
        dense_relu: ReLU after the two hidden linear layers, as in the paper; the PyTorch port in the comparison code of GSC-ViT
            has none, which its published logits pin.

    Raises:
        ValueError: For fewer bands, or a smaller window, than the convolutions take away.
    """

    def __init__(self, bands=30, window=25, classes=16, *, dense_relu=True):
        super().__init__()
        if bands < 13 or window < 9:
            raise ValueError(f"HybridSN takes 13 bands and windows of 9 pixels or more, not {bands} bands and {window} pixels")
        self.shape = (bands, window, window)
        self.conv1 = nn.Conv3d(1, 8, (7, 3, 3))
        self.conv2 = nn.Conv3d(8, 16, (5, 3, 3))
        self.conv3 = nn.Conv3d(16, 32, 3)
        self.conv4 = nn.Conv2d(32 * (bands - 12), 64, 3)
        self.hidden1 = nn.Linear(64 * (window - 8) ** 2, 256)
        self.hidden2 = nn.Linear(256, 128)
        self.head = nn.Linear(128, classes)
        for layer in self.children():  # the default of Keras, which the authors use
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.activation = nn.ReLU() if dense_relu else nn.Identity()
        self.dropout = nn.Dropout(0.4)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (b, c, w, w) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"HybridSN takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        x = self.conv1(x[:, None]).relu()  # (b, 8, c - 6, w - 2, w - 2)
        x = self.conv2(x).relu()  # (b, 16, c - 10, w - 4, w - 4)
        x = self.conv3(x).relu()  # (b, 32, c - 12, w - 6, w - 6)
        x = self.conv4(x.flatten(1, 2)).relu()  # (b, 64, w - 8, w - 8)
        x = self.dropout(self.activation(self.hidden1(x.flatten(1))))  # (b, 256)
        x = self.dropout(self.activation(self.hidden2(x)))  # (b, 128)
        return self.head(x)


RECIPE = Recipe(
    network=HybridSN,
    title="HybridSN",
    citation="Roy et al., IEEE GRSL 17(2), 2020",
    evidence="reference run",
    rank=3,
    published=0.51,
    components=30,
    window=25,
    scaling="none",
    padding="zero",
    optimizer="adam",
    learning_rate=1e-3,
    epochs=100,
    batch=256,
)
