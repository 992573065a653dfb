"""Studies: everything that decides a run's numbers, the record of a run, and the store that keeps records.

`run` loads the record of a study, resumes the study where it was cut off, or runs it.
"""

import hashlib
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import Field, asdict, dataclass, field, fields, replace
from datetime import datetime, timezone
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from threading import Event, Lock
from types import UnionType
from typing import get_args, get_origin

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from sklearn.metrics import confusion_matrix
from threadpoolctl import threadpool_limits

from .active import Cycle, Protocol, active_learning, protocol
from .methods import METHODS, build
from .metrics import calibration_error, class_accuracies, entropy_histogram, model_improvement, reliability
from .queries import strategy
from .scenes import Scene, SceneError
from .sources import known_checksum, load_scene
from .splits import Split, block_split, draw, random_split
from .training import DECAYS, OPTIMIZERS, predict
from .windows import PADDINGS, SCALINGS, Windows

CHECKPOINT_EVERY = 60  # seconds of a training, beside the checkpoint behind each cycle
FORMAT = 1  # of records; one more when an older cpdgal could no longer read them
PROTOCOL = tuple(each.name for each in fields(Protocol))

_SET_UP = Lock()  # limits on threads, and torch's random state while weights are drawn, are the whole process's


class RecordError(RuntimeError):
    """A record or a store that cannot be used; the message says which, why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """Everything that decides a run's numbers.

    Two studies with equal values give the same numbers on the same machine and versions. `key` is short and stable: it
    depends on the values that differ from their defaults, so an option added later leaves older keys alone.

    Parameters
    ----------
    scene, labels_path
        as for `load_scene`.
    method
        a name of `cpdgal.methods.METHODS`. A peer comes with its own input and training recipe; it has 5 % of the labelled
        pixels as labels (half of the pool, from every class) and no loop, unless said so.
    split
        "random" (the paper's), "block" (blocks of pixels apart, with a gap), or "validation": the pool of the random
        split, dealt into halves of which one is asked and the other judges; the hold-out is never seen.
    query
        a strategy of `cpdgal.queries.STRATEGIES`.
    profile
        the protocol's values: "paper", "ablation", "quick" or "smoke".
    seed
        decides the split, the first labels, the weights, the order of batches, and all noise.
    pool, initial, per_class, acquired, cycles, epochs, batch, ..., judged
        `Protocol`; None takes the profile's value for the scene, or the peer's own.
    window, components, scaling, padding
        what the network sees, as for `Windows`; None takes the method's own.
    patch, dim, heads, layers, steps, ffn_ratio, beta, static_masking
        the network's sizes, as for `CPDGAL`.
    cw_mse_weight, ..., block, gap
        what the paper leaves open, by the names of the arguments it goes to; ``pca`` fits on the whole "scene" or on
        the "pool", ``stratified_pool`` goes to `random_split`.
    checksum
        of the scene's data; filled in by `run`, and no part of the key.

    Raises
    ------
    ValueError
        For a value of the wrong type, and for a name that does not exist.
    """

    scene: str = "indian_pines"
    labels_path: str = ""
    method: str = "cpdgal"
    split: str = "random"
    query: str = "margin"
    profile: str = "paper"
    seed: int = 0

    pool: float | None = None
    initial: float | None = None
    per_class: int | None = None
    acquired: float | None = None
    cycles: int | None = None
    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    decay: str | None = None
    optimizer: str | None = None
    weight_decay: float | None = None
    augment: bool | None = None
    validated: float | None = None
    stratified: bool | None = None
    score_every: int | None = None
    judged: int | None = None

    window: int | None = None
    components: int | None = None
    scaling: str | None = None
    padding: str | None = None
    patch: int = 1
    dim: int = 32
    heads: int = 8
    layers: int = 6
    steps: int = 100
    ffn_ratio: int = 4
    beta: float = 2.0
    static_masking: float | None = None

    cw_mse_weight: float = 0.1
    detach_target: bool = False
    masked_above: str = "mean"
    refined_after_norm: bool = True
    alpha_range: tuple[float, float] = (0.99, 0.5)
    alpha_clip: tuple[float, float] = (0.01, 0.99)
    alpha_form: str = "clamp"
    residual_blocks: bool = False
    residual_denoiser: bool = True
    refinement: str = "identity"
    draws: int = 8
    mask_at_inference: bool = True
    pooling: str = "mean"
    warm_start: bool = True
    keep_optimizer: bool = False
    stratified_pool: bool = True
    pca: str = "scene"
    whiten: bool = True
    block: int = 15
    gap: int | None = None

    checksum: str = ""

    def __post_init__(self):
        for each in fields(self):
            object.__setattr__(self, each.name, _typed(each, getattr(self, each.name)))
        one_of = {
            "method": tuple(METHODS),
            "split": ("random", "block", "validation"),
            "pca": ("scene", "pool"),
            "masked_above": ("mean", "half"),
            "alpha_form": ("clamp", "sigmoid"),
            "refinement": ("identity", "last", "average"),
            "pooling": ("mean", "centre"),
        }
        for name, known in one_of.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, not {getattr(self, name)!r}")
        strategy(self.query)
        for name, value in _own_values(self).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        for name, known in {"decay": DECAYS, "optimizer": OPTIMIZERS, "scaling": SCALINGS, "padding": PADDINGS}.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, not {getattr(self, name)!r}")
        method, ours = METHODS[self.method], METHODS["cpdgal"].takes
        foreign = [name for name in ours if name not in method.takes and getattr(self, name) != getattr(Study, name)]
        if foreign and method.kind == "network":
            raise ValueError(f"{self.method} does not take {', '.join(foreign)}, which only CPDGAL and its ablations do")
        if self.seed < 0:
            raise ValueError(f"a seed is a number from 0 up, not {self.seed}")

    @property
    def form(self) -> dict:
        """All values, ready for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_form(cls, form: Mapping) -> "Study":
        """The study of a `form`; ``ValueError`` for a value that this version does not know."""
        if unknown := set(form) - {each.name for each in fields(cls)}:
            raise ValueError(f"this version of cpdgal has no {', '.join(sorted(unknown))}")
        return cls(**form)

    @property
    def changes(self) -> dict:
        """The values that differ from the defaults for this scene, method and profile; what names the study left out."""
        plain = Study(scene=self.scene, method=self.method, profile=self.profile).form
        named = ("scene", "method", "split", "query", "profile", "seed", "checksum")
        return {name: value for name, value in self.form.items() if value != plain[name] and name not in named}

    @cached_property
    def key(self) -> str:
        """Ten hexadecimal digits of the SHA-256 of the study's names and `changes`."""
        names = {name: self.form[name] for name in ("scene", "method", "split", "query", "profile", "seed")}
        canonical = json.dumps({**names, **self.changes}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:10]

    @property
    def name(self) -> str:
        """The name of the record's file without its ending: readable, and safe whatever the scene's path."""
        words = (Path(self.scene).stem, self.method, self.split, self.query, self.profile, str(self.seed), self.key)
        return "-".join(re.sub(r"[^a-z0-9]+", "_", word.lower())[:40] for word in words)

    @property
    def protocol(self) -> Protocol:
        """The protocol with all its values."""
        return Protocol(**{name: getattr(self, name) for name in PROTOCOL})

    def load_scene(self) -> Scene:
        """The scene; `SceneError` where all its labelled pixels are of one class: there is nothing to learn."""
        scene = load_scene(self.scene, self.labels_path or None)
        if scene.classes < 2:
            raise SceneError(f"{scene.name}: all labelled pixels are {scene.class_names[0]}; a study needs two classes or more")
        return scene

    def make_split(self, scene: Scene) -> Split:
        """The pool and what judges."""
        rng = np.random.default_rng(self.seed)
        split = self._deal(scene, rng)
        if not self.judged or self.judged >= len(split.holdout):
            return split
        return Split(split.pool, draw(split.holdout, scene.targets, self.judged, stratified=True, rng=rng))

    def _deal(self, scene: Scene, rng: np.random.Generator) -> Split:
        if self.split == "block":
            return block_split(scene, self.pool, block=self.block, window=self.window, gap=self.gap, rng=rng)
        split = random_split(scene, self.pool, stratified=self.stratified_pool, rng=rng)
        if self.split == "random":
            return split
        asked = draw(split.pool, scene.targets, len(split.pool) // 2, stratified=True, rng=rng)
        return Split(asked, np.setdiff1d(split.pool, asked))

    def make_windows(self, scene: Scene, split: Split, device: str = "cpu") -> Windows:
        """The windows the network sees."""
        fit_on = split.pool if self.pca == "pool" else None
        return Windows(
            scene,
            self.window,
            self.components,
            whiten=self.whiten,
            scaling=self.scaling,
            padding=self.padding,
            fit_on=fit_on,
            device=device,
        )

    def make_network(self, scene: Scene) -> torch.nn.Module:
        """The untrained network; ``ValueError`` for a floor."""
        method = METHODS[self.method]
        own = {name: getattr(self, name) for name in method.takes}
        own |= method.recipe.options.get(self.scene, {}) if method.recipe else {}
        bands = self.components or scene.bands
        return build(self.method, seed=self.seed, bands=bands, window=self.window, classes=scene.classes, **own)


def _own_values(study: Study) -> dict:
    """What a study takes where it says nothing: the profile's protocol and the method's input and recipe."""
    method = METHODS[study.method]
    values = asdict(protocol(study.scene, study.profile))
    values |= {name: getattr(method, name) for name in ("window", "components", "scaling", "padding")}
    if method.recipe is None:
        return values
    own = {name: getattr(method.recipe, name) for name in values if hasattr(method.recipe, name)}
    small = {"pool": 0.01, "epochs": 1, "judged": 100} if study.profile == "smoke" else {}  # some take seconds a window
    return values | own | {"validated": 0.1, "initial": 0.5, "stratified": True, "cycles": 0} | small


def _typed(declared: Field, value):
    """`value` as the type that a field declares; numbers may come as whole numbers, and pairs as lists."""
    kind, *others = get_args(declared.type) if isinstance(declared.type, UnionType) else (declared.type,)
    if value is None and others:
        return None
    pair = get_origin(kind) is tuple
    accepted = (int, float) if pair or kind is float else kind
    parts = [value] if not pair else value if isinstance(value, (list, tuple)) and len(value) == 2 else [None]
    if not all(
        isinstance(part, accepted)
        and (kind is bool) == isinstance(part, bool)
        and (not isinstance(part, float) or math.isfinite(part))
        for part in parts
    ):
        wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}.get(kind, "a pair of numbers")
        raise ValueError(f"{declared.name} takes {wanted}, not {value!r}")
    return tuple(map(float, value)) if pair else kind(value)


@dataclass(frozen=True, eq=False)
class Record:
    """What a run of a study gave, and where it was run."""

    study: Study
    cycles: pd.DataFrame  # cycle, labels, share, OA, AA, kappa, ECE, EMI, EMI per label (percent, but EMI), loss, seconds
    classes: pd.DataFrame  # by class name: pixels in the pool and judged, labels used, accuracy in percent
    confusion: np.ndarray  # (k, k) judged pixels at the end, row = true class, column = predicted
    queried: pd.DataFrame  # cycle, position in the list of labelled pixels, row, column, in the order they were asked for
    entropy: np.ndarray  # (cycles, 10) what is left of the pool by predictive entropy / log k, in equal bins of 0..1
    calibration: pd.DataFrame  # reliability diagram at the end: count, confidence, accuracy
    provenance: dict  # versions, machine, start, end, seconds of each cycle
    diagnostics: pd.DataFrame = field(default_factory=pd.DataFrame)  # by cycle: what DGFR and CM do; empty where unknown
    path: Path | None = field(default=None, repr=False)  # where it was read from

    @property
    def final(self) -> pd.Series:
        """The last cycle."""
        return self.cycles.iloc[-1]

    @property
    def results(self) -> dict:
        """Everything that the study decides, ready for JSON: equal, to the bit, for equal runs."""
        return {
            "study": self.study.form,
            "cycles": _columns(self.cycles.drop(columns="seconds")),
            "classes": _columns(self.classes.reset_index()),
            "confusion": self.confusion.tolist(),
            "queried": _columns(self.queried),
            "entropy": self.entropy.tolist(),
            "calibration": _columns(self.calibration),
            **({"diagnostics": _columns(self.diagnostics)} if self.diagnostics.size else {}),
        }

    def to_json(self) -> str:
        """The record as a file holds it: one line for each part."""
        content = {"format": FORMAT, "key": self.study.key, **self.results, "provenance": self.provenance}
        lines = (f"{json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in content.items())
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def read(cls, path: Path) -> "Record":
        """The record of a file; `RecordError` when it cannot be read, is damaged, or comes from a newer version."""
        path = Path(path)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] > FORMAT:
                raise RecordError(f"{path} was written by a newer cpdgal; update cpdgal to read it")
            study = Study.from_form(content["study"])
            cycles = pd.DataFrame(content["cycles"], dtype=float).astype({"cycle": int, "labels": int})
            record = cls(
                study,
                cycles.assign(seconds=content["provenance"]["seconds"]),
                pd.DataFrame(content["classes"]).astype({"accuracy": float}).set_index("class"),
                np.array(content["confusion"]),
                pd.DataFrame(content["queried"]),
                np.array(content["entropy"]),
                pd.DataFrame(content["calibration"]).astype({"confidence": float, "accuracy": float}),
                content["provenance"],
                pd.DataFrame(content.get("diagnostics", {}), dtype=float),
                path,
            )
        except OSError as error:
            raise RecordError(f"{path} cannot be read ({error.strerror}); check the file and its permissions") from error
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(f"{path} is not a whole record ({error!r}); move it away to run its study again") from error
        if content["key"] != study.key or path.stem != study.name:
            raise RecordError(
                f"{path} holds the study {study.name}, not the one it is named after; its values or their defaults were "
                "changed: move it away to run its study again"
            )
        return record

    def labelled(self, cycle: int | None = None) -> np.ndarray:
        """Positions of the labelled pixels in the order they were asked for; at the end, or after a cycle."""
        asked = self.queried if cycle is None else self.queried[self.queried.cycle <= cycle]
        return asked.position.to_numpy()

    @property
    def weights(self) -> Path | None:
        """The file of the trained weights, where they were kept."""
        path = self.path and self.path.with_suffix(".safetensors")
        return path if path and path.is_file() else None

    def network(self, scene: Scene) -> torch.nn.Module:
        """The trained network; `RecordError` when its weights were not kept."""
        if self.weights is None:
            raise RecordError(f"the record {self.study.name} has no weights; run its study again with weights=True")
        network = self.study.make_network(scene)
        network.load_state_dict(load_file(self.weights))
        return network.eval()

    @property
    def can_answer(self) -> bool:
        """Whether it can be asked about any pixel: a floor always, a network where its weights were kept."""
        return METHODS[self.study.method].kind == "floor" or self.weights is not None

    def answers(self, scene: Scene, positions: np.ndarray) -> np.ndarray:
        """The classes (n,), counted from 0, that it gives labelled pixels of the scene; `RecordError` without weights."""
        method = METHODS[self.study.method]
        if method.kind == "floor":
            return method.build(scene, self.labelled(), positions)
        batches = self.study.make_windows(scene, self.study.make_split(scene)).batches(positions)
        return predict(self.network(scene), batches).argmax(1).numpy()

    def map(self, scene: Scene) -> tuple[np.ndarray, Split]:
        """The class predicted for every pixel of the scene, (height, width) with 1..K, and the split that judged."""
        split = self.study.make_split(scene)
        batches = self.study.make_windows(scene, split).scene_batches()
        return predict(self.network(scene), batches).argmax(1).reshape(scene.labels.shape).numpy() + 1, split

    def differences(self, other: "Record") -> list[str]:
        """The parts that two records have and in which their results differ; empty when they are the same to the bit."""
        return [part for part, value in self.results.items() if value != other.results.get(part, value)]


def _columns(table: pd.DataFrame) -> dict[str, list]:
    """The columns of a table, ready for JSON: what is not a number becomes null."""
    return {name: table[name].astype(object).where(table[name].notna(), None).tolist() for name in table}


class Store:
    """A folder of records, backed by those that come with the package.

    A record of the package is found when the folder has none for its study; new ones go to the folder. Beside them
    stand the weights that were kept, and in ``checkpoints`` what unfinished runs need to go on.
    """

    def __init__(self, folder="results", *, packaged: bool = True):
        self.folder = Path(folder)
        self._known = {}
        self.folders = [self.folder, *(each for each in _packaged() if packaged and each.resolve() != self.folder.resolve())]

    def get(self, study: Study) -> Record | None:
        """The record of a study, or None; `RecordError` when it is damaged or was made from other data."""
        for folder in self.folders:
            path = folder / f"{study.name}.json"
            if path.exists():
                record = self._read(path)
                if study.checksum and record.study.checksum != study.checksum:
                    raise RecordError(
                        f"{path} was made from other data (checksum {record.study.checksum[:12]}) than {study.scene} holds now "
                        f"({study.checksum[:12]}); bring the data back, or move the record away to run its study on these"
                    )
                return record
        return None

    def records(self) -> list[Record]:
        """All records, by name; one in the folder comes before the package's of the same study."""
        found = {path.name: path for folder in reversed(self.folders) for path in folder.glob("*.json")}
        return [self._read(found[name]) for name in sorted(found)]

    def _read(self, path: Path) -> Record:
        """The record of a file, read again only when the file changed: a page asks for the same ones many times."""
        state = path.stat()
        stamp = (state.st_mtime_ns, state.st_size)
        if self._known.get(path, (None,))[0] != stamp:
            self._known[path] = (stamp, Record.read(path))
        return self._known[path][1]

    def select(self, **values) -> list[Record]:
        """The records, by seed, whose study has these values and changes no other of its profile."""
        found = [
            record
            for record in self.records()
            if all(getattr(record.study, name) == value for name, value in values.items())
            and set(record.study.changes) <= set(values)
        ]
        return sorted(found, key=lambda record: record.study.seed)

    def table(self) -> pd.DataFrame:
        """One row a record: its key, what names it, what it changes, and how it ended (OA, AA, kappa in percent)."""
        names = ("key", "scene", "method", "split", "query", "profile", "seed")
        ends = ("labels", "share", "OA", "AA", "kappa")
        rows = [
            {name: getattr(record.study, name) for name in names}
            | {"changes": json.dumps(record.study.changes) if record.study.changes else ""}
            | {name: record.final[name] for name in ends}
            | {"seconds": sum(record.provenance["seconds"])}
            for record in self.records()
        ]
        return pd.DataFrame(rows, columns=[*names, "changes", *ends, "seconds"]).astype({"labels": int})

    def save(self, record: Record, weights: Mapping[str, torch.Tensor] | None = None) -> Record:
        """Write a record, and weights before it, so that a record that is there is whole."""
        path = self.folder / f"{record.study.name}.json"
        if weights is not None:
            _write(path.with_suffix(".safetensors"), save(dict(weights), {"study": json.dumps(record.study.form)}))
        _write(path, record.to_json().encode())
        return replace(record, path=path)

    @contextmanager
    def claim(self, study: Study) -> Iterator[None]:
        """Hold a study for this process; another that asks for it waits here."""
        path = self._checkpoints / f"{study.name}.lock"
        try:
            self._checkpoints.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, timeout=0)
            try:
                lock.acquire()
            except Timeout:
                print(f"{study.name} is being run by another process; waiting for its record", file=sys.stderr)
                lock.acquire(timeout=-1)
        except OSError as error:
            raise RecordError(f"{path} cannot be written ({error.strerror}); choose a folder that can be") from error
        try:
            yield
        finally:
            lock.release()

    def save_checkpoint(self, study: Study, state: Mapping[str, torch.Tensor], log: dict) -> None:
        """Keep the state behind a cycle, and the one before it in case this file is damaged."""
        current, previous = self._checkpoint_files(study)
        tensors = dict(state)
        text = json.dumps(log)
        content = save(tensors, {"log": text, "digest": _digest(tensors, text)})
        if current.exists():
            _write(previous, current.read_bytes())
        _write(current, content)

    def load_checkpoint(self, study: Study) -> tuple[dict[str, torch.Tensor], dict] | None:
        """State and log of the last cycle that was kept whole; a warning for every file that was not."""
        for path in self._checkpoint_files(study):
            if not path.exists():
                continue
            try:
                with safe_open(path, framework="pt") as file:
                    metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
                if metadata["digest"] != _digest(tensors, metadata["log"]):
                    raise ValueError("its contents were changed")
                return tensors, json.loads(metadata["log"])
            except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
                warnings.warn(f"{path} is damaged ({error}); going back to the checkpoint before it", stacklevel=3)
                path.unlink(missing_ok=True)  # lest it be kept in the place of the one before it
        return None

    def drop_checkpoint(self, study: Study) -> None:
        """Remove what an ended run no longer needs."""
        for path in self._checkpoint_files(study):
            path.unlink(missing_ok=True)

    @property
    def _checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def _checkpoint_files(self, study: Study) -> tuple[Path, Path]:
        return tuple(self._checkpoints / f"{study.name}{ending}.safetensors" for ending in ("", ".previous"))


