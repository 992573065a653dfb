"""Design-based accuracy and areas: published worked examples, coverage by simulation, maps and points on disk."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cpdgal import SceneError
from cpdgal.assess import ClassMap, allocate, assess, estimate, read_points
from cpdgal.cli import app

OLOFSSON = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
CLASSES = np.array(["deforestation", "forest gain", "stable forest", "stable non-forest"])
SIZES = pd.Series([200_000, 150_000, 3_200_000, 6_450_000], index=CLASSES)


def units(matrix):
    """The points of an error matrix: map class and reference class."""
    mapped, reference = np.indices(matrix.shape)
    return CLASSES[np.repeat(mapped.ravel(), matrix.ravel())], CLASSES[np.repeat(reference.ravel(), matrix.ravel())]


def test_worked_example_of_olofsson_2014():
    """Olofsson et al. 2014, Remote Sensing of Environment 148, Section 5: to the printed digits."""
    found = estimate(*units(OLOFSSON), SIZES)
    assert (round(found.overall, 2), round(found.overall_halfwidth, 2)) == (0.95, 0.02)
    assert found.classes.user.round(2).tolist() == [0.88, 0.73, 0.93, 0.96]
    assert found.classes["user ±"].round(2).tolist() == [0.07, 0.10, 0.04, 0.02]
    hectares = found.classes[["area", "area ±"]].iloc[0] * SIZES.sum() * 30**2 / 1e4
    assert hectares.round().tolist() == [21158, 6158]
    assert found.classes.area.sum() == pytest.approx(1)
    assert np.trace(found.matrix) == pytest.approx(found.overall)


def test_worked_example_of_stehman_2014():
    """Stehman 2014, International Journal of Remote Sensing 35, Section 4: strata that are not the map's classes."""
    strata = [*"A" * 10, *"B" * 10, *"C" * 10, *"D" * 10]
    mapped = [*"AAAAAAABBB", "A", *"B" * 11, *"CCCCCC", *"BB", *"D" * 10]
    reference = [*"AAAAACBABC", *"ABBBBBAABB", *"CCCCCDDBBA", *"DDDDDDDCCB"]
    found = estimate(mapped, reference, pd.Series({"A": 40_000, "B": 30_000, "C": 20_000, "D": 10_000}), strata)
    table = found.classes
    assert (round(found.overall, 2), round(found.overall_halfwidth / 1.96, 3)) == (0.63, 0.085)
    assert table.area[["A", "C"]].round(2).tolist() == [0.35, 0.20]
    assert (table["area ±"][["A", "C"]] / 1.96).round(3).tolist() == [0.082, 0.064]
    assert (table.user["B"].round(3), round(table["user ±"]["B"] / 1.96, 3)) == (0.574, 0.125)
    assert table.producer["B"].round(3) == 0.794
    assert found.matrix.loc["B", "C"] == pytest.approx(0.08)


def test_sample_size_of_olofsson_2014():
    """Section 5.1.1: a standard error of 0.01 takes 641 points."""
    weights = pd.Series([0.020, 0.015, 0.320, 0.645]) * 1e7
    points = allocate(weights, 0.01 * 1.96, pd.Series([0.7, 0.6, 0.9, 0.95]), at_least=2)
    assert points.tolist() == [13, 10, 206, 414]  # 641, each share rounded up
    assert allocate(weights, 0.01 * 1.96, 0.8, at_least=75).iloc[1] == 75
    assert allocate(pd.Series([20, 10_000]), 0.05, at_least=50).iloc[0] == 20


@pytest.mark.parametrize("design", ["stratified", "random"])
def test_intervals_hold_the_truth_in_95_of_100_samples(design):
    rng = np.random.default_rng(3)
    shares = np.array([[0.16, 0.03, 0.01], [0.02, 0.24, 0.04], [0.03, 0.05, 0.42]])
    mapped, true = np.divmod(np.repeat(np.arange(9), np.round(60_000 * shares.ravel()).astype(int)), 3)
    sizes = pd.Series(np.bincount(mapped))
    of_class = [np.flatnonzero(mapped == each) for each in range(3)]
    area, held = np.bincount(true) / len(true), []
    for _ in range(2000):
        drawn = (
            rng.choice(len(true), 900) if design == "random" else np.concatenate([rng.choice(each, 300) for each in of_class])
        )
        found = estimate(mapped[drawn], true[drawn], sizes)
        held.append([abs(found.overall - (mapped == true).mean()) <= found.overall_halfwidth])
        held[-1] += (abs(found.classes.area - area) <= found.classes["area ±"]).tolist()
        user = np.array([(true[each] == name).mean() for name, each in enumerate(of_class)])
        held[-1] += (abs(found.classes.user - user) <= found.classes["user ±"]).tolist()
    coverage = 100 * np.mean(held, axis=0)
    assert coverage == pytest.approx(95, abs=1.5)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=4, max_size=4))
