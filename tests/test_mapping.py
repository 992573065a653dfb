"""Maps of whole scenes: tile by tile, from every format, killed and joined; what is in their files, and what is refused."""

import json
import re
import resource
import signal
import time
from collections import namedtuple
from functools import partial

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from matplotlib.image import imread
from rasterio.transform import from_origin
from scipy.io import savemat
from small import SMALL, contents, one_sentence, run
from spectral.io import envi
from test_faults import Child
from test_readers import write_v73
from typer.testing import CliRunner

import cpdgal
from cpdgal import Record, RecordError, Scene, SceneError, mapping, windows
from cpdgal.assess import ClassMap
from cpdgal.cli import app
from cpdgal.mapping import Source, opened, write_map
from cpdgal.readers import Georeference

HEIGHT, WIDTH, BANDS = 20, 23, 8
CENTERS = np.linspace(450.0, 900.0, BANDS)
PLACE = from_origin(500_000, 4_400_000, 20, 20)
VALUES = np.array([7, 10, 99])  # of the ground truth, 0 = unlabelled


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(mapping, "TILE", (6, 9))
    monkeypatch.setattr(mapping, "CHUNK", 17)


@pytest.fixture(scope="module")
def made():
    """A small scene of one's own, with wavelengths."""
    plain = cpdgal.load_scene("synthetic", height=HEIGHT, width=WIDTH, bands=BANDS, classes=3)
    labels = np.concatenate([[0], VALUES])[plain.labels]
    return Scene(np.round(1000 * plain.cube), labels, ["maize", "soy & co", "<b>fen</b> $x"], CENTERS, "own")


@pytest.fixture(scope="module")
def trained(made, tmp_path_factory):
    """A record of it with weights."""
    folder = tmp_path_factory.mktemp("own")
    np.savez(folder / "own.npz", cube=made.cube, truth=made.labels, values=made.cube[0, 0])
    np.save(folder / "truth.npy", np.concatenate([[0], VALUES])[made.labels])
    write_tiff(folder / "own.tif", made.cube)
    study = SMALL.but(scene=str(folder / "own.tif"), labels_path=str(folder / "truth.npy"), pool=0.4, initial=0.2)
    return run(study, folder / "results", weights=True)


def write_tiff(path, cube, **about):
    kind = {"height": cube.shape[0], "width": cube.shape[1], "count": cube.shape[2], "dtype": cube.dtype}
    kind |= {"crs": "EPSG:32616", "transform": PLACE}
    with rasterio.open(path, "w", driver="GTiff", **kind | about) as file:
        file.write(np.moveaxis(cube, -1, 0))
        for band, center in enumerate(CENTERS[: cube.shape[2]], 1):
            file.update_tags(band, wavelength=str(center), wavelength_units="nm")


def quiet(record, out, source=None, **options):
    return write_map(record, out, source, progress=False, **options)


