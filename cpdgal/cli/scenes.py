"""Scenes: list, describe and fetch them, and write splits of them for others."""

import json
import shlex
import shutil
import warnings
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated

import numpy as np
import typer

from ..readers import SceneError, read_array
from ..sources import SCENES
from ..splits import digest, random_split, raster, touched, write_mask
from ..study import Study
from ..writing import RecordError
from .options import LabelsOption, parsed, with_reading

app = typer.Typer()


@app.callback(invoke_without_command=True)
def scenes(context: typer.Context) -> None:
    """List the scenes that are known by name, or describe the files of one of your own."""
    if context.invoked_subcommand:
        return
    typer.echo("synthetic     made up, for trying things out")
    for name, entry in SCENES.items():
        if "package" in entry:
            typer.echo(f"{name:13} comes with the package {entry['package']}")
        else:
            typer.echo(f"{name:13} {entry['cube']['file']} and {entry['labels']['file']}, from CPDGAL_DATA_DIR or downloaded")


@app.command()
@with_reading
def describe(
    file: Annotated[str, typer.Argument(help="a cube, or the name of a known scene")],
    labels: Annotated[str, typer.Option(help="its ground truth: a raster, a CSV of points, or a GeoPackage")] = "",
    window: Annotated[int, typer.Option(min=1, max=999, help="side of a window, for the overlap of a random split")] = 7,
    *,
    reading: dict,
) -> None:
    """Say what was read from the files of a scene, what looks wrong, and the next command."""
    study = Study(scene=file, labels_path=labels, **reading)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        loaded = study.read_scene()
    centers, place = loaded.band_centers_nm, loaded.georeference
    height, width, count = loaded.cube.shape
    typer.echo(f"{loaded.name}: {height} x {width} pixels, {count} bands, checksum {loaded.checksum}")
    typer.echo("wavelengths  " + ("not given" if centers is None else f"{centers.min():.0f} to {centers.max():.0f} nm"))
    side = np.hypot(place.transform[0], place.transform[3]) if place else 0
    typer.echo("place        " + (f"{place.crs[:60]}, pixels of {side:g}" if place else "not given"))
    typer.echo(f"no data      {0 if loaded.mask is None else int(loaded.mask.sum())} pixels")
    for warning in told:
        typer.echo(f"look at this: {warning.message}")
    changes = "".join(f" --set {name}={shlex.quote(json.dumps(value))}" for name, value in study.reading.items())
    few = " --set components=0" if loaded.bands < study.components else ""
    if not loaded.classes:
        typer.echo("no ground truth: a scene to be mapped with a trained network, or to be labelled")
        typer.echo(f"next: cpdgal label {shlex.quote(file)}{changes}{few}")
        return
    for name, size_ in zip(loaded.class_names, np.bincount(loaded.targets), strict=True):
        typer.echo(f"{size_:7}  {name}")
    if loaded.classes < 2 or len(loaded.pixels) < 10:
        typer.echo(
            "too little ground truth to train and test on: a study takes two classes, and a pool of a tenth of the pixels"
        )
        return
    split = random_split(loaded, rng=np.random.default_rng(0))
    shared = touched(loaded, split.pool, split.holdout, window)
    typer.echo(f"On a random split {shared:.0%} of the test windows of {window} pixels would hold a training pixel.")
    given = {"scene": file} | ({"labels": labels} if labels else {}) | study.reading
    options = " ".join(f"--{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in given.items())
    typer.echo(f"next: cpdgal run {options} --split block --profile quick{few}")


@with_reading
def fetch(scene: str, labels: LabelsOption = "", *, reading: dict) -> None:
    """Get a scene, verify it, and say what it holds."""
    loaded = Study(scene=scene, labels_path=labels, **reading).read_scene()
    typer.echo(f"{loaded}\nchecksum {loaded.checksum}")
    for name, count in zip(loaded.class_names, np.bincount(loaded.targets), strict=True):
        typer.echo(f"{count:7}  {name}")


@with_reading
def splits(
    out: Annotated[Path, typer.Argument(help="the folder that is made")],
    scene: Annotated[str, typer.Option(help="a known scene, or a cube")] = "indian_pines",
    labels: LabelsOption = "",
    split: Annotated[str, typer.Option(help="random, block, folds or disjoint")] = "random",
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="so many splits, of the seeds 0, 1, ...")] = 10,
    tiff: Annotated[bool, typer.Option("--tiff", help="GeoTIFF rather than .npy")] = False,
    changes: Annotated[list[str] | None, typer.Option("--set", help="a value of a Study: --set gap=14 --set pool=0.1")] = None,
    *,
    reading: dict,
) -> None:
    """Write masks of training (1) and test pixels (2) for others to use, with checksums and a README."""
    if out.exists():
        raise ValueError(f"{out} exists; name a new folder")
    if not out.parent.is_dir():
        raise ValueError(f"{out.parent} is no folder; make it first")
    values = parsed(changes)
    study = Study(scene=scene, labels_path=labels, split=split, **reading | values)
    loaded = study.load_scene()
    masks = {seed: raster(loaded, study.but(seed=seed).make_split(loaded)) for seed in range(seeds)}
    made = Path(mkdtemp(prefix=".splits-", dir=out.parent))
    try:
        lines = []
        for seed, mask in masks.items():
            path = made / f"{loaded.name}-{split}-{seed}{'.tif' if tiff else '.npy'}"
            write_mask(path, mask, loaded.georeference)
            if not _holds(path, mask):  # NumPy and GDAL may lose the end of a file on a full disk, and say nothing
                raise RecordError(f"{out} could not be written; make room, or choose another folder")
            sizes = np.bincount(mask.ravel(), minlength=3)
            lines.append(f"{path.name}  {sizes[1]} training, {sizes[2]} test  {digest(mask)}")
        said = {"split": split, "pool": study.pool} | study.reading | values
        text = f"Splits of {loaded.name} ({loaded.cube.shape[0]} x {loaded.cube.shape[1]} pixels), made by cpdgal: {said}.\n"
        text += f"1 marks training pixels, 2 test pixels, 0 neither. Checksum of the scene: {loaded.checksum}.\n"
        text += "The last column is the SHA-256 of the mask's values, as uint8, row by row.\n\n"
        (made / "README.md").write_text(text + "\n".join(f"    {line}" for line in lines) + "\n", encoding="utf-8")
        made.chmod(0o755)
        made.rename(out)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    typer.echo(f"written: {out}, {len(masks)} masks and a README.md")


def _holds(path: Path, mask: np.ndarray) -> bool:
    with suppress(SceneError):
        return np.array_equal(read_array(path, None, 2), mask)
    return False
