"""Section 2.5: train, ask for the labels the network is least sure of, train again."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from . import training
from .methods import Floor
from .metrics import scores
from .queries import Candidates, select, strategy
from .scenes import Scene
from .sources import SCENES
from .splits import Split, draw, draw_each, portion
from .training import Checkpoint, State, Training, as_tensor, from_tensor, part, under
from .windows import Windows

BATCH = 128  # windows predicted at a time; draws of DGFR come batch by batch, so a run's numbers depend on it


@dataclass(frozen=True, kw_only=True)
class Protocol(Training):
    """Section 3's protocol. Shares are of the labelled pixels (pool), of the pool (initial), and of what is left of the pool
    (acquired in each cycle), each rounded down (open decision 8).

    With nothing acquired, a cycle is one more stage of training on the same labels.
    """

    pool: float = 0.10
    initial: float = 0.05
    per_class: int = 0  # the first labels by number instead: so many of every class, or as many as the pool has
    acquired: float = 0.02
    cycles: int = 30
    stratified: bool = False  # the first labels from every class, not purely at random (open decision 9)
    score_every: int = 1  # cycles from one look at the hold-out to the next; the last cycle is always scored
    judged: int = 0  # so many test pixels of the hold-out, chosen at random; 0: all

    def label_counts(self, labelled: int) -> list[int]:
        """Labels after the initial training and after each cycle, for a scene with so many labelled pixels; not for labels by
        number of each class (`per_class`), which depend on the classes of the pool."""
        pool = portion(self.pool, labelled)
        counts = [portion(self.initial, pool)]
        for _ in range(self.cycles):
            counts.append(counts[-1] + self.asked(pool - counts[-1]))
        return counts

    def asked(self, remaining: int) -> int:
        """Labels to ask for in a cycle that begins with so many pixels left in the pool."""
        return portion(self.acquired, remaining) if self.acquired else 0


def protocol(scene: str, profile: str = "paper") -> Protocol:
    """The protocol of a scene at a profile.

    "paper" as published (Section 3; a scene that the paper does not have follows Indian Pines); "tuned" with trainings of at
    most 60 epochs, which the readings of open decisions found better on validation pixels; "ablation" with half the cycles of
    twice the size and shorter trainings, for comparisons of many settings; "quick" for minutes; "smoke" for seconds.
    """
    published = Protocol(**SCENES.get(scene, {}).get("protocol", {}))
    profiles = {
        "paper": published,
        "tuned": replace(published, epochs=min(60, published.epochs)),
        "ablation": replace(published, acquired=0.04, cycles=15, epochs=60),
        "quick": replace(
            published, acquired=0.038, cycles=6, epochs=52, batch=16, decay="cosine", stratified=True, score_every=2
        ),
        "smoke": replace(published, acquired=0.05, cycles=2, epochs=2, score_every=3, judged=1000),  # scoring takes the time
    }
    if profile not in profiles:
        raise ValueError(f"no profile is called {profile!r}; known are {', '.join(profiles)}")
    return profiles[profile]


@dataclass(frozen=True, eq=False)
class Cycle:
    """What one cycle gave, measured on the hold-out after training where the protocol has it scored."""

    cycle: int
    labelled: np.ndarray  # positions of the labelled pixels in the order they were asked for
    losses: list[float]  # mean training loss of each epoch; empty for a floor
    scores: dict[str, float]  # OA, AA and kappa in percent; empty where the cycle was not scored
    probabilities: np.ndarray | None  # (hold-out, k)
    candidates: np.ndarray  # (what is left of the pool, k) class probabilities
    diagnostics: dict[str, float]  # what the network's modules do to these, as `cpdgal.training.diagnose` says
    seconds: float
    state: State  # everything that the next cycle depends on: give it back as `resume`

    @property
    def row(self) -> dict[str, float]:
        """The cycle as a row of a table."""
        loss = self.losses[-1] if self.losses else float("nan")
        return {"cycle": self.cycle, "labels": len(self.labelled), **self.scores, "loss": loss, "seconds": self.seconds}


def active_learning(
    model: nn.Module | Floor,
    windows: Windows,
    split: Split,
    protocol: Protocol,
    *,
    query: str = "margin",
    seed: int = 0,
    draws: int = 8,
    resume: State | None = None,
    checkpoint: Checkpoint | None = None,
    progress: bool = True,
) -> Generator[Cycle, None, None]:
    """Run the loop of Section 2.5 and yield a `Cycle` after the initial training and after every acquisition.

    Args:
        model: a network as `cpdgal.build` gives, trained in place; or a floor, `coordinates_floor` or `spectra_floor`.
        windows, split, protocol: the data, the pool and hold-out, and the budgets and training.
        query: a strategy of `cpdgal.queries.STRATEGIES`.
        seed: decides the initial labels, the order of batches, t and noise, and random queries, each independently.
        draws: how often a strategy that needs it draws from DGFR.
        resume: the `state` of a cycle of the same loop, begun with the same arguments: go on after it, as if never stopped.
        checkpoint: called after each epoch with a function that gives the state to `resume` from within the cycle.
    """
    strategy(query)  # a wrong name is refused before anything is trained
    loop = Loop(model, windows, split, protocol, query, seed, draws)
    begun = part(resume or {}, "training")  # of a cycle, when it was left in the middle
    state = {name: value for name, value in (resume or {}).items() if not name.startswith("training.")}
    first = loop.restore(state) if state else 0

    def within(state_of_training: Callable[[], State]) -> None:
        """Give the state within a cycle: that after the last one, and that of the training."""
        seconds = torch.tensor(perf_counter() - start)
        assert checkpoint  # it is called only where there is one
        checkpoint(lambda: {**state, **under("training", {**state_of_training(), "seconds": seconds})})

    total, done = (protocol.cycles + 1) * protocol.epochs, first * protocol.epochs + len(begun.get("losses", ()))
    with tqdm(total=total, initial=done, desc=query, unit="epoch", disable=not progress) as bar:
        for cycle in range(first, protocol.cycles + 1):
            start = perf_counter() - float(begun.pop("seconds", 0.0))
            if cycle:
                loop.label(np.concatenate([loop.labelled, loop.ask(protocol.asked(len(loop.left)))]))
            losses = loop.learner.fit(loop.labelled, loop.generator, bar, begun, within if checkpoint else None)
            begun = {}
            measured, probabilities = loop.score() if (protocol.cycles - cycle) % protocol.score_every == 0 else ({}, None)
            loop.look_at_the_rest()
            seconds = perf_counter() - start
            diagnostics, state = loop.diagnose(cycle), loop.state(cycle)
            yield Cycle(cycle, loop.labelled, losses, measured, probabilities, loop.candidates, diagnostics, seconds, state)


class Loop:
    """What goes from cycle to cycle: the labels, what is left of the pool, the learner and all random states.

    The first labels are drawn from the pool, or are those `labelled` (positions).
    """

    def __init__(
        self, model, windows: Windows, split: Split, protocol: Protocol, query: str, seed: int, draws: int, labelled=None
    ):
        self.windows, self.split, self.protocol = windows, split, protocol
        self.query, self.seed, self.draws = query, seed, draws
        initial_rng, self.query_rng, *others = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4))
        self.generator, self.scoring = (torch.Generator(windows.device).manual_seed(int(rng.integers(2**63))) for rng in others)
        network = isinstance(model, nn.Module)
        self.learner = _Network(model, windows, protocol) if network else _FloorLearner(model, windows.scene)
        if labelled is None:
            labelled = initial_rng.permutation(_first_labels(protocol, split.pool, windows.scene.targets, initial_rng))
        self.label(labelled)
        self.candidates = np.empty(0)

    def label(self, positions: np.ndarray) -> None:
        """Take these as the labelled pixels, in the order they were asked for."""
        self.labelled, self.left = positions, np.setdiff1d(self.split.pool, positions)

    def ask(self, count: int, distance: int = 0) -> np.ndarray:
        """Positions of the pixels that the query strategy wants labelled next; `distance` as for `select`."""
        pixels, learner = self.windows.scene.pixels, self.learner
        known = Candidates(
            *(self.candidates, pixels[self.left], pixels[self.labelled]),
            features=lambda: (learner.features(self.left), learner.features(self.labelled)),
            draws=lambda: learner.draws(self.left, self.draws, self.generator),
        )
        return self.left[select(self.query, known, count, self.query_rng, distance)]

    def score(self) -> tuple[dict[str, float], np.ndarray]:
        """OA, AA and kappa on the hold-out, and the probabilities (n, k) they come from."""
        probabilities = self.learner.predict(self.split.holdout, self.scoring)
        return scores(self.windows.scene.targets[self.split.holdout], probabilities.argmax(1)), probabilities

    def look_at_the_rest(self, progress: bool = False) -> None:
        """Predict what is left of the pool."""
        self.candidates = self.learner.predict(self.left, self.generator, progress)

    def diagnose(self, cycle: int) -> dict[str, float]:
        """What the network's modules do on what is left of the pool. With draws of their own: a run is the same without it."""
        own = np.random.SeedSequence(self.seed, spawn_key=(4, cycle)).generate_state(1, np.uint64)[0]
        generator = torch.Generator(self.windows.device).manual_seed(int(own >> np.uint64(1)))
        return self.learner.diagnose(self.left, self.candidates, generator)

    def state(self, cycle: int) -> State:
        """Everything that the next cycle depends on."""
        return {
            "cycle": torch.tensor(cycle),
            "labelled": torch.from_numpy(self.labelled),
            "candidates": torch.from_numpy(self.candidates),
            "generator": self.generator.get_state(),
            "scoring": self.scoring.get_state(),
            "query": as_tensor(self.query_rng.bit_generator.state),
            **self.learner.state(),
        }

    def restore(self, state: State) -> int:
        """Go on from such a state; the number of the next cycle."""
        self.label(state["labelled"].numpy())
        self.candidates = state["candidates"].numpy()
        self.generator.set_state(state["generator"])
        self.scoring.set_state(state["scoring"])
        self.query_rng.bit_generator.state = from_tensor(state["query"])
        self.learner.restore(state)
        return int(state["cycle"]) + 1


