"""What a user gets wrong ends in one sentence that says what, and a non-zero exit; nothing is written."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from safetensors.torch import load_file, save_file
from small import SMALL, contents, own_scene, run
from typer.testing import CliRunner

import cpdgal
from cpdgal import Record, RecordError, SceneError, Store, Study, cli, migration, runner
from cpdgal import study as module
from cpdgal.runner import Checkpoints

# Values of a study, as the command line takes them after --set, and what the sentence says.
VALUES = {
    "pool=0": r"pool lies in \(0, 1\), not at 0",
    "pool=1.5": r"pool lies in \(0, 1\)",
    'pool="a tenth"': "pool takes a number",
    "initial=1": r"initial lies in \(0, 1\)",
    "per_class=-1": r"per_class lies in \[0, 1000000\], not at -1",
    "acquired=1": r"acquired lies in \[0, 1\)",
    "acquired=-0.1": "acquired lies in",
    "cycles=-1": r"cycles lies in \[0, 1000000\], not at -1",
    "cycles=2.5": "cycles takes a whole number, not 2.5",
    "epochs=0": "epochs lies in",
    "epochs=-3": "epochs lies in",
    "epochs=many": "epochs takes a whole number, not 'many'",
    "batch=0": "batch lies in",
    "learning_rate=0": r"learning_rate lies in \(0, 1000000\]",
    "learning_rate=-1": "learning_rate lies in",
    "learning_rate=NaN": "learning_rate takes a number, not nan",
    "learning_rate=1e6": "the network answers no numbers: training diverged|the loss is (nan|inf) after epoch 1",
    "decay=linear": "decay is one of none, cosine",
    "optimizer=lion": "optimizer is one of adam, adamw, sgd",
    "weight_decay=-1": "weight_decay lies in",
    "augment=no": "augment takes true or false, not 'no'",
    "validated=1": r"validated lies in \[0, 1\)",
    "stratified=False": "stratified takes true or false, not 'False'",
    "score_every=0": "score_every lies in",
    "judged=-5": "judged lies in",
    "window=0": "window lies in",
    "window=999": "a window has a side of 1 to 119 pixels, not 999",
    "components=99": "99 components from 40 bands and 3600 pixels",
    "components=-1": "components lies in",
    "scaling=log": "scaling is one of band standard",
    "padding=wrap": "padding is one of zero, reflect, symmetric",
    "patch=0": "patch lies in",
    "patch=2": "a patch of 2 does not divide a window of 3; choose a divisor of 3",
    "dim=0": "dim lies in",
    "heads=0": "heads lies in",
    "layers=0": "layers lies in",
    "steps=0": "steps lies in",
    "ffn_ratio=0": "ffn_ratio lies in",
    "beta=-1": "beta lies in",
    "static_masking=2": "static_masking lies in",
    "cw_mse_weight=-1": "cw_mse_weight lies in",
    "unmasked_weight=-1": "unmasked_weight lies in",
    "masked_above=most": "masked_above is one of mean, half",
    "alpha_range=[2, 3]": r"alpha_range lies in \[0, 1\], not at \[2, 3\]",
    "alpha_range=0.5": "alpha_range takes a pair of numbers",
    "alpha_clip=[0.9, 0.1]": "alpha_clip takes a low and a higher end",
    "alpha_form=tanh": "alpha_form is one of clamp, sigmoid, fixed",
    "conditioned=1": "conditioned takes true or false",
    "residual_blocks=yes": "residual_blocks takes true or false",
    "refinement=first": "refinement is one of identity, last, average",
    "draws=0": "draws lies in",
    "pooling=max": "pooling is one of mean, centre",
    "pca=all": "pca is one of scene, pool",
    "whiten=1": "whiten takes true or false",
    "block=0": "block lies in",
    "gap=-1": "gap lies in",
    "cube_key=x": "synthetic is read as it is; leave cube_key out",
    "labels_key=x": "synthetic is read as it is",
    "unlabelled=1.5": "unlabelled takes a whole number",
    "no_data=none": "no_data takes a number",
    "no_data=nan": "synthetic is read as it is; leave no_data out",
    "no_data=Infinity": "no_data takes a number, not inf",
    "bands=9": "bands takes a text",
    "scale=0": "scale lies in",
    "crs=4326": "crs takes a text",
    "crs=EPSG:4326": "synthetic is read as it is; leave crs out",
    "train_path=1": "train_path takes a text",
    "train_key=1": "train_key takes a text",
    "test_path=1": "test_path takes a text",
    "test_key=1": "test_key takes a text",
    "split=given": "--set takes no split",
    "scene=botswana": "--set takes no scene: it has an option of its own, --scene",
    "seed=1": "--set takes no seed",
    "query=random": "--set takes no query",
    "method=vit": "--set takes no method",
    "labels_path=x.npy": "--set takes no labels_path: it has an option of its own, --labels",
    "checksum=00": "a study is changed by its method `but`",
    "epoch=3": "--set takes name=value with a value of a Study, not 'epoch=3'",
    "epochs": "--set takes name=value",
    "epochs=[1]": r"epochs takes a whole number, not \[1\]",
    "learning_rate=1" + "0" * 400: "learning_rate lies in",
    "epochs=1" + "0" * 400: "epochs lies in",
    "epochs=" + "9" * 5000: "epochs takes a whole number",
    "epochs=" + "[" * 100_000: "epochs takes a whole number",
    "beta=1e39": r"beta lies in \[0, 1000000\]",
    "weight_decay=1e308": "weight_decay lies in",
    "fold=4": "fold counts from 0, so of 4 folds the last is 3, not 4",
    "beta=1e400": "beta takes a number, not inf",
    "dim=1000000": "there is not enough memory for this scene and network",
    "epochs=null": None,  # the default is taken
}

# Other options of `cpdgal run`, beside the small study.
OPTIONS = {
    ("--scene", "pavia"): "no scene is called 'pavia'; known are synthetic, indian_pines",
    ("--scene", "cube.hdr"): "cube.hdr",
    ("--scene", ""): "no scene is called ''",
    ("--labels", "truth.npy"): "synthetic brings its own ground truth",
    ("--method", "resnet"): "method is one of cpdgal, vit",
    ("--method", "ssftt"): "ssftt does not take dim, heads, layers, which only CPDGAL and its ablations do",
    ("--split", "spatial"): "split is one of random, block, folds, disjoint, given, validation",
    ("--split", "block", "--set", "gap=200"): "synthetic has 60 pixels a side; blocks of 15 and a gap of 200 do not fit",
    ("--query", "best"): "no query strategy is called 'best'",
    ("--profile", "fast"): "profile is one of|no profile is called 'fast'; known are paper",
    ("--seed", "-1"): "seed lies in",
    ("--seed", str(2**64)): "seed lies in",
    ("--device", "cuda"): "this machine has no device cuda: torch sees 0 CUDA devices; use cpu",
    ("--device", "cuda:7"): "this machine has no device cuda:7",
    ("--device", "mps"): "a device is cpu, cuda or cuda:0, not 'mps'",
    ("--device", "cuda:x"): "a device is cpu, cuda or cuda:0",
    ("--device", "cuda:"): "a device is cpu, cuda or cuda:0",
    ("--device", "cpu:0"): "a device is cpu, cuda or cuda:0, not 'cpu:0'",
    ("--scene", "a" * 300): "cannot be used|no scene is called",
    ("--scene", "a" * 300 + ".npy"): "does not exist or is not a file",
    ("--scene", "a\0b.npy"): "a.b.npy",
    ("--method", "coordinates", "--query", "badge"): "a floor has no features or draws to choose by",
    ("--method", "vit", "--query", "bald"): "repeated draws need a network with DGFR",
}
TINY = [f for each in ("components=4", "window=3", "dim=8", "heads=2", "layers=1", "epochs=1") for f in ("--set", each)]


def call(*arguments):
    return CliRunner().invoke(cli.app, [str(each) for each in arguments])


def sentence(done, wanted: str, code=1) -> str:
    """The one sentence that a command ended with; what it printed before, as a progress bar, stands on other lines."""
    assert done.exit_code == code, done.output
    shown = re.sub(r"[\w-]+:\s+\d+%\|[^\]]*epoch/s\]", "\n", done.output.replace("\r", "\n"))
    (said,) = filter(str.strip, shown.splitlines())
    assert re.search(wanted, said), said
    assert len(re.sub(r"/\S+/", "", said)) < 300  # a path as long as its file's name
    assert "Traceback" not in done.output
    assert "Errno" not in said
    return said


@pytest.mark.parametrize("value", VALUES)
def test_a_wrong_value(value, tmp_path):
    done = call("run", "--scene", "synthetic", "--profile", "smoke", *TINY, "--set", value, "--store", tmp_path / "s")
    if VALUES[value] is None:
        assert done.exit_code == 0, done.output
        return
    sentence(done, VALUES[value])
    assert not list((tmp_path / "s").glob("*.*"))
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("option", OPTIONS, ids=" ".join)
def test_a_wrong_option(option, tmp_path):
    scene = () if "--scene" in option else ("--scene", "synthetic")
    done = call("run", *scene, "--profile", "smoke", *TINY, *option, "--store", tmp_path / "s")
    sentence(done, OPTIONS[option])
    assert not list((tmp_path / "s").glob("*.*"))


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("fetch", "nothing.mat"), "nothing.mat does not exist"),
        (("fetch", "nothing.tif"), "nothing.tif does not exist or is not a file"),
        (("fetch", "synthetic", "--labels", "x.npy"), "synthetic brings its own ground truth"),
        (("records", "--store", "resluts"), "resluts is no folder of records; check --store"),
        (("splits", "none/masks", "--scene", "synthetic"), "none is no folder; make it first"),
        (("records", "--store", "resluts", "--migrate"), "resluts is no folder of records"),
        (
            ("run", "--profile", "smoke", "--store", "resluts", "--again", "--scene", "synthetic"),
            "no record of synthetic-cpdgal",
        ),
        (("map", "nothing.json", "-o", "map.npy"), "nothing.json cannot be read"),
    ],
    ids=lambda each: " ".join(each)[:40] if isinstance(each, tuple) else "",
)
def test_a_wrong_command(arguments, wanted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sentence(call(*arguments), wanted)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--bands", "--classes"])
def test_methods_refuses_nothing_and_goes_on_past_what_cannot_be_built(option):
    done = call("methods", option, "0")
    assert done.exit_code == 2
    assert "greater than or equal to 1" in done.output
    assert "Traceback" not in done.output
    done = call("methods", option, "3")
    assert done.exit_code == 0
    assert "ssftt" in done.output


# Files


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A study of a scene of one's own in two files, and its record with weights. Only for copying."""
    folder = tmp_path_factory.mktemp("own")
    study = own_scene(folder).but(cycles=1)
    run(study, folder / "results", weights=True)
    return folder


