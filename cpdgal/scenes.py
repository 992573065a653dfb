"""Scenes: a hyperspectral cube with its ground truth, from arrays or from files."""

import hashlib
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from .readers import HDF5, Georeference, SceneError, band_ranges, chosen_bands, read_array, read_raster
from .truths import rasterised


@dataclass(frozen=True, eq=False)
class Scene:
    """A hyperspectral image and its ground truth.

    Args:
        cube: (height, width, bands) numbers, kept as float32; without bands it is a ground truth alone.
        labels: (height, width) whole numbers, 0 = unlabelled; None for a scene without a ground truth, to be mapped. They need
            not be contiguous: the values are sorted and renumbered 1..K, and `label_values` keeps what the file said. A ground
            truth of height x width x 1, one-hot, or a masked array is taken too.
        class_names: K names in the order of the sorted values, or a mapping from value to name; "class 7" by default.
        band_centers_nm: (bands,) wavelengths in nm, where known.
        palette: (K, 3) RGB in 0..1, a colour for each class; by default colours that stay apart for colour-blind readers;
            past sixteen classes Paul Tol's discrete rainbow.
        name: for titles and messages.
        mask: (height, width) true where a pixel has no data. Pixels that are NaN in every band, masked in a masked array, or
            `no_data` in any band are added. Such a pixel is 0 in the cube, unlabelled, and no part of the projection; None
            where every pixel has data.
        no_data: the value of bands without data; NaN stands for all that are not finite.
        unlabelled: the value of pixels without a label; where it is not 0, then 0 is a class.
        georeference: where the pixels lie, where known.
        band_numbers: (bands,) what the bands are called in their file, counted from 1; for messages.

    Raises `SceneError` for anything that is not such data.
    """

    cube: np.ndarray
    labels: np.ndarray
    class_names: Sequence[str] = ()  # a mapping is taken too
    band_centers_nm: np.ndarray | None = None
    name: str = "scene"
    palette: np.ndarray = None  # type: ignore[assignment]  # filled in below
    mask: np.ndarray | None = None
    no_data: float | None = None
    unlabelled: int = 0
    georeference: Georeference | None = None
    band_numbers: InitVar[np.ndarray | None] = None
    label_values: tuple[int, ...] = field(init=False)

    def __post_init__(self, band_numbers):
        cube, mask = clean(self.cube, self.mask, self.no_data, self.name, band_numbers)
        if mask is not None and mask.all():
            advice = "drop such bands, or check the no-data value"
            raise SceneError(f"{self.name}: every pixel is without data in a band or more; {advice}")
        seen = cube if mask is None else cube[~mask]
        if seen.size and seen.min() == seen.max():
            raise SceneError(f"{self.name}: the cube is {seen.flat[0]:g} everywhere; is it the right file?")
        if self.labels is None:
            labels, given = np.zeros(cube.shape[:2], dtype=np.int64), np.zeros(cube.shape[:2], dtype=bool)
        else:
            labels, given = checked_labels(self.labels, cube.shape, self.unlabelled, self.name)
            if not given.any():
                everywhere = f"the ground truth is {self.unlabelled} everywhere"
                raise SceneError(f"{self.name}: no pixel is labelled: {everywhere}; is it the right file?")
        if mask is not None and given.any():
            given &= ~mask
            if not given.any():
                raise SceneError(f"{self.name}: every labelled pixel is without data; is it the right file?")
        values = np.unique(labels[given])
        labels = np.where(given, np.searchsorted(values, labels) + 1, 0)
        bands, classes, centers = cube.shape[2], len(values), self.band_centers_nm
        centers = None if centers is None else np.asarray(centers, dtype=float)
        if centers is not None and centers.shape != (bands,):
            raise SceneError(f"{self.name}: {centers.size} band centres for {bands} bands; give one for each band")
        palette = colours(classes) if self.palette is None else np.asarray(self.palette, dtype=float)
        if palette.shape != (classes, 3) or not ((palette >= 0) & (palette <= 1)).all():
            raise SceneError(f"{self.name}: the palette is not {classes} x 3 RGB values in 0..1, a colour for each class")
        for array in (cube, labels):
            array.setflags(write=False)
        own = tuple(map(int, values))
        checked = {"cube": cube, "labels": labels, "label_values": own, "band_centers_nm": centers, "palette": palette}
        checked |= {"mask": mask, "no_data": None, "unlabelled": 0}  # both are done with
        for name, value in {**checked, "class_names": _names(self.class_names, own, self.name)}.items():
            object.__setattr__(self, name, value)  # the dataclass is frozen; this is its construction

    @classmethod
    def from_files(
        cls, cube_path, labels_path=None, *, cube_key=None, labels_key=None, bands="", scale=1.0, crs=None, **options
    ) -> "Scene":
        """Read a cube and its ground truth from MATLAB (``.mat``, 7.3 too), NumPy (``.npy``, ``.npz``), HDF5, ENVI or GeoTIFF.

        Args:
            cube_path: None gives a ground truth alone.
            labels_path: a raster of the same grid in one of these formats; a table of points (``.csv`` with the columns row,
                column, class or x, y, class, as spreadsheets save it); or points or polygons with a field "class" (GeoPackage,
                GeoJSON, Shapefile), without a label where two classes overlap.
                Classes may be names there, which become 1..K in alphabetical order and the scene's class names.
                Without it both come from a file with several variables, or the scene has no ground truth.
            cube_key, labels_key: names of variables; without them the only three- and the only two-dimensional one are taken.
            bands: the bands to keep, counted from 1 as in "1-103, 110-144", or by wavelength as in "400-900 nm"; by default
                all that the file does not list as bad.
            scale: the cube is multiplied by it.
            crs: of the x and y in a table, where it is not the raster's.
            options: as for `Scene`.
        """
        if cube_path is None:
            truth = read_array(_path(labels_path), labels_key, dimensions=2)
            return cls(np.empty((*truth.shape, 0)), truth, **{"name": Path(labels_path).stem, **options})
        cube_path = _path(cube_path)
        raster = read_raster(cube_path, cube_key, dimensions=3)
        values, where = raster.values, cube_path.stem
        if values.ndim == 3:
            raster = chosen_bands(raster, bands, where)
        cube = raster.values if scale == 1 else np.ma.multiply(raster.values, scale, dtype=float)
        about = {"band_centers_nm": raster.band_centers_nm, "no_data": raster.no_data, "name": where}
        labels: np.ndarray | None = None
        if labels_path:
            labels, names = rasterised(_path(labels_path), labels_key, values.shape[:2], raster.georeference, crs)
            about["class_names"] = names
        elif cube_path.suffix.lower() in (".mat", ".npz", *HDF5):
            labels = _own_truth(cube_path, labels_key)
        about |= options
        if about["no_data"] is not None:
            about["no_data"] = float(about["no_data"]) * scale
        placed = {"georeference": raster.georeference, "band_numbers": raster.band_numbers}
        scene = cls(cube, labels, **placed, **about)  # type: ignore[arg-type]  # None is taken too
        zeros = np.ma.sum(labels == 0) if np.ma.isMaskedArray(labels) and not about.get("unlabelled") else 0
        if notes := _suspicions(scene, zeros):
            warnings.warn(notes, stacklevel=2)
        return scene

    @property
    def bands(self) -> int:
        """Number of spectral bands."""
        return self.cube.shape[2]

    @property
    def classes(self) -> int:
        """Number of classes K."""
        return len(self.label_values)

    @cached_property
    def pixels(self) -> np.ndarray:
        """(n, 2) row and column of every labelled pixel, row by row; all indices refer to this list."""
        return np.argwhere(self.labels > 0)

    @cached_property
    def targets(self) -> np.ndarray:
        """(n,) class of every labelled pixel, counted from 0 as networks want it."""
        return self.labels[self.labels > 0] - 1

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of shape, cube and ground truth; two scenes with the same checksum hold the same data."""
        digest = hashlib.sha256(repr(self.cube.shape).encode())
        masked = () if self.mask is None else (self.mask,)
        for array in (self.cube, np.array(self.label_values, dtype=np.int64), self.labels, *masked):
            digest.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        height, width, bands = self.cube.shape
        return f"Scene({self.name}: {height} x {width} x {bands}, {len(self.pixels)} labelled pixels, {self.classes} classes)"


def rgb(codes: Iterable[str]) -> np.ndarray:
    """(n, 3) RGB in 0..1 of n hexadecimal codes such as "D1BBD7"."""
    return np.array([list(bytes.fromhex(code)) for code in codes]).reshape(-1, 3) / 255


# Nearest pairs lie 21 apart in CIELAB, to normal eyes and under each of three colour-vision deficiencies, and none is near the
# white of unlabelled pixels: found by exchanging colours of a grid until none gained. The first few are farther apart.
PALETTE = (
    "CC1A00 4D00B3 4DCCFF 661A66 FFCC66 9980FF 4D4D4D FF6600 99FF00 80B366 800000 33804D 9900FF FF66CC B333B3 B39999"
).split()


def colours(classes: int) -> np.ndarray:
    """(classes, 3) RGB in 0..1, the default palette of so many classes."""
    return rgb(PALETTE[:classes]) if classes <= len(PALETTE) else _rainbow(classes)


def _rainbow(classes: int) -> np.ndarray:
    codes = (
        "D1BBD7 CAACCB BA8DB4 AE76A3 AA6F9E 994F88 882E72 1965B0 437DBF 5289C7 6195CF 7BAFDE 4EB265 90C987 CAE0AB "
        "F7F056 F7CB45 F6C141 F4A736 F1932D EE8026 E8601C E65518 DC050C A5170E 72190E 42150A"
    )
    colours = rgb(codes.split())
    at = np.linspace(0, len(colours) - 1, classes)
    return np.stack([np.interp(at, np.arange(len(colours)), channel) for channel in colours.T], axis=1)


def _path(given) -> Path:
    return Path(os.path.expanduser(given))


def _own_truth(path: Path, key: str | None) -> np.ndarray | None:
    """The ground truth in the file of the cube, where there is one."""
    try:
        labels = read_raster(path, key, dimensions=2).values
    except SceneError as error:
        if key or "has 0 variables" not in str(error):
            raise
        return None
    return labels if key or labels.ndim == 2 else None  # an only variable is the cube


def clean(cube, mask, no_data: float | None, where: str, band_numbers=None) -> tuple[np.ndarray, np.ndarray | None]:
    """The cube of a `Scene`, or of a part of it, as float32, 0 where a pixel has no data; and which (height, width) have none,
    None where all have. `SceneError` for anything that is no such cube."""
    cube, mask = _without_data(cube, mask, no_data, where)
    return _checked_cube(cube, mask, band_numbers, where), mask


def _without_data(cube, mask, no_data: float | None, where: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The cube, and which of its pixels (height, width) have no data; None where all have."""
    hidden = np.ma.getmask(cube)
    cube = np.asarray(np.ma.getdata(cube))
    if cube.ndim != 3 or cube.dtype.kind not in "iuf" or not cube.size:
        return cube, None
    masked = np.zeros(cube.shape[:2], dtype=bool) if mask is None else np.array(mask, dtype=bool)
    if masked.shape != cube.shape[:2]:
        raise SceneError(f"{where}: the mask is {masked.shape} and the cube {cube.shape}; give a mask of height x width")
    if hidden is not np.ma.nomask:
        masked |= hidden.any(axis=2)
    if cube.dtype.kind == "f":
        masked |= np.isnan(cube).all(axis=2)
    if no_data is not None:
        value = float(no_data)
        masked |= (~np.isfinite(cube) if np.isnan(value) else np.isclose(cube, value, rtol=1e-6, atol=0)).any(axis=2)
    masked.setflags(write=False)
    return cube, masked if masked.any() else None


