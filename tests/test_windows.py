"""Windows against brute-force padded slices."""

import pickle
import tracemalloc

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import cpdgal
from cpdgal import Scene, Windows


def brute_force(windows: Windows, row: int, column: int) -> np.ndarray:
    """The window around a pixel, cut from the scores padded on every side by more than is needed."""
    scene, side = windows.scene, windows.window
    height, width, bands = scene.cube.shape
    scores = windows.projection.pipeline.transform(scene.cube.reshape(-1, bands)).reshape(height, width, -1)
    padded = np.pad(scores, ((side, side), (side, side), (0, 0)))
    top, left = row - side // 2 + side, column - side // 2 + side
    return padded[top : top + side, left : left + side].transpose(2, 0, 1)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(2, 12),
    width=st.integers(2, 12),
    side=st.integers(1, 15),
    components=st.integers(1, 3),
    seed=st.integers(0, 2**16),
)
def test_any_window_is_the_padded_slice(height, width, side, components, seed):
    rng = np.random.default_rng(seed)
    scene = Scene(
        rng.standard_normal((height, width, 4)), rng.integers(0, 3, (height, width)) + np.eye(height, width, dtype=int)
    )
    windows = Windows(scene, side, components)
    index = rng.integers(0, len(windows), 5)
    gathered = windows[index]
    assert gathered.shape == (5, components, side, side)
    assert gathered.dtype == torch.float32
    for window, (row, column) in zip(gathered, scene.pixels[index], strict=True):
        np.testing.assert_allclose(window, brute_force(windows, row, column), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("side", [4, 7])
def test_the_pixel_stands_where_the_convention_says(scene, side):
    windows = Windows(scene, side, 3)
    row, column = scene.pixels[100]
    scores = windows.projection.pipeline.transform(scene.cube[row, column][None])[0]
    np.testing.assert_allclose(windows[[100]][0, :, side // 2, side // 2], scores, rtol=1e-5, atol=1e-6)


def test_scores_are_whitened_principal_components(indian_pines):
    windows = Windows(indian_pines, 1)
    scores = torch.cat(list(windows.scene_batches())).flatten(1)
    torch.testing.assert_close(scores.T.cov(), torch.eye(15), atol=1e-3, rtol=0)
    plain = torch.cat(list(Windows(indian_pines, 1, whiten=False).scene_batches())).flatten(1)
    assert (plain.var(0).diff() < 0).all()


def test_the_reduction_can_be_fitted_on_some_pixels_only(scene):
    some = np.arange(0, 200)
    windows = Windows(scene, 3, 5, fit_on=some)
    scores = windows[some][:, :, 1, 1]
    torch.testing.assert_close(scores.T.cov(), torch.eye(5), atol=1e-3, rtol=0)
    assert not torch.allclose(scores, Windows(scene, 3, 5)[some][:, :, 1, 1], atol=1e-2)


def test_the_whole_scene_comes_in_batches_row_by_row(scene):
    windows = Windows(scene, 5, 3)
    batches = list(windows.scene_batches(100))
    assert [len(batch) for batch in batches] == [100] * 9 + [60]
    flat = torch.cat(batches).unflatten(0, scene.labels.shape)
    torch.testing.assert_close(flat[tuple(scene.pixels[:50].T)], windows[np.arange(50)])


def test_batches_of_some_pixels(scene):
    windows = Windows(scene, 5, 3)
    index = np.array([5, 3, 400, 7])
    torch.testing.assert_close(torch.cat(list(windows.batches(index, 3))), windows[index])


def test_no_copy_of_all_windows_is_made(scene):
    big = cpdgal.load_scene("synthetic", height=100, width=100, bands=16)
    tracemalloc.start()
    windows = Windows(big, 25, 15)
    for batch in windows.scene_batches(100):
        assert len(batch) == 100
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6 < 10_000 * 25 * 25 * 15 * 4
    assert len(pickle.dumps(windows)) < 5e6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": 0}, "synthetic: a window has a side of 1 to 64 pixels, not 0"),
        ({"window": 999}, "synthetic: a window has a side of 1 to 64 pixels, not 999"),
        ({"components": 21}, "synthetic: 21 components from 20 bands and 960 pixels; choose 1 to 20"),
        ({"components": -1}, "choose 1 to 20"),
        ({"components": 10, "fit_on": [1, 2, 3]}, "10 components from 20 bands and 3 pixels; choose 1 to 3"),
    ],
)
def test_what_a_scene_does_not_have_is_refused(scene, options, said):
    with pytest.raises(ValueError, match=said):
        Windows(scene, **options)


def test_another_cube_is_seen_through_the_fitted_reduction(scene):
    windows = Windows(scene, 3, 5)
    brighter = Scene(scene.cube * 1.5, scene.labels, name="brighter")
    seen, at = windows.on(brighter), [0, 100, 500]
    for window, (row, column) in zip(seen[at], scene.pixels[at], strict=True):
        np.testing.assert_allclose(
            window[:, 1, 1], windows.projection.pipeline.transform(brighter.cube[row, column][None])[0], atol=1e-5
        )
        np.testing.assert_allclose(window, brute_force(seen, row, column), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(seen[at], Windows(brighter, 3, 5)[at], atol=1e-2)
    torch.testing.assert_close(windows.on(scene)[at], windows[at], rtol=0, atol=0)


def test_another_number_of_bands_does_not_fit_the_reduction(scene):
    with pytest.raises(ValueError, match="shorter has 7 bands, and the scaling was fitted on 20"):
        Windows(scene, 3, 5).on(Scene(scene.cube[..., :7], scene.labels, name="shorter"))


# What peers see


def reduced(scene, **options):
    """The image that windows of one pixel are cut from, (pixels, channels)."""
    windows = cpdgal.Windows(scene, window=1, components=0, **options)
    return windows.at(*np.divmod(np.arange(scene.labels.size), scene.labels.shape[1])).numpy().reshape(scene.labels.size, -1)


@pytest.mark.parametrize("scaling", ["band standard", "band min-max", "min-max", "min-max minus band means", "none"])
def test_bands_are_scaled_as_the_name_says(scene, scaling):
    x = scene.cube.reshape(-1, scene.bands).astype(float)
    whole = (x - x.min()) / (x.max() - x.min())
    expected = {
        "band standard": (x - x.mean(0)) / x.std(0),
        "band min-max": (x - x.min(0)) / np.ptp(x, axis=0),
        "min-max": whole,
        "min-max minus band means": whole - whole.mean(0),
        "none": x,
    }[scaling]
    np.testing.assert_allclose(reduced(scene, scaling=scaling), expected, atol=1e-4 * np.abs(expected).max())


def test_a_scaling_is_fitted_on_the_pool_alone_where_asked(scene):
    pool = np.arange(40)
    x = scene.cube.reshape(-1, scene.bands).astype(float)
    known = scene.cube[tuple(scene.pixels[pool].T)].astype(float)
    scaled = reduced(scene, scaling="min-max", fit_on=pool)
    np.testing.assert_allclose(scaled, (x - known.min()) / (known.max() - known.min()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("padding", "mode"), [("zero", "constant"), ("reflect", "reflect"), ("symmetric", "symmetric")])
def test_the_edge_is_padded_as_the_name_says(scene, padding, mode):
    windows = cpdgal.Windows(scene, window=8, components=0, scaling="none", padding=padding)
    padded = np.pad(scene.cube, ((4, 3), (4, 3), (0, 0)), mode=mode)
    np.testing.assert_allclose(windows.at([0], [0])[0].numpy(), padded[:8, :8].transpose(2, 0, 1), rtol=1e-6)


@pytest.mark.parametrize("wrong", [{"scaling": "l2"}, {"padding": "wrap"}])
def test_an_unknown_scaling_or_padding_lists_the_known(scene, wrong):
    with pytest.raises(ValueError, match="is none of"):
        cpdgal.Windows(scene, **wrong)


@pytest.mark.parametrize("components", [0, 3])
@pytest.mark.parametrize("scaling", cpdgal.windows.SCALINGS)
def test_a_projection_comes_back_from_its_state_to_the_bit(scene, scaling, components):
    fitted = cpdgal.Windows(scene, 1, components, scaling=scaling).projection
    content = safetensors.torch.save(fitted.state())
    again = cpdgal.windows.Projection(components, scaling=scaling).restore(safetensors.torch.load(content))
    elsewhere = cpdgal.load_scene("synthetic", height=12, width=14, bands=20, classes=3, seed=4)
    assert again.scores(elsewhere.cube).tobytes() == fitted.scores(elsewhere.cube).tobytes()
    assert fitted.bands == again.bands == 20


@pytest.mark.parametrize("scaling", cpdgal.windows.SCALINGS)
@pytest.mark.parametrize("components", [0, 5])
def test_a_large_scene_is_fitted_in_blocks_and_gives_the_same_scores_to_rounding(scene, scaling, components, monkeypatch):
    whole = cpdgal.Windows(scene, 1, components, scaling=scaling).projection
    exact = cpdgal.windows.Projection(components, scaling=scaling).fit(scene.cube.reshape(-1, scene.bands).astype(float))
    expected = exact.scores(scene.cube)
    monkeypatch.setattr(cpdgal.windows, "BLOCK", scene.cube.size // 3)
    assert len([*cpdgal.windows._blocks(scene.cube.reshape(-1, scene.bands))]) > 8
    blockwise = cpdgal.Windows(scene, 1, components, scaling=scaling).projection
    scores = blockwise.scores(scene.cube)
    np.testing.assert_allclose(scores, expected, atol=(1e-3 if components else 1e-5) * np.abs(expected).max())
    state = whole.state()
    assert {name: (each.shape, each.dtype) for name, each in blockwise.state().items() if each.ndim} == {
        name: (each.shape, each.dtype) for name, each in state.items() if each.ndim
    }
    if components:
        last = whole.pipeline[-1]
        for name in ("explained_variance_", "explained_variance_ratio_", "singular_values_", "noise_variance_"):
            np.testing.assert_allclose(getattr(blockwise.pipeline[-1], name), getattr(last, name), rtol=2e-3, err_msg=name)


def test_windows_of_a_part_with_its_neighbours_are_those_of_the_whole(scene):
    for padding in cpdgal.windows.PADDINGS:
        windows = cpdgal.Windows(scene, 6, 4, padding=padding)
        scores = windows.projection.scores(scene.cube)
        rows, columns = (each.ravel() for each in np.mgrid[10:20, 0:32])
        part = cpdgal.windows.Padded(scores[10 - 3 : 20 + 2], 6, padding, margins=((0, 0), (3, 2)))
        assert torch.equal(part.at(rows - 10, columns), windows.at(rows, columns))


def test_fitting_a_large_scene_takes_at_most_8_bytes_a_value(monkeypatch):
    """The whole way that a network's input goes, above the cube itself."""
    cube = np.random.default_rng(0).normal(size=(300, 200, 50)).astype(np.float32)
    scene = Scene(cube, None)
    monkeypatch.setattr(cpdgal.windows, "BLOCK", cube.size // 4)
    tracemalloc.start()
    Windows(scene, 7, 15)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * cube.size
