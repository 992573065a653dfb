"""Scenes: a hyperspectral cube with its ground truth, from a name, from files, from arrays, or made up."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np
from scipy.io import loadmat, whosmat
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.spatial import cKDTree


class SceneError(ValueError):
    """Data that cannot be used; the message says what is wrong, where, and what to do."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A hyperspectral image and its ground truth.

    Parameters
    ----------
    cube
        (height, width, bands) numbers, kept as float32.
    labels
        (height, width) whole numbers, 0 = unlabelled. They need not be contiguous: the values are sorted and
        renumbered 1..K, and `label_values` keeps what the file said.
    class_names
        K names in the order of the sorted values, or a mapping from value to name; "class 7" by default.
    band_centers_nm
        (bands,) wavelengths in nm, where known.
    name
        for titles and messages.

    Raises
    ------
    SceneError
        For anything that is not such data.
    """

    cube: np.ndarray
    labels: np.ndarray
    class_names: Sequence[str] | Mapping[int, str] | None = None
    band_centers_nm: np.ndarray | None = None
    name: str = "scene"
    label_values: tuple[int, ...] = field(init=False)

    def __post_init__(self):
        cube, labels = _checked_cube(self.cube, self.name), _checked_labels(self.labels, self.name)
        if cube.shape[:2] != labels.shape:
            raise SceneError(_shape_advice(cube.shape, labels.shape, self.name))
        values = np.unique(labels[labels > 0])
        if not values.size:
            raise SceneError(f"{self.name}: no pixel is labelled: the ground truth is 0 everywhere; is it the right file?")
        set_ = object.__setattr__  # the dataclass is frozen; this is its construction
        set_(self, "cube", cube)
        set_(self, "labels", np.where(labels > 0, np.searchsorted(values, labels) + 1, 0))
        set_(self, "label_values", tuple(map(int, values)))
        set_(self, "class_names", _names(self.class_names, self.label_values, self.name))
        if self.band_centers_nm is not None:
            set_(self, "band_centers_nm", np.asarray(self.band_centers_nm, dtype=float))
            if self.band_centers_nm.shape != (self.bands,):
                raise SceneError(
                    f"{self.name}: {self.band_centers_nm.size} band centres for {self.bands} bands; give one for each band"
                )
        for array in (self.cube, self.labels):
            array.setflags(write=False)

    @classmethod
    def from_files(cls, cube_path, labels_path=None, *, cube_key=None, labels_key=None, **options) -> "Scene":
        """Read a cube and its ground truth from ``.mat`` (up to version 7.2) or ``.npy`` files.

        ``cube_key`` and ``labels_key`` name the variables in a ``.mat`` file; without them the only three- and the only
        two-dimensional one are taken. Without ``labels_path`` both come from the cube's file. `options` go to `Scene`.
        """
        cube_path = Path(cube_path)
        labels_path = cube_path if labels_path is None else Path(labels_path)
        cube = _read(cube_path, cube_key, dimensions=3)
        if labels_path == cube_path and cube_path.suffix == ".npy":
            raise SceneError(f"{cube_path} holds one array; give the ground truth as a second file")
        labels = _read(labels_path, labels_key, dimensions=2)
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
    def palette(self) -> np.ndarray:
        """(K, 3) RGB in 0..1, from Paul Tol's discrete rainbow, made to be told apart by colour-blind readers."""
        rainbow = (
            "D1BBD7 CAACCB BA8DB4 AE76A3 AA6F9E 994F88 882E72 1965B0 437DBF 5289C7 6195CF 7BAFDE 4EB265 90C987 CAE0AB "
            "F7F056 F7CB45 F6C141 F4A736 F1932D EE8026 E8601C E65518 DC050C A5170E 72190E 42150A"
        )
        colours = np.array([list(bytes.fromhex(code)) for code in rainbow.split()]) / 255
        at = np.linspace(0, len(colours) - 1, self.classes)
        return np.stack([np.interp(at, np.arange(len(colours)), channel) for channel in colours.T], axis=1)

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


