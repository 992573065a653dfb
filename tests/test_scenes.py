"""Scenes: what loads, and what one clear sentence each bad input gets."""

import numpy as np
import pytest
from scipy.io import savemat

import cpdgal
from cpdgal import Scene, SceneError, load_scene

CUBE = np.arange(4 * 5 * 3, dtype=float).reshape(4, 5, 3)
LABELS = np.array([[0, 1, 1, 2, 2]] * 4)


def changed(array, where, value):
    array = array.astype(float).copy()
    array[where] = value
    return array


def test_a_user_s_own_cube(data_dir):
    scene = load_scene(data_dir / "Salinas_pca_3.mat", data_dir / "Salinas_gt.mat")
    assert (scene.bands, scene.classes, len(scene.pixels)) == (3, 16, 54_129)
    assert cpdgal.Windows(scene, window=5, components=3)[[0, 7]].shape == (2, 3, 5, 5)


@pytest.mark.parametrize("suffix", [".mat", ".npy", ".MAT"])
def test_files_give_the_scene_that_arrays_give(tmp_path, suffix):
    cube, labels = tmp_path / f"cube{suffix}", tmp_path / f"labels{suffix}"
    if suffix != ".npy":
        savemat(cube, {"image": CUBE}, appendmat=False)
        savemat(labels, {"truth": LABELS.astype(float)}, appendmat=False)
    else:
        np.save(cube, CUBE)
        np.save(labels, LABELS.astype(np.uint8))
    for scene in (Scene.from_files(cube, labels), load_scene(str(cube), str(labels))):
        np.testing.assert_array_equal(scene.cube, CUBE)
        np.testing.assert_array_equal(scene.labels, LABELS)
        assert scene.name == "cube"
    assert scene.checksum == Scene(CUBE, LABELS).checksum


def test_one_mat_file_may_hold_both(tmp_path):
    savemat(tmp_path / "both.mat", {"image": CUBE, "other": CUBE, "truth": LABELS})
    scene = Scene.from_files(tmp_path / "both.mat", cube_key="image")
    np.testing.assert_array_equal(scene.labels, LABELS)


def test_labels_need_not_be_contiguous():
    scene = Scene(CUBE, LABELS * 7, class_names={7: "maize", 14: "oats"})
    assert scene.label_values == (7, 14)
    assert scene.class_names == ("maize", "oats")
    np.testing.assert_array_equal(scene.labels, LABELS)
    assert Scene(CUBE, LABELS * 7).class_names == ("class 7", "class 14")


