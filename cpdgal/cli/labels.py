"""A labelling session: asking a person for labels, round by round."""

import shlex
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from ..labelling import SKIPPED, Session, claimed
from ..study import Study
from .options import parsed, with_reading


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
    given = parsed(changes) | Study(**reading).reading
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


def _named_classes(text: str) -> dict[str, str]:
    """Names by number from "1=corn, 2=grass"."""
    pairs = [[part.strip() for part in each.partition("=")[::2]] for each in text.split(",")]
    named = dict(pairs)
    names = {name.lower() for name in named.values() if not name.isdecimal()} - {*SKIPPED, ""}
    if len(names) < len(pairs) or not all(value.isdecimal() and int(value) for value in named):
        raise ValueError(f'--classes takes numbers from 1 with a name each, as "1=corn, 2=grass", not {text[:80]!r}')
    return named