def call(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


# What is predicted


@pytest.mark.parametrize("tile", [(6, 9), (1, 40), (40, 1), (100, 100)])
def test_tiles_give_the_map_of_the_whole_scene(trained, tmp_path, monkeypatch, tile):
    monkeypatch.setattr(mapping, "TILE", tile)
    scene = trained.study.load_scene()
    quiet(trained, tmp_path / "map.npy", outputs=["probabilities", "entropy", "confidence"])
    network, projection = trained.trained()
    of_all = windows.Windows(scene, trained.study.window, projection=projection).scene_batches()
    expected = cpdgal.predict(network, of_all).reshape(HEIGHT, WIDTH, 3).numpy()
    found = np.load(tmp_path / "map-probabilities.npy")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy"), VALUES[trained.map(scene) - 1])
    np.testing.assert_array_equal(np.load(tmp_path / "map-confidence.npy"), found.max(2))
    relative = -(found * np.log(found)).sum(2) / np.log(3)
    np.testing.assert_allclose(np.load(tmp_path / "map-entropy.npy"), relative, atol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.parametrize("padding", windows.PADDINGS)
@pytest.mark.parametrize("window", [1, 6, 15])
def test_the_edge_of_a_tile_is_no_edge_of_the_scene(made, trained, tmp_path, padding, window):
    """A network that answers with the values of its window's corners knows what it saw."""

    class Corners(torch.nn.Module):
        def forward(self, x):
            return torch.stack([x[:, 0, 0, 0], x[:, 1, -1, -1], x[:, 0, 0, -1]], 1)

    projection = windows.Projection(2, whiten=False).fit(made.cube.reshape(-1, BANDS))
    record = planted(trained, Corners(), projection, window=window, padding=padding)
    quiet(record, tmp_path / "map.npy", Source.of(made), outputs=["probabilities"])
    whole = windows.Windows(made, window, padding=padding, projection=projection).scene_batches()
    expected = cpdgal.predict(Corners(), whole).reshape(HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(np.load(tmp_path / "map-probabilities.npy"), expected, atol=1e-6)


def planted(record, network, projection, **changes):
    """The record with another network and another window."""
    other = Record(**{**vars(record), "study": record.study.but(**changes)})
    object.__setattr__(other, "trained", lambda: (network, projection))
    return other


def test_every_format_of_a_scene_has_the_same_map(made, trained, tmp_path):
    np.save(tmp_path / "a.npy", made.cube)
    savemat(tmp_path / "a.mat", {"cube": made.cube})
    write_v73(tmp_path / "v73.mat", cube=made.cube)
    write_tiff(tmp_path / "rows.tif", made.cube)
    write_tiff(tmp_path / "tiled.tif", made.cube, tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    for order in ("bsq", "bil", "bip"):
        envi.save_image(str(tmp_path / f"{order}.hdr"), made.cube, interleave=order, dtype=np.float32)
    maps = {}
    for path in [*tmp_path.iterdir()]:
        if path.suffix != ".img":
            done = call("map", trained.path, path, "-o", tmp_path / "map.npy", "--probabilities")
            assert done.exit_code == 0, done.output
            maps[path.name] = (tmp_path / "map.npy").read_bytes(), (tmp_path / "map-probabilities.npy").read_bytes()
    assert len(maps) == 8
    assert len({*maps.values()}) == 1
    quiet(trained, tmp_path / "map.npy", outputs=["probabilities"])
    assert maps["a.npy"] == ((tmp_path / "map.npy").read_bytes(), (tmp_path / "map-probabilities.npy").read_bytes())


def test_cores_do_not_matter(trained, tmp_path):
    for jobs in (1, 3):
        (tmp_path / str(jobs)).mkdir()
        quiet(trained, tmp_path / f"{jobs}/map.tif", outputs=["probabilities", "entropy"], jobs=jobs)
    assert contents(tmp_path / "1") == contents(tmp_path / "3")


def test_reading_options_count_for_a_raster_that_stays_on_disk(made, trained, tmp_path):
    """Twice as many bands, tenfold values, a no-data value: the map is that of the plain cube, but where there is none."""
    cube = np.repeat(made.cube, 2, axis=2) / 10
    cube[3:5, 2:20] = -1
    about = {"height": HEIGHT, "width": WIDTH, "count": 2 * BANDS, "dtype": "float64", "transform": PLACE}
    with rasterio.open(tmp_path / "odd.tif", "w", driver="GTiff", **about) as file:
        file.write(np.moveaxis(cube.astype(float), -1, 0))
    options = ("--bands", ",".join(str(2 * band + 1) for band in range(BANDS)), "--scale", 10, "--no-data", -1)
    done = call("map", trained.path, tmp_path / "odd.tif", "-o", tmp_path / "map.npy", *options, "--entropy")
    assert done.exit_code == 0, done.output
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[3:5, 2:20] = True
    expected = VALUES[trained.map(Scene(made.cube, None, mask=mask), elsewhere=True) - 1]
    found = np.load(tmp_path / "map.npy")
    assert (found[mask] == 0).all()
    np.testing.assert_array_equal(found[~mask], expected[~mask])
    np.testing.assert_array_equal(np.isnan(np.load(tmp_path / "map-entropy.npy")), mask)


def test_only_labelled_pixels_where_that_is_asked(made, trained, tmp_path):
    quiet(trained, tmp_path / "map.npy", labelled=True)
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy") > 0, made.labels > 0)
    folder = trained.path.parents[1]
    done = call(
        "map", trained.path, folder / "own.tif", "-o", tmp_path / "b.npy", "--labelled", "--labels", folder / "truth.npy"
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "b.npy").read_bytes() == (tmp_path / "map.npy").read_bytes()
    with pytest.raises(SceneError, match="has no ground truth, so none of its pixels is labelled"):
        quiet(trained, tmp_path / "c.npy", Scene(made.cube, None), labelled=True)


# What is written


def test_a_geotiff_keeps_its_place_and_says_what_its_values_are(made, trained, tmp_path):
    written = quiet(trained, tmp_path / "map.tif", outputs=["entropy", "probabilities"], legend=tmp_path / "legend.png")
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()}
    with rasterio.open(tmp_path / "map.tif") as file:
        assert (file.crs, file.transform, file.nodata, file.dtypes) == ("EPSG:32616", PLACE, 0, ("uint8",))
        colours = file.colormap(1)
        for value, colour in zip(VALUES, made.palette, strict=True):
            np.testing.assert_allclose(np.array(colours[value][:3]) / 255, colour, atol=1 / 255)
        classes = file.read(1)
    with rasterio.open(tmp_path / "map-probabilities.tif") as file:
        assert (file.crs, file.transform, file.count) == ("EPSG:32616", PLACE, 3)
        assert file.descriptions == tuple(trained.classes.index)
        np.testing.assert_array_equal(VALUES[file.read().argmax(0)], classes)
    with rasterio.open(tmp_path / "map-entropy.tif") as file:
        assert file.transform == PLACE
        assert (file.read(1) >= 0).all()
    read = ClassMap.open(tmp_path / "map.tif")
    assert read.names == dict(zip(VALUES, trained.classes.index, strict=True))
    assert read.sizes().to_dict() == {value: count for value in VALUES if (count := (classes == value).sum())}
    assert imread(tmp_path / "legend.png").shape[1] > 900


def test_names_of_classes_go_into_a_legend_as_they_are(made, tmp_path):
    counts = np.array([1000, 0, 500])
    figure = cpdgal.plots.map_with_legend(made.labels, counts, made.class_names, made.palette, 2, 30.0)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["maize (66.7 %)", "<b>fen</b> $x (33.3 %)"]
    assert "200 m" in [text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text"))]
    figure.savefig(tmp_path / "legend.png")


def test_a_png_has_the_colours_of_the_classes(made, trained, tmp_path):
    quiet(trained, tmp_path / "map.png", labelled=True)
    expected = np.vstack([np.ones(3), made.palette])[np.where(made.labels > 0, trained.map(trained.study.load_scene()), 0)]
    np.testing.assert_allclose(imread(tmp_path / "map.png")[..., :3], expected, atol=1 / 255)


def test_a_class_that_is_called_0_moves_all_to_1_and_up(made, trained, tmp_path):
    about = json.loads(json.dumps({"label_values": [0, 1, 2], "classes": ["a", "b", "c"], "palette": made.palette.tolist()}))
    record = Record(**vars(trained))
    object.__setattr__(record, "training_scene", lambda: {**about, "band_centers_nm": None})
    quiet(record, tmp_path / "map.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy"), trained.map(trained.study.load_scene()))


def test_weights_that_do_not_know_their_scene_ask_it(trained, monkeypatch):
    known = trained.training_scene()
    assert known["label_values"] == VALUES.tolist()
    np.testing.assert_allclose(known["band_centers_nm"], CENTERS)
    monkeypatch.setattr("cpdgal.records.opened", lambda path: ({}, {"about": "{}"}))
    asked = trained.training_scene()
    assert list(asked["label_values"]) == VALUES.tolist()
    np.testing.assert_allclose(asked["band_centers_nm"], CENTERS)
    away = Record(**{**vars(trained), "study": trained.study.but(scene="gone.npy")})
    assert list(away.training_scene()["label_values"]) == [1, 2, 3]


def test_the_network_of_a_labelling_maps_without_a_record(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tiff(tmp_path / "field.tif", made.cube)
    small = {name: SMALL.form[name] for name in ("components", "window", "dim", "heads", "layers", "epochs")}
    given = [part for name, value in small.items() for part in ("--set", f"{name}={value}")]
    for _ in range(3):
        done = call("label", "field.tif", *given, "--profile", "smoke", "--classes", "7=maize, 10=soy, 99=fen", "-n", 10)
        assert done.exit_code == 0, done.output
        asked = max(tmp_path.glob("field-labels/ask-*.csv"))
        table = pd.read_csv(asked)
        table["class"] = np.concatenate([[7], VALUES])[made.labels][table["row"], table["column"]]
        table.to_csv(asked, index=False)
    assert "keep labelling: kappa between successive maps " in done.output
    model = tmp_path / "field-labels/model.safetensors"
    assert f"cpdgal map {model.relative_to(tmp_path)} field.tif -o map.tif" in done.output
    assert call("map", model).exit_code == 0
    with rasterio.open("map.tif") as file:
        assert {name: text for name, text in file.tags(1).items() if "class_" in name} == {
            "class_7": "maize",
            "class_10": "soy",
            "class_99": "fen",
        }
        assert file.transform == PLACE
        found = file.read(1)
    network, projection = cpdgal.weights.Trained.read(model).trained()
    of_all = windows.Windows(made, SMALL.window, projection=projection).scene_batches()
    np.testing.assert_array_equal(found.ravel(), VALUES[cpdgal.predict(network, of_all).argmax(1)])
    write_tiff(tmp_path / "field.tif", made.cube[::-1])
    sentence(call("map", model).output, "model.safetensors was trained on data with checksum .*bring the data back")
    state = tmp_path / "field-labels/state.safetensors"
    sentence(call("map", state).output, "state.safetensors holds no trained network .'about'.; give a record, or what")


# Killed, shared, and joined


def maps(telling, path, out):
    """In a child: map slowly, with small tiles."""
    mapping.TILE, mapping.CHUNK = (6, 9), 17
    slow(mapping._Tiles, "save")
    quiet(Record.read(path), out, outputs=["probabilities", "entropy"])
    telling.send("done")


def slow(owner, name):
    kept = getattr(owner, name)

    def slowly(*args):
        kept(*args)
        time.sleep(0.2)

    setattr(owner, name, slowly)


def test_a_map_that_is_killed_ten_times_is_the_same_to_the_byte(trained, tmp_path):
    (tmp_path / "expected").mkdir()
    quiet(trained, tmp_path / "expected/map.tif", outputs=["probabilities", "entropy"])
    place = tmp_path / "killed"
    place.mkdir()
    rng, counts = np.random.default_rng(0), [0]
    for _ in range(10):
        with Child(maps, trained.path, place / "map.tif") as child:
            while len([*place.rglob("*.npz")]) <= counts[-1]:
                assert child.process.is_alive()
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.2))
            assert child.kill() == -signal.SIGKILL
        counts.append(len([*place.rglob("[0-9]*.npz")]))
        assert not (place / "map.tif").exists()
    assert counts == sorted(set(counts))
    predicted = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            mapping._Tiles, "save", lambda *args, save=mapping._Tiles.save: (predicted.append(args[1]), save(*args))
        )
        quiet(trained, place / "map.tif", outputs=["probabilities", "entropy"])
    assert len(predicted) == 12 - counts[-1]
    assert contents(place) == contents(tmp_path / "expected")


def test_shares_side_by_side_are_joined_by_a_call_without(trained, tmp_path):
    quiet(trained, tmp_path / "whole.npy")
    for own in (3, 1):
        assert quiet(trained, tmp_path / "map.npy", share=(own, 3)) == []
        assert not (tmp_path / "map.npy").exists()
    done = call("map", trained.path, "-o", tmp_path / "map.npy", "--share", "2/3")
    assert "share 2/3 is done" in done.output
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mapping, "predict", lambda *args: pytest.fail("all was predicted"))
        quiet(trained, tmp_path / "map.npy")
    assert contents(tmp_path).keys() == {"whole.npy", "map.npy"}
    assert (tmp_path / "map.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_tiles_of_other_data_are_not_taken(made, trained, tmp_path):
    write_tiff(tmp_path / "a.tif", made.cube)
    with opened(str(tmp_path / "a.tif")) as source:
        quiet(trained, tmp_path / "map.npy", source, share=(1, 2))
    write_tiff(tmp_path / "a.tif", made.cube[::-1])
    with opened(str(tmp_path / "a.tif")) as source:
        quiet(trained, tmp_path / "map.npy", source)
    expected = VALUES[trained.map(Scene(made.cube[::-1], None), elsewhere=True) - 1]
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy"), expected)
    assert not [*tmp_path.glob(".map*")]


# What is refused


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "map.gif"), "a map is written to a .tif, .npy or .png file, not to"),
        (("-o", "nowhere/map.tif"), "nowhere is no folder; make it first"),
        (("-o", "map.png", "--entropy"), "a .png holds classes alone; write entropy with a .tif or .npy"),
        (("-o", "map.npy", "--legend", "legend.txt"), "a legend is written to a .png, .svg or .pdf file"),
        (("-o", "map.npy", "--legend", "no/legend.png"), "no is no folder; make it first"),
        (("-o", "map.npy", "--share", "3/2"), "--share takes one of so many, such as 2/4, not '3/2'"),
        (("-o", "map.npy", "--labels", "truth.npy"), "belong to another scene"),
        (("-o", "map.npy", "--scale", "2"), "belong to another scene"),
        (("-o", "map.npy", "--device", "cuda:9"), "this machine has no device cuda:9"),
        (("fewer.tif", "-o", "map.npy"), "fewer has 5 bands, and own-cpdgal-random-margin-smoke-0-.* was trained on 8"),
        (("shifted.tif", "-o", "map.npy"), "shifted has band 8 at 1000 nm, and own-.* was trained with 900 nm there; resample"),
        (("gone.tif", "-o", "map.npy"), "gone.tif does not exist or is not a file"),
        (("cut.tif", "-o", "map.npy"), "cut.tif cannot be read .*fetch it again"),
        (
            ("nan.tif", "-o", "map.npy"),
            "nan, rows 5 to 12, columns 8 to 18: the cube is NaN or infinite in 1 of 88 pixels and 1 of 8 bands .*from 1: 3.",
        ),
    ],
)
def test_what_cannot_be_mapped_is_one_sentence_and_nothing_is_predicted(made, trained, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    write_tiff(tmp_path / "fewer.tif", made.cube[..., :5])
    write_tiff(tmp_path / "shifted.tif", made.cube)
    with rasterio.open("shifted.tif", "r+") as file:
        file.update_tags(8, wavelength="1000")
    (tmp_path / "cut.tif").write_bytes((tmp_path / "fewer.tif").read_bytes()[:200])
    holed = made.cube.copy()
    holed[9, 13, 2] = np.nan
    write_tiff(tmp_path / "nan.tif", holed)
    if "nan.tif" not in arguments:
        monkeypatch.setattr(mapping, "predict", lambda *args: pytest.fail("something was predicted"))
    before = {path.name for path in tmp_path.iterdir()}
    done = call("map", trained.path, *arguments)
    assert done.exit_code == 1
    sentence(done.output, said)
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".part"} == before


