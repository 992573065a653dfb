"""A trained network over a whole scene, tile by tile: classes, probabilities, uncertainty, in files that keep their place."""

import errno
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from .metrics import entropy
from .plots import map_with_legend
from .readers import ENVI, TIFF, Georeference, SceneError, kept_bands, raster_file
from .records import Record, RecordError, Trained, write
from .scenes import Scene, checked_labels, clean
from .sources import SCENES, load_scene
from .training import predict
from .truths import rasterised
from .windows import Padded, Projection

TILE = (128, 256)  # rows and columns: whatever the format, so that every form of a scene has the same map
CHUNK = 256  # windows that a core predicts at a time
OUTPUTS = ("probabilities", "entropy", "confidence")
GOES_ON = "; the same command goes on where it stopped"


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
    targets, legend = _targets(out, outputs), Path(legend) if legend else None
    _check_legend(legend)
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
    _check_place(source, out)
    _check_inputs(
        [*targets.values(), *([legend] if legend else [])],
        [*source.files, record.path, *map(Path, (record.study.scene, record.study.labels_path))],
    )
    wanted = source.labelled if labelled else None
    names = ["classes", *(each for each in OUTPUTS if each in outputs)]
    what = (record.study.key, record.digest, source.fingerprint, source.shape, names, TILE, CHUNK)
    digest = hashlib.sha256(json.dumps(what).encode() + (b"" if wanted is None else wanted.tobytes()))
    tiles = _Tiles(out.parent / f".{out.name}.{digest.hexdigest()[:12]}.part", source.shape[:2], names)
    _check_room(out.parent, source.shape, names, len(about["classes"]))
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
    for name, path in targets.items():
        _join(tiles, name, path, source, about)
    if legend:
        targets["legend"] = _write_legend(tiles, legend, source, about)
    for each in out.parent.glob(f".{out.name}.*.part"):
        shutil.rmtree(each, ignore_errors=True)
    return [*targets.values()]


class _Tiles:
    """The tiles of a map, each a file as soon as it is predicted."""

    def __init__(self, folder: Path, shape: tuple[int, int], names: list[str]):
        self.folder, self.names = folder, names
        starts = (range(0, side, step) for side, step in zip(shape, TILE, strict=True))
        self.starts = [*starts]
        ends = [
            [slice(at, min(at + step, side)) for at in each] for each, side, step in zip(self.starts, shape, TILE, strict=True)
        ]
        self.all = [*product(*ends)]

    def path(self, number: int) -> Path:
        return self.folder / f"{number:07}.npz"

    def save(self, number: int, planes: dict[str, np.ndarray]) -> None:
        content = BytesIO()
        np.savez(content, **planes)  # type: ignore[arg-type]
        write(self.path(number), content.getvalue(), GOES_ON)

    def rows(self, name: str) -> Iterator[np.ndarray]:
        """A plane of the map, a row of tiles at a time."""
        across = len(self.starts[1])
        for first in range(0, len(self.all), across):
            yield np.concatenate([np.load(self.path(first + each), allow_pickle=False)[name] for each in range(across)], axis=1)


def _fill(tiles: _Tiles, map_tile, own: int, of: int, jobs: int | None, desc: str) -> None:
    """Predict the tiles that are missing from a share."""
    ours = range(own - 1, len(tiles.all), of)
    sizes = [(rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in tiles.all]
    missing = [number for number in ours if not tiles.path(number).exists()]
    total, left = sum(sizes[number] for number in ours), sum(sizes[number] for number in missing)
    cores, threads = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        torch.get_num_threads(),
    )
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


