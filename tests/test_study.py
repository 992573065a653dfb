"""Studies, records and their store; runs that are killed, damaged, short of room, or asked for twice at once."""

import io
import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
import time
from contextlib import redirect_stderr, suppress
from dataclasses import fields, replace
from functools import partial
from threading import Event

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load
from threadpoolctl import threadpool_limits

import cpdgal
from cpdgal import Record, RecordError, Store, Study
from cpdgal import study as module
from cpdgal.metrics import scores

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
# One other value for every field that decides numbers, in the order of the fields.
OTHER = {
    "scene": "botswana", "labels_path": "truth.npy", "method": "vit", "split": "block", "query": "balanced-entropy",
    "profile": "smoke", "seed": 1, "pool": 0.2, "initial": 0.1, "per_class": 5, "acquired": 0.03, "cycles": 31,
    "epochs": 100, "batch": 16, "learning_rate": 0.01, "decay": "cosine", "optimizer": "adamw", "weight_decay": 0.1,
    "augment": True, "validated": 0.2, "stratified": True, "score_every": 2, "judged": 100, "window": 9,
    "components": 16, "scaling": "min-max", "padding": "reflect", "patch": 7, "dim": 64, "heads": 4, "layers": 5,
    "steps": 50, "ffn_ratio": 2, "beta": 1.0, "static_masking": 0.5, "cw_mse_weight": 1.0, "detach_target": True,
    "masked_above": "half", "refined_after_norm": False, "alpha_range": (0.99, 0.6), "alpha_clip": (0.02, 0.99),
    "refinement": "last", "draws": 9, "mask_at_inference": False, "pooling": "centre", "warm_start": False,
    "keep_optimizer": True, "stratified_pool": False, "pca": "pool", "whiten": False, "block": 14, "gap": 0,
}  # fmt: skip


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the record of the small study was kept, with its weights. Only for looking at."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def record(folder):
    return run(SMALL, folder, weights=True)


@pytest.fixture(scope="module")
def synthetic():
    return cpdgal.load_scene("synthetic")


# Keys and names


def test_every_field_but_the_checksum_has_another_value_here():
    assert [each.name for each in fields(Study)] == [*OTHER, "checksum"]


def test_the_keys_of_studies_are_the_ones_that_records_are_kept_by():
    assert Study().key == "c1c011a83b"
    assert Study(method="vit").key == "9f63f96c4e"
    assert Study().name == "indian_pines-cpdgal-random-margin-paper-0-c1c011a83b"


@pytest.mark.parametrize("field", OTHER)
def test_another_value_of_any_field_is_another_study(field):
    study = Study(**{field: OTHER[field]})
    assert study != Study()
    assert study.key != Study().key
    assert study.name.lower() != Study().name.lower()
    assert getattr(study, field) == OTHER[field]


def test_no_two_of_these_studies_share_a_file():
    assert len({Study(**{field: value}).name for field, value in OTHER.items()}) == len(OTHER)


def test_a_key_does_not_depend_on_how_a_study_is_written_down():
    study = Study(**OTHER)
    assert Study(**dict(reversed(OTHER.items()))).key == study.key
    assert Study(cw_mse_weight=1).key == Study(cw_mse_weight=1.0).key
    assert Study(cw_mse_weight=1) == Study(cw_mse_weight=1.0)
    assert Study(alpha_range=[0.9, 0.5]) == Study(alpha_range=(0.9, 0.5))
    assert Study(alpha_range=[1, 0]).key == Study(alpha_range=(1.0, 0.0)).key
    assert hash(Study(alpha_range=[1, 0])) == hash(Study(alpha_range=(1, 0)))
    assert Study(**Study().form) == Study()
    assert Study(**Study().form).key == Study().key
    assert replace(Study(), checksum="00ff").key == Study().key
    assert Study(cycles=30).changes == {}  # written out, but the profile's own
    assert Study(cycles=31, seed=3, query="bald", gap=2).changes == {"cycles": 31, "gap": 2}


def values(field):
    kinds = {
        bool: st.booleans(), int: st.integers(0, 10**6), float: st.floats(allow_nan=False, allow_infinity=False),
        tuple: st.tuples(st.floats(0, 1), st.integers(0, 1)), type(None): st.none() | st.integers(0, 99),
    }  # fmt: skip
    choices = {"method", "split", "query", "profile", "decay", "optimizer", "scaling", "padding", "masked_above", "refinement"}
    choices |= {"pooling", "pca"}
    default = getattr(Study(), field)
    if field in choices:
        return st.sampled_from([default, OTHER[field]])
    return st.text(max_size=20) if isinstance(default, str) else kinds[type(default)]


@settings(deadline=None, max_examples=60)
@given(st.fixed_dictionaries({}, optional={field: values(field) for field in OTHER}))
def test_a_study_comes_back_from_its_form(chosen):
    study = Study(**chosen)
    again = Study.from_form(json.loads(json.dumps(study.form, allow_nan=False)))
    assert again == study
    assert again.key == study.key
    assert again.name == study.name
    assert again.form == study.form


@pytest.mark.parametrize(
    "scene",
    [
        "../../etc/passwd.mat", "/", "..", ".", "", "-rf", "my scene (2).npy", "поле.mat", "ünïcode.npy", "CON.mat", "a\0b",
        "a\nb", "C:\\data\\x.mat", "x" * 500 + ".mat", "~/x.json",
    ],
)  # fmt: skip
def test_a_file_s_name_is_safe_whatever_the_scene(tmp_path, scene):
    name = Study(scene=scene, seed=10**60).name
    assert re.fullmatch(r"[a-z0-9_]*(-[a-z0-9_]+){6}", name)
    assert len(name) < 230  # with the longest ending, of at most 255
    assert (tmp_path / f"{name}.json").resolve().parent == tmp_path.resolve()
    (tmp_path / f".{name}.previous.safetensors.part").touch()


