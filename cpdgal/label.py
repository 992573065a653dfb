"""The person in the loop: the next pixels to label, and the folder that keeps a labelling session between its rounds.

A round trains on the labels so far and asks for the next pixels, as a cycle of `active_learning` does: a person who gives the
labels of the ground truth gets the loop's queries, at the same seed, first labels and candidates.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from .active import Loop
from .assess import ClassMap, read_points, whole_number, write_points
from .methods import METHODS
from .queries import BALANCED, Candidates, agreement, overall_uncertainty, select, stopping
from .readers import SceneError, read_array
from .records import opened, trained_file, write
from .scenes import Scene, checked_labels, colours
from .sources import SCENES, load_scene
from .study import Study
from .training import State
from .truths import rasterised, read_table
from .windows import Projection

SAMPLE = 10_000  # candidates that a strategy looks at where its time or memory grows faster than their number
SAMPLED = ("badge", "bald", "core-set", "farthest-first", "typiclust")
UNTRAINED = ("core-set", "farthest-first", "random", "typiclust")  # strategies that need no network: they take spectra as well
# What a labelling has no use for: it has no pool and no test pixels, and a person gives as many labels as they like.
FOREIGN = "split pool initial per_class acquired cycles stratified score_every judged stratified_pool pca block gap folds fold"
FOREIGN += " train_path train_key test_path test_key checksum"
SKIPPED = ("skip", "?", "0")  # answers for a pixel that a person cannot tell; class 0 in labels.csv
EMPTY = -1  # for a pixel without an answer


def suggest(
    scene: Scene, labelled, count: int, *, query="margin", distance=0, seed=0, among=None, progress=True, **values
) -> pd.DataFrame:
    """The next pixels of a scene to label, the most wanted first: a table of row and column, and x and y where known.

    A network is trained on the labels and asked about every pixel that has data. Where fewer than two classes are labelled yet,
    the pixels are the most typical ones of clusters of spectra (TypiClust), or as the strategy chooses them from spectra.

    Args:
        scene: its own ground truth, where it has one, is not looked at.
        labelled: a table of row, column and class, a whole number from 1, or 0 for a pixel that is not to be asked for; its
            order decides the order of training. Or classes (height, width), 0 where unlabelled. Or None.
        count: so many pixels, or all that are left.
        query: a strategy of `cpdgal.queries.STRATEGIES`. One that compares features looks at 10 000 candidates at random.
        distance: no two of the pixels lie closer than this many pixels, in rows and in columns alike.
        seed: decides weights, batches, noise and random choices.
        among: (height, width) not 0 where a pixel may be asked for.
        values: any other value of a `Study`, such as ``epochs=100``; its profile is "quick" unless named.

    Raises ``ValueError`` for labels off the scene and for values that cannot be, and where no pixel is left.
    """
    study = _study({"scene": scene.name, "query": query, "seed": seed, **values})
    found = _suggestion(scene, study, _table(labelled, scene), None, count, distance, among, {}, progress)
    return ClassMap.grid(scene).placed(pd.DataFrame(found.pixels, columns=["row", "column"]))


@dataclass(frozen=True, eq=False)
class Suggestion:
    """The pixels to label next, and what they come from."""

    pixels: np.ndarray  # (n, 2) rows and columns, the most wanted first
    losses: list[float]  # of the training, by epoch; empty where nothing was trained
    note: str  # where the pixels are chosen from less than all candidates, or without a network
    before: np.ndarray | None  # (m, k) class probabilities of the round before, where it had the same classes
    now: np.ndarray | None  # and of this one, for the same candidates
    state: State  # what the next round depends on
    network: State | None = None  # the trained weights, and what goes with them
    projection: Projection | None = None


def _suggestion(
    scene: Scene,
    study: Study,
    points: pd.DataFrame,
    classes: list[int] | None,
    count: int,
    distance: int,
    among: np.ndarray | None,
    state: State,
    progress: bool,
) -> Suggestion:
    """One round: train on the points (row, column, class) and choose pixels. `classes` are those there may be, or None for
    those there are; `state` is the last round's, or empty. Positions count all pixels of the scene, row by row."""
    height, width = scene.labels.shape
    at, given = points.row.to_numpy() * width + points.column.to_numpy(), points["class"].to_numpy()
    labelled, seen = at[given > 0], np.unique(given[given > 0])
    allowed = np.ones(height * width, dtype=bool) if scene.mask is None else ~scene.mask.ravel()
    if (blank := ~allowed[labelled]).any():
        row, column = divmod(int(labelled[blank][0]), width)
        raise ValueError(f"{scene.name}: the pixel at row {row}, column {column} is labelled and has no data; remove its label")
    if among is not None:
        among = np.asarray(among)
        if among.shape != (height, width):
            raise ValueError(
                f"{scene.name} is {height} x {width} pixels and the candidates {among.shape}; give a mask of its pixels"
            )
        allowed &= among.ravel() != 0
    allowed[at[given == 0]] = False
    pool = np.flatnonzero(allowed)
    if len(np.setdiff1d(pool, labelled)) == 0:
        raise ValueError(f"{scene.name}: every pixel that may be asked for is labelled or skipped; there is nothing to ask for")
    if count < 1 or distance < 0:
        raise ValueError(f"a round asks for 1 pixel at least, at a distance from 0 up, not for {count} at {distance}")
    with _one_core():
        windows = study.make_windows(scene, None)  # type: ignore[arg-type]  # no projection is fitted on a pool here
        if len(seen) < 2:
            return _untrained(scene, study, windows, pool, at, labelled, count, distance)
        values = seen if classes is None else np.array(sorted(classes))
        targets = np.full(height * width, -1)
        targets[labelled] = np.searchsorted(values, given[given > 0])
        return _trained(scene, study, windows, pool, labelled, targets, values, count, distance, state, progress)


