"""Training and prediction over tensors in memory."""

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from tqdm.auto import tqdm

from .model import CPDGAL, ContextualMasking, masked

# What the learning rate does within a training: by name, for `fit`.
DECAYS = {
    "none": "the learning rate stays",
    "cosine": "half a cosine to zero at the last epoch",
    "tenth at 100 and 200": "times 0.1 after epochs 100 and 200",
    "tenth at 100 and 250": "times 0.1 after epochs 100 and 250",
    "0.9 every tenth": "times 0.9 after every tenth of the epochs",
    "tenth on plateau": "times 0.1 after a quarter of the epochs without a better validation accuracy",
}

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": partial(torch.optim.SGD, momentum=0.9)}


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epochs: int,
    batch: int = 32,
    learning_rate: float = 1e-3,
    decay: str = "none",
    augment: bool = False,
    validation: tuple[Tensor, Tensor] | None = None,
    generator: torch.Generator,
    optimizer: torch.optim.Optimizer | None = None,
    progress: bool | Callable[[], object] = True,
    resume: Mapping[str, Tensor] | None = None,
    checkpoint: Callable[[Callable[[], dict[str, Tensor]]], object] | None = None,
) -> list[float]:
    """Train `model` on windows x (n, c, w, w) with classes y (n,), counted from 0, by Section 3's Adam.

    The loss is the network's own where it has a ``loss(x, y, generator)``, else the cross-entropy.

    Parameters
    ----------
    decay
        of the learning rate, a name of `DECAYS`.
    augment
        with probability 0.5 a window is flipped or turned by 90, 180 or 270 degrees, one of the five.
    validation
        windows and classes that judge every epoch: the weights of the best one are kept, the later of equals.
    generator
        on the device of x; order, steps t, noise, dropout and augmentation come from it, so that the same state gives the
        same weights, on CPU to the bit.
    optimizer
        goes on with its state; by default a new Adam starts.
    progress
        a bar of its own, or a function to call after each epoch.
    checkpoint
        called after each epoch with a function that tells the state of the training.
    resume
        such a state, of the same training: go on behind it, as if never stopped.

    Returns
    -------
    The mean loss of each epoch.
    """
    if decay not in DECAYS:
        raise ValueError(f"decay is one of {', '.join(DECAYS)}, not {decay!r}")
    optimizer = optimizer or make_optimizer(model, learning_rate=learning_rate)
    model.train()
    losses, best, kept, stale, drops = [], -1, {}, 0, 0
    if resume:
        restore(resume, model, optimizer)
        generator.set_state(resume["generator"])
        losses, (best, stale, drops), kept = resume["losses"].tolist(), resume["judged"].tolist(), part(resume, "best")

    def state() -> dict[str, Tensor]:
        own = {"generator": generator.get_state(), "losses": torch.tensor(losses, dtype=torch.float64)}
        return state_of(model, optimizer) | own | {"judged": torch.tensor([best, stale, drops]), **under("best", kept)}

    bars = {"total": epochs, "initial": len(losses), "desc": "epochs", "leave": False, "disable": progress is not True}
    with tqdm(**bars) as bar, _own_dropout(model, generator):
        for epoch in range(len(losses), epochs):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * (0.1**drops if decay == "tenth on plateau" else _factor(decay, epoch, epochs))
            total = torch.zeros((), device=x.device)
            for index in _batches(model, torch.randperm(len(x), generator=generator, device=x.device), batch):
                seen = _augmented(x[index], generator) if augment else x[index]
                loss = _loss(model, seen, y[index], generator)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(index)
            losses.append(total.item() / len(x))
            if validation is not None:
                right = (predict(model, validation[0].split(128)).argmax(1) == validation[1].cpu()).sum().item()
                stale = 0 if right > best else stale + 1
                if right >= best:
                    best, kept = right, {name: value.detach().clone() for name, value in model.state_dict().items()}
                if stale > epochs // 4:
                    stale, drops = 0, drops + 1
            progress() if callable(progress) else bar.update()
            if checkpoint:
                checkpoint(state)
    if kept:
        model.load_state_dict(kept)
    return losses