def load_scene(name, labels_path=None, **options) -> Scene:
    """A scene by name, or from the path of a cube.

    ``"indian_pines"`` comes with the ``tensorly`` package and needs no network. ``"synthetic"`` is made up; its options
    are those of `synthetic_scene`. ``"salinas"``, ``"salinas_a"`` and ``"botswana"`` are looked for in the folder that
    the environment variable ``CPDGAL_DATA_DIR`` names and downloaded otherwise, checksums verified both times. Anything
    else is a path for `Scene.from_files`.

    Raises `SceneError` for a name that is neither, and for data that cannot be had or used.
    """
    if name == "synthetic" and labels_path is None:
        return synthetic_scene(**options)
    if name in ("indian_pines", "synthetic", *PUBLIC_SCENES) and (labels_path is not None or options):
        raise SceneError(f"{name} brings its own ground truth and names; load it by its name alone")
    if name == "indian_pines":
        return _indian_pines()
    if name in PUBLIC_SCENES:
        entry = PUBLIC_SCENES[name]
        cube, labels = (_public_file(file) for file in (entry["cube"][0], entry["labels"][0]))
        return Scene.from_files(
            cube,
            labels,
            cube_key=entry["cube"][1],
            labels_key=entry["labels"][1],
            name=name,
            class_names=entry["classes"],
            band_centers_nm=_band_centers(name),
        )
    if Path(name).suffix or Path(name).exists():
        return Scene.from_files(name, labels_path, **options)
    known = ", ".join(["indian_pines", "synthetic", *PUBLIC_SCENES])
    raise SceneError(f"no scene is called {name!r}; known are {known}, or give the path of a .mat or .npy file")


def synthetic_scene(height=60, width=60, bands=40, classes=6, *, noise=0.05, mixing=1.0, seed=0) -> Scene:
    """A made-up scene of fields, deterministic in its arguments: for tests and smoke runs, not for conclusions.

    Fields are Voronoi cells, several to a class; each class has a smooth spectrum; pixels mix their neighbours'
    spectra over ``mixing`` pixels (the most mixed stay unlabelled), a smooth illumination varies over the scene, and
    ``noise`` is the standard deviation of white noise beside spectra of order 1.
    """
    if min(height, width) < 8 or bands < 2 or classes < 2 or height * width < 40 * classes:
        raise SceneError(
            f"a synthetic scene of {height} x {width} x {bands} with {classes} classes is too small; it needs 8 x 8 pixels, "
            "2 bands, 2 classes, and 40 pixels for each class"
        )
    rng = np.random.default_rng(seed)
    fields = 3 * classes
    field_of = cKDTree(rng.uniform((0, 0), (height, width), (fields, 2))).query(np.indices((height, width)).reshape(2, -1).T)[1]
    class_of = rng.permutation(np.arange(fields) % classes)[field_of].reshape(height, width)

    spectra = gaussian_filter1d(rng.standard_normal((classes, bands)), bands / 12, axis=1, mode="nearest")
    spectra = 1 + 0.5 * spectra / spectra.std()
    abundance = gaussian_filter(np.eye(classes)[class_of], (mixing, mixing, 0))
    light = (
        1 + 0.1 * gaussian_filter(rng.standard_normal((height, width, 1)), (height / 6, width / 6, 0), mode="wrap") * height / 6
    )
    cube = light * (abundance @ spectra) + noise * rng.standard_normal((height, width, bands))

    pure = np.take_along_axis(abundance, class_of[..., None], 2)[..., 0]
    labels = np.where(pure >= np.minimum(0.6, _nth_purest(pure, class_of, 8)), class_of + 1, 0)
    return Scene(
        cube, labels, [f"crop {letter}" for letter in range(1, classes + 1)], np.linspace(400, 2500, bands), "synthetic"
    )


def _nth_purest(pure: np.ndarray, class_of: np.ndarray, n: int) -> np.ndarray:
    """For each pixel the n-th highest purity in its class: a threshold that leaves every class n pixels."""
    thresholds = [np.sort(pure[class_of == k])[-n:][0] if (class_of == k).any() else 1.0 for k in range(class_of.max() + 1)]
    return np.array(thresholds)[class_of]


def disturbed(scene: Scene, kind: str, strength: float, rng: np.random.Generator) -> Scene:
    """The scene as a worse sensor or sky would show it; its ground truth stays.

    A generator in the same state disturbs the same places at every strength, only more of them or further.

    Parameters
    ----------
    kind, strength
        "noise": white Gaussian noise; its standard deviation over that of each band.
        "dead bands": the share of the bands, chosen at random, that show their mean everywhere: they say nothing, and
        are no outliers.
        "illumination": every spectrum times a positive factor that varies smoothly, over about a sixth of the scene; the
        standard deviation of the factor's logarithm.
        "missing pixels": the share of the pixels, chosen at random, whose spectra are zero.

    Raises
    ------
    ValueError
        For an unknown kind, a negative strength, and a share above 1.
    """
    kinds = ("noise", "dead bands", "illumination", "missing pixels")
    if kind not in kinds:
        raise ValueError(f"no disturbance is called {kind!r}; known are {', '.join(kinds)}")
    if not 0 <= strength <= (1 if kind in ("dead bands", "missing pixels") else np.inf):
        raise ValueError(f"{kind} of strength {strength}: a strength is 0 or more, and a share at most 1")
    cube, (height, width) = scene.cube.copy(), scene.labels.shape
    if kind == "noise":
        cube += strength * cube.std((0, 1)) * rng.standard_normal(cube.shape, dtype=np.float32)
    elif kind == "dead bands":
        dead = rng.permutation(scene.bands)[: round(strength * scene.bands)]
        cube[..., dead] = cube[..., dead].mean((0, 1))
    elif kind == "illumination":
        light = gaussian_filter(rng.standard_normal((height, width)), (height / 6, width / 6), mode="wrap")
        cube *= np.exp(strength * (light - light.mean()) / light.std())[..., None]
    else:
        cube[rng.random((height, width)) < strength] = 0
    return replace(scene, cube=cube, labels=np.array([0, *scene.label_values])[scene.labels])


