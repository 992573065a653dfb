"""One scene in many files: every format gives the same tensor, checksum and place; what is not understood is one sentence."""

import json
import warnings
from pathlib import Path

import geopandas
import h5py
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
from rasterio.transform import from_origin
from scipy.io import savemat
from scipy.sparse import csc_matrix
from shapely import box
from small import SMALL, run
from spectral.io import envi
from typer.testing import CliRunner

import cpdgal
from cpdgal import Scene, SceneError, Windows, load_scene, splits
from cpdgal.cli import app

CENTERS = np.linspace(450.0, 900.0, 5)
PLACE = from_origin(500_000, 4_400_000, 20, 20)
CUBE = np.random.default_rng(0).integers(100, 4000, (12, 9, 5)).astype(np.int16)
LABELS = np.zeros((12, 9), dtype=np.uint8)
LABELS[1:5], LABELS[7:, 2:] = 1, 4


def write_tiff(path, array, **about):
    bands = np.atleast_3d(array)
    height, width, count = bands.shape
    kind = {"height": height, "width": width, "count": count, "dtype": bands.dtype, "crs": "EPSG:32616", "transform": PLACE}
    with rasterio.open(path, "w", driver="GTiff", **kind | about) as file:
        file.write(np.moveaxis(bands, -1, 0))
        for band, center in enumerate(CENTERS[:count], 1):
            file.update_tags(band, wavelength=str(center), wavelength_units="nm")


def write_envi(path, array, interleave="bil", **about):
    said = {"map info": ["UTM", 1, 1, 500000, 4400000, 20, 20, 16, "North", "WGS-84"], "wavelength units": "Micrometers"}
    said |= {"wavelength": list(CENTERS / 1000), **{name.replace("_", " "): value for name, value in about.items()}}
    envi.save_image(str(path), array, metadata=said, interleave=interleave, force=True, dtype=array.dtype)


def write_v73(path, **arrays):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = array.T
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


@pytest.fixture
def forms(tmp_path):
    """The scene in every format, by name."""
    np.save(tmp_path / "cube.npy", CUBE)
    np.save(tmp_path / "truth.npy", LABELS)
    np.savez(tmp_path / "cube.npz", image=CUBE, truth=LABELS)
    savemat(tmp_path / "cube.MAT", {"image": CUBE.astype(float), "truth": LABELS}, appendmat=False)
    write_v73(tmp_path / "v73.mat", image=CUBE, truth=LABELS)
    write_tiff(tmp_path / "cube.TIF", CUBE)
    write_envi(tmp_path / "envi.hdr", CUBE)
    return tmp_path


def test_every_format_gives_the_same_scene(forms):
    scene = Scene(CUBE, LABELS)
    for name in ("cube.npy", "cube.npz", "cube.MAT", "v73.mat", "cube.TIF", "envi.hdr", "envi.img"):
        read = load_scene(forms / name, forms / "truth.npy")
        np.testing.assert_array_equal(read.cube, CUBE)
        assert read.checksum == scene.checksum, name
    for name in ("cube.npz", "cube.MAT", "v73.mat"):
        assert load_scene(forms / name).checksum == scene.checksum, name


def test_wavelengths_and_place_are_kept(forms):
    for name in ("cube.TIF", "envi.hdr"):
        scene = load_scene(forms / name, forms / "truth.npy")
        np.testing.assert_allclose(scene.band_centers_nm, CENTERS)
        assert scene.georeference.crs == "EPSG:32616"
        assert scene.georeference.transform == tuple(PLACE)[:6]
    assert load_scene(forms / "cube.npy").georeference is None


def test_bad_bands_go_and_bands_are_chosen(forms):
    write_envi(forms / "bad.hdr", CUBE, bbl=[1, 0, 1, 1, 0])
    np.testing.assert_array_equal(load_scene(forms / "bad.hdr").cube, CUBE[..., [0, 2, 3]])
    np.testing.assert_allclose(load_scene(forms / "bad.hdr").band_centers_nm, CENTERS[[0, 2, 3]])
    np.testing.assert_array_equal(load_scene(forms / "cube.npy", bands="1-2, 5").cube, CUBE[..., [0, 1, 4]])
    np.testing.assert_array_equal(load_scene(forms / "cube.TIF", bands="500-700 nm").cube, CUBE[..., 1:3])
    np.testing.assert_allclose(load_scene(forms / "cube.npy", scale=0.5).cube, CUBE / 2)


