"""A loss surface against loading every weight set into the network and evaluating it the ordinary way, on Indian Pines.

Times are processor time of one thread. Ours is measured in full. The ordinary way costs the same for every weight set, so
it is measured on some of them, before and behind ours, and scaled to the grid; `--whole` takes them all.
"""

import argparse
from time import process_time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import cpdgal
from cpdgal.book.landscape import random_direction, surface
from cpdgal.training import Training

COUNT, EPOCHS, SEED = 512, 20, 0


def ordinary(
    model: cpdgal.CPDGAL, x: Tensor, y: Tensor, first: dict, second: dict, points: np.ndarray, batch: int
) -> np.ndarray:
    held = {name: weight.clone() for name, weight in model.state_dict().items()}
    losses = []
    with torch.no_grad():
        for a, b in points:
            model.load_state_dict({name: weight + a * first[name] + b * second[name] for name, weight in held.items()})
            model.eval()
            total = 0.0
            for part, classes in zip(x.split(batch), y.split(batch), strict=True):
                total += F.cross_entropy(model(part).logits, classes, reduction="sum").item()
            losses.append(total / len(x))
    model.load_state_dict(held)
    return np.array(losses)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--grid", type=int, default=51, help="points along a direction")
    arguments.add_argument("--nodes", type=int, default=17, help="Chebyshev points along a direction")
    arguments.add_argument("--sample", type=int, default=40, help="weight sets of the ordinary way")
    arguments.add_argument("--batch", type=int, default=128, help="windows at a time, the ordinary way")
    arguments.add_argument("--whole", action="store_true", help="every weight set the ordinary way: half an hour")
    options = arguments.parse_args()
    torch.set_num_threads(1)

    scene, rng = cpdgal.load_scene("indian_pines"), np.random.default_rng(SEED)
    windows, learned = cpdgal.Windows(scene), rng.permutation(len(scene.pixels))[:COUNT]
    x, y = windows[learned], torch.from_numpy(scene.targets[learned])
    model = cpdgal.build("cpdgal", classes=scene.classes)
    cpdgal.fit(model, x, y, Training(epochs=EPOCHS), generator=torch.Generator().manual_seed(SEED))
    plane = [random_direction(model, seed) for seed in (0, 1)]

    steps = np.linspace(-1, 1, options.grid)
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)
    asked = np.arange(len(grid)) if options.whole else np.sort(rng.permutation(len(grid))[: options.sample])
    seconds, losses = 0.0, []
    for part in np.array_split(asked, 2):  # half before ours, half behind: a machine that changes its speed shows less
        start = process_time()
        losses.append(ordinary(model, x, y, *plane, grid[part], options.batch))
        seconds += process_time() - start
        if len(losses) == 1:
            start = process_time()
            ours = surface(model, x, y, *plane, size=options.grid, nodes=options.nodes)
            own = process_time() - start
    theirs = seconds / len(asked) * len(grid)
    error = np.abs(ours.loss.ravel()[asked] / np.concatenate(losses) - 1)

    print(
        f"{options.grid} x {options.grid} weight sets, {COUNT} windows of Indian Pines; torch {torch.__version__}, one thread"
    )
    print(f"ours      {own:7.1f} s  ({options.nodes} x {options.nodes} evaluations, interpolated)")
    print(f"ordinary  {theirs:7.1f} s  (from {len(asked)} weight sets, {seconds / len(asked):.2f} s each)")
    print(f"ratio     {theirs / own:7.1f}")
    print(
        f"relative difference of the losses: {error.max():.1e} at most, median {np.median(error):.1e}; "
        f"found by ours at its checks: {ours.error:.1e}"
    )
