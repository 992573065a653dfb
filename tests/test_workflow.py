"""The batch: what a sweeps file lists is run, once, on this machine and by SLURM."""

import os
import re
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from conftest import ROOT
from scipy.io import savemat
from small import own_scene
from small import run as small_run
from spectral.io import envi
from typer.testing import CliRunner

import cpdgal
from cpdgal import Record, Store, Study, book, run
from cpdgal.assess import ClassMap
from cpdgal.cli import app

sys.path.insert(0, str(ROOT / "workflow"))
from sweeps import studies

SMALL = {"scene": "synthetic", "profile": "smoke", "window": 3, "components": 8, "dim": 16, "layers": 2}


def write_sweeps(path: Path, **sweeps: list[dict]) -> Path:
    path.write_text(yaml.safe_dump(sweeps, sort_keys=False), encoding="utf-8")
    return path


def names(path: Path) -> list[str]:
    return [study.name for study in studies(path)]


# Sweeps files


def test_a_sweep_takes_every_combination_in_the_order_of_the_file(tmp_path):
    path = write_sweeps(tmp_path / "s.yml", a=[{"method": ["cpdgal", "vit"], "seed": [3, 1]}], b=[{"query": "random"}])
    assert list(studies(path)) == [
        Study(method="cpdgal", seed=3),
        Study(method="cpdgal", seed=1),
        Study(method="vit", seed=3),
        Study(method="vit", seed=1),
        Study(query="random"),
    ]


def test_variants_are_run_beside_the_plain_studies(tmp_path):
    variants = [{"pooling": "centre"}, {"alpha_range": [0.9, 0.1], "window": 5}]
    path = write_sweeps(tmp_path / "s.yml", a=[{"seed": [0, 1], "variants": variants}])
    assert list(studies(path)) == [
        Study(seed=0),
        Study(seed=1),
        Study(seed=0, pooling="centre"),
        Study(seed=1, pooling="centre"),
        Study(seed=0, alpha_range=(0.9, 0.1), window=5),
        Study(seed=1, alpha_range=(0.9, 0.1), window=5),
    ]


def test_weights_are_kept_for_the_seeds_that_are_listed(tmp_path):
    path = write_sweeps(tmp_path / "s.yml", a=[{"seed": [0, 1], "weights": [0]}, {"seed": 1, "weights": [1]}, {"seed": 0}])
    assert studies(path) == {Study(seed=0): True, Study(seed=1): True}
    path = write_sweeps(tmp_path / "s.yml", a=[{"seed": [0, 1], "weights": [0]}, {"method": "vit"}])
    assert studies(path) == {Study(seed=0): True, Study(seed=1): False, Study(method="vit"): False}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"method": "resnet"}, "method is one of"),
        ({"seed": [0, -1]}, "seed lies in .0, 9223372036854775807., not at -1"),
        ({"sede": 0}, "'sede'"),
        ({"variants": [{"window": "wide"}]}, "window takes a whole number, not 'wide'"),
        ({"variants": ["window"]}, "weights is a list of seeds, and variants a list of values by name"),
        ({"weights": 0}, "weights is a list of seeds"),
        ({"weights": [5]}, "weights names seed 5, which no study of the sweep has"),
        ({"method": []}, "method lists no value, so nothing would be run"),
        ({0: "seed"}, "a sweep is values of a study by name"),
        ("seed", "a sweep is values of a study by name, not 'seed'"),
        (None, "a sweep is values of a study by name, not 'None'"),
    ],
)
def test_a_wrong_value_names_file_and_sweep(tmp_path, wrong, said):
    path = write_sweeps(tmp_path / "s.yml", right=[{"seed": 0}], ours=[{"seed": 1}, wrong])
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}, sweep ours: .*{said}"):
        studies(path)


def test_weights_may_be_those_of_a_variant(tmp_path):
    path = write_sweeps(tmp_path / "s.yml", a=[{"weights": [7], "variants": [{"seed": 7}]}])
    assert studies(path) == {Study(): False, Study(seed=7): True}


@pytest.mark.parametrize(
    "text",
    ["", "a:", "a: {seed: 0}", "a: [", "- seed: 0", "a: [{seed: 0}]\na: []", "a: [{seed: 0, seed: 1}]", "[" * 3000, "a: \0"],
)
def test_a_file_that_lists_no_sweeps_is_told(tmp_path, text):
    (tmp_path / "s.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path / 's.yml'))} (lists no sweeps|cannot be read as YAML)"):
        studies(tmp_path / "s.yml")


