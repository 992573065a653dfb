"""Readers by format: arrays with what their files say of wavelengths, bad bands, no data and place on earth."""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import loadmat, whosmat
from scipy.sparse import csc_matrix, issparse


class SceneError(ValueError):
    """Data that cannot be used; the message says what is wrong, where, and what to do."""


@dataclass(frozen=True)
class Georeference:
    """Where pixels lie: the CRS as text (EPSG code or WKT), and a, b, c, d, e, f of x = a column + b row + c and
    y = d column + e row + f, for the upper left corner of a pixel."""

    crs: str
    transform: tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Raster:
    """An array as its file has it, and what the file says beside it; ``good`` are the bands not listed as bad, and
    ``band_numbers`` those that are there, counted from 1, once they are chosen."""

    values: np.ndarray
    band_centers_nm: np.ndarray | None = None
    good: np.ndarray | None = None
    no_data: float | None = None
    georeference: Georeference | None = None
    band_numbers: np.ndarray | None = None


@dataclass(frozen=True)
class RasterFile:
    """A raster that stays on disk: ``about`` is its `Raster` without values, ``read`` gives the part of two slices (rows,
    columns) as (rows, columns, bands)."""

    shape: tuple[int, int, int]
    about: Raster
    read: Callable[[slice, slice], np.ndarray]
    paths: tuple[Path, ...]
    close: Callable[[], None] = lambda: None


HDF5 = (".h5", ".hdf5", ".he5")
TIFF = (".tif", ".tiff")
CACHE = 256  # MB of blocks that GDAL keeps; its own default is a share of the machine
ENVI = (".hdr", ".img", ".dat", ".raw", ".bsq", ".bil", ".bip", "")


def read_array(path: Path, key: str | None, dimensions: int) -> np.ndarray:
    """The array of a file, or the variable `key` (or the only one with so many dimensions) of a file with several."""
    values = read_raster(path, key, dimensions).values
    return values[..., 0] if values.ndim == 3 and dimensions == 2 and values.shape[2] == 1 else values


def read_raster(path: Path, key: str | None, dimensions: int) -> Raster:
    """As `read_array`, with what the file says of the array; `SceneError` for anything that cannot be read."""
    suffix = path.suffix.lower()
    if suffix not in (".mat", ".npy", ".npz", *HDF5, *TIFF, *ENVI):
        raise SceneError(f"{path} is no format known here; give .mat, .npy, .npz, .h5, GeoTIFF (.tif) or ENVI (.hdr)")
    if not os.path.isfile(path):  # which takes any text, and also answers where nobody may look
        raise SceneError(f"{path} does not exist or is not a file; check the path")
    if suffix in (*TIFF, *ENVI):
        with closing(raster_file(path)) as file:
            return replace(file.about, values=file.read(slice(None), slice(None)))
    with _readable(path):
        values = _array(path, suffix, key, dimensions)
        return Raster(values.toarray() if issparse(values) else values)


def _array(path: Path, suffix: str, key: str | None, dimensions: int):
    if suffix == ".npy":
        return np.load(path, allow_pickle=False)
    if suffix == ".npz":
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return arrays[_variable(path, {name: arrays[name].shape for name in arrays.files}, key, dimensions)]
    if suffix in HDF5 or h5py.is_hdf5(path):
        return _hdf5(path, key, dimensions, matlab=suffix == ".mat")
    key = _variable(path, {name: shape for name, shape, _ in whosmat(path)}, key, dimensions)
    values = loadmat(path, variable_names=[key])[key]
    if not issparse(values) and values.dtype.kind in "OV":
        raise SceneError(f"{path}: {key!r} is a struct or a cell, not an array; save the array in it as a variable of its own")
    return values


def _hdf5(path: Path, key: str | None, dimensions: int, *, matlab: bool):
    """A variable of an HDF5 file; MATLAB 7.3 writes its dimensions backwards, and a sparse matrix as a group."""
    with h5py.File(path, "r") as file:
        shapes = {}

        def note(name, item):
            if "MATLAB_sparse" in item.attrs:
                shapes[name] = (int(item.attrs["MATLAB_sparse"]), len(item["jc"]) - 1)
            elif isinstance(item, h5py.Dataset) and not name.startswith("#") and item.parent.attrs.get("MATLAB_sparse") is None:
                shapes[name] = item.shape[::-1] if matlab else item.shape

        file.visititems(note)
        chosen = _variable(path, shapes, key, dimensions)
        item = file[chosen]
        if isinstance(item, h5py.Group):
            data = item["data"][()] if "data" in item else np.empty(0)
            rows = item["ir"][()] if "ir" in item else np.empty(0, dtype=int)
            return csc_matrix((data, rows, item["jc"][()]), shape=shapes[chosen])
        if item.dtype.kind not in "iufbc":
            raise SceneError(f"{path}: {chosen!r} is a struct or a cell, not an array; save the array in it by itself")
        return item[()].T if matlab else item[()]


