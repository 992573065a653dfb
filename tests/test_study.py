"""Studies, records and their store."""

import json
import re
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import SMALL, contents, one_sentence, own_scene, run
from threadpoolctl import threadpool_limits

import cpdgal
from cpdgal import Record, RecordError, Store, Study, records, runner
from cpdgal import study as module
from cpdgal.methods import METHODS
from cpdgal.metrics import scores
from cpdgal.study import RANGES

# One other value for every field that decides numbers, in the order of the fields.
OTHER = {
    "scene": "botswana",
    "labels_path": "truth.npy",
    "method": "vit",
    "split": "block",
    "query": "balanced-entropy",
    "profile": "smoke",
    "seed": 1,
    "pool": 0.2,
    "initial": 0.1,
    "per_class": 5,
    "acquired": 0.03,
    "cycles": 31,
    "epochs": 100,
    "batch": 16,
    "learning_rate": 0.01,
    "decay": "cosine",
    "optimizer": "adamw",
    "weight_decay": 0.1,
    "augment": True,
    "validated": 0.2,
    "stratified": True,
    "score_every": 2,
    "judged": 100,
    "window": 9,
    "components": 16,
    "scaling": "min-max",
    "padding": "reflect",
    "patch": 7,
    "dim": 64,
    "heads": 4,
    "layers": 5,
    "steps": 50,
    "ffn_ratio": 2,
    "beta": 1.0,
    "static_masking": 0.5,
    "cw_mse_weight": 1.0,
    "unmasked_weight": 1.0,
    "detach_target": True,
    "masked_above": "half",
    "refined_after_norm": False,
    "alpha_range": (0.99, 0.6),
    "alpha_clip": (0.02, 0.99),
    "alpha_form": "sigmoid",
    "conditioned": False,
    "residual_blocks": True,
    "residual_denoiser": False,
    "refinement": "last",
    "draws": 9,
    "mask_at_inference": False,
    "pooling": "centre",
    "warm_start": False,
    "keep_optimizer": True,
    "stratified_pool": False,
    "pca": "pool",
    "whiten": False,
    "block": 14,
    "gap": 0,
    "folds": 5,
    "fold": 1,
    "cube_key": "image",
    "labels_key": "truth",
    "unlabelled": 255,
    "no_data": -9999.0,
    "bands": "1-20",
    "scale": 0.5,
    "crs": "EPSG:4326",
    "train_path": "train.npy",
    "train_key": "train",
    "test_path": "test.npy",
    "test_key": "test",
}


# Keys and names


def test_every_field_but_the_checksum_has_another_value_here():
    assert {each.name for each in fields(Study)} == {*OTHER, "checksum"}


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


def test_every_value_has_its_frozen_default():
    assert {*module.KEY_DEFAULTS["values"], *module.NAMES, "checksum"} == {each.name for each in fields(Study)}
    for part in ("profiles", "scenes", "methods"):
        for values in module.KEY_DEFAULTS[part].values():
            assert set(values) <= set(module.KEY_DEFAULTS["values"])


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].recipe])
@pytest.mark.parametrize("profile", ["paper", "smoke"])
def test_a_default_that_changes_enters_the_keys_of_new_studies_only(monkeypatch, method, profile):
    """Whoever names the old value keeps the old key; who names nothing gets a new one, which says what changed."""
    before = Study(method=method, profile=profile)
    own = module._own_values
    monkeypatch.setattr(module, "_own_values", lambda *names: own(*names) | {"weight_decay": 0.123, "window": 21})
    after = Study(method=method, profile=profile)
    assert after.changes == {}
    assert after.key != before.key
    named = Study(method=method, profile=profile, weight_decay=before.weight_decay, window=before.window)
    assert named.key == before.key
    assert Study.from_form(before.form).key == before.key


def test_no_two_of_these_studies_share_a_file():
    assert len({Study(**{field: value}).name for field, value in OTHER.items()}) == len(OTHER)


