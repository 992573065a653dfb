"""The networks that Table 1 compares with, one file each, and how each is fed and trained.

Every network is built as ``Network(bands, window, classes, **options)`` and maps windows (b, c, w, w) to logits (b, k);
`build` makes any method of the project by name.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..model import CPDGAL, METHODS, weights_of
from .caevt import CAEVT
from .cnn2d import CNN2D
from .cnn3d import CNN3D
from .datn import DATN
from .dctn import DCTN
from .gaht import GAHT
from .gscvit import GSCViT
from .hybridsn import HybridSN
from .imae import IMAE
from .mfn3dsa import MFN3DSA
from .morphformer import MorphFormer
from .spectralformer import SpectralFormer
from .sprn import SPRN
from .ssan import SSAN
from .ssftt import SSFTT
from .sst import SST
from .vit_hong import PixelViT


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A network of Table 1 with its own input and training recipe: the authors' where known, else public scripts'."""

    network: type[nn.Module]
    title: str
    citation: str
    evidence: str  # "reference run", or what is known where no code was found
    bands: int = 0  # principal components; 0 takes the scene's bands
    window: int
    scaling: str  # a name of `cpdgal.windows.SCALINGS`
    padding: str  # "zero", "reflect", or "symmetric" (the edge pixel is repeated)
    optimizer: str  # "adam", "adamw", or "sgd" with momentum 0.9
    learning_rate: float
    weight_decay: float = 0.0
    schedule: str = "none"  # a name of `cpdgal.training.DECAYS`
    epochs: int
    batch: int
    augment: bool = False  # with probability 0.5, a flip or a rotation by 90, 180 or 270 degrees
    published: float | None = None  # parameters of Table 1 in millions
    options: Mapping[str, Mapping] = field(default_factory=dict)  # scene -> the network's options there


PEERS = {
    "cnn2d": Peer(
        network=CNN2D,
        title="2DCNN",
        evidence="reference run",
        published=1.71,
        citation="Zhao et al., IEEE TGRS 62, 2024, after Lee and Kwon, IGARSS 2016",
        window=10,
        scaling="min-max minus band means",
        padding="reflect",
        optimizer="sgd",
        learning_rate=0.1,
        weight_decay=1e-4,
        schedule="tenth at 100 and 200",
        epochs=200,
        batch=128,
        augment=True,
    ),
    "cnn3d": Peer(
        network=CNN3D,
        title="3DCNN",
        evidence="reference run",
        published=0.16,
        citation="Ben Hamida et al., IEEE TGRS 56(8), 2018",
        window=8,
        scaling="min-max minus band means",
        padding="reflect",
        optimizer="sgd",
        learning_rate=1e-3,
        weight_decay=5e-4,
        schedule="tenth at 100 and 200",
        epochs=200,
        batch=128,
        augment=True,
    ),
    "hybridsn": Peer(
        network=HybridSN,
        title="HybridSN",
        evidence="reference run",
        published=0.51,
        citation="Roy et al., IEEE GRSL 17(2), 2020",
        bands=30,
        window=25,
        scaling="none",
        padding="zero",
        optimizer="adam",
        learning_rate=1e-3,
        epochs=100,
        batch=256,
    ),
    "sprn": Peer(
        network=SPRN,
        title="SPRN",
        evidence="reference run",
        published=0.18,
        citation="Zhang et al., IEEE TGRS, 2021, doi:10.1109/TGRS.2021.3074196",
        window=7,
        scaling="min-max",
        padding="reflect",
        optimizer="adam",
        learning_rate=1e-3,
        schedule="tenth at 100 and 250",
        epochs=300,
        batch=64,
        augment=True,
    ),
    "spectralformer": Peer(
        network=SpectralFormer,
        title="SpectralFormer",
        evidence="reference run",
        published=0.34,
        citation="Hong et al., IEEE TGRS 60, 2022",
        window=7,
        scaling="band min-max",
        padding="symmetric",
        optimizer="adam",
        learning_rate=5e-4,
        weight_decay=5e-3,
        schedule="0.9 every tenth",
        epochs=300,
        batch=64,
    ),
    "ssftt": Peer(
        network=SSFTT,
        title="SSFTT",
        evidence="reference run",
        published=0.95,
        citation="Sun et al., IEEE TGRS 60, 2022",
        bands=30,
        window=13,
        scaling="none",
        padding="zero",
        optimizer="adam",
        learning_rate=1e-3,
        epochs=100,
        batch=64,
    ),
    "gaht": Peer(
        network=GAHT,
        title="GAHT",
        evidence="reference run",
        published=0.97,
        citation="Mei et al., IEEE TGRS 60, 2022",
        window=8,
        scaling="min-max minus band means",
        padding="reflect",
        optimizer="sgd",
        learning_rate=1e-3,
        weight_decay=1e-4,
        epochs=300,
        batch=64,
        augment=True,
        options={"salinas": {"groups": 16, "depths": (2, 1, 1)}},
    ),
    "vit_hong": Peer(
        network=PixelViT,
        title="ViT (Hong et al.)",
        evidence="reference run",
        citation="Hong et al., IEEE TGRS 60, 2022, after Dosovitskiy et al., ICLR 2021",
        window=1,
        scaling="band min-max",
        padding="symmetric",
        optimizer="adam",
        learning_rate=5e-4,
        schedule="0.9 every tenth",
        epochs=1400,
        batch=64,
    ),
    "caevt": Peer(
        network=CAEVT,
        title="CAEVT",
        evidence="reference run of a port, encoder only; recipe chosen",
        published=0.36,
        citation="Zhang et al., Sensors 22(10), 2022",
        window=8,
        scaling="min-max minus band means",
        padding="reflect",
        optimizer="adam",
        learning_rate=1e-3,
        epochs=200,
        batch=128,
        augment=True,
    ),
    "morphformer": Peer(
        network=MorphFormer,
        title="MorphFormer",
        evidence="reference run",
        published=0.19,
        citation="Roy et al., IEEE TGRS 61, 2023",
        window=11,
        scaling="min-max minus band means",
        padding="reflect",
        optimizer="adam",
        learning_rate=5e-4,
        weight_decay=5e-3,
        schedule="0.9 every tenth",
        epochs=500,
        batch=64,
    ),
    "gscvit": Peer(
        network=GSCViT,
        title="GSC-ViT",
        evidence="reference run",
        published=0.10,
        citation="Zhao et al., IEEE TGRS 62, 2024",
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
    ),
    "datn": Peer(
        network=DATN,
        title="DATN",
        evidence="reference run; scaling, padding and schedule chosen",
        published=3.31,
        citation="Shu et al., Eng. Appl. Artif. Intell. 127, 2024",
        window=11,
        scaling="min-max minus band means",
        padding="reflect",
        optimizer="adam",
        learning_rate=0.008,
        weight_decay=1e-4,
        schedule="cosine",
        epochs=100,
        batch=64,
    ),
    "dctn": Peer(
        network=DCTN,
        title="DCTN",
        evidence="reference run; padding chosen",
        published=45.32,
        citation="Zhou et al., IEEE TGRS 62, 2024",
        window=15,
        scaling="min-max",
        padding="reflect",
        optimizer="adam",
        learning_rate=1e-4,
        schedule="tenth on plateau",
        epochs=200,
        batch=100,
    ),
    "ssan": Peer(
        network=SSAN,
        title="SSAN",
        evidence="reference run of a port",
        citation="Sun et al., IEEE TGRS 58(5), 2020",
        window=9,
        scaling="band standard",
        padding="zero",
        optimizer="adam",
        learning_rate=1e-3,
        epochs=100,
        batch=32,
    ),
    "sst": Peer(
        network=SST,
        title="SST-style",
        evidence="no code found: not a reproduction, sizes and recipe chosen",
        citation="after He et al., Remote Sensing 13(3), 2021",
        window=9,
        scaling="min-max minus band means",
        padding="reflect",
        optimizer="adam",
        learning_rate=1e-3,
        schedule="cosine",
        epochs=100,
        batch=64,
    ),
    "mfn3dsa": Peer(
        network=MFN3DSA,
        title="3DSA-MFN-style",
        evidence="abstract only: not a reproduction, sizes and recipe chosen",
        citation="after Qing et al., Remote Sensing 14(3), 2022",
        bands=30,
        window=9,
        scaling="none",
        padding="zero",
        optimizer="adam",
        learning_rate=1e-3,
        schedule="cosine",
        epochs=100,
        batch=64,
    ),
    "imae": Peer(
        network=IMAE,
        title="IMAE-style",
        evidence="abstracts only: not a reproduction, without pretraining, recipe chosen",
        citation="after Kong et al., IEEE JSTARS, 2024",
        window=9,
        scaling="min-max minus band means",
        padding="reflect",
        optimizer="adamw",
        learning_rate=5e-4,
        weight_decay=0.05,
        epochs=100,
        batch=64,
    ),
}


