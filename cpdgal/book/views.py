"""The data of the book's views that move: the scene under the pointer, the loop cycle by cycle, and the two splits.

A view is a script beside the pages (`book/_static/views.js`) and a file of data, itself a script, so that a book opened from disk
may load it. `write` makes all of them from records; the maps of the loop's cycles, which no record holds, come from running it
once more (`keep_maps`, twenty minutes to an hour).
"""

import json
from base64 import b64encode
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from ..plots import false_colour
from ..records import Record, Store
from ..runner import run
from ..scenes import Scene
from ..study import Study
from ..training import part, predict

# The loop that is shown: the paper's protocol with trainings of 60 epochs.
LOOP = Study(profile="tuned")
STEP = 4  # of the bands whose spectra are shown, every fourth


def keep_maps(folder: Path, study: Study = LOOP, store: Store | Path | str = "results") -> Record:
    """Run a study and keep the class that each cycle's network gives every pixel, 1..K, as an image a cycle in `folder`."""
    scene = study.load_scene()
    windows, network = study.make_windows(scene, study.make_split(scene)), study.make_network(scene)
    folder.mkdir(parents=True, exist_ok=True)

    def keep(cycle) -> None:
        network.load_state_dict(part(cycle.state, "model"))
        classes = predict(network, windows.scene_batches()).argmax(1).reshape(scene.labels.shape).numpy() + 1
        Image.fromarray(classes.astype(np.uint8)).save(folder / f"{study.name}-{cycle.cycle:02}.png")

    return run(study, store, weights=True, on_cycle=keep)


if __name__ == "__main__":
    keep_maps(Path("runs/views"))