def test_a_key_does_not_depend_on_how_a_study_is_written_down():
    study = Study(**OTHER)
    assert Study(**dict(reversed(OTHER.items()))).key == study.key
    assert Study(cw_mse_weight=1).key == Study(cw_mse_weight=1.0).key
    assert Study(cw_mse_weight=1) == Study(cw_mse_weight=1.0)
    assert Study(alpha_range=[0.9, 0.5]) == Study(alpha_range=(0.9, 0.5))
    assert Study(alpha_range=(np.float32(0.5), np.int64(0))) == Study(alpha_range=(0.5, 0))
    assert Study(alpha_range=[1, 0]).key == Study(alpha_range=(1.0, 0.0)).key
    assert hash(Study(alpha_range=[1, 0])) == hash(Study(alpha_range=(1, 0)))
    assert Study(no_data=float("nan")) == Study(no_data="NaN") == Study.from_form(Study(no_data="nan").form)
    assert json.dumps(Study(no_data=float("nan")).form, allow_nan=False)
    assert Study.from_form(Study().form) == Study()
    assert Study.from_form(Study().form).key == Study().key
    assert Study().but(checksum="00ff").key == Study().key
    assert Study(scene="x.npy").but(checksum="00").but(seed=1).checksum == "00"
    assert Study(scene="x.npy").but(checksum="00").but(bands="1-3").checksum == ""  # read otherwise, other data
    assert Study(cycles=30).changes == {}  # written out, but the profile's own
    assert Study(cycles=31, seed=3, query="bald", gap=2).changes == {"cycles": 31, "gap": 2}


def values(field):
    """Any value that a field takes, by its range."""
    if field == "alpha_clip":
        return st.tuples(st.floats(0, 0.5), st.floats(0.6, 1))
    if field in ("fold", "folds"):
        return st.integers(0, 3) if field == "fold" else st.integers(4, 100)
    default = getattr(Study(), field)
    if isinstance(default, bool):
        return st.booleans()
    if isinstance(default, str):
        return st.text(max_size=20) if field in ("scene", "labels_path") else st.sampled_from([default, OTHER[field]])
    span = RANGES[field]
    open_ends = {"exclude_min": span.open_left, "exclude_max": span.open_right}
    if isinstance(OTHER[field], int):
        return st.integers(span.left, span.right)
    number = st.floats(span.left, min(span.right, 1e300), allow_infinity=False, **open_ends)
    return st.tuples(number, st.integers(0, 1)) if isinstance(default, tuple) else number


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
        "../../etc/passwd.mat",
        "/",
        "..",
        ".",
        "",
        "-rf",
        "my scene (2).npy",
        "поле.mat",
        "ünïcode.npy",
        "CON.mat",
        "a\0b",
        "a\nb",
        "C:\\data\\x.mat",
        "x" * 500 + ".mat",
        "~/x.json",
    ],
)
def test_a_file_s_name_is_safe_whatever_the_scene(tmp_path, scene):
    name = Study(scene=scene, seed=2**63 - 1).name
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
        ({"method": "best"}, f"method is one of {', '.join(METHODS)}, not 'best'"),
        ({"split": "Random"}, "split is one of random, block, folds, disjoint, given, validation, not 'Random'"),
        ({"query": "best"}, "no query strategy is called 'best'; known are margin, .*"),
        ({"profile": "fast"}, "no profile is called 'fast'; known are paper, tuned, ablation, quick, smoke"),
        ({"pca": "all"}, "pca is one of scene, pool, not 'all'"),
        ({"decay": "linear"}, "decay is one of none, cosine, .*, not 'linear'"),
        ({"optimizer": "lion"}, "optimizer is one of adam, adamw, sgd, not 'lion'"),
        ({"scaling": "l2"}, "scaling is one of band standard, .*, not 'l2'"),
        ({"seed": -1}, r"seed lies in \[0, 9223372036854775807\], not at -1"),
    ],
)
def test_a_wrong_value_is_told_in_a_sentence(wrong, said):
    with pytest.raises(ValueError, match=f"^{said}$") as error:
        Study(**wrong)
    one_sentence(error)


def test_a_form_of_another_version_is_refused():
    with pytest.raises(
        ValueError, match=r"^a study has no 'optimiser', 'scheduler'; its values are those of `help\(cpdgal.Study\)`$"
    ):
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
    assert record.study == SMALL.but(checksum=cpdgal.load_scene("synthetic").checksum)
    assert sorted(contents(folder)) == [f"{SMALL.name}.json", f"{SMALL.name}.safetensors"]


def test_differences_name_the_parts(record):
    assert record.differences(replace(record, confusion=record.confusion + 1)) == ["confusion"]
    worse = replace(record, cycles=record.cycles.assign(OA=record.cycles.OA - 1e-12), study=record.study.but(seed=1))
    assert record.differences(worse) == ["study", "cycles"]
    assert record.differences(replace(record, cycles=record.cycles.assign(seconds=0.0))) == []


