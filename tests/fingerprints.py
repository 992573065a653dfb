"""Fingerprints of peer networks: the logits at prescribed weights and a prescribed input, in float64.

A peer is the published network where the same rule, applied to the published code, gives the same logits. A rule fills
the parameter i = 0, 1, ... of a prescribed order, element k = 0, 1, ... row by row. Fill "A" is 0.01 throughout, "B" is
0.05 sin(k + i); fill "C" and the input that goes with it come from a family of integer hashes, of which there are two.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from cpdgal.peers import PEERS

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)


def logits(name: str, bands: int, window: int, classes: int, fill: str = "C", **options) -> Tensor:
    """(2, classes) float64 logits of a peer in evaluation mode, filled by rule "A", "B" or "C", at the rule's input.

    `options` go to the network, but for ``tokens=True`` of "spectralformer": the input is then not windows but their
    token sequences (2, bands, 3 * window^2).
    """
    tokens = options.pop("tokens", False)
    network = PEERS[name].network(bands, window, classes, **options).double().eval()
    hashed, elements = FAMILIES.get(name, (fill_v, input_v))
    gains = {id(module.weight) for module in network.modules() if isinstance(module, NORMS)}
    gains |= {id(parameter) for path, parameter in network.named_parameters() if path.split(".")[-1] == "gain"}
    with torch.no_grad():
        for i, parameter in ORDERS.get(name, in_order)(network):
            parameter.copy_(filled(parameter.shape, i, fill, hashed, id(parameter) in gains))
        if tokens:
            length = network.embed.in_features
            return network.encode(elements(2 * bands * length, fill).reshape(2, bands, length))
        x = elements(2 * bands * window**2, fill)
        return network(INPUTS.get(name, as_windows)(x, bands, window))


def filled(shape: torch.Size, i: int, fill: str, hashed, is_gain: bool) -> Tensor:
    """The parameter i by a fill; `hashed` is the family's rule "C"."""
    k = torch.arange(shape.numel())
    if fill == "A":
        return torch.full(shape, 0.01, dtype=torch.float64)
    if fill == "B":
        return (0.05 * torch.sin((k + i).double())).reshape(shape)
    return hashed(k, i, shape, is_gain).reshape(shape)


def fill_v(k: Tensor, i: int, shape: torch.Size, is_gain: bool) -> Tensor:
    """The family of 1000003: gains 1 + 0.2 v, other vectors 0.2 v, tensors v sqrt(6 / fan-in)."""
    v = hash_v(k, i)
    if len(shape) == 1:
        return 1 + 0.2 * v if is_gain else 0.2 * v
    fan_in = shape[-1] if len(shape) == 3 and shape[0] == 1 else shape[1:].numel()
    return v * (6 / fan_in) ** 0.5


def input_v(elements: int, fill: str) -> Tensor:
    """The input of that family: a line from -1 to 1 for "A" and "B", hashed as parameter 1000 for "C"."""
    return hash_v(torch.arange(elements), 1000) if fill == "C" else input_u(elements, fill)


def hash_v(k: Tensor, i: int) -> Tensor:
    prime = 1000003
    k = k % prime  # the same remainder, and no overflow
    return 2 * ((7919 * k * k + 104729 * k + 1299709 * i + 12345) % prime).double() / prime - 1


def fill_u(k: Tensor, i: int, shape: torch.Size, is_gain: bool) -> Tensor:
    """The family of 1009: gains 1 + 0.2 u, other vectors 0.2 u, tensors u sqrt(12 / fan-in)."""
    period = k[:1009]
    u = ((31 * period * period + 17 * period + 101 * i) % 1009).double() / 1009 - 0.5
    u = u.repeat(-(-len(k) // 1009))[: len(k)]
    if is_gain:
        return 1 + 0.2 * u
    return 0.2 * u if len(shape) == 1 else u * (12 / shape[1:].numel()) ** 0.5


def input_u(elements: int, fill: str) -> Tensor:
    """The input of that family: a line from -1 to 1."""
    return torch.linspace(-1, 1, elements, dtype=torch.float64)


def as_windows(x: Tensor, bands: int, window: int) -> Tensor:
    """Most networks were published for windows with bands first, with or without a plane axis before them."""
    return x.reshape(2, bands, window, window)


def in_order(network: nn.Module) -> Iterator[tuple[int, Tensor]]:
    """Most networks register their parameters in the prescribed order."""
    return enumerate(network.parameters())


def order_of_pixel_vit(network: nn.Module) -> Iterator[tuple[int, Tensor]]:
    """The published module holds six unused tensors, 59 to 64, before its head."""
    return ((i if i < 59 else i + 6, parameter) for i, parameter in enumerate(network.parameters()))


def bands_last(x: Tensor, bands: int, window: int) -> Tensor:
    """SSAN was published for windows with bands last."""
    return x.reshape(2, window, window, bands).movedim(3, 1)


# What departs from the usual, by the peer's name.
# (rule "C", input) other than those of 1000003
FAMILIES = dict.fromkeys(("caevt", "datn", "dctn", "gscvit", "morphformer", "ssan"), (fill_u, input_u))
ORDERS = {"vit_hong": order_of_pixel_vit}
INPUTS = {"ssan": bands_last}  # the published input, row by row, brought to windows (2, bands, window, window)
