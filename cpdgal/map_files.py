"""The files of a map, written row of tiles by row of tiles: GeoTIFF, .npy and .png, and a figure of it with its legend."""

import errno
import os
import shutil
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from .plots import map_with_legend
from .readers import TIFF, Georeference, SceneError
from .writing import RecordError, write

OUTPUTS = ("probabilities", "entropy", "confidence")
GOES_ON = "; the same command goes on where it stopped"
Rows = Iterator[np.ndarray]  # (rows, width) of classes 1..K and 0, or (rows, width[, K]) of numbers, from the top down


def targets(out: Path, outputs: Collection[str], legend: Path | str | None) -> dict[str, Path]:
    """The file of each plane of a map, by name, and of its legend; `RecordError` where it cannot be written there."""
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
    files = {"classes": out} | {each: out.with_name(f"{out.stem}-{each}{out.suffix}") for each in OUTPUTS if each in outputs}
    if legend:
        files["legend"] = path = Path(legend)
        if path.suffix.lower() not in (".png", ".svg", ".pdf"):
            raise RecordError(f"a legend is written to a .png, .svg or .pdf file, not to {path}")
        if not path.parent.is_dir():
            raise RecordError(f"{path.parent} is no folder; make it first")
    return files


def check_place(out: Path, name: str, place: Georeference | None) -> None:
    """Raise `SceneError` for a CRS that no file can be given."""
    if out.suffix.lower() in TIFF and place:
        from rasterio.crs import CRS
        from rasterio.errors import CRSError

        try:
            CRS.from_user_input(place.crs)
        except CRSError as error:
            raise SceneError(f"{name} has a CRS that is not known ({place.crs[:60]!r}); correct its header") from error


def check_inputs(written: Iterable[Path], read: Iterable[Path]) -> None:
    """Raise `RecordError` where a file would be written twice, or over one of those that are read."""
    written = [*written]
    places = [os.path.realpath(each.expanduser()) for each in written]
    inputs = {os.path.realpath(each.expanduser()) for each in read}
    for path, place in zip(written, places, strict=True):
        if place in inputs or places.count(place) > 1:
            raise RecordError(f"{path} is a file that is read here, or written twice; choose another name")


def check_room(folder: Path, shape, names, classes: int) -> None:
    """Raise `RecordError` where tiles and files would not fit on the disk."""
    layers = {"classes": 2, "entropy": 4, "confidence": 4, "probabilities": 4 * classes}
    needed, free = 2 * shape[0] * shape[1] * sum(layers[name] for name in names), shutil.disk_usage(folder).free
    if needed > free:
        raise RecordError(
            f"the map takes up to {needed / 1e6:,.0f} MB in {folder} while it is made, and it has {free / 1e6:,.0f}; make room"
        )


def write_plane(
    path: Path, name: str, rows: Callable[[], Rows], shape: tuple[int, int], place: Georeference | None, about: dict
) -> None:
    """Write the file of a plane, whole or not at all; `about` is the training scene, as `Record.training_scene` has it."""
    path = Path(os.path.realpath(path))  # a link stays one
    suffix, part = path.suffix.lower(), path.with_name(f".{path.stem}.part{path.suffix}")
    values = np.array(about["label_values"])
    values = values if 1 <= values.min() and values.max() < 2**16 else np.arange(1, len(values) + 1)
    as_written = np.concatenate([[0], values]).astype(np.uint8 if values.max() < 256 else np.uint16)

    def shown() -> Rows:
        return (as_written[each] if name == "classes" and suffix != ".png" else each for each in rows())

    try:
        if suffix == ".npy":
            _write_npy(part, shown(), shape)
        elif suffix == ".png":
            _painted(np.concatenate([*shown()]), np.asarray(about["palette"])).save(part, "png")
        else:
            _write_tiff(part, name, shown(), shape, place, about["classes"], values, np.asarray(about["palette"]))
            _check_tiff(part, shown())
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:  # rasterio's are some too
        reason = error.strerror or " ".join(str(error).split())[:90]
        raise RecordError(f"{path} could not be written ({reason}); make room, or choose another folder{GOES_ON}") from error
    finally:
        part.unlink(missing_ok=True)


def _write_npy(path: Path, rows: Rows, shape: tuple[int, int]) -> None:
    with path.open("wb") as file:
        for number, each in enumerate(rows):
            if not number:
                described = {"descr": each.dtype.str, "fortran_order": False, "shape": (*shape, *each.shape[2:])}
                np.lib.format.write_array_header_1_0(file, described)
            file.write(np.ascontiguousarray(each).data)


def _write_tiff(path: Path, name: str, rows: Rows, shape, place, classes, values: np.ndarray, palette: np.ndarray) -> None:
    import rasterio

    of_classes = name == "classes"
    dtype = "float32" if not of_classes else "uint8" if values.max() < 256 else "uint16"
    about: dict[str, Any] = {"height": shape[0], "width": shape[1], "dtype": dtype}
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
            window = rasterio.windows.Window(0, top, shape[1], len(each))
            file.write(np.moveaxis(np.atleast_3d(each), 2, 0), window=window)
            top += len(each)


def _check_tiff(path: Path, rows: Rows) -> None:
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


def _painted(classes: np.ndarray, palette: np.ndarray) -> Image.Image:
    """Classes 0..K in their colours, white where 0."""
    colours = np.round(255 * np.vstack([np.ones(3), palette])).astype(np.uint8)
    return Image.fromarray(colours[classes])


def write_legend(path: Path, rows: Rows, shape: tuple[int, int], place: Georeference | None, about: dict) -> None:
    """Write the map of these rows of classes with its legend, thinned to a thousand pixels a side or so."""
    step, classes = max(1, max(shape) // 1000), len(about["classes"])
    thinned, counts, top = [], np.zeros(classes + 1, dtype=np.int64), 0
    for each in rows:
        counts += np.bincount(each.ravel(), minlength=classes + 1)
        thinned.append(each[-top % step :: step, ::step])
        top += len(each)
    figure = map_with_legend(
        np.concatenate(thinned), counts[1:], about["classes"], np.asarray(about["palette"]), step, _pixel_metres(place)
    )
    content = BytesIO()
    figure.savefig(content, format=path.suffix[1:].lower(), dpi=150)
    plt.close(figure)
    write(path, content.getvalue(), GOES_ON)


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
