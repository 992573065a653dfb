"""Training and the active-learning loop."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

import cpdgal
from cpdgal import Windows, training
from cpdgal.training import Training

SMALL = replace(cpdgal.protocol("synthetic", "smoke"), pool=0.4, initial=0.1, acquired=0.1, score_every=1)


@pytest.fixture(scope="module")
def windows(scene):
    return cpdgal.Windows(scene, window=3, components=6)


@pytest.fixture(scope="module")
def split(scene):
    return cpdgal.random_split(scene, 0.4, rng=np.random.default_rng(0))


def small_model(seed=0, **options):
    return cpdgal.build("cpdgal", seed=seed, bands=6, window=3, classes=4, dim=16, heads=4, layers=2, **options)


def run(windows, split, protocol=SMALL, query="margin", seed=0, **options):
    model = small_model(seed)
    retraining = {name: options.pop(name) for name in ("warm_start", "keep_optimizer") if name in options}
    protocol = replace(protocol, **retraining)
    return model, list(
        cpdgal.active_learning(model, windows, split, protocol, query=query, seed=seed, progress=False, **options)
    )


def test_the_paper_s_budgets():
    assert len(cpdgal.protocol("indian_pines").label_counts(10_249)) == 31
    assert cpdgal.protocol("indian_pines").label_counts(10_249)[0] == 51
    assert cpdgal.protocol("indian_pines").label_counts(10_249)[-1] == 482  # 4.70 %; the paper: about 4.7 %
    assert cpdgal.protocol("botswana").label_counts(3_248)[-1] == 144  # 4.43 %; about 4.3 %
    assert cpdgal.protocol("salinas").label_counts(54_129)[-1] == 740  # 1.37 %; about 1 %


def test_the_tuned_profile_is_the_paper_s_with_shorter_trainings():
    assert cpdgal.protocol("indian_pines", "tuned") == cpdgal.Protocol(epochs=60)
    assert cpdgal.protocol("salinas", "tuned") == cpdgal.protocol("salinas")  # 50 epochs as published


def test_profiles():
    assert cpdgal.protocol("salinas") == cpdgal.Protocol(pool=0.02, initial=0.10, acquired=0.10, cycles=10, epochs=50)
    assert cpdgal.protocol("botswana") == cpdgal.Protocol(batch=64)
    assert cpdgal.protocol("my own scene") == cpdgal.protocol("indian_pines") == cpdgal.Protocol()
    assert cpdgal.protocol("indian_pines", "quick").label_counts(10_249)[-1] <= 250
    with pytest.raises(ValueError, match="no profile is called 'fast'; known are paper, tuned, ablation, quick, smoke"):
        cpdgal.protocol("indian_pines", "fast")


def test_the_loop_labels_from_the_pool_within_its_budget(windows, split):
    _, cycles = run(windows, split)
    assert [len(cycle.labelled) for cycle in cycles] == SMALL.label_counts(len(windows))
    for earlier, later in pairwise(cycles):
        np.testing.assert_array_equal(later.labelled[: len(earlier.labelled)], earlier.labelled)
    last = cycles[-1].labelled
    assert len(np.unique(last)) == len(last)
    assert np.isin(last, split.pool).all()
    assert set(cycles[-1].row) == {"cycle", "labels", "OA", "AA", "kappa", "loss", "seconds"}


def test_the_loop_asks_for_the_smallest_margins(windows, split):
    model = small_model()
    loop = cpdgal.active_learning(model, windows, split, SMALL, seed=0, progress=False)
    first = next(loop).labelled
    remaining = np.setdiff1d(split.pool, first)
    wanted = remaining[np.argsort(cpdgal.margin(cpdgal.predict(model, [windows[remaining]]), k=3), kind="stable")]
    second = next(loop).labelled[len(first) :]
    np.testing.assert_array_equal(second, wanted[: len(second)])


def test_strategies_share_their_first_labels_so_curves_start_together(windows, split):
    starts = [run(windows, split, replace(SMALL, cycles=0), query)[1][0] for query in ("margin", "random")]
    np.testing.assert_array_equal(starts[0].labelled, starts[1].labelled)
    assert starts[0].scores == starts[1].scores


def test_the_open_choices_change_the_run(windows, split):
    base = run(windows, split)[1][-1].probabilities
    for choice in ({"warm_start": False}, {"keep_optimizer": True}):
        assert not np.array_equal(run(windows, split, **choice)[1][-1].probabilities, base), choice
    for choice in ({"cw_mse_weight": 1.0}, {"detach_target": True}, {"masked_above": "half"}):
        loop = cpdgal.active_learning(small_model(**choice), windows, split, SMALL, progress=False)
        assert not np.array_equal([*loop][-1].probabilities, base), choice


def same(cycle, other):
    """Whether two cycles are the same to the bit, in all but the seconds they took."""
    parts = ("losses", "scores")
    arrays = ("labelled", "probabilities", "candidates")
    assert set(cycle.state) == set(other.state)
    return (
        cycle.cycle == other.cycle
        and all(getattr(cycle, part) == getattr(other, part) for part in parts)
        and all(np.array_equal(getattr(cycle, part), getattr(other, part)) for part in arrays)
        and all(torch.equal(value, other.state[name]) for name, value in cycle.state.items())
    )


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("margin", {}),
        ("margin", {"warm_start": False}),
        ("margin", {"keep_optimizer": True}),
        ("margin", {"warm_start": False, "keep_optimizer": True}),
        ("random", {}),
        ("bald", {}),
    ],
)
def test_a_loop_goes_on_behind_any_cycle_as_if_never_stopped(windows, split, query, options):
    _, cycles = run(windows, split, query=query, **options)
    assert len(cycles) == 3
    for stopped in cycles[:2]:
        _, rest = run(windows, split, query=query, resume=stopped.state, **options)
        assert len(rest) == 2 - stopped.cycle
        assert all(same(cycle, other) for cycle, other in zip(rest, cycles[stopped.cycle + 1 :], strict=True))


@pytest.mark.parametrize("options", [{}, {"warm_start": False}, {"keep_optimizer": True}, {"query": "bald"}])
def test_a_loop_goes_on_from_within_a_cycle_as_if_never_stopped(windows, split, options):
    left = []
    _, cycles = run(windows, split, **options, checkpoint=lambda state: left.append(state()))
    assert len(left) == 3 * SMALL.epochs
    for number, state in enumerate(left):
        _, rest = run(windows, split, resume=state, **options)
        assert len(rest) == 3 - number // SMALL.epochs
        assert all(same(cycle, other) for cycle, other in zip(rest, cycles[number // SMALL.epochs :], strict=True))
        assert rest[0].seconds > state["training.seconds"] > 0


@pytest.mark.parametrize("options", [{}, {"warm_start": False, "keep_optimizer": True}])
def test_to_go_on_leaves_the_state_as_it_was(windows, split, options):
    """A state may be given back more than once, and kept cycles do not change while the loop goes on."""
    loop = cpdgal.active_learning(small_model(), windows, split, replace(SMALL, **options), progress=False)
    state = next(loop).state
    kept = {name: value.clone() for name, value in state.items()}
    list(loop)
    run(windows, split, resume=state, **options)
    assert all(torch.equal(value, kept[name]) for name, value in state.items())


def test_a_floor_goes_on_as_well(windows, split):
    def cycles(resume=None):
        floor = cpdgal.coordinates_floor
        return list(cpdgal.active_learning(floor, windows, split, SMALL, query="random", resume=resume, progress=False))

    first, *rest = cycles()
    assert all(same(cycle, other) for cycle, other in zip(cycles(first.state), rest, strict=True))


def test_scoring_less_often_changes_nothing_else(windows, split):
    often, seldom = (run(windows, split, replace(SMALL, cycles=3, score_every=every))[1] for every in (1, 2))
    assert [bool(cycle.scores) for cycle in seldom] == [False, True, False, True]
    assert seldom[2].probabilities is None
    np.testing.assert_array_equal(often[-1].probabilities, seldom[-1].probabilities)


def test_a_stratified_start_holds_every_class(windows, split, scene):
    _, cycles = run(windows, split, replace(SMALL, cycles=0, stratified=True))
    assert set(scene.targets[cycles[0].labelled]) == set(range(scene.classes))


def test_a_wrong_strategy_is_told_before_training(windows, split):
    model = small_model()
    with pytest.raises(ValueError, match="no query strategy is called 'best'; known are margin"):
        next(cpdgal.active_learning(model, windows, split, SMALL, query="best", progress=False))
    assert all(torch.equal(value, small_model().state_dict()[name]) for name, value in model.state_dict().items())


def test_an_empty_start_is_refused(windows, split):
    with pytest.raises(ValueError, match="of a pool of 356 pixels is no pixel; raise the initial share"):
        run(windows, split, replace(SMALL, initial=0.001))


def test_the_network_learns(scene, windows, split):
    model = small_model()
    targets = torch.from_numpy(scene.targets)
    losses = cpdgal.fit(
        model,
        windows[split.pool],
        targets[split.pool],
        Training(epochs=30),
        generator=torch.Generator().manual_seed(0),
        progress=False,
    )
    assert len(losses) == 30
    assert losses[-1] < losses[0] / 2
    predicted = cpdgal.predict(model, windows.batches(split.holdout)).argmax(1)
    assert cpdgal.scores(scene.targets[split.holdout], predicted)["OA"] > 80


@pytest.mark.parametrize("decay", ["none", "cosine"])
def test_fit_is_plain_adam_on_shuffled_batches(scene, windows, split, decay):
    x, y = windows[split.pool[:10]], torch.from_numpy(scene.targets[split.pool[:10]])
    fitted, plain = (cpdgal.build("vit", bands=6, window=3, classes=4, dim=16, heads=4, layers=1) for _ in range(2))
    cpdgal.fit(
        fitted,
        x,
        y,
        Training(epochs=3, batch=4, learning_rate=0.01, decay=decay),
        generator=torch.Generator().manual_seed(5),
        progress=False,
    )

    generator, optimizer = torch.Generator().manual_seed(5), torch.optim.Adam(plain.parameters(), lr=0.01)
    for epoch in range(3):
        optimizer.param_groups[0]["lr"] = 0.01 if decay == "none" else 0.01 * (1 + np.cos(np.pi * epoch / 3)) / 2
        order = torch.randperm(10, generator=generator)
        for start in (0, 4, 8):
            chosen = order[start : start + 4]
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(plain(x[chosen]).logits, y[chosen]).backward()
            optimizer.step()
    # What they compute, not the weights: keys' biases cancel in the softmax, and Adam blows their rounding up.
    torch.testing.assert_close(fitted(x).logits, plain(x).logits, rtol=1e-3, atol=1e-4)


def test_an_unknown_decay_is_refused(windows, split):
    with pytest.raises(ValueError, match=r"decay is one of none, cosine, .*, not 'linear'"):
        run(windows, split, replace(SMALL, decay="linear"))


def test_cw_mse_is_added_with_its_weight(scene, windows, split):
    x, y = windows[split.pool[:16]], torch.from_numpy(scene.targets[split.pool[:16]])

    def first_loss(method, weight):
        model = cpdgal.build(method, bands=6, window=3, classes=4, dim=16, heads=4, layers=2, cw_mse_weight=weight)
        return cpdgal.fit(model, x, y, Training(epochs=1), generator=torch.Generator().manual_seed(0), progress=False)[0]

    none, one, three = (first_loss("cpdgal", weight) for weight in (0, 1, 3))
    assert three - none == pytest.approx(3 * (one - none), rel=1e-4)
    assert one > none
    assert first_loss("vit", 0) == first_loss("vit", 3)


def test_predict_leaves_the_mode_and_gives_probabilities(windows):
    model = small_model().train()
    probabilities = cpdgal.predict(model, windows.scene_batches(100))
    assert model.training
    assert probabilities.shape == (30 * 32, 4)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(30 * 32))


# What the modules do


def small_network(scene, **options):
    windows = Windows(scene, 3, 4)
    model = cpdgal.build("cpdgal", bands=4, window=3, classes=scene.classes, dim=8, heads=2, layers=1, steps=20, **options)
    return model, windows, lambda: windows.batches(np.arange(200))


def looked_at(model, batches, seed=0):
    answers = cpdgal.predict(model, batches()).argmax(1)
    return training.diagnose(model, batches, answers, torch.Generator().manual_seed(seed))


def test_what_the_modules_do_is_what_a_plain_reading_of_them_gives(scene):
    model, windows, batches = small_network(scene, alpha_range=(1.2, 0.4))
    with torch.no_grad():
        model.masking.scale.fill_(-3.0)
    found = looked_at(model, batches)
    alpha = np.clip(np.linspace(1.2, 0.4, 20), 0.01, 0.99)
    assert found["alpha_mean"] == pytest.approx(alpha.mean())
    assert found["alpha_min"] == pytest.approx(0.4)
    assert found["alpha_clipped"] == pytest.approx(np.mean(alpha == 0.99))
    z = model.embedding(windows[np.arange(200)])
    attention = model.blocks[0].attention_weights(z).detach().numpy()
    mean = attention.mean(1)
    gamma = 1 / (1 + np.exp(3 * mean.max(2).mean(1)))
    mask = 1 / (1 + np.exp(-2 * (gamma[:, None] - mean.mean(1))))
    assert found["gamma"] == pytest.approx(gamma.mean(), rel=1e-5)
    assert found["gamma_scale"] == -3.0
    assert found["mask_mean"] == pytest.approx(mask.mean(), rel=1e-5)
    assert found["mask_within"] == pytest.approx(mask.std(1).mean(), rel=1e-3)
    assert found["mask_between"] == pytest.approx(mask.mean(1).std(), rel=1e-3)
    expected = (1 - alpha).mean() * np.sqrt(8) * (1 / z.detach().norm(dim=2)).mean().item()  # chi with 8 degrees, roughly
    assert found["noise_share"] == pytest.approx(expected, rel=0.15)


def test_modules_that_do_nothing_are_found_out_and_so_are_those_that_do(scene):
    model, _, batches = small_network(scene, alpha_range=(1.0, 1.0), alpha_clip=(0.01, 1.0))
    inert = looked_at(model, batches)  # no noise, a denoiser that is the identity but for the time embedding, an even mask
    assert inert["noise_share"] == 0
    assert inert["alpha_clipped"] == 1
    assert inert["changed_by_constant_mask"] <= 0.02
    with torch.no_grad():
        model.dgfr.schedule.fill_(0.01)
        model.masking.beta = 200.0
        model.blocks[0].qkv.weight.mul_(30)
        model.masking.mask_token.fill_(3.0)
    active = looked_at(model, batches)
    assert active["changed_by_dgfr"] > 0.05 >= inert["changed_by_dgfr"]
    assert active["changed_by_constant_mask"] > 0.05 > inert["changed_by_constant_mask"]
    assert active["mask_within"] > 10 * inert["mask_within"]
    assert looked_at(model, batches) == active  # a function of its generator, and the network is left as it was


def test_a_look_at_a_network_that_draws_in_evaluation_is_a_function_of_its_generator(scene):
    model, _, batches = small_network(scene, refinement="average")
    answers = cpdgal.predict(model, batches(), torch.Generator().manual_seed(0)).argmax(1)
    first, again, other = (training.diagnose(model, batches, answers, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert first == again != other


def test_what_a_network_lacks_is_not_looked_at(scene):
    names = {}
    for name in ("cpdgal", "cpdgal-no-dgfr", "cpdgal-no-masking", "vit"):
        windows = Windows(scene, 3, 4)
        model = cpdgal.build(name, bands=4, window=3, classes=scene.classes, dim=8, heads=2, layers=1)
        names[name] = set(looked_at(model, lambda windows=windows: windows.batches(np.arange(50))))
    assert names["vit"] == set()
    assert names["cpdgal-no-dgfr"] & names["cpdgal-no-masking"] == set()
    assert names["cpdgal"] == names["cpdgal-no-dgfr"] | names["cpdgal-no-masking"]
    model, _, batches = small_network(scene, mask_at_inference=False)
    assert set(looked_at(model, batches)) == names["cpdgal-no-masking"]
    model, _, batches = small_network(scene, static_masking=0.3)
    assert set(looked_at(model, batches)) == names["cpdgal-no-masking"]