def _suspicions(scene: Scene, zeros) -> str:
    """One sentence on constant extremes far outside the rest, and on a background that looks like a class; or nothing."""
    said = [f"{zeros} labels are 0, which stands for unlabelled: if it is a class, say unlabelled=-1"] if zeros else []
    low, high = scene.cube.min(axis=2, initial=np.inf), scene.cube.max(axis=2, initial=-np.inf)
    flat = (low == high) if scene.bands > 2 else np.zeros(low.shape, dtype=bool)
    if scene.mask is not None:
        flat &= ~scene.mask
    for value in {float(scene.cube.min(initial=0)), float(scene.cube.max(initial=0))} if flat.any() else ():
        alike = flat & (low == value)
        rest = ~(flat | (False if scene.mask is None else scene.mask))
        if alike.any() and rest.any():
            bottom, top = float(low[rest].min()), float(high[rest].max())
            if max(bottom - value, value - top) > (top - bottom) / 2:
                said.append(
                    f"{int(alike.sum())} pixels are {value:g} in every band, far from the rest: if that is no data, say so"
                )
                said[-1] += f" with no_data={value:g}"
    if len(scene.label_values) > 1 and scene.label_values[-1] in (255, 65535) and scene.label_values[-2] < 250:
        value = scene.label_values[-1]
        said.append(f"label {value} may be background rather than a class: if so, say unlabelled={value}")
    return f"{scene.name}: {'; '.join(said)}" if said else ""