def test_scenes_of_the_same_name_in_two_folders_do_not_share_a_file():
    assert Study(scene="a/x.npy").name != Study(scene="b/x.npy").name


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"seed": "0"}, "seed takes a whole number, not '0'"),
        ({"seed": True}, "seed takes a whole number, not True"),
        ({"seed": None}, "seed takes a whole number, not None"),
        ({"cycles": 3.0}, "cycles takes a whole number, not 3.0"),
        ({"warm_start": "true"}, "warm_start takes true or false, not 'true'"),
        ({"warm_start": 1}, "warm_start takes true or false, not 1"),
        ({"learning_rate": "0.1"}, "learning_rate takes a number, not '0.1'"),
        ({"pool": True}, "pool takes a number, not True"),
        ({"beta": float("nan")}, "beta takes a number, not nan"),
        ({"beta": float("inf")}, "beta takes a number, not inf"),
        ({"scene": None}, "scene takes a text, not None"),
        ({"alpha_range": (1,)}, r"alpha_range takes a pair of numbers, not \(1,\)"),
        ({"alpha_range": 0.5}, "alpha_range takes a pair of numbers, not 0.5"),
        ({"alpha_range": "01"}, "alpha_range takes a pair of numbers, not '01'"),
        ({"alpha_range": (0.9, None)}, r"alpha_range takes a pair of numbers, not \(0.9, None\)"),
        ({"alpha_range": ("0.9", "0.5")}, r"alpha_range takes a pair of numbers, not \('0.9', '0.5'\)"),
        ({"alpha_clip": (True, False)}, r"alpha_clip takes a pair of numbers, not \(True, False\)"),
        ({"alpha_clip": (0, float("nan"))}, r"alpha_clip takes a pair of numbers, not \(0, nan\)"),
        (
            {"method": "best"},
            "method is one of cpdgal, vit, cpdgal-no-dgfr, cpdgal-no-masking, cnn2d, .*, coordinates, spectra, not 'best'",
        ),
        ({"split": "Random"}, "split is one of random, block, validation, not 'Random'"),
        ({"query": "best"}, "no query strategy is called 'best'; known are margin, .*"),
        ({"profile": "fast"}, "no profile is called 'fast'; known are paper, ablation, quick, smoke"),
        ({"pca": "all"}, "pca is one of scene, pool, not 'all'"),
        ({"decay": "linear"}, "decay is one of none, cosine, .*, not 'linear'"),
        ({"optimizer": "lion"}, "optimizer is one of adam, adamw, sgd, not 'lion'"),
        ({"scaling": "l2"}, "scaling is one of band standard, .*, not 'l2'"),
        ({"seed": -1}, "a seed is a number from 0 up, not -1"),
    ],
)
def test_a_wrong_value_is_told_in_a_sentence(wrong, said):
    with pytest.raises(ValueError, match=f"^{said}$") as error:
        Study(**wrong)
    one_sentence(error)


def test_a_form_of_another_version_is_refused():
    with pytest.raises(ValueError, match=r"^this version of cpdgal has no optimiser, scheduler$"):
        Study.from_form({**Study().form, "scheduler": 1, "optimiser": "sgd"})


def test_the_protocol_is_the_profile_s_for_the_scene_unless_told_otherwise():
    assert Study(scene="salinas").protocol == cpdgal.protocol("salinas")
    assert Study(profile="quick", epochs=7).protocol == replace(cpdgal.protocol("indian_pines", "quick"), epochs=7)


# A run and its record


def test_a_record_read_back_is_the_one_that_was_returned(record, folder):
    again = Record.read(record.path)
    assert record.differences(again) == []
    assert again.results == record.results
    assert again.provenance == record.provenance
    for table in ("cycles", "classes", "queried", "calibration"):
        pd.testing.assert_frame_equal(getattr(again, table), getattr(record, table))
    for array in ("confusion", "entropy"):
        np.testing.assert_array_equal(getattr(again, array), getattr(record, array))
    assert again.study == record.study
    assert record.study == replace(SMALL, checksum=cpdgal.load_scene("synthetic").checksum)
    assert sorted(contents(folder)) == [f"{SMALL.name}.json", f"{SMALL.name}.safetensors"]


def test_differences_name_the_parts(record):
    assert record.differences(replace(record, confusion=record.confusion + 1)) == ["confusion"]
    worse = replace(record, cycles=record.cycles.assign(OA=record.cycles.OA - 1e-12), study=replace(record.study, seed=1))
    assert record.differences(worse) == ["study", "cycles"]
    assert record.differences(replace(record, cycles=record.cycles.assign(seconds=0.0))) == []


def test_a_record_that_is_there_is_loaded(record, folder, monkeypatch):
    before = contents(folder)
    monkeypatch.setattr(module, "active_learning", None)
    assert run(SMALL, folder).differences(record) == []
    assert run(SMALL, folder, weights=True).provenance == record.provenance
    assert contents(folder) == before


COLUMNS = ["cycle", "labels", "share", "OA", "AA", "kappa", "loss", "ECE", "EMI", "EMI per label", "seconds"]


