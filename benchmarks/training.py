"""One training step and one cycle of the loop against the same network written the ordinary way, on Indian Pines.

The ordinary way is torch's own encoder layers, all windows built ahead, a DataLoader, and Adam as it comes; embedding,
DGFR, masking and loss are ours in both. Times are processor time of one thread, so that waiting for other jobs does not
count. The two ways take turns, and ratios are taken within a turn: a machine that changes its speed drops out.
"""

import argparse
from statistics import median
from time import process_time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

import cpdgal
from cpdgal.training import Training

BANDS, WINDOW, CLASSES, DIM, HEADS, LAYERS, BATCH = 15, 7, 16, 32, 8, 6, 32
STEPS, PRODUCTS, SIDE = 10, 5, 1024  # a turn: steps each way, and products of square matrices for the peak
NAMES = {
    "blocks.": "layers.",
    "norm_attention": "norm1",
    "qkv.": "self_attn.in_proj_",
    ".out.": ".self_attn.out_proj.",
    "norm_ffn": "norm2",
    "ffn.0": "linear1",
    "ffn.2": "linear2",
}


class Ordinary(nn.Module):
    """`cpdgal.CPDGAL` with torch's encoder layers."""

    def __init__(self):
        super().__init__()
        self.embedding = cpdgal.PatchEmbedding(BANDS, WINDOW, 1, DIM)
        self.dgfr = cpdgal.DGFR(DIM, self.embedding.tokens, steps=100)
        self.masking = cpdgal.ContextualMasking(DIM)
        options = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(DIM, HEADS, 4 * DIM, **options) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, CLASSES)

    def forward(self, x: Tensor, t: Tensor | None = None, noise: Tensor | None = None) -> cpdgal.Output:
        z = self.embedding(x)
        z_final = self.dgfr(z, t, noise)
        seen, attend = self.layers[0].norm1(z_final), self.layers[0].self_attn
        encoded, mask = self.masking(z_final, attend(seen, seen, seen, need_weights=True, average_attn_weights=False)[1])
        for layer in self.layers:
            encoded = layer(encoded)
        refined = self.norm(encoded)
        features = refined.mean(1)
        return cpdgal.Output(self.head(features), z, refined, mask, features)


class OurWay:
    def __init__(self, windows: cpdgal.Windows):
        self.windows, self.targets = windows, torch.from_numpy(windows.scene.targets)
        self.model, self.generator = networks()[0], torch.Generator().manual_seed(0)
        self.optimizer = Training().make_optimizer(self.model)

    def train(self, labelled: np.ndarray, epochs: int):
        cpdgal.fit(
            self.model,
            self.windows[labelled],
            self.targets[labelled],
            Training(epochs=epochs, batch=BATCH),
            generator=self.generator,
            optimizer=self.optimizer,
            progress=False,
        )

    def predict(self, asked: np.ndarray):
        return cpdgal.predict(self.model, self.windows.batches(asked))


class OrdinaryWay:
    def __init__(self, windows: cpdgal.Windows):
        self.built, self.targets = windows[np.arange(len(windows))], torch.from_numpy(windows.scene.targets)
        self.model = networks()[1]
        self.optimizer = torch.optim.Adam(self.model.parameters())

    def train(self, labelled: np.ndarray, epochs: int):
        loader = DataLoader(TensorDataset(self.built[labelled], self.targets[labelled]), batch_size=BATCH, shuffle=True)
        self.model.train()
        for _ in range(epochs):
            total = 0.0
            for x, y in loader:
                error = loss(self.model(x), y)
                self.optimizer.zero_grad()
                error.backward()
                self.optimizer.step()
                total += error.item() * len(x)

    def predict(self, asked: np.ndarray):
        self.model.eval()
        with torch.no_grad():
            loader = DataLoader(TensorDataset(self.built[asked]), batch_size=BATCH)
            return torch.cat([self.model(x).logits.softmax(1) for (x,) in loader])


def networks() -> tuple[cpdgal.CPDGAL, Ordinary]:
    """Ours and the ordinary one, with the same weights."""
    ours, ordinary = cpdgal.build("cpdgal", bands=BANDS, window=WINDOW, classes=CLASSES), Ordinary()
    ordinary.load_state_dict({ordinary_name(name): value for name, value in ours.state_dict().items()})
    return ours, ordinary


def ordinary_name(name: str) -> str:
    if name.startswith("blocks."):
        for old, new in NAMES.items():
            name = name.replace(old, new)
    return name


def loss(out: cpdgal.Output, y: Tensor) -> Tensor:
    return F.cross_entropy(out.logits, y) + 0.1 * cpdgal.cw_mse(out.tokens, out.refined, out.mask)


