"""`cpdgal`: scenes, methods, fetch, run, map and records from a shell."""

import json
import re
import shlex
import shutil
import sys
import warnings
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from tempfile import mkdtemp
from time import perf_counter
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from typer.core import TyperGroup

from . import assess as accuracy
from .label import SKIPPED, Session, claimed
from .mapping import opened, write_map
from .methods import METHODS, size
from .readers import SceneError, read_array
from .records import Record, RecordError, Store, Trained
from .records import migrate as migrated
from .runner import bound, check_device, run, versions
from .sources import SCENES
from .splits import digest, random_split, raster, touched, write_mask
from .study import NAMES, Study


class Sentences(TyperGroup):
    """Commands that end with one sentence and a non-zero exit on what a user can fix."""

    def invoke(self, context):
        for stream in (sys.stdout, sys.stderr):  # a console that lacks a letter shows a question mark
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(context)
        except (ValueError, RecordError) as error:
            said = " ".join(str(error).split())
            sys.exit(re.sub(r"\S{160,}", lambda long: f"{long[0][:60]}...{long[0][-60:]}", said))  # a path may be very long
        except OSError as error:  # of a path that not even its own check can take, or of the output
            if error.filename is None:
                sys.stdout = None  # lest Python tries once more
                sys.exit(f"the output cannot be written ({error.strerror}); make room, or send it elsewhere")
            sys.exit(f"{str(error.filename)[:120]!r} cannot be used ({error.strerror}); check the path")
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            sys.exit(
                "there is not enough memory for this scene and network; take a part, smaller values, or a machine with more"
            )
        except KeyboardInterrupt:
            print("stopped; the same command goes on from a minute ago at most", file=sys.stderr)
            sys.exit(130)


