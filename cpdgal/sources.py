"""Where scenes come from: public ones by name (``scenes.json``), verified downloads, made-up ones."""

import json
import os
import sys
from concurrent.futures import Future, wait
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.spatial import cKDTree
from tqdm.auto import tqdm

from .readers import SceneError, read_array
from .scenes import Scene, rgb

# A public scene is one entry: the package that brings it and its checksum, or its files (variable, size, SHA-256, mirrors in
# the order they are tried); its class names by value; and where it has them its band centres, its palette, and the paper's
# protocol where that differs from the one for Indian Pines.
SCENES = json.loads(files("cpdgal").joinpath("scenes.json").read_text(encoding="utf-8"))
PATIENCE = 30  # seconds in which a mirror sends PATIENCE x SLOWEST bytes, or is given up
SLOWEST = 10_000  # bytes a second


def load_scene(name, labels_path=None, **options) -> Scene:
    """A scene by name, or from the path of a cube.

    ``"indian_pines"`` comes with the ``tensorly`` package and needs no network. ``"synthetic"`` is made up; its options
    are those of `synthetic_scene`. The files of ``"salinas"``, ``"salinas_a"`` and ``"botswana"`` are looked for in the
    folder that the environment variable ``CPDGAL_DATA_DIR`` names and downloaded otherwise, checksums verified both
    times. Anything else is a path for `Scene.from_files`.

    Raises `SceneError` for a name that is neither, and for data that cannot be had or used.
    """
    if name == "synthetic" and labels_path is None:
        return synthetic_scene(**options)
    if name in ("synthetic", *SCENES):
        if labels_path is not None or options:
            raise SceneError(f"{name} brings its own ground truth and names; load it by its name alone")
        return _public_scene(name, SCENES[name])
    if name and (Path(name).suffix or os.path.exists(os.path.expanduser(name))):
        return Scene.from_files(name, labels_path, **options)
    raise SceneError(f"no scene is called {name!r:.80}; known are synthetic, {', '.join(SCENES)}, or give the path of a cube")


def load_truth(name: str) -> Scene:
    """The ground truth of a public scene that comes as files, with a cube of no bands: for floors that look at place alone."""
    entry = SCENES[name]
    path, names = _verified_file(entry["labels"]), {int(value): each for value, each in entry["classes"].items()}
    return Scene.from_files(None, path, labels_key=entry["labels"]["key"], name=name, class_names=names)


def disjoint_mask(name: str) -> np.ndarray:
    """(height, width) a published training mask of a public scene: the class of its training pixels, by the values of the
    scene's own file, and 0 elsewhere. Its class numbers differ from the truth's; ``scenes.json`` has the match, by overlap.

    Raises `SceneError` where there is no such mask, or its file cannot be had.
    """
    if "disjoint" not in SCENES.get(name, {}):
        raise SceneError(f"{name} has no published training mask; indian_pines has one")
    entry = SCENES[name]["disjoint"]
    mask = read_array(_verified_file(entry), entry["key"], 2)
    values = np.zeros(256, dtype=np.int64)
    values[[int(value) for value in entry["classes"]]] = list(entry["classes"].values())
    return values[mask]


def known_checksum(name: str) -> str | None:
    """The `Scene.checksum` of a public scene without reading it, where it is on file: the files are verified when they are
    read. None for any other scene."""
    return SCENES.get(name, {}).get("checksum")


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


def _public_scene(name: str, entry: dict) -> Scene:
    about: dict[str, Any] = {
        "name": name,
        "class_names": {int(value): class_name for value, class_name in entry["classes"].items()},
        "band_centers_nm": entry.get("band_centers_nm"),
        "palette": rgb(entry["palette"]) if "palette" in entry else None,
    }
    if "package" not in entry:
        cube, labels = (_verified_file(entry[kind]) for kind in ("cube", "labels"))
        return Scene.from_files(cube, labels, cube_key=entry["cube"]["key"], labels_key=entry["labels"]["key"], **about)
    from tensorly.datasets import load_indian_pines  # imports slowly, and only this scene needs it

    data = load_indian_pines()
    scene = Scene(data.tensor, data.ticks[0], **about)
    if scene.checksum != entry["checksum"]:
        raise SceneError("the Indian Pines scene of the installed tensorly differs from the one checked; install tensorly 0.10")
    return scene


