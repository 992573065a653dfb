"""3DCNN: Ben Hamida et al., "3-D Deep Learning Approach for Remote Sensing Image Classification", IEEE TGRS 56(8), 2018."""

from torch import Tensor, nn

from .recipe import Recipe


class CNN3D(nn.Module):
    """Convolutions over band, row and column, alternating with learned reductions of the spectral axis by two.

    The layers are those of two public re-implementations, DeepHyperX and the comparison code of GSC-ViT, which agree;
    only the second has dropout, and so does this. The reductions carry no ReLU.

    Args:
        bands, window, classes: shape of the input windows (c, w, w) and number of classes k. The window is 3, or 5 and more;
            the bands are 3 and more (with a window of 3, any). Parameters grow with (window - 4)^2.

    Raises:
        ValueError: For a window, or a number of bands, of which nothing is left.
    """

    def __init__(self, bands=200, window=8, classes=16):
        super().__init__()
        if window != 3 and window < 5:
            raise ValueError(f"3DCNN takes windows of 3, or of 5 and more pixels, not {window}")
        if bands < (1 if window == 3 else 3):
            raise ValueError(f"3DCNN takes 3 bands or more (1 with a window of 3), not {bands}")
        self.shape = (bands, window, window)
        padded = window == 3
        self.conv1 = nn.Conv3d(1, 20, 3, padding=int(padded))
        self.reduce1 = nn.Conv3d(20, 20, (3, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0))
        self.conv2 = nn.Conv3d(20, 35, 3, padding=(1, 0, 0))
        self.reduce2 = nn.Conv3d(35, 35, (3, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0))
        self.conv3 = nn.Conv3d(35, 35, (3, 1, 1), padding=(1, 0, 0))
        self.conv4 = nn.Conv3d(35, 35, (2, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0))
        length = bands if padded else bands - 2
        length = (length + 1) // 2  # reduce1
        length = (length + 1) // 2  # reduce2
        length = length // 2 + 1  # conv4
        side = 1 if padded else window - 4
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(35 * length * side**2, classes)
        for layer in self.children():
            if layer is not self.dropout:
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (b, c, w, w) -> logits (b, k)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"3DCNN takes windows of shape (b, {', '.join(map(str, self.shape))}), not {tuple(x.shape)}")
        x = self.conv1(x[:, None]).relu()  # (b, 20, c - 2, w - 2, w - 2)
        x = self.conv2(self.reduce1(x)).relu()  # (b, 35, c / 2, w - 4, w - 4)
        x = self.conv3(self.reduce2(x)).relu()  # (b, 35, c / 4, w - 4, w - 4)
        x = self.conv4(x).relu()  # (b, 35, c / 8, w - 4, w - 4)
        return self.head(self.dropout(x.flatten(1)))


RECIPE = Recipe(
    network=CNN3D,
    title="3DCNN",
    citation="Ben Hamida et al., IEEE TGRS 56(8), 2018",
    evidence="reference run",
    rank=2,
    published=0.16,
    window=8,
    scaling="min-max minus band means",
    padding="reflect",
    optimizer="sgd",
    learning_rate=1e-3,
    weight_decay=5e-4,
    decay="tenth at 100 and 200",
    epochs=200,
    batch=128,
    augment=True,
)