app = typer.Typer(cls=Sentences, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
StoreOption = Annotated[Path, typer.Option("--store", help="the folder of records")]


def _read(text: str):
    return typer.Option(help=text, rich_help_panel="How the files of a scene of your own are read")


def _reading(
    cube_key: Annotated[str, _read("the variable of the cube")] = "",
    labels_key: Annotated[str, _read("the variable, column or field of the ground truth")] = "",
    unlabelled: Annotated[int | None, _read("the value of pixels without a label")] = None,
    no_data: Annotated[float | None, _read("the value of bands without data; nan for what is not finite")] = None,
    bands: Annotated[str, _read('bands to keep, as "1-103, 110" or "400-900 nm"')] = "",
    scale: Annotated[float, _read("the cube is multiplied by it")] = 1.0,
    crs: Annotated[str, _read("the CRS of the x and y in a table of points, where it is not the cube's")] = "",
) -> None:
    """The options that `with_reading` adds, as `Study` has them."""


def with_reading(command):
    """The command with the options of how the files of a scene are read; it gets them together, as `reading`."""
    own, options = (signature(each).parameters for each in (command, _reading))

    @wraps(command)
    def called(**given):
        return command(reading={name: given.pop(name) for name in options}, **given)

    taken = [each for each in own.values() if each.name != "reading"] + list(options.values())
    called.__signature__ = Signature([each.replace(kind=Parameter.KEYWORD_ONLY) for each in taken])  # type: ignore[attr-defined]
    called.__annotations__ = command.__annotations__ | _reading.__annotations__
    return called


scenes_app = typer.Typer(help="List the scenes that are known by name, or describe the files of one of your own.")
app.add_typer(scenes_app, name="scenes")


@scenes_app.callback(invoke_without_command=True)
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


@scenes_app.command()
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


@app.command()
@with_reading
def splits(
    out: Annotated[Path, typer.Argument(help="the folder that is made")],
    scene: Annotated[str, typer.Option(help="a known scene, or a cube")] = "indian_pines",
    labels: Annotated[str, typer.Option(help="the ground truth of a cube of your own")] = "",
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
    values = dict(_parsed(each) for each in changes or ())
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


@app.command()
def methods(
    bands: Annotated[int, typer.Option(min=1, max=10_000, help="bands of the scene, for peers that take them all")] = 200,
    classes: Annotated[int, typer.Option(min=1, max=10_000, help="classes of the scene")] = 16,
) -> None:
    """List the methods: what a network takes, its parameters (all, used, as commonly counted), and multiply-adds a window."""
    rows: list[dict[str, object]] = []
    for name, method in METHODS.items():
        rows.append({"name": name, "title": method.title, "kind": method.kind})
        if method.kind == "floor":
            continue
        published = method.recipe.published if method.recipe else None
        native = {"bands": method.components or bands, "window": method.window}
        rows[-1] |= native
        try:
            weighed = size(name, classes=classes, **native)
        except Exception as error:  # too few bands, or a network of another package that does not run without data
            typer.echo(f"{name}: {str(error).partition(chr(10))[0][:120]}", err=True)
            continue
        rows[-1] |= {
            "parameters": weighed.parameters,
            "used": weighed.used,
            "counted": weighed.counted,
            "paper (M)": "" if published is None else published,
            "multiply-adds (M)": round(weighed.multiply_adds / 1e6, 1),
        }
    typer.echo(pd.DataFrame(rows, dtype=object).to_string(index=False, na_rep=""))


@app.command()
@with_reading
def fetch(
    scene: str, labels: Annotated[str, typer.Option(help="the ground truth of a cube of your own")] = "", *, reading: dict
) -> None:
    """Get a scene, verify it, and say what it holds."""
    loaded = Study(scene=scene, labels_path=labels, **reading).read_scene()
    typer.echo(f"{loaded}\nchecksum {loaded.checksum}")
    for name, count in zip(loaded.class_names, np.bincount(loaded.targets), strict=True):
        typer.echo(f"{count:7}  {name}")


@app.command("run")
@with_reading
def run_(
    scene: Annotated[str, typer.Option(help="a known scene, or a cube: .mat, .npy, ENVI, GeoTIFF")] = "indian_pines",
    labels: Annotated[str, typer.Option(help="the ground truth of a cube of your own")] = "",
    method: Annotated[str, typer.Option(help="a name of `cpdgal methods`")] = "cpdgal",
    split: Annotated[str, typer.Option(help="random, block, folds, disjoint, given or validation")] = "random",
    query: Annotated[str, typer.Option(help="a query strategy")] = "margin",
    profile: Annotated[str, typer.Option(help="smoke (seconds), quick (minutes) or paper (an hour or two)")] = "paper",
    seed: Annotated[int, typer.Option(help="decides split, first labels, weights and noise")] = 0,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="any other value of a Study: --set epochs=50 --set whiten=false")
    ] = None,
    store: StoreOption = Path("results"),
    weights: Annotated[bool, typer.Option("--weights", help="keep the trained weights")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    again: Annotated[bool, typer.Option("--again", help="run it although there is a record, and compare the two")] = False,
    *,
    reading: dict,
) -> None:
    """Run a study, or go on with one that was cut off; show its record when there is one already.

    With --again a study is run once more, into the folder "again" of the store, and held against its record: the same
    to the bit, or else which versions differ.
    """
    values = dict(_parsed(each) for each in changes or ())
    named = {"scene": scene, "labels_path": labels, "method": method, "split": split, "query": query}
    study = bound(Study(**named, profile=profile, seed=seed, **reading | values))
    found = Store(store).get(study)
    if again:
        if found is None:
            raise RecordError(f"there is no record of {study.name} to compare with; leave --again out")
        fresh = run(study, Store(store / "again", packaged=False), device=device, weights=weights)
        _compare(found, replace(fresh, study=found.study))  # which may be of the same data in another file
        return
    record = run(study, Store(store), device=device, weights=weights)
    if found and found.provenance == record.provenance:
        differ = _differing(record.provenance, versions(device))
        typer.echo(f"found: {record.path}, made with {differ or 'the same versions as here'}; --again runs it here")
    else:
        typer.echo(f"written: {record.path}")
    _show(record)
    _say_split(record.study)


@app.command()
@with_reading
def label(
    scene: Annotated[str, typer.Argument(help="a cube: .mat, .npy, ENVI, GeoTIFF; or a known scene")],
    labels: Annotated[
        Path | None, typer.Option(help="the first labels: CSV (row, column, class; or x, y, class), or a raster of classes")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="the session's; by default the cube's name and -labels")] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="pixels of a round; 20 by default")] = None,
    query: Annotated[str | None, typer.Option(help="a query strategy; margin by default")] = None,
    distance: Annotated[int | None, typer.Option(min=0, help="pixels that those of a round lie apart at least")] = None,
    among: Annotated[Path | None, typer.Option(help="a raster, not 0 where a pixel may be asked for")] = None,
    classes: Annotated[str | None, typer.Option(help='the classes there are, as "1=corn, 2=grass"; else any number')] = None,
    method: Annotated[str | None, typer.Option(help="a network of `cpdgal methods`; cpdgal by default")] = None,
    profile: Annotated[str | None, typer.Option(help="how it is trained: quick by default, or smoke, tuned, paper")] = None,
    seed: Annotated[int | None, typer.Option(help="decides weights, noise and random choices; 0 by default")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="any other value of a Study: --set epochs=50 --set window=9")
    ] = None,
    *,
    reading: dict,
) -> None:
    """Ask for the pixels of a scene that are most worth a label, train on the answers, and ask again.

    Each call writes the next pixels: a table (ask-1.csv), points for QGIS (ask-1.gpkg), and a picture (ask-1.png).
    Write a class into the column "class" of either: a number from 1, a name of --classes, or skip where you cannot tell.
    Make the same call again: it takes the answers into labels.csv, trains on all labels, and asks for the next pixels.

    Without labels of two classes the first pixels are typical ones of the kinds of spectra that there are.
    To correct a class or to add pixels of your own, change labels.csv; it is a ground truth that cpdgal run takes.
    A call that is stopped loses nothing: make it again. Options are remembered: `cpdgal label SCENE` goes on.
    Every pixel is predicted in each round; on a large scene name fewer candidates with --among.
    """
    place = folder or Path(f"{Path(scene).stem}-labels")
    named = {"query": query, "method": method, "profile": profile, "seed": seed}
    given = dict(_parsed(each) for each in changes or ()) | Study(**reading).reading
    given |= {name: value for name, value in named.items() if value is not None}
    options = {
        "count": count,
        "distance": distance,
        "among": None if among is None else str(among.expanduser().resolve()),
        "classes": None if classes is None else _named_classes(classes),
    }
    with claimed(place):
        session = Session(scene, place, given, **options)
        if labels:
            session.begin(labels)
        known = {*session.points["class"]}
        answered = session.take_answers()
        for value, number in session.points["class"].value_counts().sort_index().items():
            typer.echo(f"{number:7}  {session.name(value)}{', new' if value and known and value not in known else ''}")
        if not answered:
            typer.echo(f"round {session.round} has no answers yet, so nothing is changed")
        else:
            start = perf_counter()
            found = session.ask()
            if found.losses:
                typer.echo(f"trained {len(found.losses)} epochs and chose: {perf_counter() - start:.0f} seconds")
            if session.advice:
                typer.echo(session.advice)
            if found.note:
                typer.echo(found.note)
    if session.model.exists():
        typer.echo(f"map: cpdgal map {shlex.quote(str(session.model))} {shlex.quote(scene)} -o map.tif")
    picture, *tables = session.files.values()
    typer.echo(f"round {session.round}: {len(session.asked)} pixels, shown in {picture}")
    typer.echo(f"next: fill in their class in {' or '.join(map(str, tables))}, then")
    typer.echo(f"cpdgal label {shlex.quote(scene)}" + (f" --folder {shlex.quote(str(folder))}" if folder else ""))