def test_a_scene_may_have_no_ground_truth(forms):
    scene = load_scene(forms / "cube.npy")
    assert (scene.classes, len(scene.pixels)) == (0, 0)
    with pytest.raises(SceneError, match="has no ground truth; a study needs one"):
        cpdgal.Study(scene=str(forms / "cube.npy")).load_scene()


def test_every_form_of_truth(forms):
    expected = load_scene(forms / "cube.TIF", forms / "truth.npy").checksum
    np.save(forms / "deep.npy", LABELS[..., None])
    savemat(forms / "sparse.mat", {"truth": csc_matrix(LABELS.astype(float))})
    write_tiff(forms / "truth.tif", LABELS)
    rows, columns = np.nonzero(LABELS)
    classes = LABELS[rows, columns]
    x, y = 500_000 + 20 * (columns + 0.5), 4_400_000 - 20 * (rows + 0.5)
    for name, header, values in (("pixels", "row,column,class", (rows, columns)), ("places", "x,y,class", (x, y))):
        np.savetxt(forms / f"{name}.csv", np.column_stack([*values, classes]), "%.3f", ",", header=header, comments="")
    points = geopandas.GeoDataFrame({"class": classes}, geometry=geopandas.points_from_xy(x, y), crs="EPSG:32616")
    points.to_crs("EPSG:4326").to_file(forms / "points.gpkg")
    points.assign(geometry=points.buffer(9, cap_style="square")).to_file(forms / "fields.gpkg")
    for name in ("deep.npy", "sparse.mat", "truth.tif", "pixels.csv", "places.csv", "points.gpkg", "fields.gpkg"):
        assert load_scene(forms / "cube.TIF", forms / name).checksum == expected, name
    degrees = points.to_crs("EPSG:4326").geometry
    np.savetxt(forms / "d.csv", np.column_stack([degrees.x, degrees.y, classes]), "%.9f", ",", header="x,y,class", comments="")
    study = cpdgal.Study(scene=str(forms / "cube.TIF"), labels_path=str(forms / "d.csv"), crs="EPSG:4326")
    assert study.load_scene().checksum == expected
    one_sentence_of(study.but(crs="EPSG:0").load_scene, "'EPSG:0' is no CRS; name one such as EPSG:4326")
    one_hot = np.stack([LABELS == 1, LABELS == 4], axis=2)
    np.testing.assert_array_equal(Scene(CUBE, one_hot).labels, Scene(CUBE, LABELS).labels)


def test_classes_may_be_names(forms):
    rows, columns = np.nonzero(LABELS)
    named = {1: "winter wheat", 4: "grass, mown"}
    classes = [named[value] for value in LABELS[rows, columns]]
    x, y = 500_000 + 20 * (columns + 0.5), 4_400_000 - 20 * (rows + 0.5)
    pd.DataFrame({"row": rows, "column": columns, "class": classes}).to_csv(forms / "named.csv", index=False)
    points = geopandas.GeoDataFrame({"class": classes}, geometry=geopandas.points_from_xy(x, y), crs="EPSG:32616")
    points.to_file(forms / "named.gpkg")
    points.assign(geometry=points.buffer(9, cap_style="square")).to_file(forms / "fields.geojson")
    for name in ("named.csv", "named.gpkg", "fields.geojson"):
        scene = load_scene(forms / "cube.TIF", forms / name)
        assert scene.class_names == ("grass, mown", "winter wheat")
        np.testing.assert_array_equal(scene.labels, np.select([LABELS == 1, LABELS == 4], [2, 1]))
    assert load_scene(forms / "cube.TIF", forms / "named.csv", class_names=["a", "b"]).class_names == ("a", "b")
    points["class"] = [*classes[:-1], "3"]
    points.to_file(forms / "mixed.gpkg")
    one_sentence_of(lambda: load_scene(forms / "cube.TIF", forms / "mixed.gpkg"), "'winter wheat' beside numbers as 3")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(("encoding", "newline", "after"), [("utf-8-sig", "\r\n", "\r\n\r\n"), ("utf-8", "\n", "{0}{0}\n")])
