"""Training and prediction over tensors in memory."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from .losses import cw_mse


def fit(
    model: nn.Module, x: Tensor, y: Tensor, *, epochs: int, batch: int = 32, learning_rate: float = 1e-3,
    decay: str = "none", cw_mse_weight: float = 0.1, detach_target: bool = False, masked_above: str = "mean",
    generator: torch.Generator, optimizer: torch.optim.Optimizer | None = None, progress: bool | Callable[[], object] = True,
) -> list[float]:  # fmt: skip
    """Train `model` on windows x (n, c, w, w) with classes y (n,), counted from 0, by Section 3's Adam.

    Parameters
    ----------
    decay
        "none" keeps the learning rate; "cosine" lets it fall to 0 over the epochs.
    cw_mse_weight
        weight of CW-MSE (Eq. 17) beside the cross-entropy; a network with neither DGFR nor CM has nothing
        for it to supervise and is trained on the cross-entropy alone.
    detach_target
        keep CW-MSE from moving its target Z.
    masked_above
        see `cw_mse`.
    generator
        on the device of x; order, steps t and noise come from it, so that the same state gives the same
        weights, on CPU to the bit.
    optimizer
        goes on with its state; by default a new Adam starts.
    progress
        a bar of its own, or a function to call after each epoch.

    Returns
    -------
    The mean loss of each epoch.
    """
    if decay not in ("none", "cosine"):
        raise ValueError(f"decay is 'none' or 'cosine', not {decay!r}")
    optimizer = optimizer or adam(model, learning_rate)
    model.train()
    losses = []
    with tqdm(total=epochs, desc="epochs", leave=False, disable=progress is not True) as bar:
        for epoch in range(epochs):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * (1 if decay == "none" else (1 + math.cos(math.pi * epoch / epochs)) / 2)
            total = torch.zeros((), device=x.device)
            for index in torch.randperm(len(x), generator=generator, device=x.device).split(batch):
                out = model(x[index], generator=generator)
                loss = F.cross_entropy(out.logits, y[index])
                if model.dgfr is not None or model.masking is not None:
                    z = out.tokens.detach() if detach_target else out.tokens
                    loss = loss + cw_mse_weight * cw_mse(z, out.refined, out.mask, masked_above=masked_above)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(index)
            losses.append(total.item() / len(x))
            progress() if callable(progress) else bar.update()
    return losses


def adam(model: nn.Module, learning_rate: float = 1e-3) -> torch.optim.Adam:
    return torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)


def predict(model: nn.Module, batches: Iterable[Tensor], generator: torch.Generator | None = None) -> Tensor:
    """Class probabilities (n, k), on the CPU, for batches of windows; the model's mode is left as it was."""
    with _evaluation(model):
        return torch.cat([model(x, generator=generator).logits.softmax(1).cpu() for x in batches])


def features(model: nn.Module, batches: Iterable[Tensor]) -> Tensor:
    """What the head reads, (n, d), on the CPU, for batches of windows."""
    with _evaluation(model):
        return torch.cat([model(x).features.cpu() for x in batches])


def predict_draws(model: nn.Module, batches: Iterable[Tensor], draws: int, generator: torch.Generator) -> Tensor:
    """Class probabilities (draws, n, k), on the CPU, each under its own step t and noise of DGFR.

    Raises ``ValueError`` for a network without DGFR: it has no randomness to draw from.
    """
    if getattr(model, "dgfr", None) is None:
        raise ValueError("repeated draws need a network with DGFR; choose another query strategy for this one")
    with _evaluation(model):
        drawn = []
        for x in batches:
            z = model.embedding(x)
            drawn.append(torch.stack([model(x, *model.dgfr.draw(z, generator)).logits.softmax(1) for _ in range(draws)]))
        return torch.cat(drawn, 1).cpu()


@contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; the model's own mode is put back."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)