def test_a_record_s_tables_follow_the_loop(record, synthetic):
    split = record.study.make_split(synthetic)
    cycles, classes, queried = record.cycles, record.classes, record.queried
    labels = SMALL.protocol.label_counts(len(synthetic.pixels))
    assert list(cycles) == COLUMNS
    assert cycles["cycle"].tolist() == [0, 1, 2, 3]
    assert cycles["labels"].tolist() == labels
    for count, share in zip(labels, cycles["share"], strict=True):
        assert share == pytest.approx(100 * count / len(synthetic.pixels))
    assert cycles.EMI.isna().tolist() == [True] + [False] * 3
    for i in range(1, 4):
        gain = (cycles.OA[i] - cycles.OA[i - 1]) / 100
        assert cycles.EMI[i] == pytest.approx(gain)
        assert cycles["EMI per label"][i] == pytest.approx(gain / (labels[i] - labels[i - 1]))
    assert record.final.OA == cycles.OA[3]

    assert record.entropy.shape == (4, 10)
    assert record.entropy.sum(1).tolist() == [len(split.pool) - count for count in labels]

    assert list(classes) == ["pool", "judged", "labels", "accuracy"]
    assert classes.index.tolist() == list(synthetic.class_names)
    assert record.confusion.sum(1).tolist() == classes.judged.tolist()
    assert classes.judged.sum() == len(split.holdout) == record.calibration["count"].sum()
    assert classes.pool.sum() == len(split.pool)
    np.testing.assert_allclose(classes.accuracy, 100 * np.diag(record.confusion) / classes.judged)
    assert record.final.OA == pytest.approx(100 * np.trace(record.confusion) / record.confusion.sum())
    assert record.final.AA == pytest.approx(classes.accuracy.mean())

    assert queried.position.is_unique
    assert np.isin(queried.position, split.pool).all()
    np.testing.assert_array_equal(synthetic.pixels[queried.position], queried[["row", "column"]])
    assert [(queried["cycle"] <= cycle).sum() for cycle in range(4)] == labels
    assert queried["cycle"].is_monotonic_increasing
    assert np.bincount(synthetic.targets[queried.position]).tolist() == classes.labels.tolist()


def test_a_record_is_what_the_loop_gives(record, synthetic):
    """Against the loop itself, called by hand."""
    split = cpdgal.random_split(synthetic, SMALL.pool, rng=np.random.default_rng(0))
    with threadpool_limits(1):  # as in a run: the components depend on it in the last digits
        windows = cpdgal.Windows(synthetic, 3, 4)
    model = cpdgal.build("cpdgal", bands=4, window=3, classes=6, dim=8, heads=2, layers=1)
    cycles = list(cpdgal.active_learning(model, windows, split, SMALL.protocol, progress=False))
    assert [cycle.scores for cycle in cycles] == record.cycles[["OA", "AA", "kappa"]].to_dict("records")
    assert cycles[-1].labelled.tolist() == record.queried.position.tolist()
    assert all(torch.equal(value, record.network(synthetic).state_dict()[name]) for name, value in model.state_dict().items())


def test_provenance_says_where_and_when(record):
    assert set(record.provenance) == {
        "cpdgal", "python", "torch", "numpy", "scipy", "scikit-learn", "system", "processor", "device", "threads", "checksum",
        "commit", "start", "end", "resumed", "seconds",
    }  # fmt: skip
    assert record.provenance["torch"] == torch.__version__
    assert record.provenance["resumed"] == 0
    assert record.provenance["start"] <= record.provenance["end"]
    assert record.cycles.seconds.tolist() == record.provenance["seconds"]


def test_kept_weights_give_the_record_s_accuracy(record, synthetic):
    split = record.study.make_split(synthetic)
    windows = record.study.make_windows(synthetic, split)
    predicted = cpdgal.predict(record.network(synthetic), windows.batches(split.holdout)).argmax(1)
    assert scores(synthetic.targets[split.holdout], predicted)["OA"] == record.final.OA
    assert not record.network(synthetic).training
    drawn, judged = record.map(synthetic)
    assert drawn.shape == synthetic.labels.shape
    assert drawn[tuple(synthetic.pixels[judged.holdout].T)].tolist() == (predicted + 1).tolist()


def test_weights_that_were_not_kept_are_told_and_can_be_had_later(record, synthetic, tmp_path):
    without = run(SMALL, tmp_path)
    assert without.weights is None
    assert list(contents(tmp_path)) == [f"{SMALL.name}.json"]
    with pytest.raises(RecordError, match="has no weights; run its study again with weights=True") as error:
        without.network(synthetic)
    one_sentence(error)
    later = run(SMALL, tmp_path, weights=True)
    assert later.differences(record) == []
    assert later.weights.read_bytes() == record.weights.read_bytes()


def test_looks_at_the_hold_out_further_apart(record, tmp_path):
    seldom = run(replace(SMALL, score_every=2), tmp_path)
    assert seldom.differences(record) == ["study", "cycles"]
    scored = seldom.cycles.OA.notna()
    assert scored.tolist() == [False, True, False, True]
    assert seldom.cycles.EMI.notna().tolist() == [False, False, False, True]
    assert seldom.cycles.EMI[3] == pytest.approx((record.cycles.OA[3] - record.cycles.OA[1]) / 100)
    asked = record.cycles.labels[3] - record.cycles.labels[1]
    assert seldom.cycles["EMI per label"][3] == pytest.approx(seldom.cycles.EMI[3] / asked)
    assert list(seldom.cycles) == COLUMNS
    assert Record.read(seldom.path).differences(seldom) == []