_INDIAN_PINES_CLASSES = (
    "Alfalfa",
    "Corn-notill",
    "Corn-mintill",
    "Corn",
    "Grass-pasture",
    "Grass-trees",
    "Grass-pasture-mowed",
    "Hay-windrowed",
    "Oats",
    "Soybean-notill",
    "Soybean-mintill",
    "Soybean-clean",
    "Wheat",
    "Woods",
    "Buildings-Grass-Trees-Drives",
    "Stone-Steel-Towers",
)
_SALINAS_CLASSES = (
    "Brocoli_green_weeds_1",
    "Brocoli_green_weeds_2",
    "Fallow",
    "Fallow_rough_plow",
    "Fallow_smooth",
    "Stubble",
    "Celery",
    "Grapes_untrained",
    "Soil_vinyard_develop",
    "Corn_senesced_green_weeds",
    "Lettuce_romaine_4wk",
    "Lettuce_romaine_5wk",
    "Lettuce_romaine_6wk",
    "Lettuce_romaine_7wk",
    "Vinyard_untrained",
    "Vinyard_vertical_trellis",
)
_BOTSWANA_CLASSES = (
    "Water",
    "Hippo grass",
    "Floodplain grasses 1",
    "Floodplain grasses 2",
    "Reeds",
    "Riparian",
    "Firescar",
    "Island interior",
    "Acacia woodlands",
    "Acacia shrublands",
    "Acacia grasslands",
    "Short mopane",
    "Mixed mopane",
    "Exposed soils",
)

# File and variable names of the scenes that the public record holds as .mat files.
PUBLIC_SCENES = {
    "salinas": {
        "cube": ("Salinas_corrected.mat", "salinas_corrected"),
        "labels": ("Salinas_gt.mat", "salinas_gt"),
        "classes": _SALINAS_CLASSES,
    },
    "salinas_a": {
        "cube": ("SalinasA_corrected.mat", "salinasA_corrected"),
        "labels": ("SalinasA_gt.mat", "salinasA_gt"),
        "classes": dict(enumerate(_SALINAS_CLASSES, 1)),
    },
    "botswana": {
        "cube": ("Botswana.mat", "Botswana"),
        "labels": ("Botswana_gt.mat", "Botswana_gt"),
        "classes": _BOTSWANA_CLASSES,
    },
}

_EHU = "https://www.ehu.eus/ccwintco/uploads"
_ZENODO = "https://zenodo.org/records/15771735/files"
_HYBRIDSN = "https://raw.githubusercontent.com/gokriznastic/HybridSN/master/data"
# SHA-256, then the mirrors in the order they are tried.
PUBLIC_FILES = {
    "Salinas_corrected.mat": (
        "5ec1c0d22f56d18ecd336f8e35735863c0f160682e04e0c18ef3f89a3334d87d",
        (
            f"{_EHU}/a/a3/Salinas_corrected.mat",
            f"{_ZENODO}/Salinas_corrected.mat?download=1",
            f"{_HYBRIDSN}/Salinas_corrected.mat",
        ),
    ),
    "Salinas_gt.mat": (
        "ecfab4d31ef5553f097943235d8ea502038eb4a2067b2ad10b33e37c949955e2",
        (f"{_EHU}/f/fa/Salinas_gt.mat", f"{_ZENODO}/Salinas_gt.mat?download=1", f"{_HYBRIDSN}/Salinas_gt.mat"),
    ),
    "SalinasA_corrected.mat": (
        "d75684ed3ab71a1024cee0f9db9061f50a3523a92ff5edfbbb1eed976b9f1721",
        (f"{_EHU}/1/1a/SalinasA_corrected.mat",),
    ),
    "SalinasA_gt.mat": ("17814c1d3296c0e29b27f320f2c4174d2a68adb87e376abe78f02923e2c2e454", (f"{_EHU}/a/aa/SalinasA_gt.mat",)),
    "Botswana.mat": ("f1603903c844cdc2980550b0180688e8e1a72d4292595d1120e1dec2a80a91c7", (f"{_EHU}/7/72/Botswana.mat",)),
    "Botswana_gt.mat": ("668394905e10e629c16584bfd02b0f533b96d6ba18a63274a94ff3a77126a887", (f"{_EHU}/5/58/Botswana_gt.mat",)),
}