@pytest.mark.parametrize("content", [b"a: \xff\xfe", None])
def test_a_file_that_cannot_be_read_is_told_in_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "s.yml").write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path / 's.yml'))} cannot be read as YAML: ") as error:
        studies(tmp_path / "s.yml")
    assert len(str(error.value).splitlines()) == 1
    assert "Errno" not in str(error.value)


def test_the_runs_behind_the_book_have_names_of_their_own_and_are_in_the_order_of_the_pages():
    listed = book.studies()
    assert len(listed) == len({study.key for study in listed}) == len({study.name for study in listed}) > 500
    networks = [study for study in listed if study.method not in ("coordinates", "spectra")]
    assert list(listed)[-len(networks) :] == networks
    few_labels, strategies, modules, ablations, readings, budgets, reference, peers = (
        networks.index(study)
        for study in (
            Study(cycles=0, per_class=1),
            Study(profile="ablation", query="random"),
            Study(profile="ablation", method="cpdgal-no-masking"),
            Study(profile="ablation", steps=5),
            Study(split="validation", seed=101),
            Study(acquired=0.005),
            Study(seed=3),
            Study(method="ssftt"),
        )
    )
    assert 0 == few_labels < strategies < modules < ablations < readings < budgets < reference < peers


def test_weights_are_kept_where_some_page_asks_for_them():
    listed = book.studies()
    assert listed[Study()]  # for the maps, not for Fig. 6
    assert listed[Study(cycles=0, initial=0.5, seed=2)]
    assert not listed[Study(seed=1)]


# Snakemake

needs_snakemake = pytest.mark.skipif(find_spec("snakemake") is None, reason="Snakemake is not installed: it needs Python 3.11")


def workplace(folder: Path) -> Path:
    """A folder to run the workflow in: its paths are relative, so that records and logs land there."""
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    return folder


def snakemake(sweeps: Path, *options: str, store="store") -> list[str]:
    """The command line; the store is a path below the folder that it is run in."""
    command = [sys.executable, "-m", "snakemake", "records", "--snakefile", str(ROOT / "workflow" / "Snakefile"), *options]
    return [*command, "--config", f"sweeps={sweeps}", f"store={store}"]


def finished(command: list[str], folder: Path) -> subprocess.CompletedProcess:
    together = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.run(command, cwd=folder, check=False, timeout=600, **together)


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """Folder and end of a batch of three studies, of which the last cannot be run."""
    folder = workplace(tmp_path_factory.mktemp("batch"))
    sweeps = write_sweeps(folder / "three.yml", right=[SMALL | {"seed": [0, 1]}], wrong=[SMALL | {"components": 99}])
    return folder, finished(snakemake(sweeps, "--cores", "2", "--quiet", "rules"), folder)


def planned(folder: Path, *seeds: int, store="store") -> set[str]:
    """The studies that Snakemake would run for the sweep of these seeds."""
    sweeps = write_sweeps(folder / "planned.yml", right=[SMALL | {"seed": list(seeds)}])
    done = finished(snakemake(sweeps, "--cores", "1", "--dry-run", store=store), folder)
    assert done.returncode == 0, done.stdout
    return {Path(path).stem for path in re.findall(r"output: (\S+)", done.stdout)}


@needs_snakemake
def test_a_batch_leaves_a_record_and_an_executed_notebook_for_every_study(batch):
    folder, done = batch
    right = names(folder / "three.yml")[:2]
    assert {path.stem for path in (folder / "store").glob("*.json")} == set(right), done.stdout
    for name, seed in zip(right, (0, 1), strict=True):
        record = Record.read(folder / "store" / f"{name}.json")
        assert record.study.key == Study(**SMALL, seed=seed).key
        assert "Accuracy over labels" in (folder / "runs" / "studies" / f"{name}.ipynb").read_text(encoding="utf-8")