@pytest.fixture
def own(trained, tmp_path):
    """A copy of it where it was: the study's paths stay, since its record is bound to them; its store is the copy's."""
    shutil.copytree(trained / "results", tmp_path / "results")
    study = own_scene(trained).but(cycles=1)
    return study, tmp_path / "results" / f"{study.name}.json"


def rewritten(path: Path, **changes) -> None:
    content = json.loads(path.read_text())
    for name, value in changes.items():
        part, _, key = name.partition("__")
        if key:
            content[part][key] = value
        else:
            content[part] = value
    path.write_text(json.dumps(content))


RECORDS = {
    "empty": lambda path: path.write_text(""),
    "no JSON": lambda path: path.write_text("OA 97.3"),
    "bytes": lambda path: path.write_bytes(bytes(range(256)) * 4000),
    "deeply nested": lambda path: path.write_text("[" * 100_000),
    "another project's": lambda path: path.write_text('{"name": "x", "version": 1}'),
    "a list": lambda path: path.write_text("[1, 2]"),
    "OA 250": lambda path: rewritten(path, cycles__OA=[250.0, 90.0]),
    "OA NaN": lambda path: path.write_text(path.read_text().replace('"OA": [', '"OA": [NaN, ')),
    "no provenance": lambda path: rewritten(path, provenance={}),
    "empty provenance": lambda path: rewritten(path, provenance__torch=""),
    "no seconds": lambda path: rewritten(path, provenance__seconds=[]),
    "a negative confusion": lambda path: rewritten(path, confusion=[[-1, 0], [0, 1]]),
    "another study's value": lambda path: rewritten(path, study__epochs=77),
    "a value out of its range": lambda path: rewritten(path, study__epochs=0),
    "an unknown value": lambda path: rewritten(path, study__scheduler="x"),
    "an unknown method": lambda path: rewritten(path, study__method="uninstalled"),
    "an older format": lambda path: rewritten(path, format=1),
    "a newer format": lambda path: rewritten(path, format=99),
    "a format in words": lambda path: rewritten(path, format="two"),
}