def _verified_file(entry: dict) -> Path:
    """The path of a public file: the user's own copy, the cached one, or a download from the first mirror that has it."""
    import pooch
    import requests

    name, folder, cache = entry["file"], os.environ.get("CPDGAL_DATA_DIR"), Path(pooch.os_cache("cpdgal"))
    missing, by_hand = "CPDGAL_DATA_DIR is not set", "download it by hand into a folder and set CPDGAL_DATA_DIR to that folder"
    if folder:
        own = Path(folder).expanduser() / name
        try:
            if _is_verified(own, entry):
                return own
            if own.is_file():
                raise SceneError(
                    f"{own} is not the canonical file (its SHA-256 is not {entry['sha256']}); replace or remove it"
                )
        except OSError as error:
            where = f"CPDGAL_DATA_DIR, {folder[:80]}"
            raise SceneError(f"{where}: its {name} cannot be read ({error.strerror}); correct or unset it") from error
        missing, by_hand = f"CPDGAL_DATA_DIR has no {own}", "download it by hand to that place"
    reasons = []
    try:
        if _is_verified(cache / name, entry):
            return cache / name
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as temporary:
            for url in entry["mirrors"]:
                print(f"{missing}; fetching {name} ({entry['bytes'] / 1e6:.3g} MB) from {url} into {cache}", file=sys.stderr)
                try:
                    return _download(url, entry, Path(temporary) / name).replace(cache / name)
                except (requests.RequestException, TimeoutError, ValueError) as error:
                    reason = type(error).__name__ if isinstance(error, requests.RequestException) else error
                    reasons.append(f"{urlsplit(url).netloc} ({reason})")
        if not entry["mirrors"]:
            raise SceneError(f"{name} is on no mirror that is known, and {missing}; {by_hand}")
    except OSError as error:
        raise SceneError(f"{name} cannot be written to {cache} ({error.strerror or error}); {by_hand}") from error
    raise SceneError(f"{name} could not be downloaded from {' or '.join(reasons)}, and {missing}; {by_hand}")


def _is_verified(path: Path, entry: dict) -> bool:
    import pooch

    return path.is_file() and pooch.file_hash(str(path)) == entry["sha256"]


def _download(url: str, entry: dict, path: Path) -> Path:
    """Fetch a public file from a mirror and verify it.

    In a thread of its own, since the time limit of a socket starts anew with every byte, of a header too.

    Raises ``requests.RequestException`` or ``TimeoutError`` for a mirror that fails or is too slow, ``ValueError`` for
    another file, and ``OSError`` where the file cannot be written.
    """
    import requests

    done: Future[None] = Future()

    def fetch() -> None:
        try:
            with requests.get(url, stream=True, timeout=PATIENCE) as response:
                response.raise_for_status()
                for chunk in response.iter_content(2**14):
                    file.write(chunk)
                    bar.update(len(chunk))
                    if file.tell() > entry["bytes"]:
                        break
            done.set_result(None)
        except Exception as error:
            done.set_exception(error)

    with path.open("wb") as file, tqdm(desc=path.name, total=entry["bytes"], unit="B", unit_scale=True) as bar:
        Thread(target=fetch, daemon=True).start()  # ends when the file is closed, if not before
        arrived = 0
        while not wait([done], PATIENCE).done:
            if file.tell() - arrived < PATIENCE * SLOWEST:
                raise TimeoutError("too slow")
            arrived = file.tell()
        done.result()
    if not _is_verified(path, entry):
        raise ValueError("another file")
    return path
