"""The data of the book's views that move: the scene under the pointer, the loop cycle by cycle, and the two splits.

A view is a script beside the pages (`book/_static/views.js`) and a file of data, itself a script, so that a book opened from
disk may load it. `python -m cpdgal.book.views` makes all of them from records; the maps of the loop's cycles, which no record
holds, come from running it once more (`keep_maps`, twenty minutes to an hour). With `split` it makes that of the splits alone,
in seconds.
"""

import json
import sys
from base64 import b64encode
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from PIL import Image

from ..plots import false_colour
from ..records import Record, Store
from ..runner import gather, run
from ..scenes import Scene
from ..study import Study
from ..training import part, predict
from ..writing import RecordError
from .common import COMPARED, on_shared_seeds, studies_of
from .verdicts import final_scores, mean_over_seeds

# The loop that is shown: the paper's protocol with trainings of 60 epochs.
LOOP = Study(profile="tuned")
STEP = 4  # of the bands whose spectra are shown, every fourth


def keep_maps(folder: Path, study: Study = LOOP) -> Record:
    """Run a study and keep the class that each cycle's network gives every pixel, 1..K, as an image a cycle in `folder`.

    The record and its weights stay there too: a store that has the record would run no cycle. A run that was cut off goes on.
    """
    scene = study.load_scene()
    windows, network = study.make_windows(scene, study.make_split(scene)), study.make_network(scene)
    folder.mkdir(parents=True, exist_ok=True)

    def keep(cycle) -> None:
        network.load_state_dict(part(cycle.state, "model"))
        classes = predict(network, windows.scene_batches()).argmax(1).reshape(scene.labels.shape).numpy() + 1
        Image.fromarray(classes.astype(np.uint8)).save(folder / f"{study.name}-{cycle.cycle:02}.png")

    return run(study, Store(folder, packaged=False), weights=True, on_cycle=keep)


def scene_view(record: Record, scene: Scene) -> dict:
    """The scene under the pointer: false colour, truth, what the record's network predicts and how confident it is, spectra and
    training pixels."""
    network, windows = record.network(scene), record.study.make_windows(scene, record.study.make_split(scene))
    confidence, classes = (each.numpy() for each in predict(network, windows.scene_batches()).max(1))
    shown = scene.cube[..., ::STEP]
    largest = float(shown.max())
    spectra = np.moveaxis(np.rint(255 * shown.clip(0) / largest), 2, 0).reshape(-1, scene.cube.shape[1])
    nm = scene.band_centers_nm
    bands = np.arange(scene.bands) if nm is None else np.rint(nm)
    labelled = scene.pixels[record.labelled()]
    middle = scene.pixels[len(scene.pixels) // 2]
    return {
        **_shared(scene, record),
        "colours": _image(np.rint(255 * false_colour(scene)[0])),
        "truth": _image(scene.labels),
        "predicted": _image(classes.reshape(scene.labels.shape) + 1),
        "confidence": _image(np.floor(100 * confidence).reshape(scene.labels.shape)),
        "spectra": _image(spectra),
        "bands": bands[::STEP].astype(int).tolist(),
        "largest": round(largest),
        "axis": "band; sensor value" if nm is None else "wavelength (nm); sensor value",
        "ticks": [int(bands[0]), int(bands[-1])] if nm is None else [500, 1000, 1500, 2000, 2400],
        "training": (labelled[:, 0] * scene.labels.shape[1] + labelled[:, 1]).tolist(),
        "start": middle.tolist(),
    }


def loop_view(record: Record, scene: Scene, folder: Path) -> dict:
    """The loop cycle by cycle: maps from the images that `keep_maps` left in `folder`, all else from the record."""
    maps = [np.asarray(Image.open(folder / f"{record.study.name}-{cycle:02}.png")) for cycle in record.cycles.cycle]
    cycles = record.cycles[["cycle", "labels", "OA"]].astype(object)
    return {
        **_shared(scene, record),
        "maps": _image(np.concatenate(maps)),
        "cycles": cycles.where(cycles.notna(), None).to_dict("records"),
        "entropy": record.entropy.tolist(),
        "queried": record.queried[["cycle", "row", "column"]].to_numpy().tolist(),
    }


ROLES = ("pool, where labels come from", "test pixels", "left out, too near to the pool")


def split_view(store: Store, scene: Scene) -> dict:
    """The two splits of seed 0, and what each method with runs on record reaches: the mean of the last five evaluations, over
    the seeds that all methods have on that split."""
    names = {"random pixels": "random", "blocks apart": "block"}
    splits = {shown: Study(split=name).make_split(scene) for shown, name in names.items()}
    roles, captions = {}, {}
    for shown, split in splits.items():
        image = np.zeros(scene.labels.shape, dtype=np.uint8)
        image[scene.labels > 0] = 3
        for role, positions in ((1, split.pool), (2, split.holdout)):
            image[tuple(scene.pixels[positions].T)] = role
        roles[shown] = _image(image)
        counts = [f"{(image == role).sum():,} {ROLES[role - 1]}" for role in (1, 2, 3)]
        captions[shown] = f"Blue, orange and grey: {', '.join(counts)}"
    means = {}
    for shown, kind in names.items():
        ran = on_shared_seeds(gather(studies_of(COMPARED, range(3), split=kind), store, train=False))
        means[shown] = {name: mean_over_seeds(final_scores(records, "OA", 5)) for name, records in ran.items()}
    table = pd.DataFrame(means).astype(object).replace(np.nan, None).rename_axis("name").reset_index()
    height, width = scene.labels.shape
    palette = ["#0173b2", "#de8f05", "#bbbbbb"]
    return {
        "height": height,
        "width": width,
        "palette": palette,
        "roles": roles,
        "captions": captions,
        "methods": table.to_dict("records"),
    }


def _shared(scene: Scene, record: Record) -> dict:
    height, width = scene.labels.shape
    palette = [to_hex(colour) for colour in scene.palette]
    return {"height": height, "width": width, "names": scene.class_names, "palette": palette, "record": record.study.name}


def _image(values) -> str:
    """Whole numbers of 0..255, (height, width) or (height, width, 3), as the address of a PNG image."""
    file = BytesIO()
    Image.fromarray(np.asarray(values).astype(np.uint8)).save(file, "png", optimize=True)
    return "data:image/png;base64," + b64encode(file.getvalue()).decode()


def write(folder: Path, maps: Path, store: Store) -> None:
    """Write the data of all views to `folder`: the loop's from what `keep_maps` left in `maps`, the splits' from a store."""
    scene, record = LOOP.load_scene(), Store(maps, packaged=False).get(LOOP, weights=True) or store.get(LOOP, weights=True)
    if record is None:
        raise RecordError(f"neither {maps} nor {store.folder} has the run {LOOP.name} with its weights: keep_maps runs it")
    write_view(folder, "scene", scene_view(record, scene))
    write_view(folder, "loop", loop_view(record, scene, maps))
    write_view(folder, "split", split_view(store, scene))


def write_view(folder: Path, name: str, data: dict) -> None:
    """Write the data of one view to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.js.part"
    part.write_text(f"(window.CPDGAL ??= {{}}).{name} = {json.dumps(data, separators=(',', ':'))};\n", encoding="utf-8")
    part.replace(folder / f"{name}.js")


if __name__ == "__main__":
    views, kept, results = Path("book/_static/views"), Path("runs/views"), Store("results")
    if sys.argv[1:] == ["split"]:  # the only one that new records change
        write_view(views, "split", split_view(results, LOOP.load_scene()))
    else:
        keep_maps(kept)
        write(views, kept, results)