@needs_snakemake
def test_without_a_file_the_runs_are_those_of_the_pages(tmp_path):
    command = [sys.executable, "-m", "snakemake", "records", "--snakefile", str(ROOT / "workflow" / "Snakefile"), "--dry-run"]
    done = finished([*command, "--quiet", "progress", "--config", "store=store"], workplace(tmp_path))
    assert done.returncode == 0, done.stdout
    assert {Path(path).stem for path in re.findall(r"output: (\S+)", done.stdout)} == {study.name for study in book.studies()}


@needs_snakemake
def test_studies_are_run_in_the_order_of_the_list(tmp_path):
    folder = workplace(tmp_path)
    floor = {"scene": "synthetic", "profile": "smoke", "method": "coordinates", "query": "random", "cycles": 0}
    seeds = [5, 3, 8, 1, 9, 2]
    sweeps = write_sweeps(folder / "order.yml", second=[floor | {"seed": seeds[:3]}], first=[floor | {"seed": seeds[3:]}])
    done = finished(snakemake(sweeps, "--cores", "1"), folder)
    assert done.returncode == 0, done.stdout
    started = [Path(path).stem for path in re.findall(r"output: (\S+)", done.stdout)]
    assert started == names(sweeps)


@needs_snakemake
def test_a_study_that_fails_says_so_in_a_sentence_and_leaves_its_notebook(batch):
    folder, done = batch
    wrong = names(folder / "three.yml")[-1]
    assert done.returncode != 0
    sentence = "ValueError: synthetic: 99 components from 40 bands and 3600 pixels; choose 1 to 40, or 0 for the bands "
    sentence += "themselves"
    assert f"{wrong}: {sentence}" in done.stdout.splitlines()
    assert "Traceback" not in done.stdout
    notebook = nbformat.read(folder / "runs" / "studies" / f"{wrong}.ipynb", 4)
    errors = [output for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == "error"]
    assert [f"{error.ename}: {error.evalue}" for error in errors] == [sentence]


@needs_snakemake
def test_a_batch_in_a_folder_of_its_own_gets_what_is_on_record_elsewhere(tmp_path):
    """A study that the package has, and one whose data moved: both records are copied to where the batch waits for them."""
    scene = cpdgal.load_scene("synthetic", height=20, width=20, bands=8, classes=3)
    floor = {"method": "coordinates", "query": "random", "pool": 0.4, "initial": 0.2, "cycles": 0}
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "own.npz", cube=scene.cube, truth=scene.labels)
    moved = [{"scene": str(tmp_path / name / "own.npz"), **floor} for name in ("before", "after")]
    first = run(Study(**moved[0]), Store(tmp_path / "store", packaged=False), progress=False)
    (tmp_path / "before" / "own.npz").unlink()
    sweeps = write_sweeps(tmp_path / "s.yml", ours=[{"method": "coordinates", "query": "random"}], own=[moved[1]])
    done = finished(snakemake(sweeps, "--cores", "1", "--quiet", "rules"), tmp_path)
    assert done.returncode == 0, done.stdout
    packaged, own = (Record.read(tmp_path / "store" / f"{name}.json") for name in names(sweeps))
    assert packaged.provenance == Store().get(packaged.study).provenance
    assert own.provenance == first.provenance


CONFIGS = {
    ("Snakefile", "sweep=s.yml"): "--config takes sweeps, store, and no sweep",
    ("Snakefile", "sweeps=missing.yml"): "missing.yml cannot be read as YAML: No such file or directory",
    ("Snakefile", "store="): "--config needs a value for store, as in store=...; it takes sweeps, store",
    (
        "maps.smk",
        "scenes=.",
    ): "--config needs a value for model, as in model=...; it takes model, scenes, maps, pixels, options",
    ("maps.smk", "model=a.mat scenes=x maps=out"): "x is no folder of scenes; name one with scenes=FOLDER",
    ("maps.smk", "model=x.json scenes=. maps=out"): "x.json is no file; name a record with weights, or what cpdgal label keeps",
    ("maps.smk", "model=a.mat scenes=. maps=out pixels=0"): "--config takes a whole number from 1 for pixels, not '0'",
    ("maps.smk", "model=a.mat scenes=. maps=out"): "a.mat and another scene would have one map, by their name; rename one",
}