def _packaged() -> list[Path]:
    """The folder of records that comes with the package: inside a wheel, beside the package in a checkout."""
    package = Path(__file__).parent
    candidates = (package / "results", package.parent / "results")
    return [folder for folder in candidates if folder.is_dir()][:1]


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise RecordError(
            f"{path} could not be written ({error.strerror}); make room or choose another folder, and run the study again: "
            "it goes on behind the last cycle that was kept"
        ) from error


def _digest(tensors: Mapping[str, torch.Tensor], text: str) -> str:
    return hashlib.sha256(save(dict(tensors), {"text": text})).hexdigest()


def run(
    study: Study,
    store: Store | None = None,
    *,
    device: str = "cpu",
    weights: bool = False,
    progress: bool = True,
    stop: Event | None = None,
) -> Record:
    """The record of a study: loaded when the store has it, else resumed where it was cut off, else run from the start.

    A run uses one core, so that its numbers do not depend on how many there are. Interrupted or killed at any moment,
    it ends in the same record when it is called again. Two processes that want the same study do the work once.

    Parameters
    ----------
    store
        where records are looked for and kept; the folder "results" by default.
    device
        "cpu", or "cuda" where there is one; results are the same to rounding, not to the bit.
    weights
        keep the trained weights beside the record; a record without them does not count as found.
    stop
        once it is set, the run ends with ``KeyboardInterrupt`` after its current epoch, which is kept.

    Raises
    ------
    RecordError
        For a record or store that cannot be used. `SceneError` for data that cannot be had.
    """
    store = store or Store()
    study = replace(study, checksum=_checksum(study))

    def found() -> Record | None:
        record = store.get(study)
        return record if record and (record.can_answer or not weights) else None

    if record := found():
        return record
    with store.claim(study):
        return found() or _run(study, store, device, weights, progress, stop or Event())


