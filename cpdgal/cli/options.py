"""Options that several commands have."""

import json
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated

import typer

from ..study import NAMES, Study

LabelsOption = Annotated[str, typer.Option(help="the ground truth of a cube of your own")]


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


def parsed(changes: list[str] | None) -> dict[str, object]:
    """Values of a `Study` by name from options --set name=value; what is not JSON is text."""
    return dict(_parsed(each) for each in changes or ())


def _parsed(change: str) -> tuple[str, object]:
    name, equals, value = change.partition("=")
    if not equals or name not in Study.__dataclass_fields__:
        raise ValueError(f"--set takes name=value with a value of a Study, not {change[:80]!r}; see `help(cpdgal.Study)`")
    if name in (*NAMES, "labels_path"):
        raise ValueError(f"--set takes no {name}: it has an option of its own, --{name.removesuffix('_path')}")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value
