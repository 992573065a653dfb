"""`cpdgal` in a shell."""

import json
import shlex

import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

import cpdgal
from cpdgal.cli import app, runs
from cpdgal.methods import METHODS

SMALL = ("--scene", "synthetic", "--profile", "smoke")
FAST = [f for each in ("components=8", "window=3", "dim=16", "layers=2") for f in ("--set", each)]


def call(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    done = call("run", *SMALL, *FAST, "--store", folder, "--weights")
    assert done.exit_code == 0, done.output
    return folder


def the_record(store):
    (path,) = store.glob("*.json")
    return path


def test_run_writes_a_record_once(store):
    path = the_record(store)
    written = path.read_bytes()
    done = call("run", *SMALL, *FAST, "--store", store)
    assert done.exit_code == 0
    assert done.output.startswith(f"found: {path}, made with the same versions as here")
    assert f"OA {cpdgal.Record.read(path).final.OA:.2f}" in done.output
    assert path.read_bytes() == written


def test_run_again_says_that_it_is_the_same_to_the_bit(store):
    done = call("run", *SMALL, *FAST, "--store", store, "--again")
    assert done.exit_code == 0
    assert f"the same to the bit as {the_record(store)}" in done.output


def test_run_again_says_which_version_differs(store, tmp_path):
    content = json.loads(the_record(store).read_text())
    content["cycles"]["loss"][-1] += 1
    for other, code in (("1.0.0", 0), (content["provenance"]["torch"], 1)):
        content["provenance"]["torch"] = other
        (tmp_path / the_record(store).name).write_text(json.dumps(content))
        done = call("run", *SMALL, *FAST, "--store", tmp_path, "--again")
        assert done.exit_code == code, done.output
        assert "not the same as" in done.output
        assert ("torch (1.0.0 there" if code == 0 else "what differs: no version") in done.output


def test_again_needs_a_record(tmp_path):
    done = call("run", *SMALL, "--store", tmp_path, "--again")
    assert done.exit_code == 1
    assert "there is no record of synthetic-cpdgal" in done.output


def test_map_paints_every_pixel(store, tmp_path):
    for name in ("map.npy", "map.png"):
        done = call("map", the_record(store), "-o", tmp_path / name)
        assert done.exit_code == 0, done.output
    scene = cpdgal.load_scene("synthetic")
    classes = np.load(tmp_path / "map.npy")
    assert classes.shape == scene.labels.shape
    assert set(np.unique(classes)) <= set(scene.label_values)
    expected = cpdgal.Record.read(the_record(store)).map(scene)
    np.testing.assert_array_equal(classes, np.array(scene.label_values)[expected - 1])
    np.testing.assert_allclose(imread(tmp_path / "map.png")[..., :3], scene.palette[expected - 1], atol=1 / 255)


def test_records_lists_them(store):
    table = call("records", "--store", store, "--csv").output
    assert the_record(store).stem.split("-")[-1] in table
    assert table.startswith("key,scene,method,split,query,profile,seed,changes,labels,share,OA,AA,kappa,seconds")


def test_scenes_and_fetch():
    assert "salinas_a" in call("scenes").output
    done = call("fetch", "synthetic")
    assert done.exit_code == 0
    assert cpdgal.load_scene("synthetic").checksum in done.output


@pytest.fixture
def odd(tmp_path):
    """Files that are read right only with options, the options, and the scene that they then give."""
    scene = cpdgal.load_scene("synthetic", height=20, width=20, bands=6, classes=3)
    values, hidden = np.round(100 * scene.cube), np.zeros((20, 20), dtype=bool)
    hidden[:2] = True
    cube, truth = np.where(hidden[..., None], -9999, 2 * values), np.where(scene.labels, scene.labels, 99)
    np.savez(tmp_path / "both.npz", image=cube, dark=cube + 1, truth=truth, other=cube[..., 0])
    expected = cpdgal.Scene(values[..., [0, 1, 3, 4, 5]], scene.labels, mask=hidden)
    options = {"cube_key": "image", "labels_key": "truth", "unlabelled": 99, "no_data": -9999, "bands": "1-2, 4-6"}
    options["scale"] = 0.5
    return tmp_path / "both.npz", options, expected


def test_every_command_reads_files_with_the_same_options(odd, tmp_path, monkeypatch):
    file, values, expected = odd
    options = [part for name, value in values.items() for part in (f"--{name.replace('_', '-')}", value)]
    settings = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
    for command in (("scenes", "describe", file), ("fetch", file), ("splits", tmp_path / "masks", "--scene", file)):
        done = call(*command, *options)
        assert done.exit_code == 0, done.output
        said = (tmp_path / "masks" / "README.md").read_text() if command[0] == "splits" else done.output
        assert expected.checksum in said
        if command[0] == "scenes":
            (following,) = (line for line in done.output.splitlines() if line.startswith("next: cpdgal run"))
    seen = []
    monkeypatch.setattr(runs, "run", lambda study, *_, **__: seen.append(study) or 1 / 0)
    for arguments in (shlex.split(following)[2:], ["run", "--scene", file, *options], ["run", "--scene", file, *settings]):
        with pytest.raises(ZeroDivisionError):
            CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
        assert seen[-1].load_scene().checksum == expected.checksum
    assert [study.reading for study in seen] == [seen[0].reading] * 3


def test_a_known_scene_is_read_as_it_is():
    for command in (("scenes", "describe", "synthetic"), ("fetch", "synthetic"), ("splits", "m", "--scene", "synthetic")):
        done = call(*command, "--bands", "1-3")
        assert done.exit_code == 1
        assert done.output == "synthetic is read as it is; leave bands out\n"


def test_methods_lists_networks_and_floors_and_says_who_needs_more_bands():
    done = call("methods", "--bands", 3)
    assert done.exit_code == 0
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == [*METHODS]
    assert [row[0] for row in rows if row[-1] == "floor"] == [n for n, method in METHODS.items() if method.kind == "floor"]
    refused = [line.split(":")[0] for line in done.stderr.splitlines()]
    assert refused == ["caevt", "morphformer", "dctn"]
    assert "dctn: DCTN takes 19 bands or more, not 3: its 3-D kernels are 11 and 9 deep" in done.stderr
    assert "--bands" in call("methods", "--bands", 0).stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "--scene", "pavia"), "no scene is called 'pavia'"),
        (("run", "--method", "resnet"), "method is one of cpdgal, vit"),
        (("run", "--set", "epochs"), "--set takes name=value"),
        (("run", "--set", "epoch=3"), "--set takes name=value"),
        (("run", "--set", "epochs=many"), "epochs takes a whole number, not 'many'"),
        (("map", "nothing.json"), "nothing.json cannot be read"),
        (("fetch", "nothing.mat"), "nothing.mat does not exist"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence_and_an_exit_status(arguments, sentence, tmp_path):
    done = call(*arguments, *(("--store", tmp_path / "s") if arguments[0] == "run" else ()))
    assert done.exit_code == 1
    assert done.output.count("\n") <= 1
    assert sentence in done.output
    assert not (tmp_path / "s").exists()


def test_a_run_says_what_its_split_is_worth(tmp_path):
    scene = cpdgal.load_scene("synthetic", bands=8)
    np.save(tmp_path / "cube.npy", scene.cube)
    np.save(tmp_path / "truth.npy", scene.labels)
    given = (
        "--scene",
        tmp_path / "cube.npy",
        "--labels",
        tmp_path / "truth.npy",
        "--method",
        "coordinates",
        "--store",
        tmp_path,
    )
    for split, also in (("random", "--split folds keeps them apart"), ("folds", "--split random is what papers mostly report")):
        sizes = ("--set", "block=8", "--set", "gap=6")
        said = call("run", *given, "--split", split, "--profile", "smoke", *sizes).output
        study = cpdgal.Record.read(next(tmp_path.glob(f"cube-coordinates-{split}-*.json"))).study
        made = study.make_split(scene)
        near = cpdgal.splits.touched(scene, made.pool, made.holdout, 7)
        assert (near > 0) == (split == "random")
        assert f"tested on the {split} split, where {near:.0%} of the test windows hold a training pixel ({also})" in said
        assert "--method coordinates and --method spectra" in said