def differences(x: Tensor, y: Tensor) -> tuple[float, float]:
    """The largest between the two networks, for the same weights, steps t and noise: in logits and in gradients."""
    ours, ordinary = (network.to(x.dtype) for network in networks())
    t, noise = ours.dgfr.draw(ours.embedding(x))
    outs = [network(x, t, noise) for network in (ours, ordinary)]
    for out in outs:
        loss(out, y).backward()
    parameters = dict(ordinary.named_parameters())
    pairs = [(mine.grad, parameters[ordinary_name(name)].grad) for name, mine in ours.named_parameters()]
    with torch.no_grad():
        judged = [network.eval()(x).logits for network in (ours, ordinary)]  # torch's layers have a path of their own here
    return largest([(outs[0].logits, outs[1].logits), judged]), largest(pairs)


def largest(pairs) -> float:
    return max((one - other).abs().max().item() for one, other in pairs)


def seconds(work, *arguments) -> float:
    start = process_time()
    work(*arguments)
    return process_time() - start


def row(name: str, unit: str, ours: list[float], ordinary: list[float]) -> str:
    ratios = [theirs / mine for mine, theirs in zip(ours, ordinary, strict=True)]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} turns"
    return f"{name:38}{median(ours):7.1f} {unit:2} {median(ordinary):8.1f} {unit:2}   {median(ratios):.2f} ({spread})"


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--turns", type=int, default=8, help=f"of {STEPS} steps each way")
    arguments.add_argument("--cycles", type=int, default=2, help="turns of a whole cycle each way")
    arguments.add_argument("--labels", type=int, default=200, help="labelled pixels of a cycle")
    arguments.add_argument("--epochs", type=int, default=20, help="epochs of a cycle")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)

    scene, rng = cpdgal.load_scene("indian_pines"), np.random.default_rng(0)
    windows, split = cpdgal.Windows(scene, WINDOW, BANDS), cpdgal.random_split(scene, rng=rng)
    pool = rng.permutation(split.pool)
    labelled, asked = pool[: options.labels], np.concatenate([pool[options.labels :], split.holdout])

    # The gradients in float64: in float32 rounding can carry a token over CW-MSE's threshold, which is a step.
    x, y = windows[pool[:BATCH]], torch.from_numpy(scene.targets[pool[:BATCH]])
    in_logits, in_gradients = differences(x, y)[0], differences(x.double(), y)[1]
    if max(in_logits, in_gradients) > 1e-5:
        raise SystemExit(f"not the same network: logits differ by {in_logits:.0e}, gradients by {in_gradients:.0e}")

    training, prediction, cycle, step = ([], []), ([], []), ([], []), ([], [])  # each: seconds of our way, of the ordinary way
    for _ in range(options.cycles):  # before anything is warm
        for way, make in enumerate((OurWay, OrdinaryWay)):
            made = make(windows)
            training[way].append(seconds(made.train, labelled, options.epochs))
            prediction[way].append(seconds(made.predict, asked))
            cycle[way].append(training[way][-1] + prediction[way][-1])

    ways, full, peaks = (OurWay(windows), OrdinaryWay(windows)), pool[: STEPS * BATCH], []
    with FlopCounterMode(display=False) as counter:
        ways[0].train(pool[:BATCH], 1)
    square = torch.rand(SIDE, SIDE)
    for _ in range(options.turns):
        for way, made in enumerate(ways):
            step[way].append(seconds(made.train, full, 1) / STEPS * 1e3)
        peaks.append(2 * SIDE**3 * PRODUCTS / seconds(lambda: [square @ square for _ in range(PRODUCTS)]))
    reached = [counter.get_total_flops() / (ms / 1e3) for ms in step[0]]
    share = median(rate / peak for rate, peak in zip(reached, peaks, strict=True))

    print(f"Indian Pines, {BANDS} bands, window {WINDOW}, {CLASSES} classes, batch {BATCH}; torch {torch.__version__}")
    print(f"the same network: logits within {in_logits:.0e} (float32), gradients within {in_gradients:.0e} (float64)\n")
    print(f"{'processor time of one thread, median':38}{'ours':>10} {'ordinary':>11}   ordinary / ours")
    print(row("a training step", "ms", *step))
    print(row(f"a cycle: train {options.labels} pixels, {options.epochs} epochs", "s", *training))
    print(row(f"         predict {len(asked):,} pixels", "s", *prediction))
    print(row("         together, warm-up included", "s", *cycle))
    print(
        f"\nour step: {counter.get_total_flops() / 1e9:.2f} GFLOP of matrix products, {median(reached) / 1e9:.1f} GFLOP/s, "
        f"{share:.0%} of the {median(peaks) / 1e9:.0f} GFLOP/s of a {SIDE} x {SIDE} product"
    )