def test_tables_as_spreadsheets_save_them(forms, separator, encoding, newline, after):
    """With decimal commas where commas do not separate, a byte-order mark, empty lines, capitals, and a class called NA."""
    rows, columns = np.nonzero(LABELS)
    named = pd.DataFrame({"Row": rows, " column": columns, "CLASS": np.where(LABELS[rows, columns] == 1, "NA", "mown grass")})
    placed = pd.DataFrame({"x": 500_000 + 20 * (columns + 0.25), "y": 4_400_000 - 20 * (rows + 0.75), "class": named["CLASS"]})
    for table in (named, placed):
        text = table.to_csv(sep=separator, decimal="." if separator == "," else ",", index=False, lineterminator=newline)
        (forms / "t.csv").write_bytes((text + after.format(separator)).encode(encoding))
        scene = load_scene(forms / "cube.TIF", forms / "t.csv")
        assert scene.class_names == ("NA", "mown grass")
        np.testing.assert_array_equal(scene.labels, np.select([LABELS == 1, LABELS == 4], [1, 2]))


def test_features_in_parts_and_beside_styles(forms):
    rows, columns = np.nonzero(LABELS)
    x, y = 500_000 + 20 * (columns + 0.5), 4_400_000 - 20 * (rows + 0.5)
    points = geopandas.GeoDataFrame({"Class": LABELS[rows, columns]}, geometry=geopandas.points_from_xy(x, y), crs="EPSG:32616")
    points.dissolve("Class").reset_index().to_file(forms / "multi.gpkg", layer="points")
    pyogrio.write_dataframe(pd.DataFrame({"style": ["red"]}), forms / "multi.gpkg", layer="layer_styles")
    assert load_scene(forms / "cube.TIF", forms / "multi.gpkg").checksum == Scene(CUBE, LABELS).checksum
    points.to_file(forms / "multi.gpkg", layer="other")
    one_sentence_of(lambda: load_scene(forms / "cube.TIF", forms / "multi.gpkg"), "has the layers points, other; save the one")
    points.assign(geometry=[None, *points.geometry[1:]]).to_file(forms / "hole.gpkg")
    one_sentence_of(lambda: load_scene(forms / "cube.TIF", forms / "hole.gpkg"), "some without a geometry")


def test_where_features_of_two_classes_overlap_there_is_no_label(forms):
    fields = [box(500_000, 4_399_900, 500_100, 4_400_000), box(500_060, 4_399_900, 500_180, 4_400_000)]  # columns 0-4 and 3-8
    table = geopandas.GeoDataFrame({"class": [2, 1]}, geometry=fields, crs="EPSG:32616")
    table.loc[2] = [3, fields[1].centroid]  # a point of another class in the second one
    table.to_file(forms / "t.geojson")
    with pytest.warns(UserWarning, match="t.geojson: 11 pixels are of two classes, where features overlap, and get no label"):
        scene = load_scene(forms / "cube.TIF", forms / "t.geojson")
    expected = np.zeros((12, 9), dtype=int)
    expected[:5] = [2, 2, 2, 0, 0, 1, 1, 1, 1]
    expected[2, 6] = 0
    np.testing.assert_array_equal(scene.labels, expected)