@app.command("map")
@with_reading
def map_(
    model: Annotated[Path, typer.Argument(help="a record with weights (.json), or the model.safetensors of cpdgal label")],
    scene: Annotated[str, typer.Argument(help="another scene of the same bands; the one it was trained on by default")] = "",
    out: Annotated[Path, typer.Option("--out", "-o", help="where the map goes: .tif, .npy or .png")] = Path("map.tif"),
    labels: Annotated[str, typer.Option(help="the ground truth of that scene")] = "",
    probabilities: Annotated[bool, typer.Option("--probabilities", help="also those of all classes, a band each")] = False,
    entropy: Annotated[bool, typer.Option("--entropy", help="also the entropy, from 0 (certain) to 1")] = False,
    confidence: Annotated[bool, typer.Option("--confidence", help="also the highest probability")] = False,
    labelled: Annotated[bool, typer.Option("--labelled", help="only pixels that the ground truth has a class for")] = False,
    legend: Annotated[Path | None, typer.Option(help="a figure of the map with its classes: .png, .svg or .pdf")] = None,
    share: Annotated[str, typer.Option(help="2/4 predicts the second of four shares, side by side with others")] = "",
    jobs: Annotated[int | None, typer.Option(min=1, max=1024, help="cores; all by default")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    *,
    reading: dict,
) -> None:
    """Classify every pixel of a scene, tile by tile; stopped, the same command goes on.

    Classes have the values of the ground truth that the network learnt from, and 0 is no data. Probabilities, entropy and
    confidence go to files beside the map.
    """
    said = Study(**reading).reading
    if not scene and (labels or said):
        raise ValueError("--labels and how files are read belong to another scene; give that as well, or leave them out")
    wanted = {"probabilities": probabilities, "entropy": entropy, "confidence": confidence}
    check_device(device)
    trained = Trained.read(model) if model.suffix.lower() == ".safetensors" else Record.read(model)
    theirs = trained.study.reading
    if scene and Path(scene).expanduser().resolve() == Path(trained.study.scene).expanduser().resolve():
        said = theirs | said
    elif scene and (
        unsaid := [f"{name}={theirs[name]}" for name in ("bands", "scale", "no_data") if name in theirs.keys() - said]
    ):
        typer.echo(f"look at this: trained on a cube read with {', '.join(unsaid)}, and {scene} is read without", err=True)
    with opened(scene, labels, **said) if scene else nullcontext() as source:
        written = write_map(
            trained,
            out,
            source,
            outputs=[name for name, each in wanted.items() if each],
            labelled=labelled,
            legend=legend,
            share=_share(share),
            jobs=jobs,
            device=device,
        )
    done = f"share {share} is done; the command without --share joins them" if share else ""
    typer.echo(done or f"written: {', '.join(map(str, written))}")


def _share(text: str) -> tuple[int, int]:
    own, slash, of = (text or "1/1").partition("/")
    if not (slash and own.isdecimal() and of.isdecimal() and 1 <= int(own) <= int(of)):
        raise ValueError(f"--share takes one of so many, such as 2/4, not {text[:40]!r}")
    return int(own), int(of)


class Assessing(TyperGroup):
    """`assess MAP` beside `assess design MAP`."""

    def parse_args(self, context, arguments):
        named = arguments and (arguments[0] in self.commands or arguments[0] == "--help")
        return super().parse_args(context, arguments if named or not arguments else ["points", *arguments])


assessing = typer.Typer(
    cls=Assessing, no_args_is_help=True, help="Assess a map by reference points: `assess MAP --reference POINTS`."
)
app.add_typer(assessing, name="assess")
MapArgument = Annotated[Path, typer.Argument(help="a map of classes: GeoTIFF or .npy, 0 = no class")]


@assessing.command("points")
def assess_(
    classes: MapArgument,
    reference: Annotated[
        Path, typer.Option(help="a probability sample: CSV (row, column, class; or x, y, class) or GeoPackage with a class")
    ],
    strata: Annotated[Path | None, typer.Option(help="the strata of the sample, where they are not the map's classes")] = None,
) -> None:
    """Accuracy and class areas of a map with 95 % intervals, from points of a stratified, random or systematic sample."""
    opened = accuracy.ClassMap.open(classes)
    points = accuracy.read_points(reference, opened)
    found = accuracy.assess(opened, points, accuracy.ClassMap.open(strata) if strata else None)
    mapped = opened.sizes().sum()
    unit, of = ("pixels", 1.0) if opened.pixel_area is None else ("ha", opened.pixel_area / 1e4)
    table = found.classes * ([100] * 4 + [mapped * of] * 2)
    table.columns = [name.replace("area", f"area ({unit})") for name in table.columns]
    areas = [name for name in table.columns if "area" in name]
    widest = table[areas[1]].max()  # two digits of it say enough
    digits = max(0, 1 - int(np.floor(np.log10(widest)))) if widest > 1e-6 else 0
    rounded = {name: f"{{:,.{digits if name in areas else 1}f}}".format for name in table.columns}
    typer.echo(table.to_string(formatters=rounded, na_rep="-"))
    typer.echo(
        f"overall accuracy {100 * found.overall:.1f} ± {100 * found.overall_halfwidth:.1f} %, from {len(points)} points; "
        "95 % intervals (Stehman 2014; Olofsson et al. 2014), good if the points are a probability sample of this map"
    )


@assessing.command("design")
def assess_design(
    classes: MapArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="where the points go: .csv or .gpkg")] = Path("points.csv"),
    interval: Annotated[float, typer.Option(help="the wanted ± of overall accuracy, in percentage points")] = 5.0,
    expected: Annotated[float, typer.Option(help="the user's accuracy that is expected, in percent")] = 80.0,
    at_least: Annotated[int, typer.Option(help="points of every class at least")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="decides the draw")] = 0,
) -> None:
    """Draw a stratified random sample of a map for an interval, to be given classes by a person and then to `assess`."""
    if out.suffix.lower() not in (".csv", ".gpkg"):
        raise ValueError(f"points are written to a .csv or a .gpkg file, not to {out}")
    if not out.parent.is_dir():
        raise ValueError(f"{out.parent} is no folder; make it first")
    if out.exists():
        raise ValueError(f"{out} exists, and may hold a person's work; move it away, or choose another name")
    opened = accuracy.ClassMap.open(classes)
    counts = accuracy.allocate(opened.sizes(), interval / 100, expected / 100, at_least)
    accuracy.write_points(opened.draw(counts, seed), out, opened)
    for value, count in counts.items():
        typer.echo(f"{count:7}  {opened.name(value)}")
    then = f"cpdgal assess {shlex.quote(str(classes))} --reference {shlex.quote(str(out))}"
    typer.echo(f"written: {out}, {counts.sum()} points; fill in the class, then: {then}")


