"""Runs: the record of a study is loaded when the store has it, resumed where its run was cut off, or made."""

import hashlib
import inspect
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from threading import Event, Lock
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import save
from sklearn.metrics import confusion_matrix
from threadpoolctl import threadpool_limits

from .active import Cycle, active_learning
from .methods import METHODS
from .metrics import calibration_error, class_accuracies, entropy_histogram, model_improvement, reliability
from .records import Record, Store, columns
from .scenes import Scene
from .sources import known_checksum
from .splits import Split
from .study import Study
from .training import State, part
from .weights import opened
from .writing import RecordError, write

CHECKPOINT_EVERY = 60  # seconds of a training, beside the checkpoint after each cycle
# A checkpoint is used only by the same code: these files decide numbers, and the method's own.
DECIDING = ("windows", "splits", "metrics", "model", "methods", "training", "queries", "active")
_SET_UP = Lock()  # limits on threads, and torch's random state while weights are drawn, are the whole process's


def run(
    study: Study,
    store: Store | Path | str | None = None,
    *,
    device: str = "cpu",
    weights: bool = False,
    progress: bool = True,
    stop: Event | None = None,
    on_cycle: Callable[[Cycle], None] | None = None,
) -> Record:
    """The record of a study: loaded when the store has it, else resumed where it was cut off, else run from the start.

    A run uses one core, so that its numbers do not depend on how many there are. Interrupted or killed at any moment,
    it ends in the same record when it is called again. Two processes that want the same study do the work once.

    Args:
        store: where records are looked for and kept, or its folder; "results" by default.
        device: "cpu", or "cuda" where there is one; results are the same to rounding, not to the bit.
        weights: keep the trained weights beside the record; a record without them does not count as found.
        stop: once it is set, the run ends with ``KeyboardInterrupt`` after its current epoch, which is kept.
        on_cycle: called with each cycle that is run here, before it is kept: none where the store has the record.

    Raises `RecordError` for a record or store that cannot be used, `SceneError` for data that cannot be had, ``ValueError`` for
    a device that is not there and for a training whose loss is no longer a number.
    """
    store = store if isinstance(store, Store) else Store(store or "results")
    if not isinstance(weights, bool):  # papermill gives text where it is asked to
        raise ValueError(f"weights takes true or false, not {weights!r}")
    check_device(device)
    study = bound(study)
    if record := store.get(study, weights):
        return record
    checkpoints = Checkpoints(store.folder, study)
    with checkpoints.claim():
        return store.get(study, weights) or _run(
            study, store, checkpoints, device, weights, progress, stop or Event(), on_cycle
        )


def bound(study: Study) -> Study:
    """The study with the checksum of its data, by which its record is found in whatever file they are; errors as for `run`."""
    actual = known_checksum(study.scene) or study.but(checksum="").load_scene().checksum
    if study.checksum not in ("", actual):
        raise RecordError(f"the study is of {study.scene} with checksum {study.checksum[:12]}, and its data have {actual[:12]}")
    return study.but(checksum=actual)


def side_by_side(
    *studies: Study, jobs: int | None = None, weights: bool | Collection[Study] = False, **options
) -> list[Record]:
    """The records of several studies, run at once, or so many `jobs` at a time; `options` go to `run`.

    Every study has a thread and one core of its own: so small a network gains nothing from two cores. Trained weights are
    stored for all studies, or for those in `weights`. An interrupt stops the studies after their current epochs, and another
    call goes on after them.
    """
    stop, pool = Event(), ThreadPoolExecutor(jobs or len(studies) or 1)
    stored = weights if isinstance(weights, Collection) else studies if weights else ()
    try:
        running = [pool.submit(run, study, stop=stop, weights=study in stored, **options) for study in studies]
        return [each.result() for each in running]
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


def gather(
    groups: Mapping[str, Sequence[Study]], store: Store, *, train: bool = False, weights: bool = False, device: str = "cpu"
) -> dict[str, list[Record]]:
    """The records of groups of studies by the groups' names: those that are on record, in the order of the studies.

    With ``train`` what the store lacks is run first, one study per core, and with ``weights`` a record without weights counts
    as lacking.
    """
    wanted = {study: None for studies in groups.values() for study in studies}
    if missing := [study for study in wanted if train and not store.get(study, weights)]:
        side_by_side(*missing, store=store, jobs=os.cpu_count(), weights=weights, device=device)
    return {name: [record for each in studies if (record := store.get(each, weights))] for name, studies in groups.items()}