def test_a_scene_is_its_own_copy_and_cannot_be_changed():
    cube = CUBE.astype(np.float32)
    scene = Scene(cube, LABELS)
    cube[0, 0, 0] = 99
    assert scene.cube[0, 0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        scene.cube[0, 0, 0] = 1


@pytest.mark.parametrize(
    ("cube", "labels", "said"),
    [
        (CUBE[0], LABELS, r"the cube has 2 dimensions \(5, 3\); it needs 3: height, width, bands"),
        (CUBE, CUBE, r"the ground truth has 3 dimensions \(4, 5, 3\); it needs 2: height, width"),
        (
            changed(CUBE, (1, 2, 0), np.nan),
            LABELS,
            r"the cube is NaN or infinite in 1 of 20 pixels and 1 of 3 bands \(counted from 1: 1\); leave those ",
        ),
        (changed(CUBE, (3, 4, 2), -np.inf), LABELS, r"infinite in 1 of 20 pixels and 1 of 3 bands \(counted from 1: 3\)"),
        (changed(CUBE, (0, 0, 0), 1e300), LABELS, "values beyond the range of float32; rescale it"),
        (CUBE, LABELS[:3], "the cube is 4 x 5 pixels and the ground truth 3 x 5; give the two files of one scene"),
        (CUBE, LABELS.T, "the ground truth 5 x 4; one of the two is transposed"),
        (np.moveaxis(CUBE, -1, 0), LABELS, r"its bands first: move them last with numpy.moveaxis\(cube, 0, -1\)"),
        (CUBE, 0 * LABELS, "no pixel is labelled: the ground truth is 0 everywhere; is it the right file"),
        (CUBE, changed(LABELS, (2, 3), -1), "the ground truth has -1.0 at row 2, column 3; labels are whole numbers"),
        (CUBE, changed(LABELS, (1, 1), 1.5), "the ground truth has 1.5 at row 1, column 1; labels are whole numbers"),
        (CUBE, changed(LABELS, (1, 1), np.nan), "the ground truth has nan at row 1, column 1; labels are whole numbers"),
        (CUBE * 1j, LABELS, "the cube holds complex128 values of shape .*; it needs real numbers"),
        (CUBE, LABELS.astype(str), "the ground truth holds <U21 values; it needs whole numbers, 0 for unlabelled"),
    ],
)
def test_bad_arrays_get_one_clear_sentence(cube, labels, said):
    with pytest.raises(SceneError, match=said) as caught:
        Scene(cube, labels, name="my scene")
    assert str(caught.value).startswith("my scene: ")
    assert "\n" not in str(caught.value)


def test_bad_names_and_bands_are_counted():
    with pytest.raises(SceneError, match="3 class names for 2 classes"):
        Scene(CUBE, LABELS, ["a", "b", "c"])
    with pytest.raises(SceneError, match="2 band centres for 3 bands; give one for each band"):
        Scene(CUBE, LABELS, band_centers_nm=[400, 500])


def test_a_palette_of_its_own_replaces_the_rainbow():
    own = [[1, 0, 0], [0, 0.5, 1]]
    np.testing.assert_array_equal(Scene(CUBE, LABELS, palette=own).palette, own)
    assert Scene(CUBE, LABELS).palette.shape == (2, 3)
    for wrong in (own[:1], [[255, 0, 0], [0, 0, 255]]):
        with pytest.raises(SceneError, match=r"the palette is not 2 x 3 RGB values in 0\.\.1, a colour for each class"):
            Scene(CUBE, LABELS, palette=wrong)


@pytest.fixture
def files(tmp_path):
    """A folder of good and bad files."""
    savemat(tmp_path / "good.mat", {"image": CUBE, "truth": LABELS})
    savemat(tmp_path / "two.mat", {"image": CUBE, "other": CUBE})
    np.save(tmp_path / "good.npy", CUBE)
    np.save(tmp_path / "labels.npy", LABELS)
    np.save(tmp_path / "objects.npy", np.array([{}, None]), allow_pickle=True)
    (tmp_path / "cut.mat").write_bytes((tmp_path / "good.mat").read_bytes()[:300])
    (tmp_path / "cut.npy").write_bytes((tmp_path / "good.npy").read_bytes()[:200])
    (tmp_path / "noise.mat").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "empty.mat").touch()
    (tmp_path / "hdf.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" + bytes(400))
    (tmp_path / "image.tif").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("cube", "options", "said"),
    [
        ("good.mat", {"cube_key": "cube"}, "has no variable 'cube'; it holds image 4 x 5 x 3, truth 4 x 5"),
        ("two.mat", {}, "has 2 variables with 3 dimensions among .*; name the one to read with cube_key"),
        ("absent.mat", {}, "does not exist or is not a file; check the path"),
        ("image.tif", {}, "cannot be read"),
        ("cut.mat", {}, "cannot be read .*; it may be damaged or cut off"),
        ("cut.npy", {}, "cannot be read .*; it may be damaged or cut off"),
        ("noise.mat", {}, "cannot be read .*; it may be damaged or cut off"),
        ("empty.mat", {}, "cannot be read .*; it may be damaged or cut off"),
        ("objects.npy", {}, "cannot be read .it holds no plain array"),
        ("hdf.mat", {}, "cannot be read .*; it may be damaged or cut off"),
    ],
)
def test_bad_files_get_one_clear_sentence(files, cube, options, said):
    with pytest.raises(SceneError, match=said) as caught:
        load_scene(files / cube, **options)
    assert cube in str(caught.value)