def test_what_a_truth_file_says_of_no_data_and_of_its_place(forms):
    for value, dtype in ((255, "uint8"), (-9999, "int16"), (np.nan, "float32")):
        labels = np.where(LABELS == 0, value, LABELS.astype(float)).astype(dtype)
        write_tiff(forms / "t.tif", labels, nodata=value)
        assert load_scene(forms / "cube.TIF", forms / "t.tif").checksum == Scene(CUBE, LABELS).checksum
    write_tiff(forms / "t.tif", LABELS, transform=from_origin(500_010, 4_400_000, 20, 20))  # corners or centres
    assert load_scene(forms / "cube.TIF", forms / "t.tif").checksum == Scene(CUBE, LABELS).checksum
    for elsewhere in (
        {"transform": from_origin(500_020, 4_400_000, 20, 20)},
        {"transform": from_origin(500_000, 4_400_000, 30, 20)},
        {"crs": "EPSG:4326", "transform": from_origin(-87, 39.7, 2e-4, 2e-4)},
    ):
        write_tiff(forms / "t.tif", LABELS, **elsewhere)
        one_sentence_of(
            lambda: load_scene(forms / "cube.TIF", forms / "t.tif"), "lies elsewhere than the cube, or in another CRS"
        )
        assert load_scene(forms / "cube.npy", forms / "t.tif").checksum == Scene(CUBE, LABELS).checksum


def test_classes_from_0_in_a_table(forms):
    (forms / "t.csv").write_text("row,column,class\n0,0,0\n1,1,1\n2,2,2\n")
    with pytest.warns(UserWarning, match="1 labels are 0, which stands for unlabelled: if it is a class, say unlabelled=-1"):
        assert load_scene(forms / "cube.npy", forms / "t.csv").label_values == (1, 2)
    scene = load_scene(forms / "cube.npy", forms / "t.csv", unlabelled=-1)
    assert (scene.label_values, scene.pixels.tolist()) == ((0, 1, 2), [[0, 0], [1, 1], [2, 2]])
    (forms / "t.csv").write_text("row,column,class,round\n0,0,0,1\n1,1,1,1\n2,2,2,1\n")  # a pixel that was skipped
    assert load_scene(forms / "cube.npy", forms / "t.csv", unlabelled=-1).label_values == (1, 2)


def test_the_mask_of_a_geotiff(forms):
    write_tiff(forms / "masked.tif", CUBE)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(forms / "masked.tif", "r+") as file:
        file.write_mask(LABELS > 0)
    scene = load_scene(forms / "masked.tif")
    np.testing.assert_array_equal(scene.mask, LABELS == 0)
    one_sentence_of(lambda: Scene(CUBE, LABELS, mask=LABELS > 0), "every labelled pixel is without data")


@pytest.mark.parametrize(
    ("unit", "values", "centers"),
    [
        ("um", CENTERS / 1000, CENTERS),
        ("\u03bcm", CENTERS / 1000, CENTERS),
        ("Nanometers", CENTERS, CENTERS),
        ("", CENTERS / 1000, CENTERS),
        ("Wavenumber", 1e7 / CENTERS, None),
        ("nm", ["blue", "green", "red", "edge", "nir"], None),
        ("IMAGERY", CENTERS / 1000, CENTERS),
    ],
)
def test_wavelengths_in_any_unit(forms, unit, values, centers):
    with rasterio.open(forms / "cube.TIF", "r+") as file:
        for band, value in enumerate(values, 1):
            named = unit != "IMAGERY"
            file.update_tags(band, wavelength=str(value) if named else "", wavelength_units=unit if named else "")
            if not named:  # as GDAL writes it
                file.update_tags(band, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=str(value))
    found = load_scene(forms / "cube.TIF").band_centers_nm
    assert found is None if centers is None else np.allclose(found, centers)


def test_the_value_of_no_label():
    assert Scene(CUBE, np.where(LABELS == 0, 255, LABELS), unlabelled=255).checksum == Scene(CUBE, LABELS).checksum
    zero_based = np.where(LABELS == 0, -1, np.where(LABELS == 4, 3, 0))
    scene = Scene(CUBE, zero_based, unlabelled=-1)
    assert scene.label_values == (0, 3)
    np.testing.assert_array_equal(scene.labels, Scene(CUBE, LABELS).labels)