@pytest.mark.parametrize("stopped", [False, True])
def test_a_run_leaves_random_states_and_threads_alone(tmp_path, monkeypatch, stopped):
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    threads = torch.get_num_threads()
    seen = []
    original = Store.save_checkpoint

    def save(*args):
        seen.append(torch.get_num_threads())
        if stopped:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(Store, "save_checkpoint", save)
    torch.set_num_threads(2)
    try:
        if stopped:
            with pytest.raises(KeyboardInterrupt):
                run(replace(SMALL, cycles=1), tmp_path)
        else:
            run(replace(SMALL, cycles=1), tmp_path)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert set(seen) == {1}
    assert torch.equal(torch.random.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002


def test_a_run_does_not_depend_on_the_random_state_or_the_threads(record, tmp_path):
    torch.manual_seed(12)
    np.random.seed(12)  # noqa: NPY002
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert run(SMALL, tmp_path).differences(record) == []
    finally:
        torch.set_num_threads(threads)


# Splits and floors


def own_scene(folder, seed=0):
    """A study of a small scene of one's own, in two files; another seed has other data in files of the same names."""
    scene = cpdgal.load_scene("synthetic", height=20, width=20, bands=8, classes=3, seed=seed)
    np.save(folder / "cube.npy", scene.cube)
    np.save(folder / "truth.npy", scene.labels)
    return replace(SMALL, scene=str(folder / "cube.npy"), labels_path=str(folder / "truth.npy"), pool=0.4, initial=0.2)


def test_the_block_split_of_a_study_keeps_windows_apart(tmp_path):
    study = replace(own_scene(tmp_path), split="block", pool=0.2, block=5, cycles=1)
    scene = study.load_scene()
    for gap, least in ((None, 3), (1, 2), (4, 5)):  # by default, no two windows of 3 x 3 overlap
        split = replace(study, gap=gap).make_split(scene)
        pool, judged = (scene.pixels[part] for part in (split.pool, split.holdout))
        assert np.abs(pool[:, None] - judged[None]).max(2).min() == least
    record = run(study, tmp_path / "results")
    split = study.make_split(scene)
    assert record.classes.judged.sum() == len(split.holdout) < len(scene.pixels) - len(split.pool)
    assert np.isin(record.queried.position, split.pool).all()


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("stratified", [True, False])
def test_validation_judges_on_the_pool_and_never_sees_the_hold_out(synthetic, seed, stratified):
    study = replace(SMALL, seed=seed, stratified_pool=stratified)
    random, validation = (replace(study, split=name).make_split(synthetic) for name in ("random", "validation"))
    assert np.union1d(validation.pool, validation.holdout).tolist() == random.pool.tolist()
    assert abs(len(validation.pool) - len(validation.holdout)) <= 1
    assert not np.intersect1d(validation.holdout, random.holdout).size
    halves = [np.bincount(synthetic.targets[part], minlength=6) for part in (validation.pool, validation.holdout)]
    assert np.abs(halves[0] - halves[1]).max() <= 6  # dealt class by class


def test_a_validation_run_judges_by_that_split(synthetic, tmp_path):
    study = replace(SMALL, split="validation", cycles=1)
    record = run(study, tmp_path)
    held_out = replace(study, split="random").make_split(synthetic).holdout
    assert record.classes.judged.sum() == len(study.make_split(synthetic).holdout)
    assert not np.isin(record.queried.position, held_out).any()


def test_the_pca_can_be_fitted_on_the_pool_alone(synthetic):
    study = replace(SMALL, pca="pool")
    split = study.make_split(synthetic)
    on_pool = study.make_windows(synthetic, split).reduction
    by_hand = cpdgal.Windows(synthetic, 3, 4, fit_on=split.pool).reduction
    np.testing.assert_array_equal(on_pool[-1].components_, by_hand[-1].components_)
    assert not np.array_equal(on_pool[-1].components_, SMALL.make_windows(synthetic, split).reduction[-1].components_)


@pytest.mark.parametrize("method", ["coordinates", "spectra"])
@pytest.mark.parametrize("query", ["random", "farthest-first"])
def test_floors_are_methods(synthetic, tmp_path, monkeypatch, method, query):
    study = replace(SMALL, method=method, query=query)
    record = run(study, tmp_path)
    split = study.make_split(synthetic)
    predicted = module.FLOORS[method](synthetic, record.queried.position.to_numpy(), split.holdout)
    assert record.final.OA == scores(synthetic.targets[split.holdout], predicted)["OA"]
    assert record.cycles.loss.isna().all()
    assert record.calibration["count"].tolist() == [0] * 14 + [len(split.holdout)]
    assert record.entropy[:, 0].tolist() == record.entropy.sum(1).tolist()  # certain of everything
    assert Record.read(record.path).differences(record) == []
    with pytest.raises(RecordError, match="has no weights"):
        record.network(synthetic)
    monkeypatch.setattr(module, "active_learning", None)
    assert run(study, tmp_path, weights=True).differences(record) == []  # it has none to keep


def test_a_floor_that_is_asked_for_features_says_so(tmp_path):
    with pytest.raises(ValueError, match="a floor has no features to choose by; ask it margin, random or farthest-first"):
        run(replace(SMALL, method="coordinates", query="badge"), tmp_path)


# Runs that are killed. Children come from a server that has imported everything, so that each starts at once.

CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["cpdgal", "hypothesis", "pytest", "skactiveml.pool", "torch._dynamo"])

SELDOM = replace(SMALL, score_every=3)
KILLED = {
    "margin": SELDOM,
    "keep_optimizer": replace(SELDOM, keep_optimizer=True),
    "bald": replace(SELDOM, query="bald"),
    "random": replace(SELDOM, query="random"),
    "cold start, keep_optimizer": replace(SELDOM, warm_start=False, keep_optimizer=True, query="badge"),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The record of a study whose run nothing happened to, by the study's name here."""
    records = {}

    def get(name):
        if name not in records:
            records[name] = run(KILLED[name], tmp_path_factory.mktemp("undisturbed"), weights=True)
        return records[name]

    return get


class Child:
    """A process that runs `work(connection, *args)`, and what it tells on the connection."""

    def __init__(self, work, *args):
        self.told, telling = CHILDREN.Pipe(duplex=False)
        self.process = CHILDREN.Process(target=work, args=(telling, *args))
        self.process.start()
        telling.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.kill()
        self.told.close()
        self.process.close()

    def hear(self, seconds=300):
        assert self.told.poll(seconds), "the child said nothing"
        return self.told.recv()

    def kill(self):
        self.process.kill()
        return self.wait()

    def wait(self, seconds=300):
        self.process.join(seconds)
        return self.process.exitcode


def before(owner, name, act, when=lambda *args: True):
    """In a child: let `act` happen before a function is called, every time when its arguments are as asked for."""
    original = getattr(owner, name)

    def called(*args, **options):
        if when(*args):
            act(*args)
        return original(*args, **options)

    setattr(owner, name, called)


def nth(n):
    counted = iter(range(1, 1000))
    return lambda *args: next(counted) == n


def is_current(path, content):
    """Whether a file to be written is a checkpoint that has one before it."""
    return path.with_name(f"{path.stem}.previous.safetensors").exists()


def halve(descriptor):
    os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)


