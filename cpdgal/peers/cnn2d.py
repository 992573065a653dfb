"""2DCNN: the plain two-convolution network that Zhao et al. (GSC-ViT, IEEE TGRS 62, 2024) compare with.

They credit it to Lee and Kwon, "Contextual Deep CNN Based Hyperspectral Classification", IGARSS 2016, whose network has
other layers.
"""

from torch import Tensor, nn

from .recipe import Recipe


class CNN2D(nn.Module):
    """Two 3 x 3 convolutions with max pooling, then two linear layers; no ReLU after the second pooling.

    Args:
        bands, window, classes: shape of the input windows (c, w, w) and number of classes k. The window is 10 to 13 pixels: a
            smaller one vanishes, and in the published code a larger one gives several rows of logits a sample.

    Raises:
        ValueError: For a window that does not fit.
    """

    def __init__(self, bands=200, window=10, classes=16):
        super().__init__()
        if not 10 <= window <= 13:
            raise ValueError(f"2DCNN takes windows of 10 to 13 pixels, not {window}")
        self.shape = (bands, window, window)
        self.conv1 = nn.Conv2d(bands, 256, 3)
        self.conv2 = nn.Conv2d(256, 512, 3)
        self.hidden = nn.Linear(512, 128)
        self.head = nn.Linear(128, classes)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (b, c, w, w) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"2DCNN takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        x = self.pool(self.conv1(x)).relu()  # (b, 256, (w - 2) // 2, (w - 2) // 2)
        x = self.pool(self.conv2(x)).flatten(1)  # (b, 512)
        return self.head(self.hidden(x).relu())


RECIPE = Recipe(
    network=CNN2D,
    title="2DCNN",
    citation="Zhao et al., IEEE TGRS 62, 2024, after Lee and Kwon, IGARSS 2016",
    evidence="reference run",
    rank=1,
    published=1.71,
    window=10,
    scaling="min-max minus band means",
    padding="reflect",
    optimizer="sgd",
    learning_rate=0.1,
    weight_decay=1e-4,
    decay="tenth at 100 and 200",
    epochs=200,
    batch=128,
    augment=True,
)