def sentence(output, wanted):
    """The one sentence of an output, beside progress bars."""
    (said,) = filter(str.strip, re.sub(r"\w*:\s+\d+%\|[^\]]*pixels/s\]", "\n", output).replace("\r", "\n").splitlines())
    assert re.search(wanted, said), said
    assert not re.search(r"Errno|Traceback", said)


def test_a_crs_that_nobody_knows_is_told_before(made, trained, tmp_path):
    source = Source.of(Scene(made.cube, None, georeference=Georeference("UTM somewhere", tuple(PLACE)[:6])))
    with pytest.raises(SceneError, match=r"has a CRS that is not known .'UTM somewhere'.; correct its header") as error:
        quiet(trained, tmp_path / "map.tif", source)
    one_sentence(error)
    assert not [*tmp_path.iterdir()]


def test_a_full_disk_is_told_before_and_while_it_is_written(trained, tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    with monkeypatch.context() as patched:
        patched.setattr(mapping.shutil, "disk_usage", lambda folder: usage(1000))
        with pytest.raises(RecordError, match=r"the map takes up to 0 MB in .* and it has 0; make room") as error:
            quiet(trained, tmp_path / "map.tif")
        one_sentence(error)
    assert not [*tmp_path.iterdir()]
    with Child(maps_short_of_room, trained.path, tmp_path / "map.npy") as child:
        said = child.hear()
        assert child.wait() == 0
    assert "could not be written (File too large); make room or choose another folder; the same command goes on" in said
    assert not (tmp_path / "map.npy").exists()
    quiet(trained, tmp_path / "map.npy", outputs=["probabilities"])
    assert contents(tmp_path).keys() == {"map.npy", "map-probabilities.npy"}


def test_a_geotiff_that_a_full_disk_cuts_short_is_told(trained, tmp_path):
    """Its tiles fit, its end does not, and GDAL does not say so."""
    out, planes = tmp_path / "map.tif", ["probabilities"]
    soft = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, soft[1]))
    try:
        with pytest.raises(
            RecordError, match=r"map-probabilities.tif could not be written .*; make room, or choose another"
        ) as error:
            quiet(trained, out, outputs=planes)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft)
    one_sentence(error)
    assert not {*contents(tmp_path)} & {"map-probabilities.tif", ".map-probabilities.part.tif"}
    assert [path.name for path in quiet(trained, out, outputs=planes)] == ["map.tif", "map-probabilities.tif"]
    with rasterio.open(tmp_path / "map-probabilities.tif") as file:
        np.testing.assert_allclose(file.read().sum(0), 1, rtol=1e-5)


def maps_short_of_room(telling, path, out):
    """In a child: map where no file may be larger than half a kilobyte from the fourth tile on."""
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (500, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    mapping.TILE = (6, 9)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    kept = mapping._Tiles.save

    def save(tiles, number, planes):
        if number == 3:
            limit()
        kept(tiles, number, planes)

    mapping._Tiles.save = save
    try:
        quiet(Record.read(path), out, outputs=["probabilities"])
    except RecordError as error:
        telling.send(str(error))
