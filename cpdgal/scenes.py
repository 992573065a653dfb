"""Scenes: a hyperspectral cube with its ground truth, from arrays or from files."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.io import loadmat, whosmat


class SceneError(ValueError):
    """Data that cannot be used; the message says what is wrong, where, and what to do."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A hyperspectral image and its ground truth.

    Args:
        cube: (height, width, bands) numbers, kept as float32; without bands it is a ground truth alone.
        labels: (height, width) whole numbers, 0 = unlabelled. They need not be contiguous: the values are sorted and renumbered
            1..K, and `label_values` keeps what the file said.
        class_names: K names in the order of the sorted values, or a mapping from value to name; "class 7" by default.
        band_centers_nm: (bands,) wavelengths in nm, where known.
        palette: (K, 3) RGB in 0..1, a colour for each class; by default colours that stay apart for colour-blind readers;
            past sixteen classes Paul Tol's discrete rainbow.
        name: for titles and messages.

    Raises `SceneError` for anything that is not such data.
    """

    cube: np.ndarray
    labels: np.ndarray
    class_names: Sequence[str] = ()  # a mapping is taken too
    band_centers_nm: np.ndarray | None = None
    name: str = "scene"
    palette: np.ndarray = None  # type: ignore[assignment]  # filled in below
    label_values: tuple[int, ...] = field(init=False)

    def __post_init__(self):
        for what, given in (("cube", self.cube), ("ground truth", self.labels)):
            if np.ma.isMaskedArray(given):
                raise SceneError(f"{self.name}: the {what} is a masked array; give a plain one, as its method filled does")
        cube, labels = _checked_cube(self.cube, self.name), _checked_labels(self.labels, self.name)
        if cube.shape[:2] != labels.shape:
            raise SceneError(_shape_advice(cube.shape, labels.shape, self.name))
        values = np.unique(labels[labels > 0])
        if not values.size:
            raise SceneError(f"{self.name}: no pixel is labelled: the ground truth is 0 everywhere; is it the right file?")
        labels = np.where(labels > 0, np.searchsorted(values, labels) + 1, 0)
        bands, classes, centers = cube.shape[2], len(values), self.band_centers_nm
        centers = None if centers is None else np.asarray(centers, dtype=float)
        if centers is not None and centers.shape != (bands,):
            raise SceneError(f"{self.name}: {centers.size} band centres for {bands} bands; give one for each band")
        palette = _colours(classes) if self.palette is None else np.asarray(self.palette, dtype=float)
        if palette.shape != (classes, 3) or not ((palette >= 0) & (palette <= 1)).all():
            raise SceneError(f"{self.name}: the palette is not {classes} x 3 RGB values in 0..1, a colour for each class")
        for array in (cube, labels):
            array.setflags(write=False)
        own = tuple(map(int, values))
        checked = {"cube": cube, "labels": labels, "label_values": own, "band_centers_nm": centers, "palette": palette}
        for name, value in {**checked, "class_names": _names(self.class_names, own, self.name)}.items():
            object.__setattr__(self, name, value)  # the dataclass is frozen; this is its construction

    @classmethod
    def from_files(cls, cube_path, labels_path=None, *, cube_key=None, labels_key=None, **options) -> "Scene":
        """Read a cube and its ground truth from ``.mat`` (up to version 7.2) or ``.npy`` files.

        ``cube_key`` and ``labels_key`` name the variables in a ``.mat`` file; without them the only three- and the only
        two-dimensional one are taken. Without ``labels_path`` both come from the cube's file, and without ``cube_path`` there
        is a ground truth alone. `options` go to `Scene`.
        """
        if cube_path is None:
            labels = read_array(Path(os.path.expanduser(labels_path)), labels_key, dimensions=2)
            return cls(np.empty((*labels.shape, 0)), labels, **{"name": Path(labels_path).stem, **options})
        cube_path, labels_path = (Path(os.path.expanduser(path or cube_path)) for path in (cube_path, labels_path))
        cube = read_array(cube_path, cube_key, dimensions=3)
        if labels_path == cube_path and cube_path.suffix.lower() == ".npy":
            raise SceneError(f"{cube_path} holds one array; give the ground truth as a second file")
        labels = read_array(labels_path, labels_key, dimensions=2)
        return cls(cube, labels, **{"name": cube_path.stem, **options})

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
        for array in (self.cube, np.array(self.label_values), self.labels):
            digest.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        height, width, bands = self.cube.shape
        return f"Scene({self.name}: {height} x {width} x {bands}, {len(self.pixels)} labelled pixels, {self.classes} classes)"


def rgb(codes: Iterable[str]) -> np.ndarray:
    """(n, 3) RGB in 0..1 of n hexadecimal codes such as "D1BBD7"."""
    return np.array([list(bytes.fromhex(code)) for code in codes]) / 255


# Nearest pairs lie 21 apart in CIELAB, to normal eyes and under each of three colour-vision deficiencies, and none is near the
# white of unlabelled pixels: found by exchanging colours of a grid until none gained. The first few are farther apart.
PALETTE = (
    "CC1A00 4D00B3 4DCCFF 661A66 FFCC66 9980FF 4D4D4D FF6600 99FF00 80B366 800000 33804D 9900FF FF66CC B333B3 B39999"
).split()


def _colours(classes: int) -> np.ndarray:
    return rgb(PALETTE[:classes]) if classes <= len(PALETTE) else _rainbow(classes)


def _rainbow(classes: int) -> np.ndarray:
    codes = (
        "D1BBD7 CAACCB BA8DB4 AE76A3 AA6F9E 994F88 882E72 1965B0 437DBF 5289C7 6195CF 7BAFDE 4EB265 90C987 CAE0AB "
        "F7F056 F7CB45 F6C141 F4A736 F1932D EE8026 E8601C E65518 DC050C A5170E 72190E 42150A"
    )
    colours = rgb(codes.split())
    at = np.linspace(0, len(colours) - 1, classes)
    return np.stack([np.interp(at, np.arange(len(colours)), channel) for channel in colours.T], axis=1)


def read_array(path: Path, key: str | None, dimensions: int) -> np.ndarray:
    """The array of a .npy file, or the variable `key` (or the only one with so many dimensions) of a .mat file."""
    suffix = path.suffix.lower()
    if suffix not in (".mat", ".npy"):
        raise SceneError(f"{path} is neither a .mat nor a .npy file; save the array as one of these")
    if not os.path.isfile(path):  # which takes any text, and also answers where nobody may look
        raise SceneError(f"{path} does not exist or is not a file; check the path")
    try:
        if suffix == ".npy":
            return np.load(path, allow_pickle=False)
        shapes = {name: shape for name, shape, _ in whosmat(path)}
        if key is None:
            fitting = [name for name, shape in shapes.items() if len(shape) == dimensions and min(shape) > 1]
            if len(fitting) != 1:
                wanted = "cube_key" if dimensions == 3 else "labels_key"
                raise SceneError(
                    f"{path} has {len(fitting)} variables with {dimensions} dimensions among {_listed(shapes)}; "
                    f"name the one to read with {wanted}"
                )
            key = fitting[0]
        if key not in shapes:
            raise SceneError(f"{path} has no variable {key!r}; it holds {_listed(shapes)}")
        return loadmat(path, variable_names=[key])[key]
    except SceneError:
        raise
    except NotImplementedError as error:
        raise SceneError(f"{path} is a MATLAB 7.3 file; save it with -v7, or as .npy") from error
    except Exception as error:  # a damaged file makes NumPy and SciPy raise almost anything
        said = "it holds no plain array" if "pickle" in str(error) else getattr(error, "strerror", None) or str(error)
        reason = " ".join(said.split())[:90]
        raise SceneError(f"{path} cannot be read ({reason}); it may be damaged or cut off: fetch it again") from error


def _listed(shapes: dict) -> str:
    listed = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in shapes.items()) or "nothing"
    return listed if len(listed) < 90 else f"{listed[:90]}..."


def _checked_cube(cube, where: str) -> np.ndarray:
    cube = np.asarray(cube)
    if cube.ndim != 3:
        raise SceneError(f"{where}: the cube has {cube.ndim} dimensions {cube.shape}; it needs 3: height, width, bands")
    if cube.dtype.kind not in "iuf" or not min(cube.shape[:2]):
        raise SceneError(f"{where}: the cube holds {cube.dtype} values of shape {cube.shape}; it needs real numbers")
    finite = np.isfinite(cube)
    if not finite.all():
        row, column, band = np.argwhere(~finite)[0]
        raise SceneError(
            f"{where}: the cube has {finite.size - finite.sum()} NaN or infinite values, the first at row {row}, "
            f"column {column}, band {band}; replace them or drop those bands"
        )
    with np.errstate(over="ignore"):
        single = np.array(cube, dtype=np.float32, order="C")
    if not np.isfinite(single).all():
        raise SceneError(f"{where}: the cube has values beyond the range of float32; rescale it")
    if single.size and single.min() == single.max():
        raise SceneError(f"{where}: the cube is {single.flat[0]:g} everywhere; is it the right file?")
    return single


def _checked_labels(labels, where: str) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 2:
        raise SceneError(f"{where}: the ground truth has {labels.ndim} dimensions {labels.shape}; it needs 2: height, width")
    if labels.dtype.kind not in "iufb":
        raise SceneError(f"{where}: the ground truth holds {labels.dtype} values; it needs whole numbers, 0 for unlabelled")
    wrong = (labels < 0) | (labels != np.floor(labels)) | ~np.isfinite(labels) | (labels >= np.float64(2**63))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise SceneError(
            f"{where}: the ground truth has {labels[row, column]} at row {row}, column {column}; "
            "labels are whole numbers from 0 (unlabelled) up, of 64 bits"
        )
    return labels.astype(np.int64)


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