@pytest.mark.parametrize("form", ["no_data", "nan", "masked array", "mask", "tiff", "envi"])
def test_a_pixel_without_data_counts_nowhere(tmp_path, form):
    mask = np.zeros(LABELS.shape, dtype=bool)
    mask[:, 3] = True
    cube = np.where(mask[..., None], -9999, CUBE).astype(np.int16)
    if form == "no_data":
        scene = Scene(cube, LABELS, no_data=-9999)
    elif form == "nan":
        scene = Scene(np.where(mask[..., None], np.nan, CUBE), LABELS)
    elif form == "masked array":
        scene = Scene(np.ma.masked_equal(cube, -9999), LABELS)
    elif form == "mask":
        scene = Scene(CUBE, LABELS, mask=mask)
    else:
        np.save(tmp_path / "truth.npy", LABELS)
        if form == "tiff":
            write_tiff(tmp_path / "cube.tif", cube, nodata=-9999)
        else:
            write_envi(tmp_path / "cube.hdr", cube, data_ignore_value=-9999)
        scene = Scene.from_files(tmp_path / ("cube.tif" if form == "tiff" else "cube.hdr"), tmp_path / "truth.npy")
    np.testing.assert_array_equal(scene.mask, mask)
    assert not scene.labels[:, 3].any()
    assert not scene.cube[:, 3].any()
    clean = Scene(np.delete(CUBE, 3, axis=1), np.delete(LABELS, 3, axis=1))
    here, there = (Windows(each, 1, 3).projection.state() for each in (scene, clean))
    for name, value in there.items():
        np.testing.assert_allclose(here[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_a_cube_with_holes_says_which_bands_and_its_advice_reads_it(tmp_path, hole):
    cube = np.repeat(CUBE, 4, axis=2).astype(np.float32)  # of 20 bands
    cube[:3, :, 3] = cube[1:3, :, 10] = hole
    cube[11] = np.nan  # in all bands: no hole
    np.save(tmp_path / "c.npy", cube)
    np.save(tmp_path / "t.npy", LABELS)
    study = cpdgal.Study(scene=str(tmp_path / "c.npy"), labels_path=str(tmp_path / "t.npy"))
    said = r"^c: .* NaN or infinite in 27 of 108 pixels and 2 of 20 bands \(counted from 1: 4, 11\); leave those bands out "
    one_sentence_of(study.load_scene, said + 'with bands="1-3, 5-10, 12-20", or those pixels out with no_data=nan$')
    whole = study.but(bands="1-3, 5-10, 12-20").load_scene()
    np.testing.assert_array_equal(whole.cube[:11], np.delete(cube, [3, 10], axis=2)[:11])
    assert np.flatnonzero(whole.mask.any(axis=1)).tolist() == [11]
    for no_data in ("nan", np.nan):
        scene = study.but(no_data=no_data).load_scene()
        assert np.flatnonzero(scene.mask.all(axis=1)).tolist() == [0, 1, 2, 11]
        np.testing.assert_array_equal(scene.cube[3:11], cube[3:11])
    files = ["fetch", study.scene, "--labels", study.labels_path]
    assert CliRunner().invoke(app, files).exit_code == 1
    assert scene.checksum in CliRunner().invoke(app, [*files, "--no-data", "nan"]).output
    one_sentence_of(study.but(bands="2-4, 6").load_scene, 'counted from 1: 4.*bands="2-3, 6", or')  # as the file counts them


def test_advice_on_holes_is_what_can_be_followed():
    cube = np.repeat(CUBE, 4, axis=2).astype(np.float32)
    cube[0, :, 3] = np.nan
    one_sentence_of(lambda: Scene(cube, LABELS), "; leave those bands out, or those pixels out with no_data=nan$")
    cube[:, :, 3] = np.nan
    one_sentence_of(lambda: Scene(cube, LABELS), "; leave those bands out$")
    cube[0, :, ::2] = np.nan
    one_sentence_of(lambda: Scene(cube, LABELS), r"11 of 20 .*: 1, 3, 4, 5, 7, \.\.\.\); replace those values$")
    cube[:, :, 3] = 0
    one_sentence_of(lambda: Scene(cube[..., :3], LABELS), r"1, 3\); leave those pixels out with no_data=nan$")


def test_extremes_and_backgrounds_are_told_once(tmp_path):
    cube = CUBE.copy()
    cube[:2] = -9999
    np.save(tmp_path / "cube.npy", cube)
    np.save(tmp_path / "truth.npy", np.where(LABELS == 0, 255, LABELS))
    with pytest.warns(UserWarning, match="18 pixels are -9999 in every band.*no_data=-9999; label 255 .*led=255") as told:
        load_scene(tmp_path / "cube.npy", tmp_path / "truth.npy")
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_scene(tmp_path / "cube.npy", tmp_path / "truth.npy", no_data=-9999, unlabelled=255)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", "row,column\n1,2\n", "has the columns row, column; it needs row, column and class, or x, y and class"),
        ("t.csv", "row,column,class\n1,two,3\n", "line 2 has nothing usable in one of row, column, class"),
        ("t.csv", "row,column,class\n1,2,\n", "line 2 has nothing usable"),
        ("t.csv", "row,column,class\n1,2,wheat\n3,2,\n", "line 3 has nothing usable"),
        ("t.csv", "row,column,class\n1,2,7\n3,2,wheat\n", "'wheat' beside numbers as 7; give every class a name"),
        ("t.csv", "row,column,class\n99,2,1\n", "1 of 1 points lie outside the 12 x 9 pixels, the first at row 99"),
        ("t.csv", "row,column,class\n-1,2,1\n", "points lie outside"),
        ("t.csv", "row,column,class\n1.5,2,1\n", "rows and columns are whole numbers"),
        ("t.csv", "row,column,class\n1,2,1\n1,2,3\n", "the pixel at row 1, column 2 has two classes"),
        ("t.csv", "x,y,class\n1,2,1\n", "lie outside the 12 x 9 pixels"),
        ("t.csv", "row,column,class\n", "no pixel is labelled"),
        ("t.csv", "", "cannot be read as a table"),
        ("t.csv", "row;column;class\n\n1;two;3\n", "line 3 has nothing usable in one of row, column, class"),
        (
            "t.csv",
            "row,column,class\n1,2,3,4\n",
            "has more values in a line than names in the first one; where commas are decimal",
        ),
        ("t.csv", "x,y,class\n500010,0,4399990,0,1\n", "has more values in a line than names in the first one"),
        ("t.csv", "row,class,Class,column\n1,2,3,4\n", "has two columns 'class'; rename one of them"),
        ("t.csv", "row;column;class\n1;2;Gr\xfcnland\n".encode("cp1252"), 'is not in UTF-8; save it as "CSV UTF-8"'),
        ("t.csv", "\0\1\2", "t.csv"),
        ("t.gpkg", "no database", "cannot be read"),
        ("t.geojson", "{", "cannot be read"),
        ("t.geojson", '{"type": "FeatureCollection", "features": []}', "has no (features|geometries)"),
        ("t.shp", "", "cannot be read"),
        ("t.npy", np.zeros(108, int) + 1, r"is flattened, \(108,\) for 12 x 9 pixels; reshape it with labels.reshape\(12, 9\)"),
        ("t.npy", np.ones((1, 108)), "is flattened"),
        ("t.npy", np.ones((12, 9, 4)), "the ground truth has 3 dimensions"),
        ("t.npy", np.full((12, 9), "a"), "the ground truth holds <U1 values"),
        ("t.npy", np.ones((12, 9)) * 1j, "the ground truth holds complex128 values"),
        ("t.npy", np.full((12, 9), 1e300), "labels are whole numbers"),
        ("t.npy", np.ones((24, 18)), "give the two files of one scene"),
        ("t.xlsx", "", "is no format known here"),
        ("t.tif", "II*\0", "cannot be read"),
    ],
)
def test_bad_truths_get_one_sentence(forms, name, content, said):
    if isinstance(content, str):
        (forms / name).write_text(content)
    elif isinstance(content, bytes):
        (forms / name).write_bytes(content)
    else:
        np.save(forms / name, content)
    one_sentence_of(lambda: load_scene(forms / "cube.TIF", forms / name), said)


