"""Records: what a run of a study gave, bound to the data and the weights it came from, and the store that keeps them."""

import hashlib
import json
import math
import os
import warnings
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import fastjsonschema
import numpy as np
import pandas as pd
import torch

from .methods import METHODS
from .scenes import Scene, SceneError
from .sources import SCENES
from .study import READING, Study, other_data
from .training import State, predict
from .weights import FOREIGN, opened, restored, trained_file
from .windows import Projection, Windows
from .writing import RecordError, write

FORMAT = 2  # of records; one more when an older cpdgal could no longer read them
TABLES = ("cycles", "classes", "queried", "calibration", "diagnostics")
_READ: dict[Path, tuple] = {}  # the records read so far by any store, each with the stamp of its file


@dataclass(frozen=True, eq=False)
class Record:
    """What a run of a study gave, and where it was run."""

    study: Study
    cycles: pd.DataFrame  # cycle, labels, share, OA, AA, kappa, ECE, EMI, EMI per label (percent, but EMI), loss, seconds
    classes: pd.DataFrame  # by class name: pixels in the pool and judged, labels used, accuracy in percent
    confusion: np.ndarray  # (k, k) test pixels at the end, row = true class, column = predicted
    queried: pd.DataFrame  # cycle, position in the list of labelled pixels, row, column, in the order they were asked for
    entropy: np.ndarray  # (cycles, 10) what is left of the pool by predictive entropy / log k, in equal bins of 0..1
    calibration: pd.DataFrame  # reliability diagram at the end: count, confidence, accuracy
    provenance: dict  # versions, machine, start, end, seconds of each cycle
    diagnostics: pd.DataFrame = field(default_factory=pd.DataFrame)  # by cycle: what DGFR and CM do; empty where unknown
    digest: str | None = None  # SHA-256 of the file of the trained weights; None where none were stored
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
            "cycles": columns(self.cycles.drop(columns="seconds")),
            "classes": columns(self.classes.reset_index()),
            "confusion": self.confusion.tolist(),
            "queried": columns(self.queried),
            "entropy": self.entropy.tolist(),
            "calibration": columns(self.calibration),
            **({"diagnostics": columns(self.diagnostics)} if self.diagnostics.size else {}),
        }

    def to_json(self) -> str:
        """The record as a file holds it: one line for each part."""
        bound = {"weights": self.digest, "provenance": self.provenance}
        content = {"format": FORMAT, "key": self.study.key, **self.results, **bound}
        lines = (f"{json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in content.items())
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def read(cls, path: Path) -> "Record":
        """The record of a file; `RecordError` when it cannot be read, is damaged, or of another format."""
        return cls.of(Path(path), content_of(Path(path)))

    @classmethod
    def of(cls, path: Path, content: dict) -> "Record":
        """The record of what a file holds, or is to hold."""
        if content["format"] != FORMAT:
            newer = content["format"] > FORMAT
            advice = "update cpdgal to read it" if newer else "`cpdgal records --migrate` brings its folder up to date"
            raise RecordError(f"{path} was written by {'a newer' if newer else 'an older'} cpdgal; {advice}")
        try:
            _schema()(content)
            study = Study.from_form(content["study"])
            table = {name: pd.DataFrame(content.get(name, {})) for name in TABLES}
            cycles = table["cycles"].astype(float).astype({"cycle": int, "labels": int})
            record = cls(
                study=study,
                cycles=cycles.assign(seconds=content["provenance"]["seconds"]),
                classes=table["classes"].astype({"accuracy": float}).set_index("class"),
                confusion=np.array(content["confusion"], dtype=int),
                queried=table["queried"].astype(int),
                entropy=np.array(content["entropy"], dtype=int),
                calibration=table["calibration"].astype({"confidence": float, "accuracy": float}),
                provenance=content["provenance"],
                diagnostics=table["diagnostics"].astype(float),
                digest=content["weights"],
                path=path,
            )
            record._check_parts()
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise RecordError(_not_whole(path, str(error))) from error
        if content["key"] != study.key or path.stem != study.name:
            raise RecordError(f"{path} holds the study {study.name}, not that of its name: move it away to run its study again")
        return record

    def _check_parts(self) -> None:
        """Raise ``ValueError`` where the parts do not fit each other."""
        classes, cycles, counted = len(self.classes), len(self.cycles), self.confusion.sum()
        if not (
            self.confusion.shape == (classes, classes)
            and self.confusion.sum(1).tolist() == self.classes.judged.tolist()
            and abs(100 * np.trace(self.confusion) / counted - self.final.OA) < 1e-6
            and len(self.entropy) == cycles
            and len(self.diagnostics) in (0, cycles)
            and len(self.queried) == self.final.labels == self.classes.labels.sum()
            and self.cycles.cycle.tolist() == list(range(cycles))
            and self.classes.index.is_unique
            and self.queried.position.is_unique
            and len(self.calibration)
            and self.provenance.get("checksum", self.study.checksum) == self.study.checksum
        ):
            raise ValueError("its parts do not fit each other")

    def labelled(self, cycle: int | None = None) -> np.ndarray:
        """Positions of the labelled pixels in the order they were asked for; at the end, or after a cycle."""
        asked = self.queried if cycle is None else self.queried[self.queried.cycle <= cycle]
        return asked.position.to_numpy()

    @property
    def weights(self) -> Path | None:
        """The file of the trained weights, where they were stored and are at hand."""
        path = self.path and self.path.with_suffix(".safetensors")
        return path if path and self.digest and path.is_file() else None

    def check(self, scene: Scene) -> None:
        """Raise `SceneError` for a scene with other data than the record was made from."""
        if scene.checksum != self.study.checksum:
            raise SceneError(other_data(scene, self.study.checksum, f"the record {self.study.name} was made from data"))

    def network(self, scene: Scene) -> torch.nn.Module:
        """The trained network. `RecordError` for weights that are missing or not the record's, `SceneError` for other data."""
        self.check(scene)
        return self.trained()[0]

    def trained(self) -> tuple[torch.nn.Module, Projection]:
        """The trained network and the projection that goes with it; `RecordError` as for `network`."""
        if self.weights is None or self.digest is None:
            floor = METHODS[self.study.method].kind == "floor"
            advice = "a floor has none, and draws no map" if floor else "run its study again with weights=True"
            raise RecordError(f"the record {self.study.name} has no weights; {advice}")
        try:
            content = self.weights.read_bytes()
        except OSError as error:
            raise RecordError(f"{self.weights} cannot be read ({error.strerror})") from error
        try:
            if hashlib.sha256(content).hexdigest() != self.digest:
                raise ValueError("the digest is another")
            return restored(self.weights, self.study, len(self.classes))
        except FOREIGN as error:
            advice = "move both away to run the study again"
            raise RecordError(f"{self.weights} does not hold the weights of its record; {advice}") from error

    def training_scene(self) -> dict:
        """What is known of the scene it was trained on: names of the ``classes``, ``label_values``, ``palette`` and
        ``band_centers_nm`` (None where unknown), as for `Scene`. Weights of older versions do not say; the scene does, where it
        is at hand, and else its classes are 1, 2, ..."""
        about = json.loads(opened(self.weights)[1].get("about", "{}")) if self.weights else {}
        if "label_values" in about:
            return about
        names = [*self.classes.index]
        try:
            scene = self.study.load_scene()
        except SceneError:
            scene = Scene(np.arange(2.0 * len(names)).reshape(1, -1, 2), np.arange(1, len(names) + 1)[None], names)
        return {name: getattr(scene, name) for name in ("label_values", "palette", "band_centers_nm")} | {"classes": names}

    @property
    def can_answer(self) -> bool:
        """Whether it can be asked about any pixel: a floor always, a network where its weights were stored."""
        return METHODS[self.study.method].kind == "floor" or self.weights is not None

    def answers(self, scene: Scene, positions: np.ndarray) -> np.ndarray:
        """The classes (n,), counted from 0, that it gives labelled pixels of its scene, by their positions; errors as for
        `network`, and ``ValueError`` for a position that the scene does not have."""
        self.check(scene)
        positions, there = np.asarray(positions), len(scene.pixels)
        if not len(positions):
            return np.empty(0, dtype=int)
        if positions.dtype.kind not in "iu" or positions.min() < 0 or positions.max() >= there:
            raise ValueError(f"{scene.name}: positions of labelled pixels are whole numbers from 0 to {there - 1}")
        method = METHODS[self.study.method]
        if method.kind == "floor":
            return method.build(scene, self.labelled(), positions)
        network, projection = self.trained()
        return predict(network, self._windows(scene, projection).batches(positions)).argmax(1).numpy()

    def map(self, scene: Scene, *, elsewhere: bool = False) -> np.ndarray:
        """The class predicted for every pixel, (height, width), 1..K in the order of the record's classes. With ``elsewhere``
        the scene is another one of the same bands, on purpose, seen through the record's projection. Errors as for `network`.
        """
        if not elsewhere:
            self.check(scene)
        network, projection = self.trained()
        batches = self._windows(scene, projection).scene_batches()
        return predict(network, batches).argmax(1).reshape(scene.labels.shape).numpy() + 1

    def _windows(self, scene: Scene, projection: Projection) -> Windows:
        return Windows(scene, self.study.window, padding=self.study.padding, projection=projection)

    def differences(self, other: "Record") -> list[str]:
        """The parts that two records have and in which their results differ; empty when they are the same to the bit."""
        return [name for name, value in self.results.items() if value != other.results.get(name, value)]


class Store:
    """A folder of records, backed by those that come with the package.

    A record of the package is found when the folder has none for its study; new ones go to the folder. Beside them
    stand the weights that were stored, and in ``checkpoints`` what unfinished runs need to go on.
    """

    def __init__(self, folder="results", *, packaged: bool = True):
        if not isinstance(folder, (str, os.PathLike)) or not str(folder):
            raise RecordError(f"a store is a folder, named by a text or a path, not {folder!r:.80}")
        self.folder = Path(folder).expanduser()
        self.folders = [self.folder, *(each for each in _packaged() if packaged and each.resolve() != self.folder.resolve())]

    def get(self, study: Study, weights: bool = False) -> Record | None:
        """The record of a study, or None; `RecordError` when it is damaged or was made from other data.

        A study of a file of one's own, with its checksum, is also found under the name of another file with the same data,
        however that was read. With ``weights`` a network's record without them does not count.
        """
        record = self._get(study)
        return record if record and (record.can_answer or not weights) else None

    def _get(self, study: Study) -> Record | None:
        for folder in self.folders:
            path = folder / f"{study.name}.json"
            if os.path.exists(path):  # in a folder that nobody may look into there is none
                record = self._read(path)
                there, here = record.study.checksum[:12], study.checksum[:12]
                if here and there != here:
                    advice = "bring the data back, or move the record away to run its study on these"
                    raise RecordError(
                        f"{path} was made from other data ({there}) than {study.scene} holds now ({here}); {advice}"
                    )
                if record.provenance.get("masks", "") != study.masks_checksum():
                    advice = "bring them back, or move the record away to run its study on these"
                    raise RecordError(f"{path} was made on other masks than {study.train_path} holds now; {advice}")
                return record
        if not study.checksum or study.scene in ("synthetic", *SCENES):
            return None
        moved = {name: getattr(study, name) for name in ("scene", "labels_path", *READING)}
        masks = study.masks_checksum()
        same_data = (record for record in self.records(study.checksum) if record.study.checksum == study.checksum)
        alike = (record for record in same_data if record.study.but(**moved).key == study.key)
        return next((record for record in alike if record.provenance.get("masks", "") == masks), None)

    def records(self, holding: str = "") -> list[Record]:
        """All records by name, or those whose files hold a text; one in the folder comes before the package's of the same
        study.

        A file that is no record is skipped with a warning.
        """
        paths = {path.name: path for folder in reversed(self.folders) for path in folder.glob("*.json")}
        found = []
        for _, path in sorted(paths.items()):
            with suppress(OSError):  # which reading it tells
                if holding and holding.encode() not in path.read_bytes():  # far quicker than to read its record
                    continue
            try:
                found.append(self._read(path))
            except RecordError as error:
                warnings.warn(f"skipped: {error}", stacklevel=2)
        return found

    def _read(self, path: Path) -> Record:
        """The record of a file, read again only when the file changed: a page asks for the same ones many times."""
        stamp: tuple[int, ...] = ()
        with suppress(OSError):  # which reading it tells
            state = path.stat()
            stamp = (state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size)
        if _READ.get(path, (None,))[0] != stamp:
            _READ[path] = (stamp, Record.read(path))
        return _READ[path][1]

    def select(self, **values) -> list[Record]:
        """The records, by seed, whose study has these values and changes no other of its profile; ``ValueError`` for a value
        that no study has."""
        asked = Study.from_form(values)

        def wanted(study: Study) -> bool:
            return set(study.changes) <= set(values) and all(getattr(study, name) == getattr(asked, name) for name in values)

        return sorted((each for each in self.records() if wanted(each.study)), key=lambda record: record.study.seed)

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

    def save(self, record: Record, network: State | None = None, windows: Windows | None = None) -> Record:
        """Write a record, and before it the trained network with its windows' projection, so that a record that is there is
        complete."""
        path = self.folder / f"{record.study.name}.json"
        content = None
        if network is not None and windows is not None:
            content = trained_file(record.study, windows.scene, windows.projection, network)
            record = replace(record, digest=hashlib.sha256(content).hexdigest())
        text = record.to_json().encode()  # first, lest weights be left of a record that cannot be written
        if content:
            write(path.with_suffix(".safetensors"), content)
        write(path, text)
        return replace(record, path=path)


def columns(table: pd.DataFrame) -> dict[str, list]:
    """The columns of a table, ready for JSON: what is not a number becomes null."""
    return {name: table[name].astype(object).where(table[name].notna(), None).tolist() for name in table}


def content_of(path: Path) -> dict:
    """What a file holds that may be a record: an object with its format; `RecordError` for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_finite, parse_float=_finite)
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error.strerror}); check the file and its permissions") from error
    except UnicodeDecodeError as error:
        raise RecordError(_not_whole(path, "it is not text")) from error
    except (ValueError, RecursionError) as error:
        raise RecordError(_not_whole(path, str(error))) from error
    if not isinstance(content, dict) or type(content.get("format")) is not int:
        raise RecordError(_not_whole(path, "it has no format"))
    return content


def _finite(text: str) -> float:
    if math.isfinite(number := float(text)):
        return number
    raise ValueError(f"it holds {text}")


def _not_whole(path: Path, reason: str) -> str:
    return f"{path} is not a whole record ({' '.join(reason.split())[:90]}); move it away to run its study again"


@cache
def _schema():
    """The check of a record's content against the schema, compiled once."""
    return fastjsonschema.compile(json.loads(files("cpdgal").joinpath("record_schema.json").read_text(encoding="utf-8")))


def _packaged() -> list[Path]:
    """The folder of records that comes with the package: inside a wheel, beside the package in a checkout."""
    package = Path(__file__).parent
    candidates = (package / "results", package.parent / "results")
    return [folder for folder in candidates if folder.is_dir()][:1]