def test_a_record_that_is_there_is_loaded(record, folder, monkeypatch):
    before = contents(folder)
    monkeypatch.setattr(runner, "active_learning", None)
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


def test_a_record_says_what_the_modules_did_and_to_look_changes_no_number(record, tmp_path, monkeypatch):
    assert len(record.diagnostics) == SMALL.cycles + 1
    assert record.diagnostics.notna().all(axis=None)
    pd.testing.assert_frame_equal(Record.read(record.path).diagnostics, record.diagnostics)
    monkeypatch.setattr(cpdgal.training, "diagnose", lambda *args: {})
    blind = run(SMALL, tmp_path)
    assert blind.diagnostics.empty
    assert "diagnostics" not in json.loads(blind.path.read_text())
    assert blind.differences(record) == record.differences(blind) == []


def test_provenance_says_where_and_when(record):
    assert set(record.provenance) == {
        "cpdgal",
        "python",
        "torch",
        "numpy",
        "scipy",
        "scikit-learn",
        "system",
        "processor",
        "device",
        "threads",
        "checksum",
        "code",
        "commit",
        "start",
        "end",
        "resumed",
        "seconds",
    }
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
    drawn = record.map(synthetic)
    assert drawn.shape == synthetic.labels.shape
    assert drawn[tuple(synthetic.pixels[split.holdout].T)].tolist() == (predicted + 1).tolist()


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


def test_studies_side_by_side_give_what_each_gives_alone_and_store_the_weights_that_are_asked_for(record, tmp_path):
    studies, options = [SMALL, SMALL.but(query="random")], {"store": Store(tmp_path, packaged=False), "progress": False}
    first, second = cpdgal.side_by_side(*studies, weights=[SMALL], **options)
    assert not record.differences(first)
    assert second.study.query == "random"
    assert (first.weights is not None, second.weights is not None) == (True, False)
    assert all(each.weights for each in cpdgal.side_by_side(*studies, weights=True, **options))


def test_looks_at_the_hold_out_further_apart(record, tmp_path):
    seldom = run(SMALL.but(score_every=2), tmp_path)
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
    original = runner.Checkpoints.save

    def save(*args):
        seen.append(torch.get_num_threads())
        if stopped:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(runner.Checkpoints, "save", save)
    torch.set_num_threads(2)
    try:
        if stopped:
            with pytest.raises(KeyboardInterrupt):
                run(SMALL.but(cycles=1), tmp_path)
        else:
            run(SMALL.but(cycles=1), tmp_path)
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


def test_the_block_split_of_a_study_keeps_windows_apart(tmp_path):
    study = own_scene(tmp_path).but(split="block", pool=0.2, block=5, cycles=1)
    scene = study.load_scene()
    for gap, least in ((None, 3), (1, 2), (4, 5)):  # by default, no two windows of 3 x 3 overlap
        split = study.but(gap=gap).make_split(scene)
        pool, judged = (scene.pixels[part] for part in (split.pool, split.holdout))
        assert np.abs(pool[:, None] - judged[None]).max(2).min() == least
    record = run(study, tmp_path / "results")
    split = study.make_split(scene)
    assert record.classes.judged.sum() == len(split.holdout) < len(scene.pixels) - len(split.pool)
    assert np.isin(record.queried.position, split.pool).all()


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("stratified", [True, False])
def test_validation_judges_on_the_pool_and_never_sees_the_hold_out(synthetic, seed, stratified):
    study = SMALL.but(seed=seed, stratified_pool=stratified)
    random, validation = (study.but(split=name).make_split(synthetic) for name in ("random", "validation"))
    assert np.union1d(validation.pool, validation.holdout).tolist() == random.pool.tolist()
    assert abs(len(validation.pool) - len(validation.holdout)) <= 1
    assert not np.intersect1d(validation.holdout, random.holdout).size
    halves = [np.bincount(synthetic.targets[part], minlength=6) for part in (validation.pool, validation.holdout)]
    assert np.abs(halves[0] - halves[1]).max() <= 6  # dealt class by class


