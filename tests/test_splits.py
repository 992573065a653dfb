"""Splits: disjoint, of the right size, and honest about what they could not keep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import cpdgal
from cpdgal import Scene, Split, block_split, random_split
from cpdgal.splits import draw, fold_split, mask_split, portion, touched


@st.composite
def scenes(draw_):
    height, width = draw_(st.integers(8, 30)), draw_(st.integers(8, 30))
    options = {"height": height, "width": width, "bands": 3, "classes": draw_(st.integers(2, min(6, height * width // 40 + 1)))}
    try:
        return cpdgal.load_scene("synthetic", **options, seed=draw_(st.integers(0, 99)))
    except cpdgal.SceneError:
        return cpdgal.load_scene("synthetic", height=12, width=12, bands=3, classes=2)


@settings(max_examples=50, deadline=None)
@given(scene=scenes(), share=st.sampled_from([0.02, 0.1, 0.29, 0.5]), stratified=st.booleans(), seed=st.integers(0, 99))
def test_random_splits_deal_every_pixel_once(scene, share, stratified, seed):
    labelled = len(scene.pixels)
    if portion(share, labelled) == 0:
        with pytest.raises(ValueError, match="pool of this split is empty"):
            random_split(scene, share, stratified=stratified, rng=np.random.default_rng(seed))
        return
    split = random_split(scene, share, stratified=stratified, rng=np.random.default_rng(seed))
    assert len(split.pool) == int(share * labelled + 1e-9)
    np.testing.assert_array_equal(np.union1d(split.pool, split.holdout), np.arange(labelled))
    assert len(split.pool) + len(split.holdout) == labelled
    if stratified and len(split.pool) >= scene.classes:
        assert split.table(scene).pool.min() >= 1


@settings(max_examples=40, deadline=None)
@given(
    scene=scenes(),
    share=st.sampled_from([0.1, 0.3]),
    block=st.integers(2, 9),
    window=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_no_window_of_the_holdout_overlaps_one_of_the_pool(scene, share, block, window, seed):
    try:
        split = block_split(scene, share, block=block, window=window, deals=5, rng=np.random.default_rng(seed))
    except ValueError:  # the blocks are too large for this scene: said, not split wrongly
        with pytest.raises(ValueError, match="the holdout of this split is empty; choose another share, block or gap"):
            block_split(scene, share, block=block, window=window, deals=5, rng=np.random.default_rng(seed))
        return
    assert len(split.pool) == portion(share, len(scene.pixels))
    assert not np.intersect1d(split.pool, split.holdout).size
    pool, holdout = scene.pixels[split.pool], scene.pixels[split.holdout]
    apart = np.abs(pool[:, None] - holdout[None]).max(2).min()
    assert apart >= window  # windows of side w share a pixel exactly when both offsets are below w
    touched = np.zeros((scene.labels.shape[0] + window, scene.labels.shape[1] + window), dtype=int)
    for positions, mark in ((pool, 1), (holdout, 2)):
        for row, column in positions:
            touched[row : row + window, column : column + window] |= mark
    assert not (touched == 3).any()


@settings(max_examples=40, deadline=None)
@given(scene=scenes(), folds=st.integers(2, 5), block=st.integers(2, 9), window=st.integers(1, 5), seed=st.integers(0, 99))
def test_folds_test_every_pixel_once_across_the_gap(scene, folds, block, window, seed):
    options = {"folds": folds, "block": block, "window": window}
    tested = []
    for fold in range(folds):
        try:
            split = fold_split(scene, 0.1, fold=fold, **options, rng=np.random.default_rng(seed))
        except ValueError:  # the blocks or the gap are too large for this scene: said, not split wrongly
            with pytest.raises(ValueError, match=r"pixels are left for a pool of|of this split is empty"):
                fold_split(scene, 0.1, fold=fold, **options, rng=np.random.default_rng(seed))
            return
        assert len(split.pool) == portion(0.1, len(scene.pixels))
        apart = np.abs(scene.pixels[split.pool][:, None] - scene.pixels[split.holdout][None]).max(2).min()
        assert apart >= window
        tested.append(split.holdout)
    np.testing.assert_array_equal(np.sort(np.concatenate(tested)), np.arange(len(scene.pixels)))


def test_folds_of_indian_pines_share_its_classes(indian_pines):
    splits = [fold_split(indian_pines, fold=fold, gap=6, rng=np.random.default_rng(0)) for fold in range(4)]
    sizes = [len(split.holdout) for split in splits]
    assert max(sizes) - min(sizes) < 0.1 * len(indian_pines.pixels)
    table = np.array([split.table(indian_pines).holdout for split in splits])
    assert (
        (table > 0).sum(0)[indian_pines.targets] >= 3
    ).mean() > 0.95  # all but the smallest classes are in three folds or more


def test_a_narrower_gap_keeps_more_of_the_holdout(scene):
    sizes = [len(block_split(scene, 0.2, block=5, gap=gap, deals=1, rng=np.random.default_rng(0)).holdout) for gap in (0, 1, 3)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_indian_pines_in_blocks_keeps_the_classes_it_can(indian_pines):
    split = block_split(indian_pines, rng=np.random.default_rng(0))
    table = split.table(indian_pines)
    kept = (table.pool > 0) & (table.holdout > 0)
    assert kept.sum() >= 14
    assert (table.pool + table.holdout + table.neither == table.labelled).all()
    assert len(split.warnings(indian_pines)) == ((table.pool == 0).sum() + (table.holdout == 0).sum())
    for name in table.index[~kept]:
        assert any(warning.startswith(f"{name} (") for warning in split.warnings(indian_pines))


def test_a_class_in_one_spot_is_reported():
    labels = np.ones((20, 20), dtype=int)
    labels[3, 3] = 2
    scene = Scene(np.arange(800).reshape(20, 20, 2), labels)
    split = block_split(scene, block=5, window=3, rng=np.random.default_rng(0))
    assert split.warnings(scene) == ["class 2 (1 pixels) has no pixel in the hold-out"]


def test_the_same_seed_gives_the_same_split(scene):
    for make in (random_split, block_split):
        first, again, other = (make(scene, 0.2, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first.pool, again.pool)
        np.testing.assert_array_equal(first.holdout, again.holdout)
        assert not np.array_equal(first.pool, other.pool)


def test_a_stratified_draw_is_proportional_and_exact():
    targets = np.repeat([0, 1, 2], [700, 290, 10])
    drawn = draw(np.arange(1000), targets, 100, stratified=True, rng=np.random.default_rng(0))
    assert len(np.unique(drawn)) == 100
    assert np.abs(np.bincount(targets[drawn]) - [70, 29, 1]).max() <= 1


def test_fixed_splits_are_checked():
    split = Split([5, 1, 5], [2, 0])
    assert split.pool.tolist() == [1, 5]
    with pytest.raises(ValueError, match="pool and hold-out share 1 pixels"):
        Split([1, 2], [2, 3])
    with pytest.raises(ValueError, match="holdout of this split is empty"):
        Split([1, 2], [])


def test_portions_are_floors_without_binary_surprises():
    assert [portion(0.29, 100), portion(0.07, 100), portion(0.1, 10_249), portion(0.05, 1024)] == [29, 7, 1024, 51]
    for wrong in (0, 1, -0.1, 2):
        with pytest.raises(ValueError, match="a share lies between 0 and 1"):
            portion(wrong, 10)


@pytest.mark.parametrize("options", [{"block": 0}, {"gap": -1}])
def test_impossible_blocks_are_refused(scene, options):
    with pytest.raises(ValueError, match="a block has a side of at least 1 and a gap of at least 0"):
        block_split(scene, **options, rng=np.random.default_rng(0))


def test_touched_counts_windows_by_distance(scene):
    split = cpdgal.random_split(scene, 0.1, rng=np.random.default_rng(0))
    nearest = cdist(scene.pixels[split.holdout], scene.pixels[split.pool], "chebyshev").min(1)
    for window in (3, 7):
        half = window // 2
        assert touched(scene, split.pool, split.holdout, window) == pytest.approx((nearest <= half).mean())
        assert touched(scene, split.pool, split.holdout, window, reach=half) == pytest.approx((nearest <= 2 * half).mean())


def test_no_window_touches_another_across_the_gap(scene):
    split = cpdgal.block_split(scene, 0.2, block=8, window=3, rng=np.random.default_rng(0))
    assert touched(scene, split.pool, split.holdout, 3, reach=1) == 0


@settings(max_examples=40, deadline=None)
@given(scene=scenes(), share=st.sampled_from([0.05, 0.1]), gap=st.integers(0, 3), seed=st.integers(0, 99))
def test_a_mask_decides_what_is_tested(scene, share, gap, seed):
    rng = np.random.default_rng(seed)
    mask = np.where(rng.random(scene.labels.shape) < 0.6, scene.labels, 0)
    wrong = (mask > 0) & (rng.random(mask.shape) < 0.1)
    mask[wrong] = mask[wrong] % scene.classes + 1
    try:
        split = mask_split(scene, mask, share, gap=gap, rng=rng)
    except ValueError:
        with pytest.raises(ValueError, match=r"pixels of the mask are left for a pool of|is empty"):
            mask_split(scene, mask, share, gap=gap, rng=np.random.default_rng(seed))
        return
    inside = mask[tuple(scene.pixels.T)] > 0
    np.testing.assert_array_equal(split.holdout, np.flatnonzero(~inside))
    assert len(split.pool) == portion(share, len(scene.pixels))
    assert (mask == scene.labels)[tuple(scene.pixels[split.pool].T)].all()
    assert cdist(scene.pixels[split.pool], scene.pixels[split.holdout], "chebyshev").min() > gap


def test_a_mask_of_another_shape_is_refused(scene):
    with pytest.raises(ValueError, match=r"^a mask of \(4, 4\) does not fit synthetic, which has \(30, 32\) pixels$"):
        mask_split(scene, np.ones((4, 4), dtype=int), rng=np.random.default_rng(0))