# When a child stops and waits to be killed: before which function is called, and when.
MOMENTS = {
    "in the middle of the first file": (os, "fsync", nth(1)),
    "between the two renames of a checkpoint": (module, "_write", is_current),
    "in the middle of the previous checkpoint": (os, "fsync", nth(4)),
    "in the middle of the current checkpoint": (os, "fsync", nth(5)),
    "before the record": (Store, "save", nth(1)),
    "in the middle of the weights": (os, "fsync", nth(8)),
    "between the weights and the record": (module, "_write", lambda path, content: path.suffix == ".json"),
    "in the middle of the record": (os, "fsync", nth(9)),
    "before the checkpoint is removed": (Store, "drop_checkpoint", nth(1)),
}


def runs(telling, study, folder, moment=None):
    """In a child: run a study, and say so at a moment and wait there."""

    def stop(*args):
        if MOMENTS[moment][1] == "fsync":
            halve(*args)
        telling.send(moment)
        time.sleep(3600)

    if moment:
        owner, name, when = MOMENTS[moment]
        before(owner, name, stop, when)
    run(study, folder, weights=True)


def goes_on(study, folder, expected):
    """Run a study again that was killed: its record is the undisturbed one."""
    resumable = not (folder / f"{study.name}.json").exists() and (folder / f"checkpoints/{study.name}.safetensors").exists()
    resumed = run(study, folder, weights=True)
    assert resumed.differences(expected) == []
    assert Record.read(resumed.path).differences(expected) == []
    assert resumed.weights.read_bytes() == expected.weights.read_bytes()
    assert resumed.provenance["resumed"] == resumable
    assert len(resumed.provenance["seconds"]) == study.cycles + 1
    assert not list(folder.rglob("*.part"))
    return resumable


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_killed_at_an_exact_moment_ends_in_the_same_record(tmp_path, undisturbed, moment):
    name = [*KILLED][[*MOMENTS].index(moment) % len(KILLED)]
    with Child(runs, KILLED[name], tmp_path, moment) as child:
        assert child.hear() == moment
        assert child.kill() == -signal.SIGKILL
    assert bool(list(tmp_path.rglob("*.part"))) == ("middle" in moment)
    resumable = goes_on(KILLED[name], tmp_path, undisturbed(name))
    assert resumable == (moment not in ("in the middle of the first file", "before the checkpoint is removed"))


def cycle_kept(checkpoint):
    """The cycle that a checkpoint was kept behind; -1 before there is one."""
    with suppress(FileNotFoundError):
        return int(load(checkpoint.read_bytes()).get("cycle", -1))  # read at once: it may be replaced at any time
    return -1


def killed_within(cycle, wait, study, folder):
    """Kill a run so many seconds into a cycle; False when it was through by then."""
    lock, checkpoint = (folder / f"checkpoints/{study.name}{ending}" for ending in (".lock", ".safetensors"))
    with Child(runs, study, folder) as child:
        while not lock.exists() or cycle_kept(checkpoint) < cycle - 1:
            if child.process.exitcode is not None:
                return False
            time.sleep(0.002)
        time.sleep(wait)
        return child.kill() == -signal.SIGKILL and not (folder / f"{study.name}.json").exists()


# As often as CPDGAL_KILLS says: 20 have each of the five studies killed in each of its first three cycles.
@pytest.mark.parametrize("number", range(int(os.environ.get("CPDGAL_KILLS", "5"))))
def test_a_run_killed_at_a_random_moment_ends_in_the_same_record(tmp_path, undisturbed, number):
    name, cycle = [*KILLED][number % len(KILLED)], number % 3
    expected = undisturbed(name)
    wait = np.random.default_rng(number).uniform() * expected.provenance["seconds"][cycle]
    folders = (tmp_path / str(attempt) for attempt in range(6))  # sooner, should the machine be faster than it was
    folder = next(each for i, each in enumerate(folders) if killed_within(cycle, wait / 2**i, KILLED[name], each))
    assert cycle_kept(folder / f"checkpoints/{KILLED[name].name}.safetensors") >= cycle - 1
    assert goes_on(KILLED[name], folder, expected) or not cycle


def test_a_run_may_be_killed_again_and_again(tmp_path, undisturbed):
    for moment in ("in the middle of the current checkpoint", "in the middle of the previous checkpoint", "before the record"):
        with Child(runs, SELDOM, tmp_path, moment) as child:
            assert child.hear() == moment
            assert child.kill() == -signal.SIGKILL
    record = run(SELDOM, tmp_path, weights=True)
    assert record.differences(undisturbed("margin")) == []
    assert record.provenance["resumed"] == 3


# Two at once


def runs_beside(telling, study, folder, together):
    """In a child: run a study that another process asks for at the same time; how often it trained, and what it said."""
    trained, said = [], io.StringIO()
    before(module, "active_learning", lambda *args: trained.append(1))
    before(Store, "claim", lambda *args: together.wait(300))  # neither has found a record
    with redirect_stderr(said):
        record = run(study, folder)
    telling.send((len(trained), said.getvalue(), record.to_json()))


def test_two_processes_that_want_the_same_study_do_the_work_once(tmp_path, record):
    together = CHILDREN.Barrier(2)
    with Child(runs_beside, SMALL, tmp_path, together) as one, Child(runs_beside, SMALL, tmp_path, together) as other:
        told = sorted(child.hear() for child in (one, other))
        assert [child.wait() for child in (one, other)] == [0, 0]
    assert [trained for trained, _, _ in told] == [0, 1]
    assert [text for _, text, _ in told] == [f"{SMALL.name} is being run by another process; waiting for its record\n", ""]
    assert list(contents(tmp_path)) == [f"{SMALL.name}.json"]
    assert {text for _, _, text in told} == {(tmp_path / f"{SMALL.name}.json").read_text()}
    assert Record.read(tmp_path / f"{SMALL.name}.json").differences(record) == []


