"""Training and prediction over tensors in memory."""

import inspect
import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, MultiStepLR, ReduceLROnPlateau, StepLR
from torch.overrides import TorchFunctionMode
from tqdm.auto import tqdm

from .model import ContextualMasking, masked

# What the learning rate does within a training, by name: torch's schedule for an optimizer and so many epochs.
DECAYS: dict[str, Callable[[torch.optim.Optimizer, int], LRScheduler]] = {
    "none": lambda optimizer, epochs: LambdaLR(optimizer, lambda epoch: 1.0),
    "cosine": lambda optimizer, epochs: CosineAnnealingLR(optimizer, epochs),
    "tenth at 100 and 200": lambda optimizer, epochs: MultiStepLR(optimizer, [100, 200]),
    "tenth at 100 and 250": lambda optimizer, epochs: MultiStepLR(optimizer, [100, 250]),
    "0.9 every tenth": lambda optimizer, epochs: StepLR(optimizer, max(1, epochs // 10), 0.9),
    # a quarter of the epochs without a better validation accuracy
    "tenth on plateau": lambda optimizer, epochs: ReduceLROnPlateau(optimizer, "max", 0.1, epochs // 4, threshold=0),
}

State = dict[str, Tensor]  # of a network, a training or a loop, by flat names
Checkpoint = Callable[[Callable[[], State]], object]  # takes a function that gives a state, and may keep it
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained: Section 3's values by default.

    Raises ``ValueError`` for an unknown decay or optimizer.
    """

    epochs: int = 200
    batch: int = 32
    learning_rate: float = 1e-3
    decay: str = "none"  # a name of `DECAYS`; Section 3 calls 0.001 the "initial" learning rate
    optimizer: str = "adam"  # a name of `OPTIMIZERS`: Adam, AdamW, or SGD with momentum 0.9
    weight_decay: float = 0.0
    augment: bool = False  # with probability 0.5, a window is flipped or turned by 90, 180 or 270 degrees
    validated: float = 0.0  # share of the labels that chooses the epoch in place of training
    warm_start: bool = True  # a cycle goes on from the last one's weights (open decision 7)
    keep_optimizer: bool = False  # and from the optimizer's state

    def __post_init__(self):
        for name, known in (("decay", DECAYS), ("optimizer", OPTIMIZERS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, not {getattr(self, name)!r}")

    def make_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """A new optimizer for the network's parameters."""
        make = OPTIMIZERS[self.optimizer]
        return make(model.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    training: Training,
    *,
    generator: torch.Generator,
    validation: tuple[Tensor, Tensor] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    progress: bool | Callable[[], object] = True,
    resume: State | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[float]:
    """Train `model` on windows x (n, c, w, w) with classes y (n,), counted from 0.

    The loss is the network's own where it has a ``loss(x, y, generator)``, else the cross-entropy.

    Args:
        generator: on the device of x; all randomness comes from it, so that the same state gives the same weights, on CPU to
            the bit.
        validation: windows and classes that score every epoch: the weights of the best one are taken, the later of equals.
        optimizer: goes on with its state; by default a new one starts.
        progress: a bar of its own, or a function to call after each epoch.
        checkpoint, resume: called after each epoch with a function that gives the state of the training; such a state, to go on
            from.

    Returns the mean loss of each epoch; raises ``ValueError`` at the first one that is not finite.
    """
    optimizer = optimizer or training.make_optimizer(model)
    for group in optimizer.param_groups:
        group["lr"] = training.learning_rate
    schedule = DECAYS[training.decay](optimizer, training.epochs)
    run = _Progress(model, optimizer, schedule, generator)
    if resume:
        run.restore(resume)
    model.train()
    bars = {"total": training.epochs, "initial": len(run.losses), "desc": "epochs", "leave": False}
    with tqdm(**bars, disable=progress is not True) as bar, _own_dropout(model, generator):
        for epoch in range(len(run.losses), training.epochs):
            run.losses.append(_epoch(model, x, y, optimizer, training, generator))
            if not math.isfinite(run.losses[-1]):
                rate = f"learning rate {training.learning_rate:g}"
                raise ValueError(f"the loss is {run.losses[-1]} after epoch {epoch + 1}: training diverged at {rate}; lower it")
            progress() if callable(progress) else bar.update()
            run.close_epoch(validation)
            if checkpoint:
                checkpoint(run.state)
    if run.best_weights:
        model.load_state_dict(run.best_weights)
    return run.losses


class _Progress:
    """How far a training is: what the next epoch depends on."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, schedule: LRScheduler, generator: torch.Generator):
        self.model, self.optimizer, self.schedule, self.generator = model, optimizer, schedule, generator
        self.losses: list[float] = []
        self.best = -1
        self.best_weights: State = {}

    def close_epoch(self, validation: tuple[Tensor, Tensor] | None) -> None:
        """Keep the weights where no epoch before had more validation pixels right, and set the next learning rate."""
        plateau = isinstance(self.schedule, ReduceLROnPlateau)
        if validation is not None:
            correct = int((predict(self.model, validation[0].split(128)).argmax(1) == validation[1].cpu()).sum())
            if correct >= self.best:
                self.best = correct
                self.best_weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
            if plateau:
                self.schedule.step(correct)
        if not plateau:
            self.schedule.step()

    def state(self) -> State:
        """All of it as tensors by flat names."""
        numbers = {name: value for name, value in vars(self.schedule).items() if isinstance(value, (int, float))}
        schedule = {"lr": self.optimizer.param_groups[0]["lr"], "schedule": numbers}
        return {
            **state_of(self.model, self.optimizer),
            "generator": self.generator.get_state(),
            "losses": torch.tensor(self.losses, dtype=torch.float64),
            "schedule": as_tensor(schedule),
            "validation": torch.tensor(self.best),
            **under("best", self.best_weights),
        }

    def restore(self, state: State) -> None:
        """Go on from such a state."""
        restore(state, self.model, self.optimizer)
        self.generator.set_state(state["generator"])
        self.losses, self.best, self.best_weights = state["losses"].tolist(), int(state["validation"]), part(state, "best")
        schedule = from_tensor(state["schedule"])
        vars(self.schedule).update(schedule["schedule"])
        for group in self.optimizer.param_groups:
            group["lr"] = schedule["lr"]


def _epoch(model, x: Tensor, y: Tensor, optimizer, training: Training, generator: torch.Generator) -> float:
    """One pass over the samples in random order; the mean loss."""
    total = torch.zeros((), device=x.device)
    for index in _batches(model, torch.randperm(len(x), generator=generator, device=x.device), training.batch):
        seen = _augmented(x[index], generator) if training.augment else x[index]
        loss = _loss(model, seen, y[index], generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(index)
    return total.item() / len(x)


def state_of(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> State:
    """Copies on the CPU of a network's state, and of its optimizer's, by flat names for `restore`."""
    tensors = under("model", model.state_dict())
    for index, moments in optimizer.state_dict()["state"].items() if optimizer else ():
        tensors |= under(f"optimizer.{index}", moments)
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}


def restore(state: State, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
    """Set a network, and its optimizer, to a `state_of`."""
    model.load_state_dict(part(state, "model"))
    moments: dict[int, State] = {}
    for name, value in part(state, "optimizer").items():
        index, moment = name.split(".")
        moments.setdefault(int(index), {})[moment] = value.clone()  # the optimizer would write into the state given
    if moments and optimizer:
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


def under(name: str, state: State) -> State:
    """A state as part of another: every name after the part's and a dot."""
    return {f"{name}.{own}": value for own, value in state.items()}


def part(state: State, name: str) -> State:
    """The part that `under` put there."""
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}


def as_tensor(value) -> Tensor:
    """A value that JSON can hold as bytes, for a state of tensors."""
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)


def from_tensor(tensor: Tensor):
    """The value of `as_tensor`."""
    return json.loads(tensor.numpy().tobytes())


def _loss(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    own = getattr(model, "loss", None)
    return F.cross_entropy(_logits(model, x, generator), y) if own is None else own(x, y, generator)


def _batches(model: nn.Module, order: Tensor, size: int) -> list[Tensor]:
    """The order in parts of a size; batch normalisation cannot take a part of one, which joins the part before it."""
    parts = list(order.split(size))
    if len(parts) > 1 and len(parts[-1]) == 1 and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _augmented(x: Tensor, generator: torch.Generator) -> Tensor:
    """Windows (b, c, w, w), every second one flipped or turned; their pixel stays at the centre where the side is odd."""
    flips = [partial(torch.flip, dims=(side,)) for side in (3, 2)]
    turns = [partial(torch.rot90, k=quarters, dims=(2, 3)) for quarters in (1, 2, 3)]
    chosen, x = torch.randint(10, (len(x),), generator=generator, device=x.device), x.clone()
    for number, move in enumerate((*flips, *turns)):
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


def predict(model: nn.Module, batches: Iterable[Tensor], generator: torch.Generator | None = None) -> Tensor:
    """Class probabilities (n, k), on the CPU, for batches of windows; the model's mode is left as it was.

    Raises ``ValueError`` where they are not finite, as after a last step that diverged.
    """
    with _evaluation(model):
        found = torch.cat([_logits(model, x, generator).softmax(1).cpu() for x in batches])
    if not found.isfinite().all():
        raise ValueError("the network answers no numbers: training diverged; lower its learning rate, or what else was raised")
    return found


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

    ``batches`` gives the windows, n in all, as often as it is called; steps t and noise come from ``generator``.

    Returns, of the schedule alpha_t, `alpha_mean`, `alpha_min`, and `alpha_clipped`, the share of the steps on an end of the
    range, where a clamp has no gradient; `noise_share`, the norm of (1 - alpha_t) times the noise over that of its token, the
    mean; of M_b `mask_mean`, and its deviation between the tokens of a window, `mask_within`, and between windows,
    `mask_between`; `gamma` (Eq. 14, the mean) and its `gamma_scale`; the share of the answers that change when every token is
    masked by the mean of M_b, `changed_by_constant_mask`, and when DGFR acts as in training, `changed_by_dgfr`. Without the
    module, or where it does not act in evaluation, its entries are missing.
    """
    dgfr, masking = getattr(model, "dgfr", None), getattr(model, "masking", None)
    found: State = {}
    if dgfr is not None:
        with torch.no_grad():
            alpha, (low, high) = dgfr.alpha(), dgfr.clip
            clipped = ((alpha <= low) | (alpha >= high)).float().mean()
            noise = torch.cat([_noise_share(model, x, generator) for x in batches()]).mean()
        again = predict_draws(model, batches(), 1, generator)[0].argmax(1)
        found |= {"alpha_mean": alpha.mean(), "alpha_min": alpha.min(), "alpha_clipped": clipped, "noise_share": noise}
        found |= {"changed_by_dgfr": (again != answers).float().mean()}
    if isinstance(masking, ContextualMasking) and model.mask_at_inference:
        with _evaluation(model):
            masks, gammas = map(torch.cat, zip(*(_mask_and_gamma(model, x, generator) for x in batches()), strict=True))
        within, between = masks.std(1, correction=0).mean(), masks.mean(1).std(correction=0)
        found |= {"mask_mean": masks.mean(), "mask_within": within, "mask_between": between}
        found |= {"gamma": gammas.mean(), "gamma_scale": masking.scale.detach()}

        def constant(module, inputs, output):
            return masked(inputs[0], torch.full_like(output[1], masks.mean()), module.mask_token), output[1]

        with masking.register_forward_hook(constant):
            again = predict(model, batches(), generator).argmax(1)
        found |= {"changed_by_constant_mask": (again != answers).float().mean()}
    return {name: float(value) for name, value in found.items()}


def _noise_share(model, x: Tensor, generator: torch.Generator) -> Tensor:
    """(b, n) the norm of the noise that DGFR adds in training over that of its token, for windows x."""
    z = model.embedding(x)
    t, noise = model.dgfr.draw(z, generator)
    return ((1 - model.dgfr.alpha()[t - 1])[:, None] * noise.norm(dim=2)) / z.norm(dim=2)


def _mask_and_gamma(model, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
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