def _targets(out: Path, outputs: Collection[str]) -> dict[str, Path]:
    """The file of each plane, where a map can be written there."""
    if unknown := [each for each in outputs if each not in OUTPUTS]:
        raise ValueError(f"a map is written with {', '.join(OUTPUTS)}, not with {unknown[0]!r}")
    suffix = out.suffix.lower()
    if suffix not in (*TIFF, ".npy", ".png"):
        raise RecordError(f"a map is written to a .tif, .npy or .png file, not to {out}")
    if suffix == ".png" and outputs:
        raise RecordError(f"a .png holds classes alone; write {', '.join(outputs)} with a .tif or .npy")
    if suffix in TIFF:
        try:
            import rasterio  # noqa: F401
        except ImportError as error:
            raise RecordError(f"{out} takes rasterio: pip install 'cpdgal[geo]', or write a .npy") from error
    if not out.parent.is_dir():
        raise RecordError(f"{out.parent} is no folder; make it first")
    if out.is_dir():
        raise RecordError(f"{out} is a folder; name a file")
    return {"classes": out} | {each: out.with_name(f"{out.stem}-{each}{out.suffix}") for each in OUTPUTS if each in outputs}


def _check_legend(path: Path | None) -> None:
    if path and path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise RecordError(f"a legend is written to a .png, .svg or .pdf file, not to {path}")
    if path and not path.parent.is_dir():
        raise RecordError(f"{path.parent} is no folder; make it first")


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


def _check_place(source: Source, out: Path) -> None:
    """Raise `SceneError` for a CRS that no file can be given."""
    if out.suffix.lower() in TIFF and source.georeference:
        from rasterio.crs import CRS
        from rasterio.errors import CRSError

        try:
            CRS.from_user_input(source.georeference.crs)
        except CRSError as error:
            named = source.georeference.crs[:60]
            raise SceneError(f"{source.name} has a CRS that is not known ({named!r}); correct its header") from error


def _check_inputs(written: list[Path], read: Collection[Path | None]) -> None:
    """Raise `RecordError` where a file would be written twice, or over one of those that are read."""
    places = [os.path.realpath(each.expanduser()) for each in written]
    inputs = {os.path.realpath(each.expanduser()) for each in read if each}
    for path, place in zip(written, places, strict=True):
        if place in inputs or places.count(place) > 1:
            raise RecordError(f"{path} is a file that is read here, or written twice; choose another name")


def _check_room(folder: Path, shape, names, classes: int) -> None:
    """Raise `RecordError` where tiles and files would not fit on the disk."""
    layers = {"classes": 2, "entropy": 4, "confidence": 4, "probabilities": 4 * classes}
    needed, free = 2 * shape[0] * shape[1] * sum(layers[name] for name in names), shutil.disk_usage(folder).free
    if needed > free:
        raise RecordError(
            f"the map takes up to {needed / 1e6:,.0f} MB in {folder} while it is made, and it has {free / 1e6:,.0f}; make room"
        )


def _join(tiles: _Tiles, name: str, path: Path, source: Source, about: dict) -> None:
    """Write the file of a plane from its tiles, whole or not at all."""
    path = Path(os.path.realpath(path))  # a link stays one
    suffix, part = path.suffix.lower(), path.with_name(f".{path.stem}.part{path.suffix}")
    values = np.array(about["label_values"])
    values = values if 1 <= values.min() and values.max() < 2**16 else np.arange(1, len(values) + 1)
    as_written = np.concatenate([[0], values]).astype(np.uint8 if values.max() < 256 else np.uint16)

    def rows() -> Iterator[np.ndarray]:
        return (as_written[each] if name == "classes" and suffix != ".png" else each for each in tiles.rows(name))

    try:
        if suffix == ".npy":
            _write_npy(part, rows(), source.shape[:2])
        elif suffix == ".png":
            _painted(np.concatenate([*rows()]), np.asarray(about["palette"])).save(part, "png")
        else:
            _write_tiff(part, rows(), name, source, about["classes"], values, np.asarray(about["palette"]))
            _check_tiff(part, rows())
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:  # rasterio's are some too
        reason = error.strerror or " ".join(str(error).split())[:90]
        raise RecordError(f"{path} could not be written ({reason}); make room, or choose another folder{GOES_ON}") from error
    finally:
        part.unlink(missing_ok=True)


