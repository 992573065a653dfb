"""A study of seconds on a made-up scene, for the tests of studies and of what may befall them."""

import re

import numpy as np

import cpdgal
from cpdgal import Store, Study

SMALL = Study(
    scene="synthetic",
    profile="smoke",
    components=4,
    window=3,
    dim=8,
    heads=2,
    layers=1,
    cycles=3,
    epochs=2,
    score_every=1,
    judged=0,
)


def run(study, folder, **options):
    return cpdgal.run(study, Store(folder, packaged=False), **{"progress": False, **options})


def contents(folder):
    """Every file of a folder; locks are left where they are, and hold nothing."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def one_sentence(error):
    text = str(error.value)
    assert "\n" not in text
    assert not re.search(r"[.!?] ", text)
    assert "Errno" not in text
    return text


def own_scene(folder, seed=0):
    """A study of a small scene of one's own, in two files; another seed has other data in files of the same names."""
    scene = cpdgal.load_scene("synthetic", height=20, width=20, bands=8, classes=3, seed=seed)
    np.save(folder / "cube.npy", scene.cube)
    np.save(folder / "truth.npy", scene.labels)
    return SMALL.but(scene=str(folder / "cube.npy"), labels_path=str(folder / "truth.npy"), pool=0.4, initial=0.2)
