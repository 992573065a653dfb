"""The person in the loop: a scripted person, answers that cannot be, sessions that are stopped, and places on earth."""

import hashlib
import json
import multiprocessing
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import contents, own_scene, run
from typer.testing import CliRunner

import cpdgal
from cpdgal import labelling, suggestions
from cpdgal.cli import app
from cpdgal.queries import Candidates, select
from cpdgal.splits import raster

FAST = {"profile": "smoke", "components": 4, "window": 3, "dim": 8, "heads": 2, "layers": 1}


def call(*arguments):
    return CliRunner().invoke(app, ["label", *(str(each) for each in arguments)])


def called(*arguments):
    done = call(*arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def fill(path, classes):
    """Write classes, one for each row, into a table of asked pixels."""
    table = pd.read_csv(path)
    table["class"] = list(classes)
    table.to_csv(path, index=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A cube of 20 x 20 pixels in three classes, its truth, and the options that make a session of it quick."""
    folder = tmp_path_factory.mktemp("scene")
    study = own_scene(folder)
    options = [part for name, value in FAST.items() if name != "profile" for part in ("--set", f"{name}={value}")]
    return study.load_scene(), study, [folder / "cube.npy", "--profile", "smoke", *options]


@pytest.fixture(scope="module")
def first_round(files, tmp_path_factory):
    """A session with six first labels that asked for four pixels."""
    scene, _, command = files
    folder = tmp_path_factory.mktemp("begun")
    rows = [(*pixel, k + 1) for k in range(3) for pixel in scene.pixels[scene.targets == k][:2]]
    pd.DataFrame(rows, columns=["row", "column", "class"]).to_csv(folder / "first.csv", index=False)
    called(*command, "--labels", folder / "first.csv", "-n", 4, "--folder", folder / "session")
    return folder


@pytest.fixture
def session(first_round, tmp_path):
    """A folder of that session to do anything with."""
    return shutil.copytree(first_round / "session", tmp_path / "session")


# The scripted person

LOOPS = {
    "margin": {"seed": 7},
    "random": {"query": "random"},
    "typiclust": {"query": "typiclust"},
    "bald": {"query": "bald"},
    "cold start, keep_optimizer": {"warm_start": False, "keep_optimizer": True},
    "draws in evaluation": {"query": "balanced-entropy", "refinement": "average", "draws": 2},
}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_scripted_person_gets_the_labels_of_the_loop(files, tmp_path, loop):
    scene, study, (cube, *options) = files
    study = study.but(cycles=5, acquired=0.1, score_every=6, **LOOPS[loop])
    queried = run(study, tmp_path / "results").queried
    assert queried.cycle.max() == 5
    np.save(tmp_path / "pool.npy", raster(scene, study.make_split(scene)) == 1)
    truth = {tuple(pixel): value for pixel, value in zip(scene.pixels, scene.targets + 1, strict=True)}

    def true_classes(table):
        return [truth[pixel] for pixel in table[["row", "column"]].itertuples(index=False, name=None)]

    first = queried[queried.cycle == 0][["row", "column"]]
    first.assign(**{"class": true_classes(first)}).to_csv(tmp_path / "first.csv", index=False)
    folder, named = tmp_path / "session", LOOPS[loop]
    own = [part for name in ("query", "seed") if name in named for part in (f"--{name}", named[name])]
    own += [part for name in {*named} - {"query", "seed"} for part in ("--set", f"{name}={json.dumps(named[name])}")]
    begin = ["--labels", tmp_path / "first.csv", "--among", tmp_path / "pool.npy", "--classes", "1=a, 2=b, 3=c", *own]
    for cycle in range(1, 6):
        expected = queried[queried.cycle == cycle][["row", "column"]]
        called(cube, *options, *begin, "--folder", folder, "--count", len(expected))
        asked = pd.read_csv(folder / f"ask-{cycle}.csv")
        assert asked[["row", "column"]].to_numpy().tolist() == expected.to_numpy().tolist()
        fill(folder / f"ask-{cycle}.csv", true_classes(asked))
        begin = []
    called(cube, "--folder", folder)
    labels = pd.read_csv(folder / "labels.csv")
    assert labels[["row", "column", "round"]].to_numpy().tolist() == queried[["row", "column", "cycle"]].to_numpy().tolist()
    assert labels["class"].tolist() == true_classes(labels)


# Answers


def test_what_is_asked_stands_in_a_table_and_a_picture(files, session):
    scene = files[0]
    asked = pd.read_csv(session / "ask-1.csv")
    assert list(asked) == ["number", "row", "column", "class"]
    assert asked.number.tolist() == [1, 2, 3, 4]
    assert asked["class"].isna().all()
    labelled = pd.read_csv(session / "labels.csv")
    assert list(labelled) == ["row", "column", "class", "round"]
    assert len(asked.merge(labelled, on=["row", "column"])) == 0
    assert (session / "ask-1.png").read_bytes().startswith(b"\x89PNG")
    pixels = asked[["row", "column"]].to_numpy()
    assert (pixels < scene.labels.shape).all()


def test_a_call_without_answers_changes_nothing_and_writes_what_is_missing(files, session):
    cube, before = files[2][0], contents(session)
    said = called(cube, "--folder", session)
    assert "round 1 has no answers yet, so nothing is changed" in said
    assert f"cpdgal label {cube} --folder {session}" in said
    assert contents(session) == before
    for name in ("ask-1.csv", "ask-1.png"):
        (session / name).unlink()
    called(cube, "--folder", session)
    assert contents(session) == before
    pd.read_csv(session / "ask-1.csv").assign(note="by the road").to_csv(session / "ask-1.csv", index=False)
    before = contents(session)
    called(cube, "--folder", session)
    assert contents(session) == before


def test_answers_are_taken_a_new_class_is_told_and_a_skipped_pixel_is_not_asked_for_again(files, session):
    cube = files[2][0]
    asked = pd.read_csv(session / "ask-1.csv")
    fill(session / "ask-1.csv", ["2", "skip", "7", "?"])
    said = called(cube, "--folder", session, "--count", 400)
    assert "      2  skipped" in said
    assert "      3  class 2\n" in said
    assert "      1  class 7, new\n" in said
    labels = pd.read_csv(session / "labels.csv")
    assert labels["class"].tolist() == [1, 1, 2, 2, 3, 3, 2, 0, 7, 0]
    assert labels["round"].tolist() == [0] * 6 + [1] * 4
    assert labels[["row", "column"]][6:].to_numpy().tolist() == asked[["row", "column"]].to_numpy().tolist()
    rest = pd.read_csv(session / "ask-2.csv")
    assert len(rest) == 400 - 10
    assert len(rest.merge(labels, on=["row", "column"])) == 0
    truth = cpdgal.load_scene(cube, session / "labels.csv")  # it is a ground truth like any other
    assert truth.label_values == (1, 2, 3, 7)
    assert len(truth.pixels) == 8


def test_answers_that_were_taken_are_not_asked_for_again(files, session):
    """As when a call is stopped after it took them, and the table is moved away."""
    table = pd.read_csv(session / "ask-1.csv")
    labels = pd.read_csv(session / "labels.csv")
    pd.concat([labels, table.assign(**{"class": 1, "round": 1})[list(labels)]]).to_csv(session / "labels.csv", index=False)
    (session / "ask-1.csv").unlink()
    assert "round 2: 4 pixels" in called(files[2][0], "--folder", session)
    assert len(pd.read_csv(session / "labels.csv")) == 10


def test_first_labels_may_be_a_raster(files, tmp_path):
    scene, _, command = files
    raster = np.where((scene.labels > 0) & (np.arange(20) < 4), scene.labels, 255)
    np.save(tmp_path / "first.npy", raster)
    begin = [*command, "--set", "unlabelled=255", "--labels", tmp_path / "first.npy", "--folder", tmp_path / "session"]
    called(*begin)
    labels = pd.read_csv(tmp_path / "session" / "labels.csv")
    assert labels[["row", "column"]].to_numpy().tolist() == np.argwhere(raster < 255).tolist()
    np.testing.assert_array_equal(labels["class"], scene.labels[labels.row, labels.column])
    np.save(tmp_path / "first.npy", raster % 3)
    done = call(*begin)
    assert done.exit_code == 1
    assert "first.npy has a class 0, and a labelling counts classes from 1" in done.output


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_answers_and_labels_that_a_spreadsheet_saved(files, session, separator):
    def saved(name, **answers):
        table = pd.read_csv(session / name).assign(**answers)
        content = table.to_csv(sep=separator, index=False, lineterminator="\r\n", quoting=1) + 2 * separator + "\r\n"
        (session / name).write_bytes(content.encode("utf-8-sig"))

    saved("ask-1.csv", **{"class": [1, 2, 3, "skip"]})
    saved("labels.csv")
    called(files[2][0], "--folder", session)
    assert pd.read_csv(session / "labels.csv")["class"].tolist() == [1, 1, 2, 2, 3, 3, 1, 2, 3, 0]


def test_first_labels_with_names_keep_them(files, tmp_path):
    scene, _, command = files
    named = {1: "wheat", 2: "Grass", 3: "corn"}
    points = pd.DataFrame(scene.pixels[::9], columns=["row", "column"])
    points["class"] = [named[value + 1] for value in scene.targets[::9]]
    points.to_csv(tmp_path / "first.csv", index=False)
    said = called(*command, "--labels", tmp_path / "first.csv", "--folder", tmp_path / "a", "-n", 1)
    counts = points["class"].value_counts()
    assert [line.split() for line in said.splitlines()[:3]] == [[str(counts[n]), n] for n in ("Grass", "corn", "wheat")]
    fill(tmp_path / "a" / "ask-1.csv", ["WHEAT"])
    assert f"{counts['wheat'] + 1}  wheat" in called(command[0], "--folder", tmp_path / "a")
    first, other = ["--labels", tmp_path / "first.csv"], ["--folder", tmp_path / "b", "--classes", "1=wheat, 2=grass, 3=corn"]
    assert f"{counts['Grass']}  grass" in called(*command, *first, *other)
    labels = pd.read_csv(tmp_path / "b" / "labels.csv")
    assert labels["class"].tolist() == (scene.targets[::9] + 1).tolist()
    points.assign(**{"class": ["1", *points["class"][1:]]}).to_csv(tmp_path / "first.csv", index=False)
    done = call(*command, *first, "--folder", tmp_path / "c")
    assert done.exit_code == 1
    assert "is no class; write a whole number from 1, or skip" in done.output
    assert not (tmp_path / "c").exists()


def test_labels_may_be_corrected_and_added_by_hand(files, session):
    labels = pd.read_csv(session / "labels.csv")
    labels.loc[0, "class"] = 3
    free = {"row": [19], "column": [19], "class": [4]}
    pd.concat([labels, pd.DataFrame(free)]).to_csv(session / "labels.csv", index=False)
    fill(session / "ask-1.csv", [1, 1, 2, 3])
    assert "      1  class 4\n" in called(files[2][0], "--folder", session)
    assert pd.read_csv(session / "labels.csv")["class"].tolist() == [3, 1, 2, 2, 3, 3, 4, 1, 1, 2, 3]


def test_classes_have_names_where_they_are_given(files, session):
    fill(session / "ask-1.csv", ["Corn", 2, "3.0", "grass"])
    said = called(files[2][0], "--folder", session, "--classes", "1=corn, 2=soil, 3=grass")
    assert [line.split() for line in said.splitlines()[:3]] == [["3", "corn"], ["3", "soil"], ["4", "grass"]]
    fill(session / "ask-2.csv", ["corn", "soil", "9", "grass"])
    assert "'9' is no class; write 1 or corn, 2 or soil, 3 or grass, or skip; a new class is added" in refused(files, session)
    called(files[2][0], "--folder", session, "--classes", "1=corn, 2=soil, 3=grass, 9=water")


def refused(files, session, *options):
    """The one sentence of a call that changes nothing."""
    before = contents(session)
    done = call(files[2][0], "--folder", session, *options)
    assert done.exit_code == 1, done.output
    said = done.stdout.strip().splitlines()[-1]
    assert contents(session) == before
    return said


CHANGED = {
    "an empty class": (
        lambda t: t.assign(**{"class": ["1", None, " ", "2"]}),
        "2 of the 4 pixels have no class yet, the first is number 2",
    ),
    "a word": (
        lambda t: t.assign(**{"class": ["1", "1", "corn", "2"]}),
        "'corn' is no class; write a whole number from 1, or skip",
    ),
    "a fraction": (lambda t: t.assign(**{"class": ["1", "1", "1.5", "2"]}), "point 3: '1.5' is no class"),
    "a negative one": (lambda t: t.assign(**{"class": ["-1", "1", "1", "2"]}), "point 1: '-1' is no class"),
    "a huge one": (lambda t: t.assign(**{"class": ["1e300", "1", "1", "2"]}), "'1e300' is no class"),
    "a changed row": (
        lambda t: t.assign(row=[19, *t.row[1:]], **{"class": 1}),
        "ask-1.csv lacks 1 of the pixels that were asked for and has 1 that were not; bring its rows back, or delete the file",
    ),
    "a missing row": (lambda t: t[1:].assign(**{"class": 1}), "lacks 1 of the pixels that were asked for and has 0"),
    "a row too many": (lambda t: pd.concat([t, t[:1].assign(row=19)]).assign(**{"class": 1}), "lacks 0 of the pixels that"),
    "a row twice": (lambda t: pd.concat([t, t[:1]]).assign(**{"class": 1}), "point 5: this pixel was named before"),
    "a row elsewhere": (lambda t: t.assign(row=999, **{"class": 1}), "point 1: it does not lie on the map of 20 x 20"),
    "no column": (lambda t: t.drop(columns="class"), "has no column 'class'"),
}


@pytest.mark.parametrize("fault", CHANGED)
def test_answers_that_cannot_be_are_refused_with_a_sentence(files, session, fault):
    change, sentence = CHANGED[fault]
    path = session / "ask-1.csv"
    change(pd.read_csv(path)).to_csv(path, index=False)
    assert sentence in refused(files, session)


OPTIONS = {
    "another seed": (("--seed", 1), "was begun with seed 0; leave that as it is"),
    "another query": (("--query", "entropy"), "was begun with query margin; leave that as it is"),
    "another network": (("--set", "dim=16"), "was begun with dim 8; leave that as it is"),
    "a pool": (("--set", "pool=0.2"), "a labelling has no pool and no test pixels, so it takes no pool"),
    "other first labels": (("--labels", "{scene}/truth.npy"), "has other labels than"),
    "no classes": (("--classes", "corn, grass"), "--classes takes numbers from 1 with a name each"),
    "a name that is a number": (("--classes", "1=2, 2=3"), "--classes takes numbers from 1 with a name each"),
    "a name that skips": (("--classes", "1=skip, 2=corn"), "--classes takes numbers from 1 with a name each"),
    "a name twice": (("--classes", "1=corn, 2=corn"), "--classes takes numbers from 1 with a name each"),
    "too few classes": (("--classes", "1=corn, 2=grass"), "labels.csv, point 5: '3' is no class; write 1 or corn, 2 or grass"),
}


@pytest.mark.parametrize("fault", OPTIONS)
def test_a_session_goes_on_as_it_was_begun(files, session, fault):
    options, sentence = OPTIONS[fault]
    fill(session / "ask-1.csv", [1, 1, 2, 3])
    assert sentence in refused(files, session, *(str(each).format(scene=files[2][0].parent) for each in options))


def test_a_scene_that_is_not_there_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call("nothing.mat")
    assert done.exit_code == 1
    assert "nothing.mat does not exist" in done.output
    assert not [*tmp_path.iterdir()]


def test_another_scene_is_refused(files, session, tmp_path):
    np.save(tmp_path / "other.npy", np.load(files[2][0]) + 1)
    done = call(tmp_path / "other.npy", "--folder", session)
    assert done.exit_code == 1
    assert "labels another scene" in done.output
    shutil.copy(files[2][0], tmp_path / "moved.npy")
    called(tmp_path / "moved.npy", "--folder", session)


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-9], lambda content: content[:-9] + b"\x7f" * 9, lambda content: b""]
)
def test_a_damaged_state_is_told_and_the_labels_are_of_use(files, session, tmp_path, damage):
    state = session / "state.safetensors"
    state.write_bytes(damage(state.read_bytes()))
    assert "is damaged" in (said := refused(files, session))
    assert f"the labels are kept: begin anew with --labels {session / 'labels.csv'} and another --folder" in said
    called(*files[2], "--labels", session / "labels.csv", "--folder", tmp_path / "anew", "-n", 4)
    assert (tmp_path / "anew" / "ask-1.csv").read_bytes() == (session / "ask-1.csv").read_bytes()


def test_two_at_once_do_not_meet(files, session):
    with labelling.claimed(session):
        assert "is in use by another cpdgal label" in refused(files, session)


def test_candidates_may_be_few_and_run_out(files, session, tmp_path):
    mask = np.zeros((20, 20))
    mask[3, 4:6] = 1
    np.save(tmp_path / "mask.npy", mask)
    np.save(tmp_path / "small.npy", mask[:5])
    cube = files[2][0]
    fill(session / "ask-1.csv", [1, 1, 2, 3])
    assert (
        "the candidates (5, 20); give a mask of its pixels"
        in call(cube, "--folder", session, "--among", tmp_path / "small.npy").output
    )
    assert "2 pixels, shown in" in called(cube, "--folder", session, "--among", tmp_path / "mask.npy")
    fill(session / "ask-2.csv", [1, "skip"])
    done = call(cube, "--folder", session)
    assert done.exit_code == 1
    assert "every pixel that may be asked for is labelled or skipped; there is nothing to ask for" in done.output
    assert len(pd.read_csv(session / "labels.csv")) == 12


# Sessions that are stopped


def person(arguments, folder):
    """Call and answer until the third round is asked for, or a call is stopped; whether it was not. The class of a pixel is a
    function of its place."""
    while True:
        if (done := call(*arguments, "--folder", folder, "-n", 4)).exit_code == 130:
            return False
        assert done.exit_code == 0, done.output
        if (folder / "ask-3.csv").exists():
            return True
        last = max(folder.glob("ask-*.csv"), key=lambda path: int(path.stem[4:]))
        asked = pd.read_csv(last)
        fill(last, (asked.row // 7 + asked.column // 11) % 3 + 1)


@pytest.fixture(scope="module")
def undisturbed(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "session"
    person(files[2], folder)
    return contents(folder)


def test_a_session_stopped_at_any_write_ends_the_same(files, undisturbed, tmp_path, monkeypatch):
    """Every write is interrupted once before it and once after it."""
    done = set()

    def stopping(writing):
        def write(*arguments):
            content = next(each for each in arguments if not isinstance(each, Path))
            digest = hashlib.sha256(content if isinstance(content, bytes) else b"").hexdigest()
            names = tuple(each.name for each in arguments if isinstance(each, Path))
            for when in ("before", "after"):
                if when == "after":
                    writing(*arguments)
                if (*names, digest, when) not in done:
                    done.add((*names, digest, when))
                    raise KeyboardInterrupt

        return write

    for name in ("write", "write_points"):
        monkeypatch.setattr(labelling, name, stopping(getattr(labelling, name)))
    folder, stops = tmp_path / "session", 0
    while not person(files[2], folder):
        stops += 1
    assert stops == len(done) == 2 * (3 * 3 + 2 * 2)  # state, picture and table of three rounds, labels and network of two
    assert contents(folder) == undisturbed


CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["cpdgal.cli", "cpdgal.plots", "hypothesis", "pytest", "skactiveml.pool", "torch._dynamo"])


def test_a_session_killed_at_random_moments_ends_the_same(files, undisturbed, tmp_path):
    folder, rng, killed = tmp_path / "session", np.random.default_rng(0), 0
    while True:
        child = CHILDREN.Process(target=person, args=(files[2], folder))
        child.start()
        child.join(rng.uniform(0.2, 0.4) * 1.25**killed)  # longer each time, so that a busy machine gets there as well
        child.kill()
        child.join()
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        killed += 1
    assert killed
    left, pictures = contents(folder), {name for name in undisturbed if name.endswith(".png")}
    assert pictures <= {*left}  # drawn in the style of a process, and the children have one of their own
    assert {name: left[name] for name in {*undisturbed} - pictures} == {n: undisturbed[n] for n in {*undisturbed} - pictures}


# Places on earth


@pytest.fixture(scope="module")
def georeferenced(files, tmp_path_factory):
    """The scene as a GeoTIFF in UTM, with rows that go north to south and pixels of 30 m."""
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path_factory.mktemp("place") / "cube.tif"
    cube = np.moveaxis(files[0].cube, -1, 0)
    about = {"driver": "GTiff", "count": len(cube), "height": 20, "width": 20, "dtype": "float32", "crs": "EPSG:32633"}
    with rasterio.open(path, "w", **about, transform=rasterio.Affine(30, 0, 500_000, 0, -30, 5_000_000)) as file:
        file.write(cube)
    return path


def test_asked_pixels_open_in_their_places_and_come_back_from_there(files, georeferenced, tmp_path):
    rasterio, geopandas = pytest.importorskip("rasterio"), pytest.importorskip("geopandas")
    folder = tmp_path / "session"
    called(georeferenced, *files[2][1:], "--folder", folder, "-n", 4)
    points = geopandas.read_file(folder / "ask-1.gpkg")
    assert points.crs == "EPSG:32633"
    with rasterio.open(georeferenced) as file:
        seen = np.array(list(file.sample([(p.x, p.y) for p in points.geometry])))
    np.testing.assert_array_equal(seen, files[0].cube[points.row, points.column])
    table = pd.read_csv(folder / "ask-1.csv")
    np.testing.assert_array_equal(table[["x", "y"]], [(p.x, p.y) for p in points.geometry])

    points["class"] = ["1", "2", "3", "skip"]
    points[::-1].to_file(folder / "ask-1.gpkg", driver="GPKG", layer="ask-1")
    called(georeferenced, "--folder", folder)
    labels = pd.read_csv(folder / "labels.csv")
    assert labels["class"].tolist() == [1, 2, 3, 0]
    assert labels[["row", "column", "x", "y"]].to_numpy().tolist() == table[["row", "column", "x", "y"]].to_numpy().tolist()

    called(georeferenced, *files[2][1:], "--labels", folder / "labels.csv", "--folder", tmp_path / "anew")
    assert (tmp_path / "anew" / "labels.csv").read_text() == (folder / "labels.csv").read_text().replace(",1\n", ",0\n")


def test_first_labels_of_a_vector_file_have_the_names_of_the_classes_and_a_table_has_a_crs(files, georeferenced, tmp_path):
    geopandas, scene = pytest.importorskip("geopandas"), files[0]
    rows, columns = scene.pixels[::9].T
    x, y, true = 500_000 + 30 * (columns + 0.5), 5_000_000 - 30 * (rows + 0.5), scene.targets[::9] + 1
    points = geopandas.GeoDataFrame(
        {"class": np.array(["", "wheat", "grass", "corn"])[true]}, geometry=geopandas.points_from_xy(x, y), crs="EPSG:32633"
    )
    points.to_file(tmp_path / "first.gpkg")
    degrees = points.to_crs("EPSG:4326").geometry
    pd.DataFrame({"x": degrees.x, "y": degrees.y, "class": points["class"]}).to_csv(tmp_path / "first.csv", index=False)
    for number, options in enumerate((["first.gpkg"], ["first.csv", "--crs", "EPSG:4326"])):
        begin = ["--labels", tmp_path / options[0], *options[1:], "--classes", "1=wheat, 2=grass, 3=corn"]
        called(georeferenced, *files[2][1:], *begin, "--folder", tmp_path / str(number), "-n", 1)
        labels = pd.read_csv(tmp_path / str(number) / "labels.csv")
        np.testing.assert_array_equal(scene.labels[labels.row, labels.column], labels["class"])


def test_the_map_of_a_session_reads_its_cube_as_the_session_does(files, georeferenced, tmp_path):
    rows = [(*pixel, k + 1) for k in range(3) for pixel in files[0].pixels[files[0].targets == k][:2]]
    pd.DataFrame(rows, columns=["row", "column", "class"]).to_csv(tmp_path / "first.csv", index=False)
    read = ["--scale", 0.01, "--bands", "2-7"]
    begin = [georeferenced, *files[2][1:], *read, "--labels", tmp_path / "first.csv", "--folder", tmp_path / "session"]
    called(*begin, "-n", 1)
    model, (a, b) = tmp_path / "session" / "model.safetensors", (tmp_path / "a.npy", tmp_path / "b.npy")

    def mapped(*arguments):
        return CliRunner().invoke(app, ["map", str(model), *(str(each) for each in arguments)])

    for options in (["-o", a], [*read, "-o", b]):
        assert mapped(georeferenced, *options).exit_code == 0
    assert a.read_bytes() == b.read_bytes()
    shutil.copy(georeferenced, tmp_path / "other.tif")
    done = mapped(tmp_path / "other.tif", "--bands", "2-7", "-o", a)
    assert "look at this: trained on a cube read with scale=0.01, and" in done.output


def test_a_point_that_was_moved_and_answers_that_contradict_are_told(files, georeferenced, tmp_path):
    geopandas = pytest.importorskip("geopandas")
    folder = tmp_path / "session"
    called(georeferenced, *files[2][1:], "--folder", folder, "-n", 4)
    before = geopandas.read_file(folder / "ask-1.gpkg")
    moved = before.assign(**{"class": "1"})
    moved.loc[2, "geometry"] = type(moved.geometry[2])(500_015, 4_999_985)
    moved.to_file(folder / "ask-1.gpkg", driver="GPKG", layer="ask-1")
    done = call(georeferenced, "--folder", folder)
    assert done.exit_code == 1
    assert "ask-1.gpkg lacks 1 of the pixels that were asked for and has 1 that were not" in done.output
    before.assign(**{"class": "1"}).to_file(folder / "ask-1.gpkg", driver="GPKG", layer="ask-1")
    fill(folder / "ask-1.csv", [None, None, 2, 1])
    done = call(georeferenced, "--folder", folder)
    assert done.exit_code == 1
    row = before.loc[2]
    assert f"ask-1.csv: row {row.row}, column {row.column} has another class than in the other file" in done.output
    fill(folder / "ask-1.csv", [None, None, 1, 1])
    assert "      4  class 1\n" in called(georeferenced, "--folder", folder)


# In Python


def test_without_labels_the_pixels_are_typical_ones_of_different_kinds(files):
    scene = files[0]
    for query in ("margin", "random", "core-set", "farthest-first"):
        asked = cpdgal.suggest(scene, None, 12, query=query, progress=False, **FAST)
        assert list(asked) == ["row", "column"]
        assert len(asked.drop_duplicates()) == 12
    typical = cpdgal.suggest(scene, None, 3, progress=False, **FAST)
    assert set(scene.labels[typical.row, typical.column]) == {1, 2, 3}


def test_one_class_alone_trains_no_network(files, monkeypatch):
    scene = files[0]
    monkeypatch.setattr(suggestions, "Loop", None)
    only = np.where(scene.labels == 1, 1, 0)
    asked = cpdgal.suggest(scene, only, 2, progress=False, **FAST)
    assert 1 not in scene.labels[asked.row, asked.column]
    assert len(cpdgal.suggest(scene, only, 10_000, query="random", progress=False, **FAST)) == (only == 0).sum()


def test_pixels_without_data_and_labelled_ones_are_not_asked_for(files):
    scene = files[0]
    mask = np.zeros(scene.labels.shape, dtype=bool)
    mask[:5] = True
    blank = cpdgal.Scene(scene.cube, scene.labels, mask=mask)
    labels = np.where(np.arange(20) % 2, blank.labels, 0)
    asked = cpdgal.suggest(blank, labels, 400, progress=False, **FAST)
    wanted = np.argwhere(~mask & (labels == 0))
    assert sorted(asked.itertuples(index=False, name=None)) == [tuple(pixel) for pixel in wanted]
    with pytest.raises(ValueError, match="the pixel at row 0, column 1 is labelled and has no data; remove its label"):
        cpdgal.suggest(blank, np.where(np.arange(20) % 2, scene.labels, 0), 1, progress=False, **FAST)


def test_any_pixel_may_be_asked_for_by_the_smallest_margins(files):
    """By a plain reading: train on the labels, predict every other pixel."""
    scene = files[0]
    labels = np.zeros_like(scene.labels)
    labels[tuple(scene.pixels[::12].T)] = scene.targets[::12] + 1
    asked = cpdgal.suggest(scene, labels, 20, seed=3, progress=False, **FAST)
    study = cpdgal.Study(scene="synthetic", seed=3, **FAST)
    windows, network = study.make_windows(scene, None), study.make_network(scene)
    rngs = [np.random.default_rng(each) for each in np.random.SeedSequence(3).spawn(4)]
    generator = torch.Generator().manual_seed(int(rngs[2].integers(2**63)))
    x, y = windows[np.arange(len(scene.pixels))[::12]], torch.from_numpy(scene.targets[::12])
    cpdgal.fit(network, x, y, study.protocol, generator=generator, progress=False)
    rest = np.argwhere(labels == 0)
    margins = cpdgal.margin(cpdgal.predict(network, [windows.at(*rest.T)]))
    np.testing.assert_array_equal(asked, rest[np.argsort(margins, kind="stable")[:20]])


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["margin", "random", "farthest-first", "balanced-entropy"]),
    st.integers(0, 9),
    st.integers(1, 30),
    st.integers(0, 2**32),
)
def test_pixels_of_a_round_keep_their_distance(query, distance, count, seed):
    rng = np.random.default_rng(seed)
    pixels = np.argwhere(rng.random((12, 15)) < 0.5)
    candidates = Candidates(rng.dirichlet(np.ones(4), len(pixels)), pixels, pixels[:1] + 20)
    chosen = select(query, candidates, count, np.random.default_rng(seed), distance)
    apart = abs(pixels[chosen][:, None] - pixels[chosen]).max(2)
    assert (apart[~np.eye(len(chosen), dtype=bool)] >= max(distance, 1)).all()
    if len(chosen) < count:  # then no other pixel is far enough
        assert (abs(pixels[:, None] - pixels[chosen]).max(2).min(1) < max(distance, 1)).all()
    if query == "margin":  # the order of the margins, and none left out that is far enough from all before it
        order = select(query, candidates, len(pixels), rng)
        expected = []
        for position in order:
            if all(abs(pixels[position] - pixels[other]).max() >= distance for other in expected):
                expected.append(position)
        assert chosen.tolist() == expected[:count]


def test_features_and_draws_are_computed_once_for_a_round_at_a_distance():
    pixels, asked = np.argwhere(np.ones((8, 8))), []
    points = np.random.default_rng(0).standard_normal((64, 3))

    def features():
        asked.append(1)
        return points, points[:2]

    candidates = Candidates(np.ones((64, 2)) / 2, pixels, pixels[:2], features)
    chosen = select("core-set", candidates, 6, np.random.default_rng(0), 3)
    assert len(asked) == 1
    assert len(chosen) == 6


def test_a_large_scene_is_looked_at_in_part_where_features_are_compared(files, monkeypatch):
    scene = files[0]
    monkeypatch.setattr(suggestions, "SAMPLE", 40)
    labels = np.where(np.arange(400).reshape(20, 20) % 5, 0, scene.labels)
    for query, known, said in (
        ("core-set", labels, "among 40 of the"),
        ("margin", labels, ""),
        ("margin", None, "among 40 of the"),
    ):
        study = cpdgal.Study(scene="synthetic", query=query, **FAST)
        points = suggestions._table(known, scene)
        found = suggestions.next_pixels(scene, study, points, None, 100, 0, None, {}, False)
        assert (said in found.note) == (len(found.pixels) == 40 if said else not found.note)
        assert len(found.pixels) == (40 if said else 100)


@pytest.mark.parametrize(
    ("labels", "options", "sentence"),
    [
        (np.ones((3, 3), dtype=int), {}, r"cube is 20 x 20 pixels and the labels \(3, 3\)"),
        (pd.DataFrame({"row": [1], "column": [1]}), {}, "the labels have no class; give a table of row, column and class"),
        (pd.DataFrame({"row": [1], "column": [20], "class": [1]}), {}, "labels are whole numbers"),
        (pd.DataFrame({"row": [1, 1], "column": [2, 2], "class": [1, 1]}), {}, "each pixel once"),
        (pd.DataFrame({"row": [1], "column": [2], "class": [0.5]}), {}, "labels are whole numbers"),
        (None, {"query": "best"}, "no query strategy is called 'best'"),
        (None, {"count": 0}, "a round asks for 1 pixel at least"),
        (None, {"distance": -1}, "at a distance from 0 up"),
        (None, {"among": np.zeros((20, 20))}, "there is nothing to ask for"),
        (None, {"method": "coordinates"}, "coordinates is never unsure, so it has nothing to ask"),
        (None, {"split": "block"}, "a labelling has no pool and no test pixels, so it takes no split"),
    ],
)
def test_what_cannot_be_is_refused_in_python(files, labels, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        cpdgal.suggest(files[0], labels, **{"count": 3, "progress": False, **FAST, **options})
