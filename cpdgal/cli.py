"""`cpdgal`: scenes, methods, fetch, run, map and records from a shell."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import typer

from .figures import painted
from .methods import METHODS, size
from .sources import SCENES, load_scene
from .study import Record, RecordError, Store, Study, run, versions

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
StoreOption = Annotated[Path, typer.Option("--store", help="the folder of records")]


@app.command()
def scenes() -> None:
    """List the scenes that are known by name."""
    typer.echo("synthetic     made up, for trying things out")
    for name, entry in SCENES.items():
        if "package" in entry:
            typer.echo(f"{name:13} comes with the package {entry['package']}")
        else:
            typer.echo(f"{name:13} {entry['cube']['file']} and {entry['labels']['file']}, from CPDGAL_DATA_DIR or downloaded")


@app.command()
def methods(
    bands: Annotated[int, typer.Option(min=1, help="bands of the scene, for peers that take them all")] = 200,
    classes: Annotated[int, typer.Option(min=1, help="classes of the scene")] = 16,
) -> None:
    """List the methods: what a network takes, its parameters (all, used, as commonly counted), and multiply-adds a window."""
    rows = []
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
            typer.echo(f"{name}: {error}", err=True)
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
def fetch(scene: str, labels: Annotated[str, typer.Option(help="the ground truth of a cube of your own")] = "") -> None:
    """Get a scene, verify it, and say what it holds."""
    with _told():
        loaded = load_scene(scene, labels or None)
        typer.echo(f"{loaded}\nchecksum {loaded.checksum}")
        for name, count in zip(loaded.class_names, np.bincount(loaded.targets), strict=True):
            typer.echo(f"{count:7}  {name}")


@app.command("run")
def run_(
    scene: Annotated[str, typer.Option(help="a known scene, or a .mat or .npy cube")] = "indian_pines",
    labels: Annotated[str, typer.Option(help="the ground truth of a cube of your own")] = "",
    method: Annotated[str, typer.Option(help="a name of `cpdgal methods`")] = "cpdgal",
    split: Annotated[str, typer.Option(help="random, block or validation")] = "random",
    query: Annotated[str, typer.Option(help="a query strategy")] = "margin",
    profile: Annotated[str, typer.Option(help="smoke (seconds), quick (minutes) or paper (an hour)")] = "paper",
    seed: Annotated[int, typer.Option(help="decides split, first labels, weights and noise")] = 0,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="any other value of a Study: --set epochs=50 --set whiten=false")
    ] = None,
    store: StoreOption = Path("results"),
    weights: Annotated[bool, typer.Option("--weights", help="keep the trained weights")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    again: Annotated[bool, typer.Option("--again", help="run it although there is a record, and compare the two")] = False,
) -> None:
    """Run a study, or go on with one that was cut off; show its record when there is one already.

    With --again a study is run once more, into the folder "again" of the store, and held against its record: the same
    to the bit, or else which versions differ.
    """
    with _told():
        values = dict(_parsed(each) for each in changes or ())
        study = Study(
            scene=scene, labels_path=labels, method=method, split=split, query=query, profile=profile, seed=seed, **values
        )
        if not again:
            found = Store(store).get(study)
            record = run(study, Store(store), device=device, weights=weights)
            if found and found.provenance == record.provenance:
                differ = _differing(record.provenance, versions(device))
                typer.echo(f"found: {record.path}, made with {differ or 'the same versions as here'}; --again runs it here")
            else:
                typer.echo(f"written: {record.path}")
            _show(record)
            return
        kept = Store(store).get(study)
        if kept is None:
            raise RecordError(f"there is no record of {study.name} to compare with; leave --again out")
        _compare(kept, run(study, Store(store / "again", packaged=False), device=device, weights=weights))


@app.command("map")
def map_(
    record: Annotated[Path, typer.Argument(help="the file of a record with weights")],
    out: Annotated[Path, typer.Argument(help="where the map goes: .npy (class values as in the ground truth) or .png")],
) -> None:
    """Classify every pixel of a record's scene."""
    with _told():
        if out.suffix not in (".npy", ".png"):
            raise RecordError(f"a map is written to a .npy or a .png file, not to {out}")
        kept = Record.read(record)
        scene = kept.study.load_scene()
        predicted, _ = kept.map(scene)
        if out.suffix == ".npy":
            np.save(out, np.array(scene.label_values)[predicted - 1])
        else:
            plt.imsave(out, painted(scene, predicted))
        typer.echo(f"written: {out}")


@app.command()
def records(
    store: StoreOption = Path("results"), csv: Annotated[bool, typer.Option("--csv", help="as CSV, every column")] = False
) -> None:
    """List the records of the folder and of the package."""
    with _told():
        table = Store(store).table()
        typer.echo(table.to_csv(index=False) if csv else table.round(2).to_string(index=False))


def _parsed(change: str) -> tuple[str, object]:
    """A name and its value from "name=value"; what is not JSON is text."""
    name, equals, value = change.partition("=")
    if not equals or name not in Study.__dataclass_fields__:
        raise ValueError(f"--set takes name=value with a value of a Study, not {change!r}; see `help(cpdgal.Study)`")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _show(record: Record) -> None:
    final = record.final
    typer.echo(
        f"{record.study.name}: {final.labels:.0f} labels ({final.share:.2f} %)  OA {final.OA:.2f}  AA {final.AA:.2f}  "
        f"kappa {final.kappa:.2f}  in {sum(record.provenance['seconds']) / 60:.1f} minutes"
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


@contextmanager
def _told() -> Iterator[None]:
    """End with one sentence and a non-zero exit on what a user can mend."""
    try:
        yield
    except (ValueError, RecordError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on where this one was kept: a minute ago at most")