@pytest.mark.parametrize("damage", RECORDS)
def test_a_record_that_is_none(own, damage, tmp_path):
    study, path = own
    RECORDS[damage](path)
    before = contents(path.parent)
    wanted = re.escape(str(path))
    sentence(call("map", path, "-o", tmp_path / "map.npy"), wanted)
    with pytest.raises(RecordError, match=wanted):
        run(study, path.parent)
    with pytest.warns(UserWarning, match=f"^skipped: {wanted}") as warned:
        assert Store(path.parent, packaged=False).records() == []
    assert len(warned) == 1
    assert contents(path.parent) == before
    assert not (tmp_path / "map.npy").exists()


def test_a_file_that_the_finder_left_beside_a_record_is_skipped(own):
    _, path = own
    shutil.copy(path, path.with_name(f"._{path.name}"))
    path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07 Mac OS X")
    with pytest.warns(UserWarning, match=r"^skipped: .*\._"):
        assert len(Store(path.parent, packaged=False).records()) == 1


def flipped(path):
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def with_nan(path):
    tensors = load_file(path)
    save_file({name: tensor * np.nan if name.startswith("network") else tensor for name, tensor in tensors.items()}, path)


def of_another_seed(path):
    study = Record.read(path.with_suffix(".json")).study
    other = run(study.but(seed=5), path.parent / "other", weights=True)
    shutil.copy(other.weights, path)