def test_who_waits_for_a_process_that_is_killed_goes_on_in_its_place(tmp_path, undisturbed):
    together = CHILDREN.Barrier(1)
    with Child(runs, SELDOM, tmp_path, "before the record") as first:
        assert first.hear() == "before the record"
        with Child(runs_beside, SELDOM, tmp_path, together) as second:
            assert not second.told.poll(0.5)  # it waits
            assert first.kill() == -signal.SIGKILL
            trained, said, _ = second.hear()
            assert second.wait() == 0
    assert trained == 1
    assert "is being run by another process" in said
    assert goes_on(SELDOM, tmp_path, undisturbed("margin")) is False


# Interrupted within a training

PEER = Study(scene="synthetic", profile="smoke", method="vit_hong", epochs=4, judged=50)


@pytest.mark.parametrize("study", [SMALL, PEER], ids=["CPDGAL", "a peer"])
def test_a_run_interrupted_within_a_training_goes_on_behind_its_last_epoch(tmp_path, monkeypatch, study):
    expected = run(study, tmp_path / "expected")
    folder, original, trained = tmp_path / "interrupted", Store.save_checkpoint, []

    def save(store, study, state, log):
        original(store, study, state, log)
        if "training.losses" in state:
            trained.append((int(state.get("cycle", -1)), len(state["training.losses"])))
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "CHECKPOINT_EVERY", -1)
    monkeypatch.setattr(Store, "save_checkpoint", save)
    epochs = [(cycle - 1, epoch) for cycle in range(study.cycles + 1) for epoch in range(1, study.epochs + 1)]
    for _ in epochs:
        with pytest.raises(KeyboardInterrupt):
            run(study, folder)
    resumed = run(study, folder)
    assert trained == epochs  # none was trained twice
    assert resumed.differences(expected) == []
    assert resumed.provenance["resumed"] == len(epochs)
    assert not list((folder / "checkpoints").glob("*.safetensors"))


def test_a_run_that_is_told_to_stop_ends_behind_its_epoch(tmp_path):
    stop = Event()
    stop.set()
    with pytest.raises(KeyboardInterrupt):
        run(PEER, tmp_path, stop=stop)
    state, log = Store(tmp_path, packaged=False).load_checkpoint(PEER)
    assert len(state["training.losses"]) == 1
    assert log["cycles"] == []


