"""Runs: the methods there are, the run of a study, and the records that runs leave."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from ..methods import METHODS, size
from ..migration import migrate as migrated
from ..readers import SceneError
from ..records import Record, Store
from ..runner import bound, run, versions
from ..splits import touched
from ..study import Study
from ..writing import RecordError
from .options import LabelsOption, parsed, with_reading

StoreOption = Annotated[Path, typer.Option("--store", help="the folder of records")]


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


@with_reading
def run_(
    scene: Annotated[str, typer.Option(help="a known scene, or a cube: .mat, .npy, ENVI, GeoTIFF")] = "indian_pines",
    labels: LabelsOption = "",
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
    values = parsed(changes)
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
