"""Sources: public scenes by name, verified downloads, made-up scenes."""

import http.server
import json
import socketserver
import threading
from contextlib import contextmanager, suppress
from functools import partial

import numpy as np
import pooch
import pytest
from conftest import ROOT
from scipy.io import savemat
from typer.testing import CliRunner

import cpdgal
from cpdgal import SceneError, load_scene, scenes, sources
from cpdgal.cli import app


def test_indian_pines_is_the_canonical_scene(indian_pines):
    assert indian_pines.cube.shape == (145, 145, 200)
    assert indian_pines.cube.dtype == np.float32
    assert indian_pines.labels.dtype == np.int64
    counts = dict(zip(indian_pines.class_names, np.bincount(indian_pines.targets), strict=True))
    assert len(indian_pines.pixels) == sum(counts.values()) == 10_249
    assert (counts["Alfalfa"], counts["Soybean-mintill"], counts["Oats"]) == (46, 2455, 20)
    assert indian_pines.palette.shape == (16, 3)
    assert np.all(np.diff(np.delete(indian_pines.band_centers_nm, [31, 94])) > 0)  # spectrometers overlap at two seams


def test_indian_pines_agrees_with_the_published_ground_truth(indian_pines, data_dir):
    published = scenes.read_array(data_dir / "Indian_pines_gt.mat", None, dimensions=2)
    np.testing.assert_array_equal(indian_pines.labels, published)


def test_the_published_mask_has_the_classes_of_the_truth_by_overlap(indian_pines, data_dir):
    mask, own = sources.disjoint_mask("indian_pines"), scenes.read_array(data_dir / "indianpines_disjoint_dset.mat", None, 2)
    np.testing.assert_array_equal(mask > 0, own > 0)
    both = (own > 0) & (indian_pines.labels > 0)
    assert (mask > 0).sum() - both.sum() == 151  # where the truth has no label
    for value in range(1, 17):
        overlap = np.bincount(indian_pines.labels[both & (own == value)], minlength=17)
        assert mask[own == value][0] == overlap.argmax()
    assert (mask == indian_pines.labels)[both].mean() > 0.998
    split = cpdgal.Study(split="disjoint").make_split(indian_pines)
    assert (len(split.pool), len(split.holdout)) == (1024, (indian_pines.labels > 0).sum() - both.sum())


def test_a_mask_that_cannot_be_had_is_told_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("CPDGAL_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache")
    said = (
        rf"^indianpines_disjoint_dset.mat is on no mirror that is known, and CPDGAL_DATA_DIR has no {tmp_path}/\S+; download it"
    )
    with pytest.raises(SceneError, match=said):
        sources.disjoint_mask("indian_pines")
    with pytest.raises(SceneError, match=r"^salinas has no published training mask; indian_pines has one$"):
        sources.disjoint_mask("salinas")


def test_salinas_a_keeps_the_names_of_its_gapped_labels(data_dir):
    scene = load_scene("salinas_a")
    assert scene.cube.shape == (83, 86, 204)
    assert scene.label_values == (1, 10, 11, 12, 13, 14)
    assert set(np.unique(scene.labels)) == set(range(7))
    assert scene.class_names[1] == "Corn_senesced_green_weeds"
    assert np.bincount(scene.targets).tolist() == [391, 1343, 616, 1525, 674, 799]


def test_synthetic_scenes_are_deterministic_and_as_asked():
    options = {"height": 40, "width": 25, "bands": 12, "classes": 9, "seed": 3}
    scene, again = load_scene("synthetic", **options), load_scene("synthetic", **options)
    assert scene.cube.shape == (40, 25, 12)
    assert np.bincount(scene.targets, minlength=9).min() >= 8
    assert scene.checksum == again.checksum != load_scene("synthetic", **{**options, "seed": 4}).checksum
    with pytest.raises(SceneError, match="too small"):
        load_scene("synthetic", height=8, width=8, classes=5)


def test_a_wrong_name_lists_the_right_ones():
    with pytest.raises(SceneError, match="no scene is called 'pavia'; known are synthetic, indian_pines, salinas"):
        load_scene("pavia")


@pytest.mark.parametrize(
    ("name", "given"),
    [("indian_pines", {"labels_path": "mine.mat"}), ("salinas", {"cube_key": "x"}), ("synthetic", {"labels_path": "mine.mat"})],
)
def test_what_a_known_scene_cannot_use_is_refused_not_ignored(name, given):
    with pytest.raises(SceneError, match=f"{name} brings its own ground truth and names; load it by its name alone"):
        load_scene(name, **given)