def _write_legend(tiles: _Tiles, path: Path, source: Source, about: dict) -> Path:
    """The map with its legend, thinned to a thousand pixels a side or so."""
    step, classes = max(1, max(source.shape[:2]) // 1000), len(about["classes"])
    thinned, counts, top = [], np.zeros(classes + 1, dtype=np.int64), 0
    for each in tiles.rows("classes"):
        counts += np.bincount(each.ravel(), minlength=classes + 1)
        thinned.append(each[-top % step :: step, ::step])
        top += len(each)
    figure = map_with_legend(
        np.concatenate(thinned),
        counts[1:],
        about["classes"],
        np.asarray(about["palette"]),
        step,
        _pixel_metres(source.georeference),
    )
    content = BytesIO()
    figure.savefig(content, format=path.suffix[1:].lower(), dpi=150)
    plt.close(figure)
    write(path, content.getvalue(), GOES_ON)
    return path


def _pixel_metres(place: Georeference | None) -> float | None:
    """The width of a pixel in metres; None where its CRS has no linear unit, or rasterio is not there to say."""
    try:
        from rasterio.crs import CRS
    except ImportError:
        return None
    crs = CRS.from_user_input(place.crs) if place else None
    if not (place and crs and crs.is_projected):
        return None
    return float(np.hypot(place.transform[0], place.transform[3]) * crs.linear_units_factor[1])


def _write_npy(path: Path, rows: Iterator[np.ndarray], shape: tuple[int, int]) -> None:
    with path.open("wb") as file:
        for number, each in enumerate(rows):
            if not number:
                described = {"descr": each.dtype.str, "fortran_order": False, "shape": (*shape, *each.shape[2:])}
                np.lib.format.write_array_header_1_0(file, described)
            file.write(np.ascontiguousarray(each).data)


def _painted(classes: np.ndarray, palette: np.ndarray) -> Image.Image:
    """Classes 0..K in their colours, white where 0."""
    colours = np.round(255 * np.vstack([np.ones(3), palette])).astype(np.uint8)
    return Image.fromarray(colours[classes])


def _write_tiff(path: Path, rows, name: str, source: Source, classes, values: np.ndarray, palette: np.ndarray) -> None:
    import rasterio

    of_classes, place = name == "classes", source.georeference
    dtype = "float32" if not of_classes else "uint8" if values.max() < 256 else "uint16"
    about: dict[str, Any] = {"height": source.shape[0], "width": source.shape[1], "dtype": dtype}
    about |= {"count": len(classes) if name == "probabilities" else 1, "nodata": 0 if of_classes else np.nan}
    if place:
        about |= {"crs": place.crs, "transform": rasterio.Affine(*place.transform)}
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        options = {"driver": "GTiff", "compress": "deflate", "BIGTIFF": "IF_SAFER"}
        file = stack.enter_context(rasterio.open(path, "w", **options, **about))
        if of_classes:
            file.update_tags(1, **{f"class_{value}": each for value, each in zip(values, classes, strict=True)})
            if dtype == "uint8":
                colours = np.round(255 * palette).astype(int)
                file.write_colormap(1, {int(v): (*map(int, rgb), 255) for v, rgb in zip(values, colours, strict=True)})
        else:
            for band, each in enumerate(classes if name == "probabilities" else [name], start=1):
                file.set_band_description(band, each)
        top = 0
        for each in rows:
            window = rasterio.windows.Window(0, top, source.shape[1], len(each))
            file.write(np.moveaxis(np.atleast_3d(each), 2, 0), window=window)
            top += len(each)


def _check_tiff(path: Path, rows: Iterator[np.ndarray]) -> None:
    """Raise ``OSError`` where a file does not hold its rows: on a full disk GDAL may lose the end of it, and say nothing."""
    import rasterio

    top, lost = 0, OSError(errno.ENOSPC, "its end was lost")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        try:
            with rasterio.open(path) as file:
                for each in rows:
                    there = file.read(window=rasterio.windows.Window(0, top, file.width, len(each)))
                    if not np.array_equal(np.moveaxis(there, 0, 2), np.atleast_3d(each), equal_nan=True):
                        raise lost
                    top += len(each)
        except rasterio.RasterioIOError as error:
            raise lost from error