def build(name: str, *, seed: int = 0, **options) -> nn.Module:
    """A network by name, its weights a function of ``seed`` alone.

    `options` go to `CPDGAL` or to the peer's network: ``bands``, ``window``, ``classes`` and whatever else it takes. torch's
    global random state is left as it was. Raises ``ValueError`` for a name or a size that does not exist.
    """
    if name not in METHODS and name not in PEERS:
        raise ValueError(f"no method is called {name!r}; known are {', '.join([*METHODS, *PEERS])}")
    with weights_of(seed):
        return PEERS[name].network(**options) if name in PEERS else CPDGAL(**{**METHODS[name], **options})


class Size(NamedTuple):
    """What a network weighs, in parameters, and what one window costs it."""

    parameters: int  # all
    used: int  # those that the logits depend on
    counted: int  # of the layers that a forward pass calls: what common counters see, which skip bare parameters
    multiply_adds: int


def size(name: str, **options) -> Size:
    """The size of a network by name, without building it in memory; `options` as for `build`."""
    with torch.device("meta"):
        network = build(name, **options)
        inputs = {key: options[key] for key in ("bands", "window") if key in options}
        shape = inspect.signature(type(network)).parameters
        bands, window = (inputs.get(key, shape[key].default) for key in ("bands", "window"))
        two = torch.zeros(2, bands, window, window)
    called = {}
    for module in network.modules():
        if not any(module.children()):
            module.register_forward_hook(
                lambda module, *_: called.update({module: sum(p.numel() for p in module.parameters())})
            )
    out = network.train()(two)
    (out.logits if isinstance(out, tuple) else out).sum().backward()
    with FlopCounterMode(display=False) as flops:
        network.eval()(two[:1])
    everything = list(network.parameters())
    used = sum(p.numel() for p in everything if p.grad is not None)
    return Size(sum(p.numel() for p in everything), used, sum(called.values()), flops.get_total_flops() // 2)