def side_by_side(*studies: Study, store: Store | None = None, jobs: int | None = None, **options) -> list[Record]:
    """The records of several studies, run at once, or so many `jobs` at a time; `options` go to `run`.

    Every study has a thread and one core of its own: so small a network gains nothing from two cores. An interrupt stops
    the studies after their current epochs, and another call goes on behind them.
    """
    stop, pool = Event(), ThreadPoolExecutor(jobs or len(studies))
    try:
        running = [pool.submit(run, study, store, stop=stop, **options) for study in studies]
        return [each.result() for each in running]
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


def gather(
    groups: Mapping[str, Sequence[Study]], store: Store, *, train: bool = False, weights: bool = False, device: str = "cpu"
) -> dict[str, list[Record]]:
    """The records of groups of studies by the groups' names: those that are on record, in the order of the studies.

    With ``train`` what the store lacks is run first, a study a core, and with ``weights`` a record without weights counts as
    lacking.
    """
    wanted = {study: None for studies in groups.values() for study in studies}

    def there(study: Study) -> Record | None:
        record = store.get(study)
        return record if record and (record.can_answer or not weights) else None

    missing = [study for study in wanted if train and not there(study)]
    if missing:
        side_by_side(*missing, store=store, jobs=os.cpu_count(), weights=weights, device=device)
    return {name: [record for study in studies if (record := there(study))] for name, studies in groups.items()}


