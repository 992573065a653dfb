"""Maps of whole scenes."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from ..mapping import opened, write_map
from ..records import Record
from ..runner import check_device
from ..study import Study
from ..weights import Trained
from .options import with_reading


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
