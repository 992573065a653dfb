"""Loss surfaces and Hessian spectra of trained networks (Section 4, Fig. 3).

What is measured is the cross-entropy in evaluation mode, on given windows: both networks have that term, CW-MSE is CPDGAL's
alone. DGFR is the identity in evaluation, so the loss does not depend on its parameters.
"""

import warnings
import zlib
from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pyhessian
import torch
import torch.nn.functional as F
from numpy.polynomial.chebyshev import chebvander
from scipy.ndimage import label
from scipy.optimize import brentq
from torch import Tensor, nn
from torch.func import functional_call
from tqdm.auto import tqdm

from ..training import _evaluation


class Surface(NamedTuple):
    """The loss on a plane through the weights."""

    steps: np.ndarray  # (s,) coordinates along either direction; 1 is as long as the weights themselves
    loss: np.ndarray  # (s, s) mean cross-entropy, row = first direction, column = second
    error: float  # the largest relative error at the grid points that were checked
    temperature: float = 1.0  # what the logits were divided by


def random_direction(model: nn.Module, seed: int) -> dict[str, Tensor]:
    """A random direction in the space of weights, normalised filter by filter (Li et al. 2018).

    A filter is a row of a weight matrix, what leads to one output; it gets the norm of the model's own. What has no rows
    (biases, norms) stays where it is. Each name has its own generator, so that two models get the same directions, up to their
    norms, wherever names and shapes agree.
    """
    direction = {}
    for name, weight in model.named_parameters():
        generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
        drawn, row = torch.randn(weight.shape, generator=generator, dtype=weight.dtype), [*range(1, weight.ndim)]
        scale = weight.detach().norm(dim=row, keepdim=True) / drawn.norm(dim=row, keepdim=True) if row else 0.0
        direction[name] = drawn * scale
    return direction


def matching_temperature(logits: Tensor, y: Tensor, loss: float) -> float:
    """The number, at least 1, by which logits (n, k) have to be divided for their mean cross-entropy with classes y (n,) to be
    `loss`; ``ValueError`` where there is none: below the loss that they have, and from log k on, which is a guess."""
    logits = logits.double()
    try:
        return float(np.exp(brentq(lambda log: F.cross_entropy(logits / np.exp(log), y).item() - loss, 0, 30, xtol=1e-12)))
    except ValueError:
        raise ValueError(f"no temperature from 1 on brings the cross-entropy to {loss:.3g}") from None


def surface(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    first: dict,
    second: dict,
    *,
    temperatures: Sequence[float] = (1.0,),
    size=51,
    reach=1.0,
    nodes=17,
    checks=9,
    batch=32,
) -> list[Surface]:
    """The loss of `model` on windows x (n, c, w, w) with classes y (n,), on a plane through its weights: a surface for each
    temperature, which its logits are divided by.

    There every logit is an analytic function of the two coordinates, so an interpolation at Chebyshev points converges
    geometrically (Trefethen, Approximation Theory and Approximation Practice, chapter 8). The network is evaluated at nodes x
    nodes of them; the cross-entropy, which is far less smooth, is taken of the interpolated logits at each grid point. How good
    that is, is measured: at `checks` points spread over the grid the network is evaluated as well.

    Args:
        first, second: directions as `random_direction` gives them.
        size, reach: grid points along a direction, from -reach to reach.
        batch: windows at a time; 32 keeps the attention in the processor's cache.
    """
    steps = np.linspace(-reach, reach, size)
    held = {name: weight.detach() for name, weight in model.named_parameters()}

    def logits_at(a: float, b: float) -> Tensor:
        weights = {name: weight + a * first[name] + b * second[name] for name, weight in held.items()}
        return torch.cat([functional_call(model, weights, (part,)).logits for part in x.split(batch)])

    def losses_of(logits: Tensor) -> list[float]:
        return [F.cross_entropy(logits / temperature, y).item() for temperature in temperatures]

    with _evaluation(model), tqdm(total=nodes**2 + checks, desc="surface", unit="weights", leave=False) as bar:
        at = np.cos(np.pi * (np.arange(nodes) + 0.5) / nodes)
        known = torch.empty(nodes, nodes, *logits_at(0.0, 0.0).shape, dtype=x.dtype)
        for place in np.ndindex(nodes, nodes):
            known[place] = logits_at(*(reach * at[list(place)]))
            bar.update()
        cardinal = chebvander(steps / reach, nodes - 1) @ np.linalg.inv(chebvander(at, nodes - 1))
        to_grid = torch.from_numpy(cardinal).to(x.dtype)
        rows = (torch.tensordot(to_grid, torch.tensordot(weights, known, 1), 1) for weights in to_grid)
        loss = np.array([[losses_of(logits) for logits in row] for row in rows])
        errors = np.zeros(len(temperatures))
        for place in zip(*np.unravel_index(np.linspace(0, size**2 - 1, checks).astype(int), (size, size)), strict=True):
            errors = np.maximum(errors, abs(loss[place] / losses_of(logits_at(*steps[list(place)])) - 1))
            bar.update()
    each = zip(np.moveaxis(loss, 2, 0), errors.tolist(), temperatures, strict=True)
    return [Surface(steps, *one) for one in each]