def _checked_cube(cube: np.ndarray, mask: np.ndarray | None, numbers: np.ndarray | None, where: str) -> np.ndarray:
    if cube.ndim != 3:
        advice = "; of pixels x bands, reshape it to (height, width, bands)" if cube.ndim == 2 else ""
        raise SceneError(f"{where}: the cube has {cube.ndim} dimensions {cube.shape}; it needs 3: height, width, bands{advice}")
    if cube.dtype.kind not in "iuf" or not min(cube.shape[:2]):
        raise SceneError(f"{where}: the cube holds {cube.dtype} values of shape {cube.shape}; it needs real numbers")
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.array(cube, dtype=np.float32, order="C")
    if mask is not None:
        single[mask] = 0
    if not (finite := np.isfinite(single)).all():
        row, column, band = np.argwhere(~finite)[0]
        if np.isfinite(cube[row, column, band]):
            raise SceneError(f"{where}: the cube has values beyond the range of float32; rescale it")
        raise SceneError(f"{where}: {_gaps(finite, mask, numbers)}")
    return single


def _gaps(finite: np.ndarray, mask: np.ndarray | None, numbers: np.ndarray | None) -> str:
    """What to say of values (height, width, bands) that are not all finite; `numbers` are those of the bands in their file."""
    pixels, bands = ~finite.all(axis=2), ~finite.all(axis=(0, 1))
    called = np.arange(1, finite.shape[2] + 1) if numbers is None else numbers
    bad, rest, ways = called[bands], band_ranges(called[~bands]), []
    if 2 * bad.size <= called.size and len(rest) < 60:
        ways += ["those bands out" if numbers is None else f'those bands out with bands="{rest}"']
    if not (pixels if mask is None else pixels | mask).all():
        ways += ["those pixels out with no_data=nan"]
    listed = ", ".join(map(str, bad[:5])) + (", ..." if bad.size > 5 else "")
    advice = f"leave {', or '.join(ways)}" if ways else "replace those values"
    found = f"{pixels.sum()} of {pixels.size} pixels and {bad.size} of {called.size} bands (counted from 1: {listed})"
    return f"the cube is NaN or infinite in {found}; {advice}"


