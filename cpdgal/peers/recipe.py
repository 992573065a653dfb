"""What a peer's file says about its network, in `RECIPE`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A network with its own input and training: the authors' where known, else those of public scripts.

    Input and training go by the names that `cpdgal.study.Study` has for them.
    """

    network: type[nn.Module]  # built as ``network(bands, window, classes, **options)``; windows (b, c, w, w) -> logits (b, k)
    title: str
    citation: str
    evidence: str  # "reference run", or what is known where no code was found
    rank: int = 100  # its place in lists and tables; equal ranks go by name
    published: float | None = None  # parameters of Table 1 in millions

    components: int = 0  # principal components; 0 takes the scene's bands
    window: int
    scaling: str  # a name of `cpdgal.windows.SCALINGS`
    padding: str  # a name of `cpdgal.windows.PADDINGS`

    optimizer: str  # a name of `cpdgal.training.OPTIMIZERS`
    learning_rate: float
    weight_decay: float = 0.0
    decay: str = "none"  # of the learning rate, a name of `cpdgal.training.DECAYS`
    epochs: int
    batch: int
    augment: bool = False  # with probability 0.5, a flip or a rotation by 90, 180 or 270 degrees
    options: Mapping[str, Mapping] = field(default_factory=dict)  # scene -> the network's options there