def one_sentence_of(call, said):
    with pytest.raises(SceneError, match=said) as caught:
        call()
    assert len(str(caught.value)) < 300 + 2 * 60
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("cube.npy", {"bands": "0-3"}, "bands 0-3 are not among its 5 bands"),
        ("cube.npy", {"bands": "3-9"}, "bands 3-9 are not among its 5 bands"),
        ("cube.npy", {"bands": "first"}, 'bands are chosen as "1-103, 110"'),
        ("cube.npy", {"bands": "400-900 nm"}, "the file gives no wavelengths"),
        ("cube.TIF", {"bands": "100-200 nm"}, "are not among its 5 bands"),
        ("cube.npy", {"no_data": float(CUBE[0, 0, 0]), "mask": np.ones((12, 9))}, "every pixel is without data"),
        ("cube.npy", {"mask": np.ones((3, 3))}, "give a mask of height x width"),
        ("cube.npy", {"scale": 0}, "the cube is 0 everywhere"),
        ("cube.npy", {"scale": 1e300}, "beyond the range of float32"),
        ("v73.mat", {"cube_key": "x"}, "has no variable 'x'; it holds image 12 x 9 x 5, truth 12 x 9"),
        ("cube.npz", {"cube_key": "x"}, "has no variable 'x'"),
        ("cube.npz", {"labels_key": "x"}, "has no variable 'x'"),
        ("lone.img", {}, "has no ENVI header beside it"),
        ("short.hdr", {}, "short.img has 5 bytes and its header tells of 1080"),
        ("bbl.hdr", {}, r"lists 2 good and bad bands \(bbl\) for 5 bands"),
        ("struct.mat", {}, "struct"),
        ("cut.npz", {}, "cannot be read"),
        ("cut.h5", {}, "cannot be read"),
        ("flat.npy", {}, r"the cube has 2 dimensions \(108, 5\); .* of pixels x bands, reshape it"),
        ("words.hdr", {}, "words.hdr is no header of an ENVI image that can be read .*; correct it"),
    ],
)
def test_bad_cubes_get_one_sentence(forms, name, options, said):
    (forms / "lone.img").write_bytes(bytes(100))
    write_envi(forms / "short.hdr", CUBE)
    (forms / "short.img").write_bytes(b"short")
    write_envi(forms / "bbl.hdr", CUBE, bbl=[1, 0])
    savemat(forms / "struct.mat", {"image": {"a": CUBE}})
    (forms / "cut.npz").write_bytes((forms / "cube.npz").read_bytes()[:99])
    (forms / "cut.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    np.save(forms / "flat.npy", CUBE.reshape(-1, 5))
    (forms / "words.hdr").write_text("a header in words")
    one_sentence_of(lambda: load_scene(forms / name, **options), said)


def test_given_masks_of_every_form_are_one_split(forms):
    train, test = (np.zeros(LABELS.shape, dtype=np.uint8) for _ in range(2))
    train[1:3], test[3:] = LABELS[1:3], LABELS[3:]
    np.save(forms / "train.npy", train)
    np.save(forms / "test.npy", test)
    savemat(forms / "both.mat", {"TR": train, "TE": test})
    write_tiff(forms / "one.tif", np.where(train, 1, np.where(test, 2, 0)).astype(np.uint8))
    scene = Scene(CUBE, LABELS)
    study = cpdgal.Study(scene="x.npy", split="given")
    for masks in (
        {"train_path": "train.npy", "test_path": "test.npy"},
        {"train_path": "both.mat", "train_key": "TR", "test_key": "TE"},
        {"train_path": "one.tif"},
    ):
        placed = {name: str(forms / value) if name.endswith("path") else value for name, value in masks.items()}
        split = study.but(**placed).make_split(scene)
        assert len(split.pool) == np.count_nonzero(train)
        assert len(split.holdout) == np.count_nonzero(test)
    with pytest.raises(ValueError, match="a given split needs a training mask"):
        study.make_split(scene)
    with pytest.raises(ValueError, match="else give the test mask too"):
        study.but(train_path=str(forms / "truth.npy")).make_split(scene)


def test_a_scene_in_another_format_finds_the_record_of_the_first(tmp_path, monkeypatch):
    scene = load_scene("synthetic", height=20, width=20, bands=5, classes=3)
    cube = scene.cube.copy()
    cube[:2] = -9999
    np.save(tmp_path / "cube.npy", cube)
    np.save(tmp_path / "truth.npy", scene.labels)
    savemat(tmp_path / "v5.mat", {"image": cube, "dark": cube + 1, "truth": scene.labels})
    write_v73(tmp_path / "v73.mat", image=cube, truth=scene.labels)
    write_envi(tmp_path / "envi.hdr", cube, data_ignore_value=-9999)
    write_tiff(tmp_path / "cube.tif", cube, nodata=-9999)
    forms = {"cube.npy": {"no_data": -9999}, "v5.mat": {"cube_key": "image", "labels_key": "truth", "no_data": -9999}}
    forms |= {"v73.mat": {"no_data": -9999}, "envi.hdr": {}, "cube.tif": {}}
    truth = str(tmp_path / "truth.npy")
    studies = {
        name: SMALL.but(scene=str(tmp_path / name), labels_path=truth * (".mat" not in name), **reading)
        for name, reading in forms.items()
    }
    assert len({study.key for study in studies.values()}) == len(studies)

    def shell(study, *options):
        settings = [f"{each}={json.dumps(value)}" for each, value in study.changes.items() if each != "labels_path"]
        options += ("--profile", "smoke", "--labels", study.labels_path, "--store", str(tmp_path / "store"))
        options += tuple(part for each in settings for part in ("--set", each))
        return CliRunner().invoke(app, ["run", "--scene", study.scene, *options]).output

    record = run(studies["cube.npy"], tmp_path / "store")
    assert f"the same to the bit as {record.path}" in shell(studies["cube.tif"], "--again")
    monkeypatch.setattr(cpdgal.runner, "active_learning", None)  # nothing is trained again
    for name, study in studies.items():
        assert run(study, tmp_path / "store").path == record.path, name
        assert f"found: {record.path}, made with the same versions as here" in shell(study), name
    assert [path.name for path in (tmp_path / "store").glob("*.json")] == [record.path.name]


def test_a_record_is_bound_to_its_masks(tmp_path):
    scene, file = load_scene("synthetic"), tmp_path / "masks.npy"
    first, second = (splits.raster(scene, SMALL.but(seed=seed).make_split(scene)) for seed in (0, 1))
    np.save(file, first)
    study = SMALL.but(method="coordinates", query="random", split="given", train_path=str(file))
    record = run(study, tmp_path / "store")
    np.save(file, second)
    with pytest.raises(cpdgal.RecordError, match="was made on other masks"):
        run(study, tmp_path / "store")
    np.save(file, first)
    assert run(study, tmp_path / "store").results == record.results


def test_splits_are_written_and_read_again(tmp_path):
    out = tmp_path / "masks"
    said = CliRunner().invoke(app, ["splits", str(out), "--scene", "synthetic", "--seeds", "2", "--tiff"])
    assert said.exit_code == 0, said.output
    scene, study = load_scene("synthetic"), cpdgal.Study(scene="synthetic")
    read = study.but(split="given", train_path=str(out / "synthetic-random-1.tif")).make_split(scene)
    np.testing.assert_array_equal(read.pool, study.but(seed=1).make_split(scene).pool)
    readme = (out / "README.md").read_text(encoding="utf-8")
    assert splits.digest(splits.raster(scene, read)) in readme
    assert not list(tmp_path.glob(".splits-*"))


def test_the_citable_splits_of_indian_pines():
    known = json.loads(Path(splits.__file__).with_name("indian_pines_splits.json").read_text(encoding="utf-8"))
    scene = load_scene("indian_pines")
    for name in ("random-0", "random-9", "block-0"):
        split, _, seed = name.partition("-")
        study = cpdgal.Study(split=split, seed=int(seed), gap=14 if split == "block" else None)
        assert splits.digest(splits.raster(scene, study.make_split(scene))) == known[name]


def test_a_scene_is_described(forms):
    said = CliRunner().invoke(app, ["scenes", "describe", str(forms / "cube.TIF"), "--labels", str(forms / "truth.npy")])
    assert said.exit_code == 0, said.output
    for part in ("12 x 9 pixels, 5 bands", "450 to 900 nm", "EPSG:32616", "no data      0", "class 4", "next: cpdgal run"):
        assert part in said.output
    assert "no ground truth" in CliRunner().invoke(app, ["scenes", "describe", str(forms / "cube.npy")]).output
