"""Accuracy and areas of a map, and the reference points to assess it by."""

import shlex
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from typer.core import TyperGroup

from ..assess import ClassMap, allocate, assess, read_points, write_points


class Assessing(TyperGroup):
    """`assess MAP` beside `assess design MAP`."""

    def parse_args(self, context, arguments):
        named = arguments and (arguments[0] in self.commands or arguments[0] == "--help")
        return super().parse_args(context, arguments if named or not arguments else ["points", *arguments])


app = typer.Typer(
    cls=Assessing, no_args_is_help=True, help="Assess a map by reference points: `assess MAP --reference POINTS`."
)
MapArgument = Annotated[Path, typer.Argument(help="a map of classes: GeoTIFF or .npy, 0 = no class")]


@app.command()
def points(
    classes: MapArgument,
    reference: Annotated[
        Path, typer.Option(help="a probability sample: CSV (row, column, class; or x, y, class) or GeoPackage with a class")
    ],
    strata: Annotated[Path | None, typer.Option(help="the strata of the sample, where they are not the map's classes")] = None,
) -> None:
    """Accuracy and class areas of a map with 95 % intervals, from points of a stratified, random or systematic sample."""
    opened = ClassMap.open(classes)
    sample = read_points(reference, opened)
    found = assess(opened, sample, ClassMap.open(strata) if strata else None)
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
        f"overall accuracy {100 * found.overall:.1f} ± {100 * found.overall_halfwidth:.1f} %, from {len(sample)} points; "
        "95 % intervals (Stehman 2014; Olofsson et al. 2014), good if the points are a probability sample of this map"
    )


@app.command()
def design(
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
    opened = ClassMap.open(classes)
    counts = allocate(opened.sizes(), interval / 100, expected / 100, at_least)
    write_points(opened.draw(counts, seed), out, opened)
    for value, count in counts.items():
        typer.echo(f"{count:7}  {opened.name(value)}")
    then = f"cpdgal assess {shlex.quote(str(classes))} --reference {shlex.quote(str(out))}"
    typer.echo(f"written: {out}, {counts.sum()} points; fill in the class, then: {then}")
