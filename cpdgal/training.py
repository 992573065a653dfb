"""Training and prediction over tensors in memory."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from .losses import cw_mse


def fit(
    model: nn.Module, x: Tensor, y: Tensor, *, epochs: int, batch: int = 32, learning_rate: float = 1e-3,
    cw_mse_weight: float = 0.1, detach_target: bool = False, generator: torch.Generator,
    optimizer: torch.optim.Optimizer | None = None, progress: bool = True,
) -> list[float]:  # fmt: skip
    """Train `model` on windows x (n, c, w, w) with classes y (n,), counted from 0: Section 3's Adam.

    The loss is the cross-entropy plus ``cw_mse_weight`` times CW-MSE (Eq. 17; a network without DGFR and CM has
    nothing for it to supervise). ``detach_target`` keeps CW-MSE from moving Z. Order, steps t and noise come from
    ``generator``, on the device of x: the same generator state gives the same weights, on CPU to the bit. A given
    ``optimizer`` goes on with its state; by default a new Adam starts.

    Returns the mean loss of each epoch.
    """
    if optimizer is None:
        optimizer = adam(model, learning_rate)
    model.train()
    losses = []
    for _ in tqdm(range(epochs), desc="epochs", leave=False, disable=not progress):
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