def test_estimates_are_shares(matrix):
    matrix = np.array(matrix)
    if (matrix.sum(1) < 2).any():
        with pytest.raises(ValueError, match="takes two of every stratum"):
            estimate(*units(matrix), SIZES)
        return
    found = estimate(*units(matrix), SIZES)
    assert found.matrix.to_numpy().sum() == pytest.approx(1)
    known = found.classes[["user", "producer", "area"]].stack().dropna()
    assert known.between(-1e-9, 1 + 1e-9).all()


@pytest.fixture
def a_map(tmp_path):
    classes = np.zeros((60, 50), dtype=np.uint8)
    classes[:40], classes[40:55] = 1, 7
    np.save(tmp_path / "map.npy", classes)
    return tmp_path / "map.npy"


def call(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_design_then_assess(a_map, tmp_path):
    out, classes = tmp_path / "points.csv", np.load(a_map)
    done = call("assess", "design", a_map, "-o", out, "--at-least", 30)
    assert done.exit_code == 0, done.output
    points = pd.read_csv(out)
    drawn = classes[points.row, points.column]
    sizes = pd.Series(np.bincount(classes.ravel())[[1, 7]], index=[1, 7])
    assert pd.Series(drawn).value_counts().sort_index().tolist() == allocate(sizes, 0.05, 0.8, 30).tolist()
    assert not points.duplicated(["row", "column"]).any()
    assert "class is empty" in call("assess", a_map, "--reference", out).output
    points.assign(**{"class": drawn}).to_csv(out, index=False)
    done = call("assess", a_map, "--reference", out)
    assert done.exit_code == 0, done.output
    assert "overall accuracy 100.0 ± 0.0 %" in done.output
    assert "class 7" in done.output
    assert "may hold a person's work" in call("assess", "design", a_map, "-o", out).output


def test_a_draw_does_not_depend_on_strips(a_map, monkeypatch):
    drawn = ClassMap.open(a_map).draw(pd.Series({1: 40, 7: 30}))
    monkeypatch.setattr("cpdgal.assess.STRIP", 350)
    again = ClassMap.open(a_map).draw(pd.Series({1: 40, 7: 30}))
    places = ["row", "column"]
    assert {*map(tuple, drawn[places].to_numpy())} == {*map(tuple, again[places].to_numpy())}
    assert (np.load(a_map)[again.row, again.column] > 0).all()


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("row,column\n1,1", "has no column 'class'"),
        ("row,column,class\n1,99,1", "point 1: it does not lie on the map of 60 x 50"),
        ("row,column,class\n1,2.5,1", "point 1: it does not lie on the map"),
        ("row,column,class\n1,1,1\n2,2,", "point 2: the class is empty"),
        ("row,column,class\n1,1,1\n1,1,7", "point 2: this pixel was named before"),
        ("row,column,class\n58,1,1", "row 58, column 1 has no class on the map"),
        ("row,column,class\n1,1,water", "'water' is no class of the map"),
        ("row,column,class\n1,1,1\n2,2,1", "class 7 has 0 reference points"),
        ("", "cannot be read as a table"),
    ],
)
def test_points_that_cannot_be_used_are_one_sentence(rows, sentence, a_map, tmp_path):
    (tmp_path / "points.csv").write_text(rows)
    done = call("assess", a_map, "--reference", tmp_path / "points.csv")
    assert done.exit_code == 1
    assert sentence in done.output
    assert len(done.output) < 400


@pytest.mark.parametrize(("separator", "decimal"), [(",", "."), (";", ","), (";", "."), ("\t", ",")])
def test_points_that_a_spreadsheet_saved(a_map, tmp_path, separator, decimal):
    points = ClassMap.open(a_map).draw(pd.Series({1: 40, 7: 30})).drop(columns="class")
    points["Class"] = np.load(a_map)[points.row, points.column] * 1.0
    points.to_csv(tmp_path / "plain.csv", index=False)
    text = points.to_csv(sep=separator, decimal=decimal, index=False, lineterminator="\r\n") + 2 * separator + "\r\n"
    (tmp_path / "saved.csv").write_bytes(text.encode("utf-8-sig"))
    plain, saved = (call("assess", a_map, "--reference", tmp_path / f"{name}.csv") for name in ("plain", "saved"))
    assert plain.exit_code == 0, plain.output
    assert saved.output == plain.output


