"""A trained network over a whole scene, tile by tile: classes, probabilities, uncertainty, in files that keep their place."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from .map_files import GOES_ON, check_inputs, check_place, check_room, targets, write_legend, write_plane
from .metrics import entropy
from .readers import ENVI, TIFF, Georeference, SceneError, kept_bands, raster_file
from .records import Record
from .scenes import Scene, checked_labels, clean
from .sources import SCENES, load_scene
from .training import predict
from .truths import rasterised
from .weights import Trained
from .windows import Padded, Projection
from .writing import RecordError, write

TILE = (128, 256)  # rows and columns: whatever the format, so that every form of a scene has the same map
CHUNK = 256  # windows that a core predicts at a time


@dataclass(frozen=True, eq=False)
class Source:
    """A scene to be mapped, in memory or on disk: ``read`` gives cube and mask of a part (slices of rows and columns)."""

    name: str
    shape: tuple[int, int, int]
    read: Callable[[slice, slice], tuple[np.ndarray, np.ndarray | None]]
    fingerprint: str  # another one for other data
    band_centers_nm: np.ndarray | None = None
    georeference: Georeference | None = None
    labelled: np.ndarray | None = None  # (height, width) true where the ground truth has a class
    files: tuple[Path, ...] = ()  # what it was read from: no map is written over them

    @classmethod
    def of(cls, scene: Scene) -> "Source":
        """A scene in memory."""

        def read(rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray | None]:
            return scene.cube[rows, columns], None if scene.mask is None else scene.mask[rows, columns]

        about = (scene.checksum, scene.band_centers_nm, scene.georeference, scene.labels > 0 if scene.classes else None)
        return cls(scene.name, scene.cube.shape, read, *about)


@contextmanager
def opened(scene: str, labels: str = "", **reading) -> Iterator[Source]:
    """A scene by its name or file; a GeoTIFF or ENVI file stays on disk. Labels and reading options as for `load_scene`."""
    path = Path(scene).expanduser()
    if scene in ("synthetic", *SCENES) or path.suffix.lower() not in (*TIFF, *ENVI) or not os.path.isfile(path):
        yield replace(Source.of(load_scene(scene, labels or None, **reading)), files=(path, Path(labels)))
        return
    file = raster_file(path)
    try:
        yield _on_disk(path, file, labels, **reading)
    finally:
        file.close()


def _on_disk(path, file, labels, *, bands="", scale=1.0, no_data=None, labels_key=None, unlabelled=0, crs=None, **_) -> Source:
    kept, about = kept_bands(file.about, bands, path.stem), file.about
    no_data = about.no_data if no_data is None else no_data
    no_data = None if no_data is None else float(no_data) * scale

    def read(rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray | None]:
        values = file.read(rows, columns)[..., kept]
        values = values if scale == 1 else np.ma.multiply(values, scale, dtype=float)
        where = f"{path.stem}, rows {rows.start} to {rows.stop - 1}, columns {columns.start} to {columns.stop - 1}"
        return clean(values, None, no_data, where, np.flatnonzero(kept) + 1)

    stamps = [(str(each.resolve()), each.stat().st_size, each.stat().st_mtime_ns) for each in file.paths]
    height, width, _count = file.shape
    labelled = None
    if labels:
        truth = rasterised(Path(labels).expanduser(), labels_key, (height, width), about.georeference, crs)[0]
        labelled = checked_labels(truth, (height, width), unlabelled, path.stem)[1]
    centers = about.band_centers_nm
    return Source(
        name=path.stem,
        shape=(height, width, int(kept.sum())),
        read=read,
        fingerprint=repr((stamps, bands, scale, no_data)),
        band_centers_nm=None if centers is None else centers[kept],
        georeference=about.georeference,
        labelled=labelled,
        files=(*file.paths, Path(labels)),
    )


def write_map(
    record: Record | Trained,
    out: Path | str,
    source: Source | Scene | None = None,
    *,
    outputs: Collection[str] = (),
    labelled: bool = False,
    legend: Path | str | None = None,
    share: tuple[int, int] = (1, 1),
    device: str = "cpu",
    jobs: int | None = None,
    progress: bool = True,
) -> list[Path]:
    """Map a scene with the network of a record, tile by tile, into a file; the paths of what was written.

    Classes are written as in the ground truth of the training scene where that has them from 1 to 65,535, else as 1, 2, ... in
    their order; 0 is no class, of pixels without data. Killed at any moment, it goes on when it is called again, and the files
    are the same byte for byte, whatever the number of cores.

    Args:
        record: with its weights; or a trained network by itself, as `cpdgal label` keeps one.
        out: .tif (georeferenced, colours and names of classes; the extra ``geo``), .npy or .png.
        source: the scene to be mapped; None for the one it was trained on. Another one goes through the training scene's
            projection, and needs its bands.
        outputs: beside the classes, each into a file named after ``out``: "probabilities" of all classes, "entropy" (over log
            k: from 0, certain, to 1) or "confidence" (the highest probability).
        labelled: only the pixels that the ground truth has a class for.
        legend: .png, .svg or .pdf of the map with its classes and a scale bar.
        share: (i, n) predicts the i-th of n shares of the tiles, for processes side by side on one disk, and writes no file; a
            call without it joins them, and predicts what is missing.
        jobs: cores; all by default.

    Raises `RecordError` for weights or a target that cannot be used, `SceneError` for a scene that does not fit.
    """
    out, (own, of) = Path(out), share
    files = targets(out, outputs, legend)
    network, projection = record.trained()
    if source is None:
        source = record.study.read_scene()
        record.check(source)
    source = Source.of(source) if isinstance(source, Scene) else source
    about = record.training_scene()
    _check_fit(source, projection, about["band_centers_nm"], record)
    if labelled and source.labelled is None:
        raise SceneError(f"{source.name} has no ground truth, so none of its pixels is labelled; give one as labels")
    if not 1 <= own <= of:
        raise ValueError(f"a share is one of so many, such as 2/4, not {own}/{of}")
    shape, place = source.shape[:2], source.georeference
    check_place(out, source.name, place)
    learnt_from = (record.path, Path(record.study.scene), Path(record.study.labels_path))
    check_inputs(files.values(), [*source.files, *filter(None, learnt_from)])
    wanted = source.labelled if labelled else None
    names = [name for name in files if name != "legend"]
    what = (record.study.key, record.digest, source.fingerprint, source.shape, names, TILE, CHUNK)
    digest = hashlib.sha256(json.dumps(what).encode() + (b"" if wanted is None else wanted.tobytes()))
    tiles = _Tiles(out.parent / f".{out.name}.{digest.hexdigest()[:12]}.part", shape)
    check_room(out.parent, shape, names, len(about["classes"]))
    try:
        tiles.folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RecordError(f"{out.parent} cannot be written to ({error.strerror}); choose another folder") from error
    map_tile = _mapper(record, network.to(device), projection, source, names, wanted, device)
    try:
        _fill(tiles, map_tile, own, of, jobs, source.name if progress else "")
    finally:
        with suppress(OSError):
            tiles.folder.rmdir()  # where it is empty, there is nothing to go on from
    if of > 1:
        return []
    for name, path in files.items():
        if name == "legend":
            write_legend(path, tiles.rows("classes"), shape, place, about)
        else:
            write_plane(path, name, partial(tiles.rows, name), shape, place, about)
    for each in out.parent.glob(f".{out.name}.*.part"):
        shutil.rmtree(each, ignore_errors=True)
    return [*files.values()]


class _Tiles:
    """The tiles of a map, each a file as soon as it is predicted."""

    def __init__(self, folder: Path, shape: tuple[int, int]):
        self.folder = folder
        sides = zip(shape, TILE, strict=True)
        rows, columns = ([slice(at, min(at + step, side)) for at in range(0, side, step)] for side, step in sides)
        self.all, self.across = [*product(rows, columns)], len(columns)

    def path(self, number: int) -> Path:
        return self.folder / f"{number:07}.npz"

    def save(self, number: int, planes: dict[str, np.ndarray]) -> None:
        content = BytesIO()
        np.savez(content, **planes)  # type: ignore[arg-type]
        write(self.path(number), content.getvalue(), GOES_ON)

    def rows(self, name: str) -> Iterator[np.ndarray]:
        """A plane of the map, a row of tiles at a time."""
        for first in range(0, len(self.all), self.across):
            numbers = range(first, first + self.across)
            yield np.concatenate([np.load(self.path(each), allow_pickle=False)[name] for each in numbers], axis=1)


def _fill(tiles: _Tiles, map_tile, own: int, of: int, jobs: int | None, desc: str) -> None:
    """Predict the tiles that are missing from a share."""
    ours = range(own - 1, len(tiles.all), of)
    sizes = [(rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in tiles.all]
    missing = [number for number in ours if not tiles.path(number).exists()]
    total, left = sum(sizes[number] for number in ours), sum(sizes[number] for number in missing)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(jobs or cores)
    try:
        torch.set_num_threads(1)  # a core predicts windows of its own: sums round alike, however many there are
        with threadpool_limits(1), tqdm(total=total, initial=total - left, desc=desc, unit=" pixels", disable=not desc) as bar:
            for number in missing:
                tiles.save(number, map_tile(number, *tiles.all[number], pool, bar))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def _mapper(
    record: Record | Trained, network, projection: Projection, source: Source, names, labelled: np.ndarray | None, device: str
):
    """What maps a tile: the planes of the tile of a number, rows and columns."""
    window, classes = record.study.window, len(record.training_scene()["classes"])
    reach, shape = (window // 2, (window - 1) // 2), source.shape[:2]

    def map_tile(number: int, rows: slice, columns: slice, pool: ThreadPoolExecutor, bar) -> dict[str, np.ndarray]:
        parts, margins = [], []
        for inner, side in zip((rows, columns), shape, strict=True):
            outer = slice(max(0, inner.start - reach[0]), min(side, inner.stop + reach[1]))
            parts.append(outer)
            margins.append((reach[0] - (inner.start - outer.start), reach[1] - (outer.stop - inner.stop)))
        cube, mask = source.read(*parts)
        image = Padded(projection.scores(cube, mask, source.name), window, record.study.padding, margins)
        inside = tuple(slice(i.start - o.start, i.stop - o.start) for i, o in zip((rows, columns), parts, strict=True))
        wanted = np.ones((rows.stop - rows.start, columns.stop - columns.start), dtype=bool) if mask is None else ~mask[inside]
        if labelled is not None:
            wanted &= labelled[rows, columns]
        at = np.nonzero(wanted)

        def answer(start: int) -> np.ndarray:
            chosen = slice(start, start + CHUNK)
            seed = np.random.SeedSequence((record.study.seed, number, start)).generate_state(1, np.uint64)[0] >> np.uint64(1)
            generator = torch.Generator(device).manual_seed(int(seed))
            return predict(network, [image.at(at[0][chosen], at[1][chosen]).to(device)], generator).numpy()

        found = np.empty((len(at[0]), classes), dtype=np.float32)
        starts = range(0, len(found), CHUNK)
        for start, probabilities in zip(starts, pool.map(answer, starts), strict=True):
            found[start : start + CHUNK] = probabilities
            bar.update(len(probabilities))
        bar.update(wanted.size - len(found))
        planes = {"classes": found.argmax(1) + 1, "probabilities": found, "confidence": found.max(1, initial=0)}
        planes["entropy"] = entropy(found) / np.log(classes)
        return {name: _plane(planes[name], at, wanted.shape) for name in names}

    return map_tile


def _plane(values: np.ndarray, at, shape: tuple[int, int]) -> np.ndarray:
    """Values of pixels as a tile (rows, columns, ...); where there are none, 0 of whole numbers, and NaN of others."""
    whole = values.dtype.kind in "iu"
    tile = np.full((*shape, *values.shape[1:]), 0 if whole else np.nan, dtype=np.uint16 if whole else np.float32)
    tile[at] = values
    return tile


def _check_fit(source: Source, projection: Projection, trained_on, record: Record | Trained) -> None:
    if source.shape[2] != projection.bands:
        raise SceneError(
            f"{source.name} has {source.shape[2]} bands, and {record.study.name} was trained on {projection.bands}; "
            "choose the same ones with bands"
        )
    if trained_on is None or source.band_centers_nm is None:
        return
    centers = np.asarray(trained_on, dtype=float)
    apart = np.abs(source.band_centers_nm - centers)
    if apart.max() > np.median(np.abs(np.diff(centers))) / 2:
        band = int(apart.argmax())
        raise SceneError(
            f"{source.name} has band {band + 1} at {source.band_centers_nm[band]:.0f} nm, and {record.study.name} was trained "
            f"with {centers[band]:.0f} nm there; resample the cube to the training scene's wavelengths, or choose bands"
        )