def test_a_validation_run_judges_by_that_split(synthetic, tmp_path):
    study = SMALL.but(split="validation", cycles=1)
    record = run(study, tmp_path)
    held_out = study.but(split="random").make_split(synthetic).holdout
    assert record.classes.judged.sum() == len(study.make_split(synthetic).holdout)
    assert not np.isin(record.queried.position, held_out).any()


def test_the_pca_can_be_fitted_on_the_pool_alone(synthetic):
    study = SMALL.but(pca="pool")
    split = study.make_split(synthetic)
    on_pool = study.make_windows(synthetic, split).projection.pipeline
    by_hand = cpdgal.Windows(synthetic, 3, 4, fit_on=split.pool).projection.pipeline
    np.testing.assert_array_equal(on_pool[-1].components_, by_hand[-1].components_)
    assert not np.array_equal(on_pool[-1].components_, SMALL.make_windows(synthetic, split).projection.pipeline[-1].components_)


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].kind == "floor"])
@pytest.mark.parametrize("query", ["random", "farthest-first"])
def test_floors_are_methods(synthetic, tmp_path, monkeypatch, method, query):
    study = Study(scene="synthetic", profile="smoke", cycles=3, score_every=1, judged=0, method=method, query=query)
    record = run(study, tmp_path)
    split = study.make_split(synthetic)
    predicted = METHODS[method].build(synthetic, record.queried.position.to_numpy(), split.holdout)
    assert record.final.OA == scores(synthetic.targets[split.holdout], predicted)["OA"]
    assert record.cycles.loss.isna().all()
    assert record.calibration["count"].tolist() == [0] * 14 + [len(split.holdout)]
    assert record.entropy[:, 0].tolist() == record.entropy.sum(1).tolist()  # certain of everything
    assert Record.read(record.path).differences(record) == []
    with pytest.raises(RecordError, match="has no weights"):
        record.network(synthetic)
    monkeypatch.setattr(runner, "active_learning", None)
    assert run(study, tmp_path, weights=True).differences(record) == []  # it has none to keep


def test_a_floor_that_is_asked_for_features_says_so(tmp_path):
    with pytest.raises(
        ValueError, match="a floor has no features or draws to choose by; ask it margin, random or farthest-first"
    ):
        run(Study(scene="synthetic", profile="smoke", method="coordinates", query="badge"), tmp_path)


# The store


@pytest.fixture
def packaged(tmp_path, monkeypatch, record):
    """A package that comes with the small study's record, said to be from it."""
    place = tmp_path / "package" / "results"
    monkeypatch.setattr(records, "_packaged", lambda: [place])
    Store(place, packaged=False).save(replace(record, provenance=record.provenance | {"commit": "packaged"}))
    return place


def test_a_packaged_record_is_found_and_one_of_the_folder_comes_first(packaged, record, tmp_path, monkeypatch):
    store = Store(tmp_path / "mine")
    monkeypatch.setattr(runner, "active_learning", None)
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
        "key",
        "scene",
        "method",
        "split",
        "query",
        "profile",
        "seed",
        "changes",
        "labels",
        "share",
        "OA",
        "AA",
        "kappa",
        "seconds",
    ]
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
    for study in (plain.but(seed=1), plain, plain.but(cycles=1), plain.but(query="farthest-first")):
        run(study, tmp_path)
    named = {"scene": "synthetic", "method": "coordinates"}
    assert [found.study.seed for found in store.select(**named, query="random")] == [0, 1]
    assert [found.study for found in store.select(**named, cycles=1)] == [found.study for found in store.select(cycles=1)]
    assert len(store.select(**named)) == 3
    assert store.select(method="vit") == []


def test_a_ground_truth_of_one_class_is_refused_before_training(tmp_path):
    scene = cpdgal.load_scene("synthetic", height=20, width=20, bands=8, classes=3)
    np.save(tmp_path / "cube.npy", scene.cube)
    np.save(tmp_path / "truth.npy", 4 * (scene.labels == 2))
    study = SMALL.but(scene=str(tmp_path / "cube.npy"), labels_path=str(tmp_path / "truth.npy"))
    with pytest.raises(cpdgal.SceneError, match=r"^cube: all labelled pixels are class 4; a study needs two classes or more$"):
        cpdgal.run(study, cpdgal.Store(tmp_path / "store"))
    assert not (tmp_path / "store").exists()
    assert cpdgal.load_scene(study.scene, study.labels_path).classes == 1  # a scene itself may have one, to be mapped