@pytest.mark.parametrize("name", ["indian_pines", "salinas_a"])
def test_known_checksums_are_those_of_the_committed_records(name):
    forms = [json.loads(path.read_text())["study"] for path in (ROOT / "results").glob(f"{name}-*.json")]
    assert {form["checksum"] for form in forms} == {sources.known_checksum(name)}


def test_other_scenes_have_no_known_checksum():
    assert sources.known_checksum("synthetic") is sources.known_checksum("my_cube.mat") is None


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextmanager
def serving(handler):
    """The address of a mirror on this machine."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def described(path, key, *mirrors):
    """The entry of a file."""
    return {
        "file": path.name,
        "key": key,
        "bytes": path.stat().st_size,
        "sha256": pooch.file_hash(str(path)),
        "mirrors": [f"{mirror}/{path.name}" for mirror in mirrors],
    }


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Botswana's layout in small, served on this machine by the second of two mirrors, the first being down."""
    served, cache = tmp_path / "served", tmp_path / "cache"
    served.mkdir()
    labels = np.random.default_rng(0).integers(0, 15, (30, 20))
    labels.flat[:14] = np.arange(1, 15)
    savemat(served / "Botswana.mat", {"Botswana": np.random.default_rng(0).integers(0, 999, (30, 20, 145), dtype=np.uint16)})
    savemat(served / "Botswana_gt.mat", {"Botswana_gt": labels.astype(np.uint8)})
    monkeypatch.setattr(pooch, "os_cache", lambda name: cache)
    monkeypatch.delenv("CPDGAL_DATA_DIR", raising=False)
    with serving(partial(Quiet, directory=served)) as base:
        for part, file, key in (("cube", "Botswana.mat", "Botswana"), ("labels", "Botswana_gt.mat", "Botswana_gt")):
            entry = described(served / file, key, f"{base}/gone", base)
            monkeypatch.setitem(sources.SCENES["botswana"], part, entry)
        yield served


def test_public_scenes_are_downloaded_from_the_first_mirror_that_answers(mirror, tmp_path, capsys):
    scene = load_scene("botswana")
    said = capsys.readouterr().err
    assert "CPDGAL_DATA_DIR is not set; fetching Botswana.mat (0.174 MB) from http://127.0.0.1:" in said
    assert f"/Botswana_gt.mat into {tmp_path / 'cache'}\n" in said
    assert scene.cube.shape == (30, 20, 145)
    assert scene.class_names[0] == "Water"
    assert scene.band_centers_nm.shape == (145,)
    for file in mirror.iterdir():
        file.unlink()
    assert load_scene("botswana").checksum == scene.checksum  # from the cache now
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("content", [b"an error page", bytes(10**6)])
def test_a_download_that_is_not_the_canonical_file_is_refused(mirror, tmp_path, content):
    (mirror / "Botswana.mat").write_bytes(content)
    with pytest.raises(
        SceneError, match=r"Botswana.mat could not be .* 127.0.0.1:\d+ \(HTTPError\) or .* \(another file\), and"
    ):
        load_scene("botswana")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        (None, "and CPDGAL_DATA_DIR is not set; download it by hand into a folder and set CPDGAL_DATA_DIR to that folder"),
        ("mine", "and CPDGAL_DATA_DIR has no {own}; download it by hand to that place"),
    ],
)
def test_what_no_mirror_has_is_to_be_fetched_by_hand(mirror, monkeypatch, tmp_path, capsys, folder, said):
    (mirror / "Botswana.mat").unlink()
    if folder:
        monkeypatch.setenv("CPDGAL_DATA_DIR", str(tmp_path / folder))
    with pytest.raises(SceneError) as caught:
        load_scene("botswana")
    said = said.format(own=tmp_path / "mine" / "Botswana.mat")
    assert str(caught.value).endswith(said)
    assert len(str(caught.value)) < 300
    assert said.removeprefix("and ").split(";")[0] + "; fetching Botswana.mat" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_not_the_mirror_s_fault(mirror, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "file" / "cache")
    with pytest.raises(SceneError, match=r"Botswana.mat cannot be written to .*cache \(Not a directory\); download it by hand"):
        load_scene("botswana")


