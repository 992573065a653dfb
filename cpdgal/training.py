"""Training and prediction over tensors in memory."""

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from .losses import cw_mse


def fit(
    model: nn.Module, x: Tensor, y: Tensor, *, epochs: int, batch: int = 32, learning_rate: float = 1e-3,
    decay: str = "none", cw_mse_weight: float = 0.1, detach_target: bool = False, generator: torch.Generator,
    optimizer: torch.optim.Optimizer | None = None, progress: bool | Callable[[], object] = True,
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
                    loss = loss + cw_mse_weight * cw_mse(z, out.refined, out.mask)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(index)
            losses.append(total.item() / len(x))
            progress() if callable(progress) else bar.update()
    return losses


def adam(model: nn.Module, learning_rate: float = 1e-3) -> torch.optim.Adam:
    return torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)


@torch.inference_mode()
def predict(model: nn.Module, batches: Iterable[Tensor], generator: torch.Generator | None = None) -> Tensor:
    """Class probabilities (n, k), on the CPU, for batches of windows; the model's mode is left as it was."""
    training = model.training
    model.eval()
    try:
        return torch.cat([model(x, generator=generator).logits.softmax(1).cpu() for x in batches])
    finally:
        model.train(training)