class Checkpoints:
    """What the run of a study needs to go on, in the folder "checkpoints" of its store: the state after a cycle or within one,
    and the one before it in case that file is damaged."""

    def __init__(self, folder: Path, study: Study):
        self.study, self.folder = study, folder / "checkpoints"
        self.files = tuple(self.folder / f"{study.name}{ending}.safetensors" for ending in ("", ".previous"))

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Hold the study for this process; another that asks for it waits here."""
        path = self.folder / f"{self.study.name}.lock"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, timeout=0)
            try:
                lock.acquire()
            except Timeout:
                print(f"{self.study.name} is being run by another process; waiting for its record", file=sys.stderr)
                lock.acquire(timeout=-1)
        except OSError as error:
            raise RecordError(f"{path} cannot be written ({error.strerror}); choose a folder that can be") from error
        try:
            yield
        finally:
            lock.release()

    def save(self, state: State, log: dict) -> None:
        """Keep a state and the log that goes with it."""
        current, previous = self.files
        tensors, text = dict(state), json.dumps(log)
        content = save(tensors, {"log": text, "digest": _digest(tensors, text)})
        if current.exists():
            write(previous, current.read_bytes())
        write(current, content)

    def load(self, network: torch.nn.Module | None = None) -> tuple[State, dict] | None:
        """State and log as last saved; a warning for every file that is damaged, or whose state is none of a loop over the
        network, where one is given."""
        for path in self.files:
            if not path.exists():
                continue
            if path.is_dir():
                raise RecordError(f"{path} is a folder in the place of a checkpoint; move it away")
            try:
                tensors, metadata = opened(path)
                if metadata["digest"] != _digest(tensors, metadata["log"]):
                    raise ValueError("its contents were changed")
                log = json.loads(metadata["log"])
                kinds = {"study": dict, "versions": dict, "resumed": int, "cycles": list, "seconds": list}
                if not isinstance(log, dict) or any(not isinstance(log.get(name), kind) for name, kind in kinds.items()):
                    raise ValueError("its log is of another form")
                _check_state(tensors, len(log["cycles"]), network)
                return tensors, log
            except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
                warnings.warn(f"{path} is damaged ({error}); going back to the checkpoint before it", stacklevel=3)
                path.unlink(missing_ok=True)  # lest it be kept in the place of the one before it
        return None

    def drop(self) -> None:
        """Remove what an ended run no longer needs."""
        for path in self.files:
            path.unlink(missing_ok=True)


def _check_state(state: State, cycles: int, network: torch.nn.Module | None) -> None:
    """Raise ``ValueError`` for a state that no loop over the network, or over a floor, goes on from after so many cycles."""
    shapes = {name: value.shape for name, value in network.state_dict().items()} if network else {}
    within = part(state, "training")
    after = {name: value for name, value in state.items() if not name.startswith("training.")}
    needed = {"cycle", "labelled", "candidates", "generator", "scoring", "query"}
    for own, names in ((after, needed), (within, {"generator", "losses", "schedule", "validation"})):
        here = {name: value.shape for name, value in part(own, "model").items()}
        if own and (names - own.keys() or (network and here != shapes)):
            raise ValueError("its tensors are not those of this study")
    if not state or int(state.get("cycle", -1)) + 1 != cycles:
        raise ValueError("its tensors and its log are of different cycles")


def _digest(tensors: State, text: str) -> str:
    return hashlib.sha256(save(dict(tensors), {"text": text})).hexdigest()


def check_device(name: str) -> None:
    """Raise ``ValueError`` for a device that a run cannot use here."""
    if not (known := re.fullmatch(r"cpu|cuda(:[0-9]{1,2})?", str(name))):
        raise ValueError(f"a device is cpu, cuda or cuda:0, not {str(name)[:40]!r}")
    if name != "cpu" and (count := torch.cuda.device_count()) <= int((known[1] or ":0")[1:]):
        raise ValueError(f"this machine has no device {name}: torch sees {count} CUDA devices; use cpu")


def _begin(study: Study, checkpoints: Checkpoints, device: str, network: torch.nn.Module | None) -> tuple[State | None, dict]:
    """State and log of a run that goes on from its checkpoint, or begins; a warning where a checkpoint is of no use here."""
    own = {**study.form, "checksum": ""}  # other data are told among the versions
    made_with = {**versions(device), "code": code_digest(study), "checksum": study.checksum}
    if masks := study.masks_checksum():
        made_with["masks"] = masks
    if loaded := checkpoints.load(network):
        state, log = loaded
        same = False
        with suppress(ValueError):  # of a value that is not known here; one that was not known there had its default
            same = Study.from_form(log["study"]).form == own
        if same and log["versions"] == made_with:
            log |= {"study": own, "resumed": log["resumed"] + 1}
            return state, log
        changed = [name for name in made_with if made_with[name] != log["versions"].get(name)]
        because = f"with another {', '.join(changed)}" if same else "by another study"
        warnings.warn(f"{study.name} was begun {because}; it starts anew", stacklevel=4)
    lists: dict = {name: [] for name in ("cycles", "entropy", "diagnostics", "seconds")}
    return None, {"study": own, "versions": made_with, "start": _now(), "resumed": 0, **lists}


def code_digest(study: Study) -> str:
    """A digest of the files that decide the numbers of a study, in short."""
    sources = [Path(__file__).with_name(f"{name}.py") for name in DECIDING]
    method = METHODS[study.method]
    if not method.takes:  # its own file, in the house or out of it, and those of the networks that it builds on
        module = sys.modules[method.build.__module__]
        networks = [each for each in vars(module).values() if inspect.isclass(each) and issubclass(each, torch.nn.Module)]
        sources += sorted({Path(inspect.getfile(module)), *(Path(inspect.getfile(each)) for each in networks)})
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def _run(
    study: Study,
    store: Store,
    checkpoints: Checkpoints,
    device: str,
    weights: bool,
    progress: bool,
    stop: Event,
    on_cycle: Callable[[Cycle], None] | None,
) -> Record:
    """Run a study, or go on with it, and save its record."""
    threads = torch.get_num_threads()
    last = time.monotonic()

    def checkpoint(now: Callable[[], State], due: bool = False) -> None:
        nonlocal last
        if due or stop.is_set() or time.monotonic() - last > CHECKPOINT_EVERY:
            checkpoints.save(now(), log)
            last = time.monotonic()
        if stop.is_set():
            raise KeyboardInterrupt

    try:
        torch.set_num_threads(1)
        scene = study.load_scene()
        split = study.make_split(scene)
        windows: Any
        with _SET_UP, threadpool_limits(1):
            method = METHODS[study.method]
            if method.kind == "floor":  # it looks at the scene itself
                windows, model = SimpleNamespace(scene=scene, device=device), method.build
            else:
                windows, model = study.make_windows(scene, split, device), study.make_network(scene).to(device)
        state, log = _begin(study, checkpoints, device, model if isinstance(model, torch.nn.Module) else None)
        own: dict = {"query": study.query, "seed": study.seed, "draws": study.draws, "resume": state}
        loop = active_learning(model, windows, split, study.protocol, **own, checkpoint=checkpoint, progress=progress)
        with closing(loop) as cycles:  # an interrupt leaves no bar behind
            for cycle in cycles:
                if on_cycle:
                    on_cycle(cycle)
                _note(log, cycle, scene, split)
                state = cycle.state
                checkpoint(state.copy, due=True)
    finally:
        torch.set_num_threads(threads)
    assert state  # there is a cycle at least
    network = part(state, "model")
    record = _record(study, scene, split, state["labelled"].numpy(), log)
    record = store.save(record, network, windows) if weights and network else store.save(record)
    checkpoints.drop()
    return record


def _note(log: dict, cycle: Cycle, scene: Scene, split: Split) -> None:
    """Add a cycle to the log of a run; what is of interest at the end alone is overwritten each time."""
    row = {name: value for name, value in cycle.row.items() if name != "seconds"}
    if cycle.probabilities is not None:
        truth, predicted = scene.targets[split.holdout], cycle.probabilities.argmax(1)
        bins = reliability(truth, cycle.probabilities)
        row["ECE"] = calibration_error(bins)
        log["calibration"] = columns(bins)
        log["accuracy"] = columns(pd.DataFrame({"accuracy": class_accuracies(truth, predicted, scene.classes)}))["accuracy"]
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
    names = pd.Index(scene.class_names, name="class")
    classes = pd.DataFrame({**counts, "accuracy": np.array(log["accuracy"], dtype=float)}, names)
    asked_in = np.repeat(cycles["cycle"].to_numpy(), np.diff(cycles["labels"], prepend=0))
    rows, columns = scene.pixels[labelled].T
    queried = pd.DataFrame({"cycle": asked_in, "position": labelled, "row": rows, "column": columns})
    timed = {"start": log["start"], "end": _now(), "resumed": log["resumed"], "seconds": log["seconds"]}
    return Record(
        study=study,
        cycles=cycles,
        classes=classes,
        confusion=np.array(log["confusion"]),
        entropy=np.array(log["entropy"]),
        queried=queried,
        calibration=pd.DataFrame(log["calibration"]).astype({"confidence": float, "accuracy": float}),
        provenance={**log["versions"], "commit": _commit(), **timed},
        diagnostics=pd.DataFrame(log["diagnostics"], dtype=float),
    )


def versions(device: str) -> dict[str, str]:
    """What the rounding of a run's numbers may depend on."""
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
    describe = ["describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+"]
    said = subprocess.run([git, "-C", str(root), *describe], capture_output=True, text=True, check=False)
    return said.stdout.strip() or None


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
