"""A labelling session: a person is asked for labels round by round, and a folder keeps them between the rounds."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import save

from .assess import ClassMap, read_points, whole_number, write_points
from .queries import agreement, overall_uncertainty, stopping
from .readers import SceneError, read_array
from .scenes import checked_labels, colours
from .sources import SCENES, load_scene
from .study import Study
from .suggestions import Suggestion, labelling_study, next_pixels
from .training import State
from .truths import rasterised, read_table
from .weights import opened, trained_file
from .writing import write

SKIPPED = ("skip", "?", "0")  # answers for a pixel that a person cannot tell; class 0 in labels.csv
EMPTY = -1  # for a pixel without an answer


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold a session's folder for this process; ``ValueError`` where another one does."""
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock := folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise ValueError(f"{folder} is in use by another cpdgal label; wait until it has ended") from None
    finally:
        if new and [*folder.iterdir()] == [lock]:  # nothing came of it
            shutil.rmtree(folder)


class Session:
    """A labelling session in a folder.

    ``labels.csv`` has all labels so far and is the person's: a class may be corrected there, and rows be added. The pixels of
    round n are asked for in ``ask-n.csv`` and, in a georeferenced scene, ``ask-n.gpkg``, to be filled in in either, and shown
    in ``ask-n.png``. ``model.safetensors`` is the network that was trained last, for `cpdgal map`. ``state.safetensors`` has
    what the next round depends on and how the session was begun. Every file is written whole or not at all, answers before
    anything is trained on them, the state before the pixels are asked for: whenever the session is stopped, the same call goes
    on.

    Args:
        file: the cube, or the name of a known scene.
        folder: begun here, or gone on with.
        given: values of a `Study`; in a session that was begun they have to be its own.
        count, distance, among, classes: as for `suggest`, where `among` is the file of a raster and `classes` names by number:
            there are no others then. What is None is as in the last round.

    Raises ``ValueError`` for other data or values than the session was begun with.
    """

    def __init__(self, file: str, folder: Path, given: Mapping, **options):
        self.file, self.folder, self.given = file, folder, given
        self.state, about = self._load()
        self.about: dict[str, Any] = {"round": 0, "count": 20, "distance": 0, "among": "", "classes": {}}
        self.about |= {"agreements": [], "uncertainties": [], **about}
        self.about |= {name: value for name, value in options.items() if value is not None}
        self.round: int = self.about["round"]
        self.names = {int(value): name for value, name in self.about["classes"].items()}
        self.study = self._begun(about["study"]) if about else labelling_study({**given, "scene": file})
        reading = {name: value for name, value in self.study.reading.items() if name not in ("labels_key", "unlabelled")}
        if reading and file in ("synthetic", *SCENES):
            raise SceneError(f"{file} is read as it is; leave {', '.join(reading)} out")
        self.scene = load_scene(file, **reading)
        if about and about["checksum"] != self.scene.checksum:
            there, here = about["checksum"][:12], self.scene.checksum[:12]
            raise ValueError(f"{folder} labels another scene ({there}) than {file} ({here}); name another folder with --folder")
        self.about |= {"study": self.study.form, "checksum": self.scene.checksum}
        self.grid = ClassMap.grid(self.scene)
        self.points = self._known()

    def _begun(self, form: Mapping) -> Study:
        """The study the session was begun with, which the values given may not change."""
        begun = Study.from_form(form)
        labelling_study(self.given)
        now = begun.but(**self.given).form
        if changed := [name for name, value in begun.form.items() if value != now[name] and name != "checksum"]:
            was = ", ".join(f"{name} {begun.form[name]}" for name in changed)[:150]
            raise ValueError(f"{self.folder} was begun with {was}; leave that as it is, or begin another with --folder")
        return begun

    # Labels

    @property
    def _labels(self) -> Path:
        return self.folder / "labels.csv"

    def _known(self) -> pd.DataFrame:
        """Points (row, column, class) of labels.csv; 0 for a pixel that was skipped."""
        if not self._labels.exists():
            return pd.DataFrame({"row": [], "column": [], "class": []}, dtype=int)
        points = read_points(self._labels, self.grid)
        return points.assign(**{"class": self._numbers(points["class"], self._labels)})

    def _numbers(self, answers: pd.Series, where: Path) -> list[int]:
        """The classes of answers by number or name; 0 for a skipped pixel, `EMPTY` for one without an answer."""
        numbers = {name.lower(): value for value, name in self.names.items()} | dict.fromkeys(SKIPPED, 0) | {"": EMPTY}
        answers = answers.str.lower()
        for number, answer in enumerate(answers, 1):
            if answer in numbers:
                continue
            numbers[answer] = value = whole_number(answer) or 0
            if value not in (self.names or range(1, 2**31)):
                known = ", ".join(f"{value} or {name}" for value, name in self.names.items()) or "a whole number from 1"
                also = "; a new class is added with --classes" if self.names else ""
                raise ValueError(f"{where}, point {number}: {answer[:40]!r} is no class; write {known[:200]}, or skip{also}")
        return [numbers[answer] for answer in answers]

    def name(self, value: int) -> str:
        """The name of a class, and what 0 stands for."""
        return self.names.get(value, f"class {value}" if value else "skipped")

    def begin(self, path: Path) -> None:
        """Take the first labels: a CSV of points, or a raster or vector file as `Scene.from_files` takes it."""
        if path.suffix.lower() == ".csv":
            first = read_points(path, self.grid, crs=self.study.crs)
        else:
            key, unlabelled = self.study.labels_key or None, self.study.unlabelled or 0
            values, names = rasterised(path, key, self.grid.shape, self.scene.georeference, None)
            values, given = checked_labels(values, self.grid.shape, unlabelled, self.scene.name)
            if (values[given] == 0).any():
                raise ValueError(f"{path} has a class 0, and a labelling counts classes from 1; give it other numbers")
            rows, columns = np.nonzero(given)
            classes = [names.get(value, str(value)) for value in values[given]]
            first = pd.DataFrame({"row": rows, "column": columns, "class": classes})
        named = first["class"][~first["class"].str.lower().isin(SKIPPED)]
        if not self.names and len(named) and pd.to_numeric(named, errors="coerce").isna().all():
            self.names = dict(enumerate(sorted({each.lower(): each for each in named}.values()), 1))
            self.about["classes"] = {str(value): name for value, name in self.names.items()}
        first["class"] = self._numbers(first["class"], path)
        if not (self.state or self._labels.exists()):
            self._add(first, 0)
        elif len(first.merge(self.points)) < len(first):
            raise ValueError(f"{self._labels} has other labels than {path}; leave --labels out, or begin anew with --folder")

    def _add(self, points: pd.DataFrame, round_: int) -> None:
        """Add labels to those so far, in labels.csv first."""
        rows = self.grid.placed(points[["row", "column"]]).assign(**{"class": points["class"], "round": round_})
        if self._labels.exists():
            rows = pd.concat([read_table(self._labels), rows.astype(str)])
        write(self._labels, rows.to_csv(index=False).encode(), "")
        self.points = pd.concat([self.points, points], ignore_index=True)

    # Rounds

    @property
    def asked(self) -> pd.DataFrame:
        """The pixels of the last round: number, row and column; x and y where known."""
        table = pd.DataFrame(self.state["asked"].numpy(), columns=["row", "column"])
        table.insert(0, "number", range(1, len(table) + 1))
        return self.grid.placed(table)

    @property
    def files(self) -> dict[str, Path]:
        """The files of the round by kind."""
        kinds = ("png", "gpkg", "csv") if self.grid.crs and find_spec("geopandas") else ("png", "csv")
        return {kind: self.folder / f"ask-{self.round}.{kind}" for kind in kinds}

    def take_answers(self) -> bool:
        """Move what the person filled in to labels.csv; whether the next round can begin. `ValueError` for what cannot be."""
        if not self.round:
            return True
        answers = pd.Series(EMPTY, pd.MultiIndex.from_frame(self.asked[["row", "column"]]))
        for kind, path in self.files.items():
            if kind == "png" or not path.exists():
                continue
            table = read_points(path, self.grid, complete=False)
            filled = pd.Series(self._numbers(table["class"], path), pd.MultiIndex.from_frame(table[["row", "column"]]))
            missing, new = len(answers.index.difference(filled.index)), len(filled.index.difference(answers.index))
            if missing or new:
                raise ValueError(
                    f"{path} lacks {missing} of the pixels that were asked for and has {new} that were not; bring its rows "
                    "back, or delete the file to have it written again"
                )
            filled = filled[answers.index]
            if (unlike := (answers != EMPTY) & (filled != EMPTY) & (answers != filled)).any():
                row, column = unlike.idxmax()
                raise ValueError(f"{path}: row {row}, column {column} has another class than in the other file; correct one")
            answers = answers.where(answers != EMPTY, filled)
        taken = answers.rename("class").reset_index()
        taken = taken[~answers.index.isin(pd.MultiIndex.from_frame(self.points[["row", "column"]]))]
        if not len(taken):  # it was stopped after they were taken
            return True
        empty = (answers == EMPTY).to_numpy()
        if empty.all():
            self._write_round()  # what is missing of it
            return False
        if empty.any():
            raise ValueError(
                f"{self.files['csv']}: {empty.sum()} of the {len(answers)} pixels have no class yet, the first is number "
                f"{np.argmax(empty) + 1}; fill them in, or write skip where you cannot tell"
            )
        self._add(taken, self.round)
        return True

    def ask(self, progress: bool = True) -> Suggestion:
        """Train on the labels so far, and ask for the next pixels."""
        among = read_array(Path(self.about["among"]), None, 2) if self.about["among"] else None
        own = (self.about["count"], self.about["distance"], among, self.state, progress)
        found = next_pixels(self.scene, self.study, self.points, list(self.names) or None, *own)
        self.round += 1
        self._compare(found)
        self.state = {**found.state, "asked": torch.from_numpy(found.pixels)}
        self._save_network(found)
        self._save()
        self._write_round()
        return found

    def _write_round(self) -> None:
        """Write what is missing of the files that ask for pixels."""
        import matplotlib.pyplot as plt  # slow to import

        from .plots import asked_pixels

        asked = self.asked.assign(**{"class": ""})
        for kind, path in self.files.items():
            if path.exists():
                continue
            if kind == "png":
                content, figure = BytesIO(), asked_pixels(self.scene, asked)
                figure.savefig(content)
                plt.close(figure)
                write(path, content.getvalue(), "")
            else:
                write_points(asked, path, self.grid)

    # State

    def _compare(self, found: Suggestion) -> None:
        """Keep what tells when to stop; with other classes than before it begins anew."""
        agreements, uncertainties = self.about["agreements"], self.about["uncertainties"]
        if found.before is None:
            agreements, uncertainties = [], []
        if found.now is not None:
            if found.before is not None:
                agreements = [*agreements, agreement(found.before.argmax(1), found.now.argmax(1))]
            uncertainties = [*uncertainties, overall_uncertainty(found.now)]
        self.about |= {"agreements": agreements, "uncertainties": uncertainties}

    @property
    def advice(self) -> str:
        """Whether more labels still change the map, in one sentence; nothing before a network was trained."""
        return stopping(self.about["agreements"], self.about["uncertainties"]) if self.about["uncertainties"] else ""

    @property
    def model(self) -> Path:
        """The file of the network that the last round trained, to be mapped with; there is none where none was trained."""
        return self.folder / "model.safetensors"

    def _save_network(self, found: Suggestion) -> None:
        if found.network is None or found.projection is None:
            return
        values = found.state["values"].tolist()
        about: Any = SimpleNamespace(
            class_names=[self.name(value) for value in values],
            label_values=values,
            palette=colours(len(values)),
            band_centers_nm=self.scene.band_centers_nm,
        )
        study = self.study.but(checksum=self.scene.checksum)
        write(self.model, trained_file(study, about, found.projection, found.network), "; the labels are kept")

    def _save(self) -> None:
        about = {**self.about, "round": self.round}
        text = json.dumps({"about": about, "digest": _digest(self.state, about)})
        write(self._state, save(self.state, {"session": text}), "; the labels are kept")

    @property
    def _state(self) -> Path:
        return self.folder / "state.safetensors"

    def _load(self) -> tuple[State, dict]:
        if not self._state.exists():
            return {}, {}
        try:
            tensors, metadata = opened(self._state)
            session = json.loads(metadata["session"])
            if session["digest"] != _digest(tensors, session["about"]):
                raise ValueError("its contents were changed")
            return tensors, session["about"]
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            reason, advice = " ".join(str(error).split())[:90], f"begin anew with --labels {self._labels} and another --folder"
            raise ValueError(f"{self._state} is damaged ({reason}); the labels are kept: {advice}") from error


def _digest(tensors: State, about: dict) -> str:
    return hashlib.sha256(save(tensors, {"about": json.dumps(about)})).hexdigest()