WEIGHTS = {
    "missing": (lambda path: path.unlink(), "has no weights; run its study again with weights=True"),
    "emptied": (lambda path: path.write_bytes(b""), "does not hold the weights of its record"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "does not hold the weights of its record"),
    "a flipped bit": (flipped, "does not hold the weights of its record"),
    "NaN": (with_nan, "does not hold the weights of its record"),
    "of another seed": (of_another_seed, "does not hold the weights of its record"),
}


@pytest.mark.parametrize("damage", WEIGHTS)
def test_weights_that_are_not_the_record_s(own, damage, tmp_path):
    study, path = own
    change, wanted = WEIGHTS[damage]
    change(path.with_suffix(".safetensors"))
    sentence(call("map", path, "-o", tmp_path / "map.npy"), wanted)
    with pytest.raises(RecordError, match=wanted):
        Record.read(path).network(study.load_scene())


FOREIGN = {
    "none": lambda tensors: {},
    "another network": lambda tensors: {n: t.flatten() if n.startswith("network") else t for n, t in tensors.items()},
    "another projection": lambda tensors: {n: t.flatten()[:1] if n.startswith("projection") else t for n, t in tensors.items()},
    "no projection": lambda tensors: {n: t for n, t in tensors.items() if n.startswith("network")},
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_tensors_with_the_digest_of_the_record(own, kind, tmp_path):
    _, path = own
    weights = path.with_suffix(".safetensors")
    save_file({name: tensor.clone() for name, tensor in FOREIGN[kind](load_file(weights)).items()}, weights)
    rewritten(path, weights=hashlib.sha256(weights.read_bytes()).hexdigest())
    sentence(call("map", path, "-o", tmp_path / "map.npy"), "does not hold the weights of its record")


def test_weights_for_which_there_is_no_memory_are_not_told_to_be_foreign(own, tmp_path, monkeypatch):
    def full(path):
        raise MemoryError

    monkeypatch.setattr("cpdgal.weights.opened", full)
    sentence(call("map", own[1], "-o", tmp_path / "map.npy"), "there is not enough memory")


def test_weights_in_the_place_of_a_record_map_its_scene_and_nothing_else_does(own, tmp_path):
    study, path = own
    weights = path.with_suffix(".safetensors")
    assert call("map", weights, "-o", tmp_path / "map.npy").exit_code == 0
    assert np.load(tmp_path / "map.npy").tolist() == Record.read(path).map(study.load_scene()).tolist()
    shutil.copy(weights, tmp_path / "weights.json")
    sentence(call("map", tmp_path / "weights.json", "-o", tmp_path / "map.npy"), "is not a whole record .it is not text.")


@pytest.mark.parametrize("size", [20, 24])
def test_data_that_were_replaced(tmp_path, size):
    """Another acquisition under the same name, or one of another size."""
    study = own_scene(tmp_path).but(cycles=1)
    record = run(study, tmp_path / "results", weights=True)
    other = cpdgal.load_scene("synthetic", height=size, width=size, bands=8, classes=3, seed=9)
    np.save(tmp_path / "cube.npy", other.cube)
    np.save(tmp_path / "truth.npy", other.labels)
    here, there = record.study.checksum[:12], study.load_scene().checksum[:12]
    said = sentence(call("map", record.path, "-o", tmp_path / "map.npy"), "bring the data back")
    assert here in said
    assert there in said
    for ask in (record.network, record.map, lambda scene: record.answers(scene, np.arange(3))):
        with pytest.raises(SceneError, match=f"{here}.*{there}"):
            ask(study.load_scene())
    with pytest.raises(SceneError, match=f"{here}.*{there}"):
        record.study.load_scene()
    with pytest.raises(RecordError, match=f"{here}.*{there}"):
        run(study, tmp_path / "results")


def test_a_network_is_applied_to_another_scene_on_purpose(own, tmp_path):
    study, path = own
    record, scene = Record.read(path), study.load_scene()
    other = cpdgal.load_scene("synthetic", height=14, width=17, bands=8, classes=3, seed=9)
    np.save(tmp_path / "other.npy", other.cube)
    np.save(tmp_path / "other_truth.npy", other.labels)
    by_hand = study.make_windows(scene, study.make_split(scene)).on(other)
    expected = cpdgal.predict(record.network(scene), by_hand.scene_batches()).argmax(1).reshape(14, 17).numpy() + 1
    with pytest.raises(SceneError, match="was made from data with checksum"):
        record.map(other)
    assert record.map(other, elsewhere=True).tolist() == expected.tolist()
    done = call("map", path, tmp_path / "other.npy", "--labels", tmp_path / "other_truth.npy", "-o", tmp_path / "map.npy")
    assert done.exit_code == 0, done.output
    assert np.load(tmp_path / "map.npy").tolist() == expected.tolist()
    fewer = cpdgal.Scene(other.cube[..., :5], other.labels)
    with pytest.raises(ValueError, match="scene has 5 bands, and the scaling was fitted on 8"):
        record.map(fewer, elsewhere=True)


def test_a_map_is_not_written_over_what_it_is_read_from(own, tmp_path):
    study, path = own
    cube, truth, link = tmp_path / "cube.npy", tmp_path / "truth.npy", tmp_path / "link.npy"
    shutil.copy(study.scene, cube)
    shutil.copy(study.labels_path, truth)
    link.symlink_to(cube)
    np.save(tmp_path / "c-entropy.npy", np.load(cube))
    before, files = contents(tmp_path), ("map", path, cube, "--labels", truth)
    for out in (cube, truth, link):
        sentence(call(*files, "-o", out), "is a file that is read here, or written twice; choose another name")
    sentence(
        call("map", path, tmp_path / "c-entropy.npy", "-o", tmp_path / "c.npy", "--entropy"), "is a file that is read here"
    )
    sentence(call(*files, "-o", tmp_path / "a.png", "--legend", tmp_path / "a.png"), "written twice")
    sentence(call("map", path, "-o", study.labels_path), "is a file that is read here")
    assert contents(tmp_path) == before


def test_a_ground_truth_of_another_shape_for_a_map(own, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    study, path = own
    cube = np.moveaxis(np.load(study.scene), -1, 0)
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(30, 0, 5e5, 0, -30, 5e6)}
    about = {"count": len(cube), "height": 20, "width": 20, "dtype": cube.dtype}
    with rasterio.open(tmp_path / "cube.tif", "w", driver="GTiff", **about, **place) as file:
        file.write(cube)
    np.save(tmp_path / "truth.npy", np.ones((30, 30), dtype=int))
    labels = ("--labels", tmp_path / "truth.npy", "--labelled", "-o", tmp_path / "map.tif")
    sentence(call("map", path, tmp_path / "cube.tif", *labels), "the cube is 20 x 20 pixels and the ground truth 30 x 30")
    assert not (tmp_path / "map.tif").exists()


def test_little_ground_truth_is_described(own, tmp_path):
    study, _ = own
    truth = np.zeros((20, 20), dtype=int)
    truth[3, :4] = [1, 2, 3, 1]
    np.save(tmp_path / "truth.npy", truth)
    done = call("scenes", "describe", study.scene, "--labels", tmp_path / "truth.npy")
    assert done.exit_code == 0, done.output
    assert "too little ground truth to train and test on" in done.output
    done = call("scenes", "describe", study.scene, "--labels", study.labels_path)
    assert done.output.rstrip().endswith("--set components=0")  # 8 bands have no 15 components
    assert "next: cpdgal label" in call("scenes", "describe", study.scene).output


def test_the_same_data_in_another_place_or_format_are_not_trained_again(own, tmp_path, monkeypatch):
    study, path = own
    record, scene = Record.read(path), study.load_scene()
    monkeypatch.setattr(runner, "active_learning", None)
    moved = tmp_path / "moved"
    moved.mkdir()
    np.save(moved / "c.npy", scene.cube)
    np.save(moved / "t.npy", scene.labels)
    from scipy.io import savemat

    savemat(moved / "both.mat", {"cube": scene.cube, "truth": scene.labels})
    for place in (
        {"scene": str(moved / "c.npy"), "labels_path": str(moved / "t.npy")},
        {"scene": str(moved / "both.mat"), "labels_path": ""},
    ):
        found = run(study.but(**place), path.parent)
        assert found.path == record.path
        assert found.differences(record) == []
    with pytest.raises(TypeError):  # another seed has to be trained
        run(study.but(**place, seed=4), path.parent)


# Runs


def test_a_checkpoint_of_another_seed_under_a_study_s_name(tmp_path):
    other, study = SMALL.but(seed=7), SMALL
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "drop", lambda checkpoints: None)
        run(other, tmp_path / "other")
    (tmp_path / "mine" / "checkpoints").mkdir(parents=True)
    shutil.copy(Checkpoints(tmp_path / "other", other).files[0], Checkpoints(tmp_path / "mine", study).files[0])
    with pytest.warns(UserWarning, match="was begun by another study; it starts anew"):
        mine = run(study, tmp_path / "mine")
    assert mine.differences(run(study, tmp_path / "undisturbed")) == []