def convexity(loss: np.ndarray) -> float:
    """The share of a surface's inner grid points where its 2 x 2 Hessian, by central differences, is positive definite."""
    by_row = loss[2:, 1:-1] - 2 * loss[1:-1, 1:-1] + loss[:-2, 1:-1]
    by_column = loss[1:-1, 2:] - 2 * loss[1:-1, 1:-1] + loss[1:-1, :-2]
    mixed = (loss[2:, 2:] - loss[2:, :-2] - loss[:-2, 2:] + loss[:-2, :-2]) / 4
    return float(((by_row > 0) & (by_row * by_column > mixed**2)).mean())


def barriers(loss: np.ndarray) -> np.ndarray:
    """The barriers around a surface's other local minima, highest first; empty where it has one minimum only.

    The barrier of a local minimum is the climb out of it to a lower one, by the path whose highest point is lowest. A minimum
    is a grid point, or a level of several, with no lower neighbour among eight; one at the border of the grid is left out,
    because the surface may fall further behind it.
    """
    order = np.argsort(loss, axis=None, kind="stable")
    lowest = np.full(loss.size, -1)  # for a point already flooded: towards the lowest point of its basin
    places, (height, width) = np.arange(loss.size).reshape(loss.shape), loss.shape
    found = []

    def basin(point: int) -> int:
        while lowest[point] != point:
            lowest[point] = point = lowest[lowest[point]]
        return point

    for point in order:
        row, column = divmod(point, width)
        around = places[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        basins = {basin(other) for other in around.flat if lowest[other] >= 0}
        met = sorted(basins, key=lambda bottom: (loss.flat[bottom], bottom))
        lowest[point] = met[0] if met else point
        for bottom in met[1:]:
            lowest[bottom] = met[0]
            inside = 0 < bottom // width < height - 1 and 0 < bottom % width < width - 1
            if inside and loss.flat[point] > loss.flat[bottom]:
                found.append(loss.flat[point] - loss.flat[bottom])
    return np.sort(found)[::-1]


def basin_width(surface: Surface) -> float:
    """The width in units of the directions of the basin, the connected part of the grid around the lowest point where the loss
    is at most twice the lowest: the diameter of the circle of the same area."""
    regions, _ = label(surface.loss <= 2 * surface.loss.min(), np.ones((3, 3)))  # eight neighbours
    area = (regions == regions.flat[surface.loss.argmin()]).sum() * (surface.steps[1] - surface.steps[0]) ** 2
    return float(2 * np.sqrt(area / np.pi))


class Spectrum(NamedTuple):
    """The eigenvalue density of a Hessian: point masses from stochastic Lanczos quadrature, several runs together."""

    values: np.ndarray  # (m,) ascending; the outermost are the extreme eigenvalues, as far as Lanczos has converged
    weights: np.ndarray  # (m,) shares of all eigenvalues; they sum to 1
    parameters: int  # those that the loss depends on: the size of the Hessian

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        return float(np.abs(self.values).max())

    @property
    def skewness(self) -> float:
        """The third standardised moment of the density."""
        centred = self.values - self.weights @ self.values
        return float(self.weights @ centred**3 / (self.weights @ centred**2) ** 1.5)


def spectrum(
    model: nn.Module, x: Tensor, y: Tensor, *, temperature: float = 1.0, iterations: int = 20, runs: int = 1, seed: int = 0
) -> Spectrum:
    """The eigenvalue density of the loss's Hessian, by PyHessian (Yao et al. 2020).

    Args:
        x, y: windows (n, c, w, w) and classes (n,), all held at once: 512 windows of the default network take 4 GB.
        temperature: the logits are divided by it.
        iterations, runs: of Lanczos: products with the Hessian in a run, and runs from different random vectors.
        seed: decides all random vectors; torch's global random state is left as it was, and so is the model.
    """
    eig = patch.object(torch, "eig", _symmetric_eig, create=True)
    with torch.inference_mode(False), warnings.catch_warnings(), torch.random.fork_rng(devices=[]), eig:
        warnings.filterwarnings("ignore", "Using backward\\(\\) with create_graph=True")
        model = deepcopy(model).eval().requires_grad_()
        weights = [*model.parameters()]
        slopes = torch.autograd.grad(model(x[:1]).logits.sum(), weights, allow_unused=True)
        for weight, slope in zip(weights, slopes, strict=True):
            weight.requires_grad_(slope is not None)
        torch.default_generator.manual_seed(seed)

        def loss(out, classes: Tensor) -> Tensor:
            return F.cross_entropy(out.logits / temperature, classes)

        hessian = pyhessian.hessian(model, loss, (x, y), cuda=False)
        values, shares = (np.array(found, dtype=float).ravel() for found in hessian.density(iterations, runs))
        model.zero_grad()  # the graph of a gradient refers back to the parameters
    order = values.argsort()
    return Spectrum(values[order], shares[order] / shares.sum(), sum(weight.numel() for weight in hessian.params))


def _symmetric_eig(matrix: Tensor, eigenvectors: bool) -> tuple[Tensor, Tensor]:
    """`torch.eig`, which PyHessian 0.1 calls and torch no longer has, for Lanczos' tridiagonal matrix: eigenvalues as (n, 2),
    their imaginary part 0, and eigenvectors."""
    values, vectors = torch.linalg.eigh(matrix)
    return torch.stack([values, torch.zeros_like(values)], 1), vectors