def test_a_class_of_one_pixel_is_known_when_it_is_looked_at(tmp_path):
    classes = np.ones((10, 20), dtype=np.uint8)
    classes[3, 4] = 2
    np.save(tmp_path / "map.npy", classes)
    done = call("assess", "design", tmp_path / "map.npy", "-o", tmp_path / "points.csv")
    assert done.exit_code == 0, done.output
    points = pd.read_csv(tmp_path / "points.csv")
    points["class"] = classes[points.row, points.column]
    found = assess(ClassMap.open(tmp_path / "map.npy"), points.astype({"class": str}))
    assert (found.overall, found.overall_halfwidth) == (1, 0)
    assert found.classes.loc["class 2", "area"] == pytest.approx(1 / 200)


@pytest.mark.parametrize(
    ("mapped", "reference", "sizes", "sentence"),
    [
        ([1, 1, 2, 2], [1, 1, 2], {1: 5, 2: 5}, "4 classes on the map and 3 true ones; give one of both for every point"),
        ([1, 1, 2, 2], [1, 1, 2, np.nan], {1: 5, 2: 5}, "give one of both for every point"),
        ([1, 1], [1, 1], {1: 5, 2: -3}, "a stratum has a size below 0, or none"),
        ([1, 1], [1, 1], {1: 5, 2: np.nan}, "a stratum has a size below 0, or none"),
        ([1, 1, 1], [1, 1, 2], {1: 2}, "1 has more reference points than pixels"),
    ],
)
def test_samples_that_cannot_be(mapped, reference, sizes, sentence):
    with pytest.raises(ValueError, match=sentence):
        estimate(mapped, reference, pd.Series(sizes))


def test_maps_that_are_none(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 3, 3)))
    for path, sentence in ((tmp_path / "a.npy", "is no map of classes"), (tmp_path / "none.npy", "cannot be read as a map")):
        with pytest.raises(SceneError, match=sentence):
            ClassMap.open(path)


def test_files_that_are_missing_are_one_sentence(a_map, tmp_path):
    for classes, reference in ((tmp_path / "none.npy", a_map), (tmp_path / "none.tif", a_map), (a_map, tmp_path / "none.csv")):
        done = call("assess", classes, "--reference", reference)
        assert done.exit_code != 0
        assert "none" in str(done.exception)
        assert "Errno" not in str(done.exception)
        assert "\n" not in str(done.exception)


def test_georeferenced_maps_give_hectares_and_a_geopackage(tmp_path):
    rasterio, geopandas = pytest.importorskip("rasterio"), pytest.importorskip("geopandas")
    classes = np.repeat(np.array([1, 2], dtype=np.uint8), 500).reshape(20, 50)
    where = {"crs": "EPSG:32633", "transform": rasterio.Affine(30, 0, 500_000, 0, -30, 4_600_000)}
    shape = {"driver": "GTiff", "height": 20, "width": 50, "count": 1, "dtype": "uint8"}
    with rasterio.open(tmp_path / "map.tif", "w", **shape, **where) as raster:
        raster.write(classes, 1)
        raster.update_tags(1, class_1="maize", class_2="vines")
    done = call("assess", "design", tmp_path / "map.tif", "-o", tmp_path / "points.gpkg")
    assert done.exit_code == 0, done.output
    points = geopandas.read_file(tmp_path / "points.gpkg")
    points["class"] = np.array(["maize", "vines"])[classes[points.row, points.column] - 1]
    points.to_crs(4326).to_file(tmp_path / "filled.gpkg")
    opened = ClassMap.open(tmp_path / "map.tif")
    back = read_points(tmp_path / "filled.gpkg", opened)
    assert (back[["row", "column"]].to_numpy() == points[["row", "column"]].to_numpy()).all()
    assert assess(opened, back).overall == 1
    points.to_file(tmp_path / "filled.gpkg", layer="another")
    with pytest.raises(SceneError, match="has the layers filled, another; save the one that is meant"):
        read_points(tmp_path / "filled.gpkg", opened)
    (tmp_path / "filled.gpkg").unlink()
    points.to_crs(4326).to_file(tmp_path / "filled.gpkg")
    with rasterio.open(tmp_path / "strata.tif", "w", **shape, **where | {"crs": "EPSG:32634"}) as raster:
        raster.write(classes, 1)
        raster.transform = rasterio.Affine(30, 0, 500_030, 0, -30, 4_600_000)
    with pytest.raises(SceneError, match=r"strata.tif lies elsewhere than .*map.tif; give maps of one grid"):
        assess(opened, back, ClassMap.open(tmp_path / "strata.tif"))
    shown = call("assess", tmp_path / "map.tif", "--reference", tmp_path / "filled.gpkg").output
    assert "area (ha)" in shown
    assert not re.search(r"\d\.\d{4}", shown)  # nothing is uncertain here, and no digits are made up