def test_a_full_disk_is_not_the_mirror_s_fault(mirror, monkeypatch):
    monkeypatch.setattr(sources.Path, "open", lambda path, mode: open("/dev/full", mode))
    with pytest.raises(SceneError, match=r"Botswana.mat cannot be written to .*cache \(No space left on device\); download it"):
        load_scene("botswana")


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n"], ids=["header", "body"])
def test_a_mirror_that_trickles_is_given_up(mirror, monkeypatch, tmp_path, before):
    stopped = threading.Event()

    class Trickle(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(before)
            with suppress(OSError):
                while not stopped.wait(0.02):
                    self.request.sendall(b"x")

    monkeypatch.setattr(sources, "PATIENCE", 0.4)
    file = sources.SCENES["botswana"]["cube"]
    with serving(Trickle) as base:
        good = file["mirrors"][1]
        monkeypatch.setitem(file, "mirrors", [f"{base}/Botswana.mat"])
        with pytest.raises(SceneError, match=r"could not be downloaded from 127.0.0.1:\d+ \(too slow\), and"):
            load_scene("botswana")
        assert not list((tmp_path / "cache").iterdir())
        monkeypatch.setitem(file, "mirrors", [f"{base}/Botswana.mat", good])
        assert load_scene("botswana").classes == 14
        stopped.set()


def test_a_mirror_that_never_ends_is_left_after_the_file_s_size(mirror, monkeypatch):
    sent = []

    class Endless(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with suppress(OSError):
                while len(sent) < 100:
                    self.request.sendall(bytes(2**20))
                    sent.append(2**20)

    with serving(Endless) as base:
        monkeypatch.setitem(sources.SCENES["botswana"]["cube"], "mirrors", [f"{base}/Botswana.mat"])
        with pytest.raises(SceneError, match=r"could not be downloaded from 127.0.0.1:\d+ \(another file\), and"):
            load_scene("botswana")
    assert len(sent) < 100


def test_a_slow_mirror_that_sends_enough_is_waited_for(mirror, monkeypatch):
    class Slow(Quiet):
        def copyfile(self, source, outputfile):
            while piece := source.read(2**14):
                outputfile.write(piece)
                outputfile.flush()
                sent.wait(0.05)

    sent = threading.Event()
    monkeypatch.setattr(sources, "PATIENCE", 0.2)
    file = sources.SCENES["botswana"]["cube"]
    with serving(partial(Slow, directory=mirror)) as base:
        monkeypatch.setitem(file, "mirrors", [f"{base}/Botswana.mat"])
        assert load_scene("botswana").bands == 145


def test_the_user_s_own_copy_is_checked_too(mirror, monkeypatch):
    monkeypatch.setenv("CPDGAL_DATA_DIR", str(mirror))
    assert load_scene("botswana").classes == 14
    (mirror / "Botswana_gt.mat").write_bytes(b"something else")
    with pytest.raises(SceneError, match=r"Botswana_gt\.mat is not the canonical file"):
        load_scene("botswana")


def test_a_scene_is_one_entry(mirror, monkeypatch, tmp_path, synthetic):
    """A made-up scene, with everything that an entry may say, is known everywhere without another edit."""
    labels = 10 * (synthetic.labels % 4)
    savemat(mirror / "Meadow.mat", {"cube": synthetic.cube, "truth": labels})
    (base,) = {url.rsplit("/", 1)[0] for url in sources.SCENES["botswana"]["cube"]["mirrors"][1:]}
    entry = {
        "cube": described(mirror / "Meadow.mat", "cube", base),
        "labels": described(mirror / "Meadow.mat", "truth", base),
        "classes": {"10": "Clover", "20": "Rye", "30": "Vetch"},
        "palette": ["228833", "CCBB44", "AA3377"],
        "band_centers_nm": list(range(400, 400 + synthetic.bands)),
        "protocol": {"pool": 0.3, "batch": 16},
    }
    monkeypatch.setitem(sources.SCENES, "meadow", json.loads(json.dumps(entry)))

    scene = load_scene("meadow")
    np.testing.assert_array_equal(scene.labels, labels // 10)
    assert (scene.name, scene.class_names, scene.band_centers_nm[0]) == ("meadow", ("Clover", "Rye", "Vetch"), 400)
    np.testing.assert_allclose(255 * scene.palette[2], [0xAA, 0x33, 0x77])
    assert cpdgal.protocol("meadow") == cpdgal.Protocol(pool=0.3, batch=16)

    assert "meadow        Meadow.mat and Meadow.mat" in CliRunner().invoke(app, ["scenes"]).output
    fetched = CliRunner().invoke(app, ["fetch", "meadow"])
    assert fetched.exit_code == 0
    assert scene.checksum in fetched.output
    assert "Vetch" in fetched.output

    study = cpdgal.Study(scene="meadow", method="coordinates", query="random", profile="smoke")
    assert (study.pool, study.batch) == (0.3, 16)
    record = cpdgal.run(study, cpdgal.Store(tmp_path / "store"), progress=False)
    assert record.study.checksum == sources.load_truth("meadow").checksum  # it looks at no cube
    assert record.path.name.startswith("meadow-coordinates-random-")
    assert list(record.classes.index) == ["Clover", "Rye", "Vetch"]