@app.command()
def records(
    store: StoreOption = Path("results"),
    csv: Annotated[bool, typer.Option("--csv", help="as CSV, every column")] = False,
    migrate: Annotated[bool, typer.Option("--migrate", help="bring records of an older cpdgal up to date first")] = False,
) -> None:
    """List the records of the folder and of the package."""
    if not store.is_dir() and (migrate or store != Path("results")):
        raise RecordError(f"{store} is no folder of records; check --store")
    if migrate:
        problems = 0
        for name, problem in migrated(store):
            typer.echo(f"left as it was: {name}: {problem}" if problem else f"brought up to date: {name}", err=bool(problem))
            problems += bool(problem)
        if problems:
            raise RecordError(f"{problems} of the records in {store} could not be brought up to date")
    table = Store(store).table()
    typer.echo(table.to_csv(index=False) if csv else table.round(2).to_string(index=False))


def _parsed(change: str) -> tuple[str, object]:
    """A name and its value from "name=value"; what is not JSON is text."""
    name, equals, value = change.partition("=")
    if not equals or name not in Study.__dataclass_fields__:
        raise ValueError(f"--set takes name=value with a value of a Study, not {change[:80]!r}; see `help(cpdgal.Study)`")
    if name in (*NAMES, "labels_path"):
        raise ValueError(f"--set takes no {name}: it has an option of its own, --{name.removesuffix('_path')}")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _named_classes(text: str) -> dict[str, str]:
    """Names by number from "1=corn, 2=grass"."""
    pairs = [[part.strip() for part in each.partition("=")[::2]] for each in text.split(",")]
    named = dict(pairs)
    names = {name.lower() for name in named.values() if not name.isdecimal()} - {*SKIPPED, ""}
    if len(names) < len(pairs) or not all(value.isdecimal() and int(value) for value in named):
        raise ValueError(f'--classes takes numbers from 1 with a name each, as "1=corn, 2=grass", not {text[:80]!r}')
    return named