def checked_labels(labels, shape: tuple, unlabelled: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    """The ground truth (height, width) as whole numbers, and which pixels have a label."""
    hidden = np.ma.getmaskarray(labels) if np.ma.isMaskedArray(labels) else None
    labels = labels.toarray() if hasattr(labels, "toarray") else np.asarray(np.ma.getdata(labels))
    height, width = shape[:2]
    if labels.dtype.kind not in "iufb":
        raise SceneError(f"{where}: the ground truth holds {labels.dtype} values; it needs whole numbers, 0 for unlabelled")
    if labels.ndim == 3 and labels.shape[2] == 1:
        labels, hidden = labels[..., 0], None if hidden is None else hidden[..., 0]
    elif labels.ndim == 3 and labels.shape[:2] == (height, width) and _one_hot(labels):
        labels, hidden = np.where(labels.any(axis=2), labels.argmax(axis=2) + 1, unlabelled), None
    if labels.shape != (height, width) and labels.size == height * width and max(labels.shape, default=0) == labels.size:
        raise SceneError(
            f"{where}: the ground truth is flattened, {labels.shape} for {height} x {width} pixels; reshape it with "
            f'labels.reshape({height}, {width}), in MATLAB\'s order with order="F"'
        )
    if labels.ndim != 2:
        raise SceneError(f"{where}: the ground truth has {labels.ndim} dimensions {labels.shape}; it needs 2: height, width")
    if labels.shape != (height, width):
        raise SceneError(_shape_advice(shape, labels.shape, where))
    given = labels != unlabelled
    if hidden is not None:
        given &= ~hidden
    wrong = given & ((labels < 0) | (labels != np.floor(labels)) | ~np.isfinite(labels) | (labels >= np.float64(2**63)))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise SceneError(
            f"{where}: the ground truth has {labels[row, column]} at row {row}, column {column}; "
            "labels are whole numbers from 0 (unlabelled) up, of 64 bits"
        )
    return np.where(given, labels, 0).astype(np.int64), given


def _one_hot(labels: np.ndarray) -> bool:
    return labels.shape[2] > 1 and bool(np.isin(labels, (0, 1)).all() and labels.sum(axis=2).max(initial=0) == 1)


def _shape_advice(cube: tuple, labels: tuple, where: str) -> str:
    message = f"{where}: the cube is {cube[0]} x {cube[1]} pixels and the ground truth {labels[0]} x {labels[1]}"
    if cube[1:] == labels:
        return message + "; the cube has its bands first: move them last with numpy.moveaxis(cube, 0, -1)"
    if cube[:2] == labels[::-1]:
        return message + "; one of the two is transposed"
    return message + "; give the two files of one scene"


def _names(given, values: tuple[int, ...], where: str) -> tuple[str, ...]:
    if given is None or not len(given):
        return tuple(f"class {value}" for value in values)
    if isinstance(given, Mapping):
        return tuple(str(given.get(value, f"class {value}")) for value in values)
    if len(given) != len(values):
        raise SceneError(f"{where}: {len(given)} class names for {len(values)} classes {values}; give one for each")
    return tuple(map(str, given))
