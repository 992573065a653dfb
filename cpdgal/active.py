"""Section 2.5: train, ask for the labels the network is least sure of, train again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event
from time import perf_counter

import numpy as np
import torch
from tqdm.auto import tqdm

from .metrics import scores
from .queries import select, strategy
from .splits import Split, draw, portion
from .training import adam, fit, predict
from .windows import Windows


@dataclass(frozen=True)
class Protocol:
    """Section 3's training protocol. Shares are of the labelled pixels (pool), of the pool (initial), and of what is
    left of the pool (acquired in each cycle), each rounded down (open decision 8)."""

    pool: float = 0.10
    initial: float = 0.05
    acquired: float = 0.02
    cycles: int = 30
    epochs: int = 200
    batch: int = 32
    learning_rate: float = 1e-3
    decay: str = "none"  # of the learning rate within a training; Section 3 calls 0.001 the "initial" one
    stratified: bool = False  # the first labels from every class, not purely at random (open decision 9)
    score_every: int = 1  # cycles from one look at the hold-out to the next; the last cycle is always scored

    def label_counts(self, labelled: int) -> list[int]:
        """Labels after the initial training and after each cycle, for a scene with so many labelled pixels."""
        pool = portion(self.pool, labelled)
        counts = [portion(self.initial, pool)]
        for _ in range(self.cycles):
            counts.append(counts[-1] + portion(self.acquired, pool - counts[-1]))
        return counts


# The paper's values for each scene (Section 3); a scene that the paper does not have follows Indian Pines.
PAPER = {
    "indian_pines": Protocol(),
    "botswana": Protocol(batch=64),
    "salinas": Protocol(pool=0.02, initial=0.10, acquired=0.10, cycles=10, epochs=50),
}


def protocol(scene: str, profile: str = "paper") -> Protocol:
    """The protocol of a scene at a profile: "paper" as published, "quick" for minutes on two cores, "smoke" for seconds."""
    published = PAPER.get(scene, PAPER["indian_pines"])
    profiles = {
        "paper": published,
        "quick": replace(
            published, acquired=0.038, cycles=6, epochs=52, batch=16, decay="cosine", stratified=True, score_every=2
        ),
        "smoke": replace(published, acquired=0.05, cycles=2, epochs=2, score_every=3),  # once: scoring is what takes time
    }
    if profile not in profiles:
        raise ValueError(f"no profile is called {profile!r}; known are {', '.join(profiles)}")
    return profiles[profile]


@dataclass(frozen=True, eq=False)
class Cycle:
    """What one cycle gave, measured on the hold-out after training where the protocol has it scored."""

    cycle: int
    labelled: np.ndarray  # positions of the labelled pixels in the order they were asked for
    losses: list[float]  # mean training loss of each epoch
    scores: dict[str, float]  # OA, AA and kappa in percent; empty where the cycle was not scored
    probabilities: np.ndarray | None  # (hold-out, k)
    seconds: float

    @property
    def row(self) -> dict[str, float]:
        """The cycle as a row of a table."""
        return {
            "cycle": self.cycle, "labels": len(self.labelled), **self.scores, "loss": self.losses[-1], "seconds": self.seconds,
        }  # fmt: skip


def active_learning(
    model: torch.nn.Module, windows: Windows, split: Split, protocol: Protocol, *, query: str = "margin", seed: int = 0,
    warm_start: bool = True, keep_optimizer: bool = False, cw_mse_weight: float = 0.1,
    detach_target: bool = False, progress: bool = True,
) -> Iterator[Cycle]:  # fmt: skip
    """Run the loop of Section 2.5 and yield a `Cycle` after the initial training and after every acquisition.

    Parameters
    ----------
    model
        a network as `cpdgal.build` gives; it is trained in place.
    windows, split, protocol
        the data, the pool and hold-out, and the budgets.
    query
        a strategy of `cpdgal.queries.STRATEGIES`.
    seed
        decides the initial labels, the order of batches, t and noise, and random queries, each independently.
    warm_start, keep_optimizer
        go on from the last cycle's weights, and Adam's state (open decision 7).
    cw_mse_weight, detach_target
        see `fit` (open decision 2).
    """
    strategy(query)  # a wrong name is told before anything is trained
    initial_rng, query_rng, *others = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4))
    generator, judging = (torch.Generator(windows.device).manual_seed(int(rng.integers(2**63))) for rng in others)
    targets = windows.scene.targets
    at_start = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = adam(model, protocol.learning_rate)

    first = portion(protocol.initial, len(split.pool))
    if not first:
        raise ValueError(f"{protocol.initial:.1%} of a pool of {len(split.pool)} pixels is no pixel; raise the initial share")
    labelled = initial_rng.permutation(draw(split.pool, targets, first, stratified=protocol.stratified, rng=initial_rng))
    with tqdm(total=(protocol.cycles + 1) * protocol.epochs, desc=query, unit="epoch", disable=not progress) as bar:
        for cycle in range(protocol.cycles + 1):
            start = perf_counter()
            if cycle:
                remaining = np.setdiff1d(split.pool, labelled)
                probabilities = predict(model, windows.batches(remaining), generator).numpy()
                count = portion(protocol.acquired, len(remaining))
                labelled = np.concatenate([labelled, remaining[select(query, probabilities, count, query_rng)]])
                if not warm_start:
                    model.load_state_dict(at_start)
                if not keep_optimizer:
                    optimizer = adam(model, protocol.learning_rate)
            losses = fit(
                model, windows[labelled], torch.from_numpy(targets[labelled]).to(windows.device), epochs=protocol.epochs,
                batch=protocol.batch, learning_rate=protocol.learning_rate, decay=protocol.decay, generator=generator,
                cw_mse_weight=cw_mse_weight, detach_target=detach_target, optimizer=optimizer, progress=bar.update,
            )  # fmt: skip
            judged, measured = None, {}
            if (protocol.cycles - cycle) % protocol.score_every == 0:
                judged = predict(model, windows.batches(split.holdout), judging).numpy()
                measured = scores(targets[split.holdout], judged.argmax(1))
            yield Cycle(cycle, labelled, losses, measured, judged, perf_counter() - start)


def side_by_side(*loops: Iterator[Cycle]) -> list[list[Cycle]]:
    """Run several loops at once and give the cycles of each.

    Every loop has a thread, and torch one core, of its own: so small a network gains nothing from two cores, and its
    numbers then do not depend on how many there are. An interrupt stops the loops after their current cycles.
    """
    stopped, threads = Event(), torch.get_num_threads()

    def run(loop: Iterator[Cycle]) -> list[Cycle]:
        torch.set_num_threads(1)
        cycles = []
        for cycle in loop:
            cycles.append(cycle)
            if stopped.is_set():
                break
        return cycles

    pool = ThreadPoolExecutor(len(loops))
    try:
        return [future.result() for future in [pool.submit(run, loop) for loop in loops]]
    finally:
        stopped.set()
        pool.shutdown(wait=False)
        torch.set_num_threads(threads)