def test_a_checkpoint_of_other_code(tmp_path, monkeypatch):
    """Another commit with the same deciding files goes on; other files start anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "drop", lambda checkpoints: None)
        first = run(SMALL, tmp_path)
    first.path.unlink()
    monkeypatch.setattr(runner, "_commit", lambda: "another")
    assert run(SMALL, tmp_path).provenance["resumed"] == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "drop", lambda checkpoints: None)
        first = run(SMALL.but(seed=1), tmp_path)
    first.path.unlink()
    monkeypatch.setattr(runner, "code_digest", lambda study: "0" * 12)
    with pytest.warns(UserWarning, match="was begun with another code; it starts anew"):
        assert run(SMALL.but(seed=1), tmp_path).provenance["resumed"] == 0


def test_a_folder_in_the_place_of_a_checkpoint(tmp_path):
    Checkpoints(tmp_path / "s", SMALL).files[0].mkdir(parents=True)
    with pytest.raises(RecordError, match=r"is a folder in the place of a checkpoint; move it away$"):
        run(SMALL, tmp_path / "s")


def test_one_class_is_refused_before_anything_is_trained(tmp_path):
    np.save(tmp_path / "cube.npy", np.random.default_rng(0).random((9, 9, 4)))
    np.save(tmp_path / "truth.npy", np.ones((9, 9), dtype=int))
    files = ("--scene", tmp_path / "cube.npy", "--labels", tmp_path / "truth.npy", "--store", tmp_path / "s")
    sentence(
        call("run", *files, "--profile", "smoke"), "cube: all labelled pixels are class 1; a study needs two classes or more"
    )
    assert not (tmp_path / "s").exists()


def test_a_study_is_not_replaced():
    from dataclasses import replace

    with pytest.raises(ValueError, match=r"^a study is changed by its method `but`, as in study.but\(seed=1\)"):
        replace(Study(), scene="salinas")
    assert Study(scene="indian_pines", batch=64, seed=3).but(scene="salinas").protocol.cycles == 10
    assert Study(scene="salinas").but(scene="botswana").batch == 64
    assert Study(method="ssftt", seed=3).but(method="vit") == Study(method="vit", seed=3)
    assert Study(cycles=31).but(profile="smoke") == Study(cycles=31, profile="smoke")


@pytest.mark.parametrize("changes", ["{epochs: 50}", "epochs=50", "[1, 2]", "", "{", 7])
def test_changes_that_are_no_values(changes):
    with pytest.raises(ValueError, match=r"^values of a study are given as JSON, such as .*, not "):
        module.named_values(changes)
    assert module.named_values('{"epochs": 50}') == module.named_values({"epochs": 50}) == {"epochs": 50}


@pytest.mark.parametrize("weights", ["False", "no", 1])
def test_text_for_weights(weights, tmp_path):
    with pytest.raises(ValueError, match=r"^weights takes true or false, not "):
        cpdgal.run(SMALL, Store(tmp_path / "s"), weights=weights)
    assert not (tmp_path / "s").exists()


def test_too_little_memory(tmp_path, monkeypatch):
    def full(*args, **options):
        raise MemoryError

    monkeypatch.setattr(runner, "active_learning", full)
    small = ("run", "--scene", "synthetic", "--profile", "smoke", "--store", tmp_path)
    sentence(call(*small), "there is not enough memory for this scene")


def started(*arguments, **environment) -> subprocess.Popen:
    # where the tests run in the background, an interrupt is ignored by what they start
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from cpdgal.cli import app; app()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "encoding": "utf-8", "errors": "replace"}
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, **pipes)


def test_ctrl_c_ends_with_130_and_the_run_goes_on(tmp_path):
    small = ("run", "--scene", "synthetic", "--profile", "smoke", *TINY, "--set", "cycles=2000", "--store", tmp_path)
    with started(*small) as process:
        while not list(tmp_path.glob("checkpoints/*.safetensors")):
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "stopped; the same command goes on from a minute ago at most"
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("limit", "command"),
    [
        (1, ["splits", "out", "--seeds", "1", "--scene", "synthetic"]),
        (1, ["assess", "design", "map.npy", "-o", "out.csv"]),
        (20, ["assess", "design", "map.tif", "-o", "out.gpkg"]),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_a_file_that_does_not_fit_is_told_and_not_left(limit, command, tmp_path, monkeypatch):
    resource, rasterio = pytest.importorskip("resource"), pytest.importorskip("rasterio")
    np.save(tmp_path / "map.npy", classes := np.repeat([[1, 2]], 50, axis=0).repeat(20, axis=1).astype(np.uint8))
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(30, 0, 5e5, 0, -30, 5e6)}
    with rasterio.open(tmp_path / "map.tif", "w", count=1, height=50, width=40, dtype="uint8", **place) as file:
        file.write(classes, 1)
    monkeypatch.chdir(tmp_path)
    before, soft = contents(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * limit, soft[1]))
    try:
        done = call(*command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft)
    sentence(done, "^out.* could not be written")
    assert contents(tmp_path) == before
    assert not [*tmp_path.glob("out*")]


def test_names_that_a_console_cannot_print(tmp_path):
    """Class names in Chinese in a console of Western Europe."""
    values = np.random.default_rng(0).integers(1, 4, (12, 12))
    np.save(tmp_path / "水稻.npy", np.random.default_rng(1).random((12, 12, 5)))
    np.save(tmp_path / "truth.npy", values)
    with started("fetch", tmp_path / "水稻.npy", "--labels", tmp_path / "truth.npy", PYTHONIOENCODING="cp1252") as process:
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 0, said
    assert "144 labelled pixels" in said


# Records of an older cpdgal


def older(path: Path) -> None:
    """Make of a record and its weights what they were in format 1."""
    content = json.loads(path.read_text())
    del content["weights"]
    content["format"] = 1
    path.write_text(json.dumps(content))
    weights = path.with_suffix(".safetensors")
    network = {name.removeprefix("network."): t for name, t in load_file(weights).items() if name.startswith("network.")}
    save_file(network, weights)


@pytest.mark.parametrize("interrupted", [False, True])
def test_older_records_are_brought_up_to_date_once(own, interrupted, monkeypatch):
    study, path = own
    content, expected, weights = path.read_bytes(), Record.read(path), path.with_suffix(".safetensors").read_bytes()
    older(path)
    with pytest.raises(
        RecordError, match=r"was written by an older cpdgal; `cpdgal records --migrate` brings its folder up to date"
    ):
        run(study, path.parent)
    if interrupted:
        written = migration.write

        def write(at, content, *then):
            if at.suffix == ".json":
                raise KeyboardInterrupt
            written(at, content, *then)

        with monkeypatch.context() as patch:
            patch.setattr(migration, "write", write)
            with pytest.raises(KeyboardInterrupt):
                list(migration.migrate(path.parent))
        assert json.loads(path.read_text())["format"] == 1
    assert list(migration.migrate(path.parent)) == [(path.name, "")]
    assert list(migration.migrate(path.parent)) == []
    assert path.read_bytes() == content
    again = Record.read(path)
    assert path.with_suffix(".safetensors").read_bytes() == weights
    assert again.map(study.load_scene()).tolist() == expected.map(study.load_scene()).tolist()


def test_one_record_that_cannot_be_brought_up_to_date_does_not_keep_others(own):
    study, path = own
    older(path)
    bad = path.with_name("another.json")
    bad.write_text(json.dumps(json.loads(path.read_text()) | {"study": {"epochs": "many"}}))
    content = bad.read_bytes()
    result = call("records", "--store", path.parent, "--migrate")
    assert result.exit_code == 1
    assert "left as it was: another.json: epochs takes a whole number, not 'many'" in result.output
    assert f"brought up to date: {path.name}" in result.output
    assert "1 of the records in" in result.output
    assert bad.read_bytes() == content
    assert Record.read(path).study.key == study.key


UNFIT = {
    "a confusion of other classes": lambda content: content["confusion"].pop(),
    "a confusion of other pixels": lambda content: content["confusion"][0].__setitem__(0, 10_000),
    "an accuracy that the confusion does not give": lambda content: content["cycles"]["OA"].__setitem__(-1, 12.5),
    "a cycle without its entropy": lambda content: content["entropy"].pop(),
    "a cycle without its seconds": lambda content: content["provenance"]["seconds"].pop(),
    "a cycle without its diagnostics": lambda content: [column.pop() for column in content["diagnostics"].values()],
    "fewer queries than labels": lambda content: [column.pop() for column in content["queried"].values()],
    "columns of several lengths": lambda content: content["cycles"]["loss"].pop(),
    "a table without a column": lambda content: content["classes"].pop("accuracy"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_record_whose_parts_do_not_fit_each_other(own, name):
    _, path = own
    content = json.loads(path.read_text())
    UNFIT[name](content)
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError, match="is not a whole record") as error:
        Record.read(path)
    assert len(" ".join(str(error.value).replace(str(path.parent), "").split())) < 300