# Damaged checkpoints


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A folder with the checkpoints of a run that was interrupted behind its cycle 1. Only for copying."""
    folder = tmp_path_factory.mktemp("stopped")
    original = Store.save_checkpoint

    def save(store, study, state, log):
        original(store, study, state, log)
        if state["cycle"] == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "save_checkpoint", save)
        with pytest.raises(KeyboardInterrupt):
            run(SMALL, folder)
    return folder


@pytest.fixture
def halfway(stopped, tmp_path):
    """A copy of it to be damaged: the folder, the current checkpoint and the one before it."""
    copy = shutil.copytree(stopped, tmp_path / "halfway")
    checkpoints = [copy / f"checkpoints/{SMALL.name}{ending}.safetensors" for ending in ("", ".previous")]
    assert [cycle_kept(checkpoint) for checkpoint in checkpoints] == [1, 0]
    return copy, *checkpoints


def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGES = {
    "empty": lambda content: b"",
    "cut off in its header": lambda content: content[:100],
    "cut off in its tensors": lambda content: content[: len(content) - 1000],
    "cut off by a byte": lambda content: content[:-1],
    "a flipped bit at its start": lambda content: flipped(content, 0),
    "a flipped bit in the log": lambda content: flipped(content, content.index(b'OA\\": ') + 9),
    "a flipped bit in its tensors": lambda content: flipped(content, len(content) - 100),
    "something else": lambda content: b'{"not": "a checkpoint"}' * 100,
}


def test_an_interrupted_run_goes_on_behind_its_last_cycle(halfway, record, monkeypatch):
    noted, original = [], module._note
    monkeypatch.setattr(module, "_note", lambda log, cycle, *rest: noted.append(cycle.cycle) or original(log, cycle, *rest))
    resumed = run(SMALL, halfway[0])
    assert noted == [2, 3]
    assert resumed.differences(record) == []
    assert resumed.provenance["resumed"] == 1
    assert list(contents(halfway[0])) == [f"{SMALL.name}.json"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_is_used(halfway, damage):
    folder, current, _ = halfway
    current.write_bytes(DAMAGES[damage](current.read_bytes()))
    with pytest.warns(UserWarning, match=rf"^{re.escape(str(current))} is damaged \(.*\); going back to the") as told:
        state, log = Store(folder, packaged=False).load_checkpoint(SMALL)
    assert len(told) == 1
    assert state["cycle"] == 0
    assert [row["cycle"] for row in log["cycles"]] == [0]


def test_a_run_goes_on_behind_the_checkpoint_before_a_damaged_one(halfway, record):
    folder, current, _ = halfway
    current.write_bytes(DAMAGES["cut off in its tensors"](current.read_bytes()))
    with pytest.warns(UserWarning, match="is damaged"):
        resumed = run(SMALL, folder)
    assert resumed.differences(record) == []
    assert resumed.provenance["resumed"] == 1


@pytest.mark.parametrize(
    "damages", [("cut off in its tensors", "a flipped bit in its tensors"), ("empty", "a flipped bit in the log")]
)
def test_where_both_checkpoints_are_damaged_a_run_starts_anew(halfway, record, damages):
    folder, *checkpoints = halfway
    for path, damage in zip(checkpoints, damages, strict=True):
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.warns(UserWarning, match="is damaged") as told:
        anew = run(SMALL, folder)
    assert [str(warning.message).split(" is damaged")[0] for warning in told] == [str(path) for path in checkpoints]
    assert anew.differences(record) == []
    assert anew.provenance["resumed"] == 0


def test_where_the_current_checkpoint_is_missing_the_one_before_it_is_used(halfway, record):
    folder, current, _ = halfway
    current.unlink()
    resumed = run(SMALL, folder)
    assert resumed.differences(record) == []
    assert resumed.provenance["resumed"] == 1


def test_a_damaged_checkpoint_does_not_take_the_place_of_the_good_one(halfway, record, monkeypatch):
    """Interrupted for a second time, before another good checkpoint is kept."""
    folder, current, previous = halfway
    current.write_bytes(current.read_bytes()[:-1])
    good = previous.read_bytes()
    original = module._write

    def write(path, content):
        if path == current:
            raise KeyboardInterrupt
        original(path, content)

    monkeypatch.setattr(module, "_write", write)
    with pytest.warns(UserWarning, match="is damaged"), pytest.raises(KeyboardInterrupt):
        run(SMALL, folder)
    monkeypatch.undo()
    assert previous.read_bytes() == good
    resumed = run(SMALL, folder)
    assert resumed.differences(record) == []
    assert resumed.provenance["resumed"] == 1


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_no_flipped_bit_of_a_checkpoint_goes_unnoticed(stopped, tmp_path_factory, data):
    whole = stopped / f"checkpoints/{SMALL.name}.safetensors"
    content, store = whole.read_bytes(), Store(tmp_path_factory.mktemp("flipped"), packaged=False)
    size = int.from_bytes(content[:8], "little") + 8
    at = data.draw(st.one_of(st.integers(0, size - 1), st.integers(size, len(content) - 1)))  # the header as often as the rest
    damaged = store.folder / "checkpoints" / whole.name
    damaged.parent.mkdir()
    damaged.write_bytes(content[:at] + bytes([content[at] ^ 1 << data.draw(st.integers(0, 7))]) + content[at + 1 :])
    with pytest.warns(UserWarning, match="is damaged"):
        assert store.load_checkpoint(SMALL) is None


def test_a_checkpoint_of_other_versions_is_told_and_not_used(halfway, record, monkeypatch):
    here = module.versions("cpu")
    monkeypatch.setattr(module, "versions", lambda device: {**here, "torch": "1.0", "processor": "another"})
    with pytest.warns(UserWarning, match="was begun with another") as told:
        anew = run(SMALL, halfway[0])
    assert str(told[0].message) == f"{SMALL.name} was begun with another torch, processor; it starts anew"
    assert anew.provenance["resumed"] == 0
    assert anew.provenance["torch"] == "1.0"
    assert anew.differences(record) == []


def test_a_checkpoint_of_other_data_is_told_and_not_used(tmp_path):
    study = own_scene(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "drop_checkpoint", lambda store, study: None)
        first = run(study, tmp_path / "results")
    first.path.unlink()
    own_scene(tmp_path, seed=1)
    with pytest.warns(UserWarning, match="was begun with another checksum; it starts anew"):
        second = run(study, tmp_path / "results")
    assert second.differences(run(study, tmp_path / "elsewhere")) == []
    assert "study" in second.differences(first)


# Faults


def newer(content):
    return content | {"format": module.FORMAT + 1}


def other_data(content):
    return content | {"study": content["study"] | {"checksum": "f00d" * 16}}


def other_value(content):
    return content | {"study": content["study"] | {"epochs": 99}}


def unknown_field(content):
    return content | {"study": content["study"] | {"scheduler": 1}}


FAULTS = {
    "a newer format": (newer, "was written by a newer cpdgal; update cpdgal to read it"),
    "other data": (other_data, r"was made from other data \(checksum f00df00df00d\) than synthetic holds now \([0-9a-f]{12}\)"),
    "another study": (other_value, "holds the study .*, not the one it is named after"),
    "a field that is not known": (unknown_field, "is not a whole record .*this version of cpdgal has no scheduler"),
    "a part that is missing": (lambda content: {k: v for k, v in content.items() if k != "queried"}, "is not a whole record"),
    "no object": (lambda content: [1, 2], "is not a whole record"),
    "another form": (lambda content: content | {"study": "SMALL"}, "is not a whole record"),
    "a table of another form": (lambda content: content | {"cycles": 3}, "is not a whole record"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_record_that_cannot_be_used_is_told_and_left_alone(record, folder, tmp_path, fault):
    results = shutil.copytree(folder, tmp_path / "results")
    path = results / record.path.name
    change, said = FAULTS[fault]
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    kept = contents(results)
    with pytest.raises(RecordError, match=f"^{re.escape(str(path))} {said}") as error:
        run(SMALL, results)
    assert "\n" not in str(error.value)
    assert contents(results) == kept


@pytest.mark.parametrize("end", [0, 1, 200, -1000, -3])
def test_a_record_that_was_cut_off_is_told_and_left_alone(record, folder, tmp_path, end):
    results = shutil.copytree(folder, tmp_path / "results")
    path = results / record.path.name
    path.write_bytes(path.read_bytes()[:end])
    kept = contents(results)
    with pytest.raises(RecordError, match=r"is not a whole record .*; move it away to run its study again$"):
        run(SMALL, results)
    with pytest.raises(RecordError, match="is not a whole record"):
        Store(results, packaged=False).records()
    assert contents(results) == kept


def test_a_record_under_another_study_s_name_is_told_and_left_alone(record, tmp_path):
    other = replace(SMALL, seed=1)
    shutil.copy(record.path, tmp_path / f"{other.name}.json")
    kept = contents(tmp_path)
    with pytest.raises(RecordError, match=f"holds the study {SMALL.name}, not the one it is named after") as error:
        run(other, tmp_path)
    one_sentence(error)
    assert contents(tmp_path) == kept


def test_a_record_that_is_a_folder_is_told(record, tmp_path):
    (tmp_path / record.path.name).mkdir()
    with pytest.raises(RecordError, match=r"cannot be read \(Is a directory\); check the file and its permissions$"):
        run(SMALL, tmp_path)


def test_a_study_of_other_data_than_the_scene_has_is_refused(tmp_path):
    with pytest.raises(RecordError, match=r"^the study is of synthetic with checksum 12345, and its data have \w{12}$"):
        run(replace(SMALL, checksum="12345"), tmp_path)


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/cpdgal"])
def test_a_store_that_cannot_be_written_is_told(tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(module, "active_learning", None)  # it is told before anything is trained
    with pytest.raises(RecordError, match=r"\.lock cannot be written \(.+\); choose a folder that can be$") as error:
        run(SMALL, tmp_path / place)
    one_sentence(error)
    assert contents(tmp_path) == {"file": b"not a folder"}


def runs_short_of_room(telling, study, folder, n):
    """In a child: run a study, and let no file be larger than a kilobyte from its n-th checkpoint on."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (1000, hard))
    before(Store, "save_checkpoint", lambda *args: limit(), nth(n))
    try:
        run(study, folder, weights=True)
    except RecordError as error:
        telling.send(str(error))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_run_that_has_no_room_left_is_told_and_goes_on_when_there_is(tmp_path, undisturbed, n):
    with Child(runs_short_of_room, SELDOM, tmp_path, n) as child:
        said = child.hear()
        assert child.wait() == 0
    assert re.fullmatch(
        r"/\S+\.safetensors could not be written \(File too large\); make room or choose another folder, and run the study "
        r"again: it goes on behind the last cycle that was kept",
        said,
    )
    assert not list(tmp_path.rglob("*.part"))
    assert cycle_kept(tmp_path / f"checkpoints/{SELDOM.name}.safetensors") == n - 2
    assert goes_on(SELDOM, tmp_path, undisturbed("margin")) == (n > 1)


