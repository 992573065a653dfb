"""The networks that Table 1 compares with: one file each, which holds the network and, in ``RECIPE``, how it is fed and
trained. A file that is added here is a peer by its name.

`build` makes any method of the project by name.
"""

import inspect
from importlib import import_module
from pkgutil import iter_modules
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..model import CPDGAL, METHODS, weights_of
from .recipe import Recipe

_RECIPES = {name: import_module(f".{name}", __name__).RECIPE for _, name, _ in iter_modules(__path__) if name != "recipe"}
PEERS: dict[str, Recipe] = dict(sorted(_RECIPES.items(), key=lambda each: each[1].rank))


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