@needs_snakemake
@pytest.mark.parametrize(("file", "config"), CONFIGS)
def test_a_wrong_configuration_ends_in_one_sentence_and_runs_nothing(file, config, tmp_path):
    for name in ("a.mat", "a.npy"):
        (tmp_path / name).touch()
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow" / file), "--cores", "1"]
    done = finished([*command, "--config", *config.split()], tmp_path)
    assert done.returncode == 1
    (said,) = [line for line in done.stdout.splitlines() if not line.startswith("Using workflow specific profile")]
    assert CONFIGS[file, config] in said
    assert not (tmp_path / "out").exists()


@needs_snakemake
def test_only_what_has_no_record_is_planned(batch, tmp_path):
    folder, _ = batch
    assert planned(folder, 0, 1) == set()
    shutil.copytree(folder / "store", tmp_path / "store")
    (removed,) = (tmp_path / "store").glob(f"{Study(**SMALL, seed=1).name}.json")
    removed.unlink()
    new = Study(**SMALL, seed=2).name
    assert planned(folder, 0, 1, 2, store=tmp_path / "store") == {removed.stem, new}


@needs_snakemake
def test_a_sweep_of_one_s_own_scenes_runs_to_its_end_is_listed_and_maps_them(tmp_path):
    """Two scenes over two methods and two splits: one in a folder with a space and its truth in a second file, one in a single
    MATLAB file; one run keeps its weights, and maps both."""
    folder, place = workplace(tmp_path), tmp_path / "my fields"
    place.mkdir()
    scenes = [cpdgal.load_scene("synthetic", height=20, width=20, bands=10, classes=3, seed=seed) for seed in (1, 2)]
    np.save(place / "north field.npy", scenes[0].cube)
    np.save(place / "truth.npy", scenes[0].labels)
    savemat(tmp_path / "south.mat", {"cube": scenes[1].cube, "truth": scenes[1].labels})
    shared = {"profile": "smoke", "window": 3, "components": 4, "dim": 8, "heads": 2, "layers": 1, "pool": 0.4, "initial": 0.2}
    shared |= {"block": 4, "gap": 1, "method": ["cpdgal", "vit"]}
    north = {"scene": str(place / "north field.npy"), "labels_path": str(place / "truth.npy")}
    south = {"scene": "south.mat"}  # from the folder that the batch runs in
    both = [shared | north | {"weights": [0]}, shared | north | {"split": "block"}]
    sweeps = write_sweeps(folder / "own.yml", north=both, south=[shared | south | {"split": ["random", "block"]}])
    done = finished(snakemake(sweeps, "--cores", "2", "--quiet", "rules"), folder)
    assert done.returncode == 0, done.stdout
    found = Store(folder / "store", packaged=False).records()
    assert {record.study.key for record in found} == {study.key for study in studies(sweeps)}
    assert len(found) == 8
    trained = [record for record in found if record.weights]
    assert [record.study.method for record in trained] == ["cpdgal", "vit"]
    assert {record.study.labels_path for record in trained} == {north["labels_path"]}
    assert {record.study.checksum for record in trained} == {scenes[0].checksum}
    assert planned_of(sweeps, folder) == set()
    listed = CliRunner().invoke(app, ["records", "--store", str(folder / "store"), "--csv"]).stdout
    assert all(record.study.key in listed for record in found)
    for scene, given in zip(scenes, ([], [str(tmp_path / "south.mat")]), strict=True):
        out = tmp_path / "map.npy"
        done = CliRunner().invoke(app, ["map", str(trained[0].path), *given, "-o", str(out)])
        assert done.exit_code == 0, done.output
        assert np.load(out).tolist() == trained[0].map(scene, elsewhere=bool(given)).tolist()