def _show(record: Record) -> None:
    final = record.final
    typer.echo(
        f"{record.study.name}: {final.labels:.0f} labels ({final.share:.2f} %)  OA {final.OA:.2f}  AA {final.AA:.2f}  "
        f"kappa {final.kappa:.2f}  in {sum(record.provenance['seconds']) / 60:.1f} minutes"
    )


def _say_split(study: Study) -> None:
    """What the accuracy is worth: how many test windows hold a training pixel, and what to hold it against."""
    with suppress(SceneError):  # a record may be shown without its data
        scene = study.load_scene()
        split = study.make_split(scene)
        shared = touched(scene, split.pool, split.holdout, study.window)
        also = "--split folds keeps them apart" if shared else "--split random is what papers mostly report"
        typer.echo(
            f"tested on the {study.split} split, where {shared:.0%} of the test windows hold a training pixel ({also}); "
            "--method coordinates and --method spectra say what place alone and single spectra reach there"
        )


def _compare(kept: Record, fresh: Record) -> None:
    """Say whether a fresh run gave what the record holds; an unexplained difference ends with a non-zero exit."""
    _show(kept)
    _show(fresh)
    if not (parts := kept.differences(fresh)):
        typer.echo(f"the same to the bit as {kept.path}")
        return
    differ = _differing(kept.provenance, fresh.provenance)
    typer.echo(f"not the same as {kept.path} in: {', '.join(parts)}; what differs: {differ or 'no version'}")
    if not differ:
        raise typer.Exit(1)


def _differing(there: dict, here: dict) -> str:
    names = ("cpdgal", "python", "torch", "numpy", "scipy", "scikit-learn", "system", "processor", "device")
    return ", ".join(f"{name} ({there[name]} there, {here[name]} here)" for name in names if there[name] != here[name])