def _checksum(study: Study) -> str:
    """The checksum of the scene's data: known for published scenes, whose files are verified when they are read."""
    actual = known_checksum(study.scene) or study.load_scene().checksum
    if study.checksum not in ("", actual):
        raise RecordError(f"the study is of {study.scene} with checksum {study.checksum[:12]}, and its data have {actual[:12]}")
    return actual


def _run(study: Study, store: Store, device: str, weights: bool, progress: bool, stop: Event) -> Record:
    """Run a study, or go on with it, and save its record."""
    threads, made_with = torch.get_num_threads(), {**versions(device), "checksum": study.checksum}
    log = {"versions": made_with, "start": _now(), "resumed": 0, "cycles": [], "entropy": [], "diagnostics": [], "seconds": []}
    state = None
    if kept := store.load_checkpoint(study):
        if kept[1]["versions"] == made_with:
            state, log = kept
            log["resumed"] += 1
        else:
            changed = [name for name in made_with if made_with[name] != kept[1]["versions"].get(name)]
            warnings.warn(f"{study.name} was begun with another {', '.join(changed)}; it starts anew", stacklevel=3)
    last = time.monotonic()

    def checkpoint(now: Callable[[], dict[str, torch.Tensor]]) -> None:
        nonlocal last
        if stop.is_set() or time.monotonic() - last > CHECKPOINT_EVERY:
            store.save_checkpoint(study, now(), log)
            last = time.monotonic()
        if stop.is_set():
            raise KeyboardInterrupt

    try:
        torch.set_num_threads(1)
        scene = study.load_scene()
        split = study.make_split(scene)
        with _SET_UP, threadpool_limits(1):
            windows = study.make_windows(scene, split, device)
            method = METHODS[study.method]
            model = method.build if method.kind == "floor" else study.make_network(scene).to(device)
        loop = active_learning(
            model,
            windows,
            split,
            study.protocol,
            query=study.query,
            seed=study.seed,
            warm_start=study.warm_start,
            keep_optimizer=study.keep_optimizer,
            draws=study.draws,
            resume=state,
            checkpoint=checkpoint,
            progress=progress,
        )
        for cycle in loop:
            _note(log, cycle, scene, split)
            state = cycle.state
            store.save_checkpoint(study, state, log)
            last = time.monotonic()
            if stop.is_set():
                raise KeyboardInterrupt
    finally:
        torch.set_num_threads(threads)
    trained = {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")}
    record = _record(study, scene, split, state["labelled"].numpy(), log)
    record = store.save(record, trained if weights and trained else None)
    store.drop_checkpoint(study)
    return record


def _note(log: dict, cycle: Cycle, scene: Scene, split: Split) -> None:
    """Add a cycle to the log of a run; what only the end is asked for is overwritten each time."""
    row = {name: value for name, value in cycle.row.items() if name != "seconds"}
    if cycle.probabilities is not None:
        truth, predicted = scene.targets[split.holdout], cycle.probabilities.argmax(1)
        bins = reliability(truth, cycle.probabilities)
        row["ECE"] = calibration_error(bins)
        log["calibration"] = _columns(bins)
        log["accuracy"] = _columns(pd.DataFrame({"accuracy": class_accuracies(truth, predicted, scene.classes)}))["accuracy"]
        log["confusion"] = confusion_matrix(truth, predicted, labels=np.arange(scene.classes)).tolist()
    log["cycles"].append({name: None if value != value else value for name, value in row.items()})
    log["entropy"].append(entropy_histogram(cycle.candidates).tolist())
    log["diagnostics"].append(cycle.diagnostics)
    log["seconds"].append(round(cycle.seconds, 3))


def _record(study: Study, scene: Scene, split: Split, labelled: np.ndarray, log: dict) -> Record:
    measured = ("cycle", "labels", "OA", "AA", "kappa", "loss", "ECE")
    cycles = pd.DataFrame(log["cycles"], columns=measured).astype(float).astype({"cycle": int, "labels": int})
    cycles.insert(2, "share", 100 * cycles["labels"] / len(scene.pixels))
    scored = cycles.OA.notna()
    gains = model_improvement(cycles.OA[scored], cycles["labels"][scored])
    for name, values in zip(("EMI", "EMI per label"), gains, strict=True):
        cycles[name] = pd.Series(values, cycles.index[scored])
    cycles["seconds"] = log["seconds"]
    parts = {"pool": split.pool, "judged": split.holdout, "labels": labelled}
    counts = {name: np.bincount(scene.targets[positions], minlength=scene.classes) for name, positions in parts.items()}
    classes = pd.DataFrame(
        {**counts, "accuracy": np.array(log["accuracy"], dtype=float)}, pd.Index(scene.class_names, name="class")
    )
    asked_in = np.repeat(cycles["cycle"], np.diff(cycles["labels"], prepend=0)).to_numpy()
    rows, columns = scene.pixels[labelled].T
    queried = pd.DataFrame({"cycle": asked_in, "position": labelled, "row": rows, "column": columns})
    provenance = {
        **log["versions"],
        "commit": _commit(),
        "start": log["start"],
        "end": _now(),
        "resumed": log["resumed"],
        "seconds": log["seconds"],
    }
    calibration = pd.DataFrame(log["calibration"]).astype({"confidence": float, "accuracy": float})
    return Record(
        study,
        cycles,
        classes,
        np.array(log["confusion"]),
        queried,
        np.array(log["entropy"]),
        calibration,
        provenance,
        diagnostics=pd.DataFrame(log["diagnostics"], dtype=float),
    )


def versions(device: str) -> dict[str, str]:
    """What rounding may depend on."""
    return {
        "cpdgal": version("cpdgal"),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "scipy", "scikit-learn")},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}",
        "device": "cpu" if device == "cpu" else torch.cuda.get_device_name(device),
        "threads": "1",
    }


def _processor() -> str:
    with suppress(OSError):
        if named := re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text()):
            return named[1]
    return platform.processor() or "unknown"


def _commit() -> str | None:
    """The commit of the checkout that the package runs from, with a plus where it was changed; None from a wheel."""
    root, git = Path(__file__).parents[1], shutil.which("git")
    if git is None or not (root / ".git").exists():
        return None
    said = [
        subprocess.run([git, "-C", str(root), *command], capture_output=True, text=True, check=False).stdout.strip()
        for command in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "cpdgal"))
    ]
    return said[0] + ("+" if said[1] else "") if said[0] else None


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