def _trained(
    scene, study, windows, pool, labelled, targets, values, count, distance, state: State, progress: bool
) -> Suggestion:
    """A round of the loop, which sees every pixel of the scene as a labelled one of these targets."""
    pixels = np.indices(scene.labels.shape).reshape(2, -1).T
    windows.scene = SimpleNamespace(pixels=pixels, targets=targets, classes=len(values))
    network, split = study.network(windows.channels, len(values)), SimpleNamespace(pool=pool)
    loop = Loop(network, windows, split, study.protocol, study.query, study.seed, study.draws, labelled)  # type: ignore[arg-type]
    round_, comparable = 0, "values" in state and np.array_equal(state["values"].numpy(), values)
    if "values" in state:
        if not comparable:  # other outputs: the weights start anew, and chance goes on
            own = {name: each for name, each in state.items() if not name.startswith(("model.", "optimizer."))}
            state = {**own, **loop.learner.state()}
        round_ = loop.restore(state)
        loop.label(labelled)
    with tqdm(total=study.epochs, desc="training", unit="epoch", leave=False, disable=not progress) as bar:
        losses = loop.learner.fit(labelled, loop.generator, bar, {}, None)
    loop.look_at_the_rest(progress)
    left, now, note, before = loop.left, loop.candidates, "", None
    if study.query.removeprefix(BALANCED) in SAMPLED and len(left) > SAMPLE:
        some = np.sort(loop.query_rng.choice(len(left), SAMPLE, replace=False))
        loop.left, loop.candidates, note = left[some], now[some], _sampled(len(left))
    chosen = pixels[loop.ask(count, distance)]
    kept = {"candidates": now, "left": left, "values": values}
    after = {**loop.state(round_), **{name: torch.from_numpy(each) for name, each in kept.items()}}
    if comparable:
        _, then, here = np.intersect1d(state["left"].numpy(), left, return_indices=True)
        before, now = state["candidates"].numpy()[then], now[here]
    return Suggestion(chosen, losses, note, before, now, after, network.state_dict(), windows.projection)


def _untrained(scene, study, windows, pool, at, labelled, count, distance) -> Suggestion:
    """A round that no network can be trained for, since no two classes are labelled: chosen from projected spectra."""
    rng = np.random.default_rng(np.random.SeedSequence(study.seed, spawn_key=(5, len(at))))
    query = study.query if study.query in UNTRAINED else "typiclust"
    left = np.setdiff1d(pool, labelled)
    note = f"fewer than two classes are labelled, so no network is trained: chosen from the spectra by {query}"
    some = left
    if query in SAMPLED and len(left) > SAMPLE:
        some = np.sort(rng.choice(left, SAMPLE, replace=False))
        note += f", {_sampled(len(left))}"
    cube, width = scene.cube.reshape(-1, scene.bands), scene.labels.shape[1]

    def features() -> tuple[np.ndarray, np.ndarray]:
        scores = windows.projection.pipeline.transform(cube[np.concatenate([some, labelled])])
        return scores[: len(some)], scores[len(some) :]

    new, known = (np.stack(np.divmod(positions, width), axis=1) for positions in (some, labelled))
    chosen = select(query, Candidates(np.empty((len(some), 0)), new, known, features), count, rng, distance)
    return Suggestion(new[chosen], [], note, None, None, {})


def _sampled(count: int) -> str:
    return f"among {SAMPLE:,} of the {count:,} candidates, drawn at random"


@contextmanager
def _one_core() -> Iterator[None]:
    """One core, as `cpdgal.run` has it: numbers do not depend on how many there are."""
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def _study(values: Mapping) -> Study:
    if foreign := sorted({*values} & {*FOREIGN.split()}):
        raise ValueError(f"a labelling has no pool and no test pixels, so it takes no {', '.join(foreign)}; leave that out")
    study = Study(**{"profile": "quick", **values})
    if METHODS[study.method].kind == "floor":
        raise ValueError(f"{study.method} is never unsure, so it has nothing to ask; name a network, such as cpdgal")
    return study


def _table(labelled, scene: Scene) -> pd.DataFrame:
    """Points (row, column, class) of labels in any form."""
    shape = scene.labels.shape
    if labelled is None:
        labelled = np.zeros(shape, dtype=int)
    if not isinstance(labelled, pd.DataFrame):
        classes = np.asarray(labelled)
        if classes.shape != shape:
            raise ValueError(
                f"{scene.name} is {shape[0]} x {shape[1]} pixels and the labels {classes.shape}; give those of its pixels"
            )
        rows, columns = np.nonzero(classes)
        labelled = pd.DataFrame({"row": rows, "column": columns, "class": classes[rows, columns]})
    if missing := {"row", "column", "class"} - {*labelled}:
        raise ValueError(f"the labels have no {min(missing)}; give a table of row, column and class")
    points = labelled[["row", "column", "class"]]
    numbers = points.to_numpy()
    whole = not len(points) or numbers.dtype.kind in "iu"
    if not whole or (numbers < 0).any() or (numbers[:, :2] >= shape).any() or points.duplicated(["row", "column"]).any():
        raise ValueError(f"labels are whole numbers: rows and columns of {scene.name}, each pixel once, and classes from 1")
    return points.astype(int)


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
        self.study = self._begun(about["study"]) if about else _study({**given, "scene": file})
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
        _study(self.given)
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
        found = _suggestion(self.scene, self.study, self.points, list(self.names) or None, *own)
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