def state_of(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> dict[str, Tensor]:
    """Copies on the CPU of a network's state, and of its optimizer's, by flat names for `restore`."""
    tensors = under("model", model.state_dict())
    for index, moments in optimizer.state_dict()["state"].items() if optimizer else ():
        tensors |= under(f"optimizer.{index}", moments)
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}


def restore(state: Mapping[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
    """Set a network, and its optimizer, to a `state_of`."""
    model.load_state_dict(part(state, "model"))
    moments = {}
    for name, value in part(state, "optimizer").items():
        index, moment = name.split(".")
        moments.setdefault(int(index), {})[moment] = value.clone()  # the optimizer would write into the state given
    if moments:
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


def under(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state as part of another: every name behind the part's and a dot."""
    return {f"{name}.{own}": value for own, value in state.items()}


def part(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The part that `under` put there."""
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}


def _loss(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    own = getattr(model, "loss", None)
    return F.cross_entropy(_logits(model, x, generator), y) if own is None else own(x, y, generator)


def _factor(decay: str, epoch: int, epochs: int) -> float:
    """The learning rate of an epoch over the first one's."""
    if decay == "cosine":
        return (1 + math.cos(math.pi * epoch / epochs)) / 2
    if decay == "0.9 every tenth":
        return 0.9 ** (epoch // max(1, epochs // 10))
    steps = {"tenth at 100 and 200": (100, 200), "tenth at 100 and 250": (100, 250)}.get(decay, ())
    return 0.1 ** sum(epoch >= step for step in steps)


def _batches(model: nn.Module, order: Tensor, size: int) -> list[Tensor]:
    """The order in parts of a size; batch normalisation cannot take a part of one, which joins the part before it."""
    parts = list(order.split(size))
    if len(parts) > 1 and len(parts[-1]) == 1 and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _augmented(x: Tensor, generator: torch.Generator) -> Tensor:
    """Windows (b, c, w, w), every second one flipped or turned; their pixel stays at the centre where the side is odd."""
    moves = (
        lambda z: z.flip(3),
        lambda z: z.flip(2),
        lambda z: z.rot90(1, (2, 3)),
        lambda z: z.rot90(2, (2, 3)),
        lambda z: z.rot90(3, (2, 3)),
    )
    chosen = torch.randint(2 * len(moves), (len(x),), generator=generator, device=x.device)
    x = x.clone()
    for number, move in enumerate(moves):
        x[chosen == number] = move(x[chosen == number])
    return x


class _Dropout(TorchFunctionMode):
    """Dropout drawn from a generator in place of torch's global state, also where threads train side by side."""

    def __init__(self, generator: torch.Generator):
        super().__init__()
        self.generator = generator

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is not F.dropout:
            return function(*args, **(kwargs or {}))
        return self.dropout(*args, **(kwargs or {}))

    def dropout(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or not p:
            return x
        return x * torch.empty_like(x).bernoulli_(1 - p, generator=self.generator) / (1 - p)


def _own_dropout(model: nn.Module, generator: torch.Generator):
    return nullcontext() if _takes_generator(model) else _Dropout(generator)


def make_optimizer(
    model: nn.Module, name: str = "adam", learning_rate: float = 1e-3, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """Adam, AdamW, or SGD with momentum 0.9; ``ValueError`` for another name."""
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer is one of {', '.join(OPTIMIZERS)}, not {name!r}")
    return OPTIMIZERS[name](model.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True)


def predict(model: nn.Module, batches: Iterable[Tensor], generator: torch.Generator | None = None) -> Tensor:
    """Class probabilities (n, k), on the CPU, for batches of windows; the model's mode is left as it was."""
    with _evaluation(model):
        return torch.cat([_logits(model, x, generator).softmax(1).cpu() for x in batches])


def _logits(model: nn.Module, x: Tensor, generator: torch.Generator | None) -> Tensor:
    out = model(x, generator=generator) if _takes_generator(model) else model(x)
    return getattr(out, "logits", out)


def _takes_generator(model: nn.Module) -> bool:
    """Whether a network draws all its randomness from a generator that it is given."""
    return "generator" in inspect.signature(model.forward).parameters


def features(model: nn.Module, batches: Iterable[Tensor]) -> Tensor:
    """What the head reads, (n, d), on the CPU, for batches of windows; ``ValueError`` for a network that gives logits alone."""
    found = []
    with _evaluation(model):
        for out in map(model, batches):
            if not hasattr(out, "features"):
                raise ValueError("this network gives no features; choose a query strategy that needs none, such as margin")
            found.append(out.features.cpu())
    return torch.cat(found)


def predict_draws(model: nn.Module, batches: Iterable[Tensor], draws: int, generator: torch.Generator) -> Tensor:
    """Class probabilities (draws, n, k), on the CPU, by the network's ``drawn_logits``; ``ValueError`` where it has none."""
    drawn = getattr(model, "drawn_logits", None)
    if drawn is None:
        raise ValueError("this network draws nothing in evaluation; choose a query strategy that needs no repeated draws")
    with _evaluation(model):
        return torch.cat([drawn(x, draws, generator).softmax(2).cpu() for x in batches], 1)


def diagnose(
    model: nn.Module, batches: Callable[[], Iterable[Tensor]], answers: Tensor, generator: torch.Generator
) -> dict[str, float]:
    """What DGFR and contextual masking do in a trained network, on windows whose `answers` (n,) are known.

    Parameters
    ----------
    batches
        gives the windows, n in all, as often as it is called.
    generator
        steps t and noise come from it.

    Returns
    -------
    Of the schedule alpha_t: `alpha_mean`, `alpha_min`, and `alpha_clipped`, the share of the steps on an end of the range,
    where a clamp has no gradient. `noise_share`: the norm of (1 - alpha_t) times the noise over that of its token, the mean.
    Of M_b: `mask_mean`, its deviation between the tokens of a window, `mask_within`, and between windows, `mask_between`.
    `gamma` (Eq. 14, the mean) and its `gamma_scale`. The share of the answers that change when every token is masked by the
    mean of M_b, `changed_by_constant_mask`, and when DGFR acts as in training, `changed_by_dgfr`. Without the module, or where
    it does not act in evaluation, its entries are missing.
    """
    dgfr, masking = getattr(model, "dgfr", None), getattr(model, "masking", None)
    found = {}
    if dgfr is not None:
        with torch.no_grad():
            alpha, (low, high) = dgfr.alpha(), dgfr.clip
            found |= {"alpha_mean": alpha.mean(), "alpha_min": alpha.min()}
            found |= {"alpha_clipped": ((alpha <= low) | (alpha >= high)).float().mean()}
            found |= {"noise_share": torch.cat([_noise_share(model, x, generator) for x in batches()]).mean()}
        again = predict_draws(model, batches(), 1, generator)[0].argmax(1)
        found |= {"changed_by_dgfr": (again != answers).float().mean()}
    if isinstance(masking, ContextualMasking) and model.mask_at_inference:
        with _evaluation(model):
            masks, gammas = map(torch.cat, zip(*(_mask_and_gamma(model, x, generator) for x in batches()), strict=True))
        found |= {"mask_mean": masks.mean(), "mask_within": masks.std(1, correction=0).mean()}
        found |= {
            "mask_between": masks.mean(1).std(correction=0),
            "gamma": gammas.mean(),
            "gamma_scale": masking.scale.detach(),
        }

        def constant(module, inputs, output):
            return masked(inputs[0], torch.full_like(output[1], masks.mean()), module.mask_token), output[1]

        with masking.register_forward_hook(constant):
            again = predict(model, batches(), generator).argmax(1)
        found |= {"changed_by_constant_mask": (again != answers).float().mean()}
    return {name: float(value) for name, value in found.items()}


def _noise_share(model: CPDGAL, x: Tensor, generator: torch.Generator) -> Tensor:
    """(b, n) the norm of the noise that DGFR adds in training over that of its token, for windows x."""
    z = model.embedding(x)
    t, noise = model.dgfr.draw(z, generator)
    return ((1 - model.dgfr.alpha()[t - 1])[:, None] * noise.norm(dim=2)) / z.norm(dim=2)


def _mask_and_gamma(model: CPDGAL, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """M_b (b, n) and gamma (b,) for windows x, as in evaluation."""
    z = model.embedding(x)
    z = z if model.dgfr is None else model.dgfr(z, generator=generator)
    attention = model.blocks[0].attention_weights(z)
    return model.masking(z, attention)[1], model.masking.gamma(attention.mean(1))


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