def _first_labels(protocol: Protocol, pool: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if protocol.per_class:
        return draw_each(pool, targets, protocol.per_class, rng=rng)
    if not (count := portion(protocol.initial, len(pool))):
        raise ValueError(f"{protocol.initial:.1%} of a pool of {len(pool)} pixels is no pixel; raise the initial share")
    return draw(pool, targets, count, stratified=protocol.stratified, rng=rng)


class _Network:
    """A network as the loop sees it: by positions of labelled pixels."""

    def __init__(self, model: nn.Module, windows: Windows, protocol: Protocol):
        self.model, self.windows, self.protocol = model, windows, protocol
        self.optimizer = protocol.make_optimizer(model)
        self.at_start = self.state()

    def fit(self, labelled, generator, bar, begun, checkpoint) -> list[float]:
        protocol, targets = self.protocol, self.windows.scene.targets
        if not protocol.warm_start:
            self.restore(self.at_start)
        if not protocol.keep_optimizer:
            self.optimizer = protocol.make_optimizer(self.model)
        trained_on, validation = labelled, None
        if protocol.validated:
            rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator, device=generator.device)))
            count = len(labelled) - portion(protocol.validated, len(labelled))
            trained_on = draw(labelled, targets, count, stratified=True, rng=rng)
            scored_on = np.setdiff1d(labelled, trained_on)
            validation = self._samples(scored_on) if len(scored_on) else None
        options: dict = {"progress": bar.update, "resume": begun, "checkpoint": checkpoint, "validation": validation}
        options |= {"generator": generator, "optimizer": self.optimizer}
        return training.fit(self.model, *self._samples(trained_on), protocol, **options)

    def _samples(self, positions) -> tuple[Tensor, Tensor]:
        """Windows and classes of labelled pixels."""
        classes = torch.from_numpy(self.windows.scene.targets[positions])
        return self.windows[positions], classes.to(self.windows.device)

    def predict(self, positions, generator, progress=False) -> np.ndarray:
        if not len(positions):
            return np.empty((0, self.windows.scene.classes), dtype=np.float32)
        batches = self.windows.batches(positions, BATCH)
        shown = tqdm(batches, "predicting", -(-len(positions) // BATCH), leave=False, delay=2, disable=not progress)
        return training.predict(self.model, shown, generator).numpy()

    def features(self, positions) -> np.ndarray:
        return training.features(self.model, self.windows.batches(positions, BATCH)).numpy()

    def draws(self, positions, count, generator) -> np.ndarray:
        return training.predict_draws(self.model, self.windows.batches(positions, BATCH), count, generator).numpy()

    def diagnose(self, positions, probabilities, generator) -> dict[str, float]:
        if not len(positions):
            return {}
        answers = torch.from_numpy(probabilities.argmax(1))
        return training.diagnose(self.model, lambda: self.windows.batches(positions, BATCH), answers, generator)

    def state(self) -> State:
        return training.state_of(self.model, self.optimizer if self.protocol.keep_optimizer else None)

    def restore(self, state: State) -> None:
        training.restore(state, self.model, self.optimizer)


class _FloorLearner:
    """A floor as the loop sees it: nothing to train but what it is asked with, and its answers are certain."""

    def __init__(self, floor: Floor, scene: Scene):
        self.floor, self.scene, self.labelled = floor, scene, np.empty(0, dtype=int)

    def fit(self, labelled, generator, bar, begun, checkpoint) -> list[float]:
        self.labelled = labelled
        return []

    def predict(self, positions, generator, progress=False) -> np.ndarray:
        classes = self.floor(self.scene, self.labelled, positions) if len(positions) else np.empty(0)
        return np.eye(self.scene.classes, dtype=np.float32)[classes.astype(int)]

    def features(self, *_) -> np.ndarray:
        raise ValueError("a floor has no features or draws to choose by; ask it margin, random or farthest-first queries")

    draws = features

    def diagnose(self, positions, probabilities, generator) -> dict[str, float]:
        return {}

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        pass