def test_a_full_disk_at_the_end_keeps_what_was_done(tmp_path, record):
    full = tmp_path / f".{SMALL.name}.json.part"
    full.symlink_to("/dev/full")
    with pytest.raises(RecordError, match=rf"{SMALL.name}\.json could not be written \(No space left on device\); make room"):
        run(SMALL, tmp_path)
    assert not list(tmp_path.rglob("*.part"))
    assert cycle_kept(tmp_path / f"checkpoints/{SMALL.name}.safetensors") == SMALL.cycles
    resumed = run(SMALL, tmp_path)
    assert resumed.differences(record) == []
    assert resumed.provenance["resumed"] == 1


def test_a_study_is_free_again_after_an_error_that_is_still_looked_at(tmp_path, monkeypatch):
    """As in a notebook, which keeps the last error and with it everything that was alive when it happened."""
    monkeypatch.setattr(module, "active_learning", None)
    with pytest.raises(TypeError) as kept:
        run(SMALL, tmp_path)
    with FileLock(tmp_path / f"checkpoints/{SMALL.name}.lock", timeout=0):
        assert kept.tb


# The store


@pytest.fixture
def packaged(tmp_path, monkeypatch, record):
    """A package that comes with the small study's record, said to be from it."""
    place = tmp_path / "package" / "results"
    monkeypatch.setattr(module, "_packaged", lambda: [place])
    Store(place, packaged=False).save(replace(record, provenance=record.provenance | {"commit": "packaged"}))
    return place


def test_a_packaged_record_is_found_and_one_of_the_folder_comes_first(packaged, record, tmp_path, monkeypatch):
    store = Store(tmp_path / "mine")
    monkeypatch.setattr(module, "active_learning", None)
    assert store.get(SMALL).provenance["commit"] == "packaged"
    assert cpdgal.run(SMALL, store).path.parent == packaged
    assert [found.path.parent for found in store.records()] == [packaged]
    assert Store(tmp_path / "mine", packaged=False).get(SMALL) is None
    assert not (tmp_path / "mine").exists()

    store.save(record)
    assert store.get(SMALL).path.parent == tmp_path / "mine"
    assert cpdgal.run(SMALL, store).provenance["commit"] != "packaged"
    assert [found.path.parent for found in store.records()] == [tmp_path / "mine"]
    assert Store(packaged).folders == [packaged]


def test_weights_that_the_package_lacks_are_trained_into_the_folder(packaged, record, tmp_path):
    trained = cpdgal.run(SMALL, Store(tmp_path / "mine"), weights=True, progress=False)
    assert trained.weights == tmp_path / "mine" / f"{SMALL.name}.safetensors"
    assert trained.differences(record) == []
    assert [path.suffix for path in packaged.iterdir()] == [".json"]


def test_the_table_has_a_row_for_each_record(packaged, record, tmp_path):
    store = Store(tmp_path / "mine")
    columns = [
        "key", "scene", "method", "split", "query", "profile", "seed", "changes", "labels", "share", "OA", "AA", "kappa",
        "seconds",
    ]  # fmt: skip
    nothing = Store(tmp_path / "empty", packaged=False).table()
    assert list(nothing) == columns
    assert len(nothing) == 0
    other = run(Study(scene="synthetic", profile="smoke", method="coordinates", query="random", seed=2), tmp_path / "mine")
    table = store.table()
    assert list(table) == columns
    assert len(table) == 2
    floor, small = (row for _, row in table.iterrows())
    assert floor.tolist()[:8] == [other.study.key, "synthetic", "coordinates", "random", "random", "smoke", 2, ""]
    assert small.tolist()[:7] == [SMALL.key, "synthetic", "cpdgal", "random", "margin", "smoke", 0]
    assert json.loads(small.changes) == SMALL.changes
    assert small.OA == record.final.OA
    assert small.seconds == pytest.approx(sum(record.provenance["seconds"]))
    assert table["labels"].tolist() == [other.final["labels"], record.final["labels"]]
    assert table["labels"].dtype.kind == "i"


def test_records_are_selected_by_what_their_studies_say(tmp_path):
    plain = Study(scene="synthetic", profile="smoke", method="coordinates", query="random")
    store = Store(tmp_path, packaged=False)
    for study in (replace(plain, seed=1), plain, replace(plain, cycles=1), replace(plain, query="farthest-first")):
        run(study, tmp_path)
    named = {"scene": "synthetic", "method": "coordinates"}
    assert [found.study.seed for found in store.select(**named, query="random")] == [0, 1]
    assert [found.study for found in store.select(**named, cycles=1)] == [found.study for found in store.select(cycles=1)]
    assert len(store.select(**named)) == 3
    assert store.select(method="vit") == []