@needs_snakemake
def test_a_folder_of_scenes_is_mapped_a_job_a_scene_and_a_large_one_in_shares(tmp_path):
    folder, fields, out = workplace(tmp_path), tmp_path / "my fields", tmp_path / "maps of them"
    fields.mkdir()
    own = own_scene(tmp_path)
    model = small_run(own, tmp_path / "store", weights=True)
    cubes = {name: np.load(tmp_path / "cube.npy")[: 5 * k] for k, name in enumerate(("a", "b c", "large"), 2)}
    for name, cube in cubes.items():
        envi.save_image(str(fields / f"{name}.hdr"), cube, dtype=np.float32)
    config = [f"model={model.path}", f"scenes={fields}", f"maps={out}", "pixels=200", "options=--confidence"]
    command = [sys.executable, "-m", "snakemake", "maps", "--snakefile", str(ROOT / "workflow" / "maps.smk"), "--cores", "2"]
    done = finished([*command, "--config", *config], folder)
    assert done.returncode == 0, done.stdout
    assert "scene_3_share_2" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{name}{end}.tif" for name in cubes for end in ("", "-confidence")
    )
    for name, cube in cubes.items():
        expected = model.map(cpdgal.Scene(cube, None), elsewhere=True)
        assert (
            ClassMap.open(out / f"{name}.tif").at(*np.mgrid[: len(cube), :20].reshape(2, -1)).tolist()
            == expected.ravel().tolist()
        )
    (out / "a.tif").unlink()
    done = finished([*command, "--dry-run", "--config", *config], folder)
    assert re.findall(r"^rule (scene\w+):", done.stdout, re.M) == ["scene_1"]


def planned_of(sweeps: Path, folder: Path) -> set[str]:
    """The studies that Snakemake would run for a sweeps file."""
    done = finished(snakemake(sweeps, "--cores", "1", "--dry-run"), folder)
    assert done.returncode == 0, done.stdout
    return {Path(path).stem for path in re.findall(r"output: (\S+)", done.stdout)}


# SLURM

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch")
WITHOUT = [name for name in DAEMONS if shutil.which(name) is None]


@pytest.fixture
def slurm():
    """A SLURM of one node on this machine, stopped at the end."""
    here = ROOT / "tests" / "slurm"
    started = subprocess.run([here / "start.sh"], capture_output=True, text=True, check=False, timeout=180)
    assert started.returncode == 0, started.stderr
    yield
    stopped = subprocess.run([here / "stop.sh"], capture_output=True, text=True, check=False, timeout=180)
    assert stopped.returncode == 0, stopped.stderr


@needs_snakemake
@pytest.mark.slow
@pytest.mark.skipif(bool(WITHOUT), reason=f"no SLURM on this machine: it lacks {', '.join(WITHOUT)}")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="SLURM's daemons need root")
def test_a_study_that_slurm_cuts_off_goes_on_and_ends_in_the_same_record(slurm, tmp_path):
    folder = workplace(tmp_path)
    sixth = {"cycles": 10, "epochs": 40}  # longer than the others, to be cut off in the middle
    long = Study(**SMALL, **sixth)
    sweeps = write_sweeps(folder / "six.yml", short=[SMALL | {"seed": [1, 2, 3, 4, 5]}], long=[SMALL | sixth])
    options = "--executor slurm --jobs 6 --default-resources slurm_partition=main --slurm-status-command squeue"
    command = snakemake(sweeps, *options.split(), "--slurm-init-seconds-before-status-checks", "5")
    command = ["timeout", "-k", "30", "1800", *command]
    output, store = folder / "output.txt", folder / "store"
    together = {"cwd": folder, "stderr": subprocess.STDOUT}

    def records() -> set[str]:
        return {path.stem for path in store.glob("*.json")}

    with output.open("w") as file, subprocess.Popen(command, stdout=file, **together) as process:
        try:
            while not (store / "checkpoints" / f"{long.name}.safetensors").exists():
                assert process.poll() is None, output.read_text()
                time.sleep(0.2)
            listed = ["squeue", "--noheader", "--states=RUNNING", "--format=%i %k"]
            running = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
            (job,) = (line.split()[0] for line in running if "study_6" in line)
            subprocess.run(["scancel", job], check=True)
            assert process.wait() not in (0, 124, 137), output.read_text()
        finally:
            process.terminate()
    assert f"SLURM-job '{job}' failed" in output.read_text()
    assert records() == set(names(sweeps)) - {long.name}, output.read_text()

    with output.open("w") as file:
        again = subprocess.run(command, stdout=file, check=False, **together)
    assert again.returncode == 0, output.read_text()
    assert re.findall(r"^(study_\d+) +1$", output.read_text(), re.M) == ["study_6"]
    assert records() == set(names(sweeps)) == {path.stem for path in (folder / "runs" / "studies").glob("*.ipynb")}
    resumed = Record.read(store / f"{long.name}.json")
    assert resumed.provenance["resumed"] >= 1
    undisturbed = run(long, Store(folder / "undisturbed", packaged=False), progress=False)
    assert resumed.differences(undisturbed) == []