def _variable(path: Path, shapes: Mapping[str, tuple], key: str | None, dimensions: int) -> str:
    """The variable that is asked for, or the only one that fits."""
    if key:
        if key not in shapes:
            raise SceneError(f"{path} has no variable {key!r:.40}; it holds {_listed(shapes)}")
        return key
    fitting = [name for name, shape in shapes.items() if len(shape) == dimensions and min(shape) > 1]
    fitting = list(shapes) if len(shapes) == 1 else fitting
    if len(fitting) != 1:
        wanted = "cube_key" if dimensions == 3 else "labels_key"
        raise SceneError(
            f"{path} has {len(fitting)} variables with {dimensions} dimensions among {_listed(shapes)}; "
            f"name the one to read with {wanted}"
        )
    return fitting[0]


def _listed(shapes: Mapping) -> str:
    listed = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in shapes.items()) or "nothing"
    return listed if len(listed) < 90 else f"{listed[:90]}..."


def raster_file(path: Path) -> RasterFile:
    """A GeoTIFF or ENVI raster to be read in parts; `SceneError` for anything that cannot be read."""
    with _readable(path):
        file = _open_geotiff(path) if path.suffix.lower() in TIFF else _open_envi(path)

    def read(rows: slice, columns: slice) -> np.ndarray:
        with _readable(path):
            return file.read(rows, columns)

    return replace(file, read=read)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (SceneError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes its reader raise almost anything
        said = "it holds no plain array" if "pickle" in str(error) else getattr(error, "strerror", None) or str(error)
        reason = " ".join(said.split())[:90]
        raise SceneError(f"{path} cannot be read ({reason}); it may be damaged or cut off: fetch it again") from error


def _open_geotiff(path: Path) -> RasterFile:
    try:
        import rasterio
    except ImportError as error:
        raise SceneError(f"{path} needs rasterio to be read; install it with: pip install 'cpdgal[geo]'") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        file = rasterio.open(path)
    centers = [
        file.tags(band).get("wavelength") or file.tags(band, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM") for band in file.indexes
    ]
    masked = any(rasterio.enums.MaskFlags.per_dataset in flags for flags in file.mask_flag_enums)
    placed = None
    if file.crs and not file.transform.is_identity:
        placed = Georeference(file.crs.to_string(), tuple(file.transform)[:6])

    def read(rows: slice, columns: slice) -> np.ndarray:
        part = rasterio.windows.Window.from_slices(rows, columns, height=file.height, width=file.width)
        with rasterio.Env(GDAL_CACHEMAX=CACHE):
            return np.moveaxis(file.read(window=part, masked=masked), 0, -1)

    about = Raster(np.empty((0, 0, file.count)), _nanometres(centers, file.tags(1)), None, file.nodata, placed)
    return RasterFile((*file.shape, file.count), about, read, (path,), file.close)


def _open_envi(path: Path) -> RasterFile:
    from spectral.io import envi

    header = path
    if path.suffix.lower() != ".hdr":
        beside = [path.with_suffix(".hdr"), path.with_suffix(".HDR"), Path(f"{path}.hdr"), Path(f"{path}.HDR")]
        header = next((each for each in beside if each.is_file()), path)
        if header == path:
            raise SceneError(f"{path} has no ENVI header beside it; put {path.stem}.hdr into the same folder")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parameters in capitals
        try:
            said = envi.read_envi_header(str(header))
            image: Any = envi.open(str(header), None if header == path else str(path))
            size = image.offset + image.nrows * image.ncols * image.nbands * image.sample_size
        except (envi.EnviException, AttributeError, ValueError) as error:  # a library of spectra has other attributes
            reason = " ".join(str(error).split())[:120].rstrip(".")
            raise SceneError(f"{header} is no header of an ENVI image that can be read ({reason}); correct it") from error
    if (found := os.path.getsize(image.filename)) < size:
        raise SceneError(
            f"{image.filename} has {found} bytes and its header tells of {size}; it is cut off, or the header another's"
        )

    def read(rows: slice, columns: slice) -> np.ndarray:
        values = np.array(image.open_memmap(interleave="bip")[rows, columns])  # mapped anew, so that read pages are let go
        return values if values.dtype.byteorder in "=|" else values.astype(values.dtype.newbyteorder("="))

    bands = image.nbands
    centers = _nanometres(said.get("wavelength"), {"wavelength_units": said.get("wavelength units", "")})
    good = np.array(said["bbl"], dtype=float) > 0 if "bbl" in said else None
    if good is not None and len(good) != bands:
        raise SceneError(f"{header} lists {len(good)} good and bad bands (bbl) for {bands} bands; correct the header")
    ignored = said.get("data ignore value")
    about = Raster(np.empty((0, 0, bands)), centers, good, None if ignored is None else float(ignored), _map_info(said))
    return RasterFile((image.nrows, image.ncols, bands), about, read, (header, Path(image.filename)))


def _nanometres(centers, about: Mapping) -> np.ndarray | None:
    """Band centres in nm, from numbers in nm or micrometres; None where they are not all there, or other numbers."""
    if not centers or not all(centers):
        return None
    unit = about.get("wavelength_units", "").strip().lower()
    known = unit in ("", "unknown") or unit.startswith("n")
    try:
        values = np.array(centers, dtype=float)
    except ValueError:  # a band may have a word for it
        return None
    if unit.startswith(("micro", "um", "µm", "μm")) or (known and values.max() < 100):
        return values * 1000
    return values if known else None  # a wave number, a frequency


def _map_info(header: Mapping) -> Georeference | None:
    """The place of an ENVI image, where its header gives one without a rotation."""
    info = header.get("map info")
    if not info or len(info) < 7 or any("rotation" in each.lower() for each in info):
        return None
    column, row, x, y, width, height = map(float, info[1:7])
    crs = ", ".join(text) if isinstance(text := header.get("coordinate system string", ""), list) else text
    if not crs and info[0].lower() == "utm" and len(info) > 8:
        crs = f"EPSG:{326 if info[8].strip().lower().startswith('n') else 327}{int(info[7]):02}"
    elif not crs and "lat" in info[0].lower():
        crs = "EPSG:4326"
    if not crs:
        return None
    return Georeference(crs.strip("{} "), (width, 0.0, x - (column - 1) * width, 0.0, -height, y + (row - 1) * height))


def chosen_bands(raster: Raster, bands: str, where: str) -> Raster:
    """The raster without its bad bands, or with the `bands` alone: counted from 1 as in "1-103, 110", or by wavelength as
    in "400-900 nm"."""
    kept, centers = kept_bands(raster, bands, where), raster.band_centers_nm
    numbered = replace(raster, band_numbers=np.flatnonzero(kept) + 1)
    if kept.all():
        return numbered
    return replace(numbered, values=raster.values[..., kept], band_centers_nm=None if centers is None else centers[kept])


def kept_bands(raster: Raster, bands: str, where: str) -> np.ndarray:
    """Which of its bands `chosen_bands` keeps, (bands,)."""
    count = raster.values.shape[2]
    kept = np.ones(count, dtype=bool) if raster.good is None else raster.good
    if bands.strip():
        kept = _parsed_bands(bands, count, raster.band_centers_nm, where)
    if not kept.any():
        raise SceneError(f"{where}: no band is left of {count}; choose others with bands")
    return kept


def band_ranges(numbers: np.ndarray) -> str:
    """Band numbers in ascending order as `chosen_bands` takes them: "1-103, 110"."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1) if len(numbers) else ()
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _parsed_bands(text: str, count: int, centers: np.ndarray | None, where: str) -> np.ndarray:
    by_length = text.lower().rstrip().endswith("nm")
    if by_length and centers is None:
        raise SceneError(f"{where}: the file gives no wavelengths, so bands cannot be chosen in nm; count them from 1")
    positions = centers if by_length and centers is not None else np.arange(1, count + 1)
    kept = np.zeros(count, dtype=bool)
    for part in text.lower().replace("nm", "").split(","):
        low, dash, high = part.strip().partition("-")
        try:
            ends = float(low), float(high if dash else low)
        except ValueError as error:
            raise SceneError(f'{where}: bands are chosen as "1-103, 110" or "400-900 nm", not {text[:60]!r}') from error
        found = (positions >= ends[0]) & (positions <= ends[1])
        if not found.any() or (not by_length and not 1 <= ends[0] <= ends[1] <= count):
            raise SceneError(f"{where}: bands {part.strip()[:30]} are not among its {count} bands; choose others")
        kept |= found
    return kept