def _indian_pines() -> Scene:
    from tensorly.datasets import load_indian_pines  # imports slowly, and only this scene needs it

    data = load_indian_pines()
    scene = Scene(data.tensor, data.ticks[0], _INDIAN_PINES_CLASSES, _band_centers("indian_pines"), "indian_pines")
    if scene.checksum != INDIAN_PINES_CHECKSUM:
        raise SceneError("the Indian Pines scene of the installed tensorly differs from the one checked; install tensorly 0.10")
    return scene


INDIAN_PINES_CHECKSUM = "00e209f294260d835258ef8542ab84497223a3c96ac298dcf5f501eee354ede8"


def _band_centers(name: str) -> list[float] | None:
    return json.loads(files("cpdgal").joinpath("band_centers_nm.json").read_text()).get(name)


def _public_file(name: str) -> Path:
    """The verified path of a public file: the user's own copy, the cached one, or a download."""
    import pooch

    checksum, mirrors = PUBLIC_FILES[name]
    own = Path(os.environ.get("CPDGAL_DATA_DIR") or ".") / name
    if os.environ.get("CPDGAL_DATA_DIR") and own.is_file():
        if pooch.file_hash(str(own)) != checksum:
            raise SceneError(f"{own} is not the canonical file (its SHA-256 differs from {checksum}); replace or remove it")
        return own
    cache = pooch.os_cache("cpdgal")
    reasons = []
    for url in mirrors:
        downloader = pooch.HTTPDownloader(progressbar=True, timeout=30)
        try:
            return Path(pooch.retrieve(url, f"sha256:{checksum}", fname=name, path=cache, downloader=downloader))
        except (OSError, ValueError) as error:  # network and disk; a checksum that differs
            reasons.append(f"{url} ({type(error).__name__})")
    raise SceneError(
        f"{name} could not be downloaded from {' or '.join(reasons)}; download it by hand into a folder and set "
        f"CPDGAL_DATA_DIR to that folder"
    )


def _read(path: Path, key: str | None, dimensions: int) -> np.ndarray:
    """The array of a .npy file, or the variable `key` (or the only one with so many dimensions) of a .mat file."""
    if path.suffix not in (".mat", ".npy"):
        raise SceneError(f"{path} is neither a .mat nor a .npy file; save the array as one of these")
    if not path.is_file():
        raise SceneError(f"{path} does not exist or is not a file; check the path")
    try:
        if path.suffix == ".npy":
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
        raise SceneError(f"{path} cannot be read ({error}); it may be damaged or cut off: fetch it again") from error


def _listed(shapes: dict) -> str:
    return ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in shapes.items()) or "nothing"


def _checked_cube(cube, where: str) -> np.ndarray:
    cube = np.asarray(cube)
    if cube.ndim != 3:
        raise SceneError(f"{where}: the cube has {cube.ndim} dimensions {cube.shape}; it needs 3: height, width, bands")
    if cube.dtype.kind not in "iuf" or not cube.size:
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
    return single


def _checked_labels(labels, where: str) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 2:
        raise SceneError(f"{where}: the ground truth has {labels.ndim} dimensions {labels.shape}; it needs 2: height, width")
    if labels.dtype.kind not in "iufb":
        raise SceneError(f"{where}: the ground truth holds {labels.dtype} values; it needs whole numbers, 0 for unlabelled")
    wrong = (labels < 0) | (labels != np.floor(labels)) | ~np.isfinite(labels)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise SceneError(
            f"{where}: the ground truth has {labels[row, column]} at row {row}, column {column}; "
            "labels are whole numbers from 0 (unlabelled) up"
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
    if given is None:
        return tuple(f"class {value}" for value in values)
    if isinstance(given, Mapping):
        return tuple(str(given.get(value, f"class {value}")) for value in values)
    if len(given) != len(values):
        raise SceneError(f"{where}: {len(given)} class names for {len(values)} classes {values}; give one for each")
    return tuple(map(str, given))
