"""Training recipes that peers bring: dropout, decays, augmentation, the choice of the epoch, and their studies."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

import cpdgal
from cpdgal.peers import PEERS
from cpdgal.study import Study
from cpdgal.training import DECAYS, Training, _augmented, _batches, fit, predict


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(18, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))


@pytest.fixture(scope="module")
def data():
    rng = torch.Generator().manual_seed(1)
    y = torch.arange(60) % 3
    return torch.randn(60, 2, 3, 3, generator=rng) + y[:, None, None, None], y


def trained(data, seed=0, **options):
    model = net()
    training = Training(epochs=4, batch=16)
    losses = fit(model, *data, training, generator=torch.Generator().manual_seed(seed), progress=False, **options)
    return losses, model.state_dict()


def test_dropout_comes_from_the_generator_alone(data):
    """Same generator, same weights; another one, others; threads side by side do not mix; torch's own state stays."""
    alone = trained(data)
    state = torch.random.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        torch.manual_seed(5)
        together = list(pool.map(lambda seed: fit_only(data, seed), [0, 1, 0, 2]))
    assert together[0] == together[2] == alone[0]
    assert together[1] != alone[0]
    torch.random.set_rng_state(state)
    model = net()
    before = torch.random.get_rng_state()
    fit(model, *data, Training(epochs=1), generator=torch.Generator().manual_seed(0), progress=False)
    assert torch.equal(before, torch.random.get_rng_state())


RECIPES = {
    "Adam": {},
    "Adam with dropped rates": {"decay": "tenth on plateau", "validation": True},
    "AdamW with flips": {"optimizer": "adamw", "learning_rate": 1e-2, "weight_decay": 0.05, "augment": True, "decay": "cosine"},
    "momentum": {
        "optimizer": "sgd",
        "learning_rate": 1e-2,
        "weight_decay": 1e-4,
        "decay": "0.9 every tenth",
        "validation": True,
    },
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_goes_on_behind_any_epoch_as_if_never_stopped(data, name):
    def train(**more):
        model, options = net(), dict(RECIPES[name])
        if options.pop("validation", None):
            more |= {"validation": (data[0][:9], data[1][:9])}
        generator = torch.Generator().manual_seed(3)
        training = Training(epochs=7, batch=16, **options)
        losses = fit(model, *data, training, generator=generator, progress=False, **more)
        return losses, model.state_dict(), generator.get_state()

    left = []
    losses, weights, generator = train(checkpoint=lambda state: left.append(state()))
    assert len(left) == 7
    for epoch, state in enumerate(left, 1):
        assert state["losses"].tolist() == losses[:epoch]
        again, final, ended = train(resume=state)
        assert again == losses
        assert torch.equal(ended, generator)
        assert all(torch.equal(value, weights[part]) for part, value in final.items())


def fit_only(data, seed):
    with torch.random.fork_rng():
        model = nn.Sequential(nn.Flatten(), nn.Linear(18, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))
        model.load_state_dict(net_weights)
    return fit(model, *data, Training(epochs=4, batch=16), generator=torch.Generator().manual_seed(seed), progress=False)


net_weights = net().state_dict()


def test_dropout_keeps_the_mean_and_drops_its_share():
    model, x = nn.Sequential(nn.Dropout(0.3)), torch.ones(200, 1, 10, 10)
    seen = []
    model.register_forward_hook(lambda module, args, out: seen.append(out.detach()))
    head = nn.Sequential(model, nn.Flatten(), nn.Linear(100, 2))
    fit(
        head,
        x,
        torch.zeros(200, dtype=torch.long),
        Training(epochs=1, batch=200),
        generator=torch.Generator().manual_seed(0),
        progress=False,
    )
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert seen[0].mean().item() == pytest.approx(1, abs=0.03)


def test_the_best_epoch_by_validation_is_kept(data):
    """The kept weights are those of the epoch with the most right answers, the later of equals."""
    x, y = data
    states, right = [], []
    model = net()

    def look():
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        right.append(int((predict(model, [x[40:]]).argmax(1) == y[40:]).sum()))

    fit(
        model,
        x[:40],
        y[:40],
        Training(epochs=12, learning_rate=0.05),
        generator=torch.Generator().manual_seed(0),
        validation=(x[40:], y[40:]),
        progress=look,
    )
    best = max(range(12), key=lambda epoch: (right[epoch], epoch))
    assert right[best] > min(right)
    assert all(torch.equal(value, states[best][name]) for name, value in model.state_dict().items())


def rates(decay, epochs):
    """The learning rate of every epoch over the first one's."""
    optimizer = torch.optim.SGD(net().parameters(), lr=0.5)
    schedule = DECAYS[decay](optimizer, epochs)
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]["lr"] / 0.5)
        optimizer.step()
        schedule.step()
    return np.array(found)


def test_decays_follow_their_names():
    epochs = np.arange(300)
    assert (rates("none", 10) == 1).all()
    np.testing.assert_allclose(rates("cosine", 300), (1 + np.cos(np.pi * epochs / 300)) / 2, rtol=1e-12)
    np.testing.assert_allclose(
        rates("tenth at 100 and 200", 300), 0.1 ** np.searchsorted([100, 200], epochs, side="right"), rtol=1e-12
    )
    np.testing.assert_allclose(
        rates("tenth at 100 and 250", 300), 0.1 ** np.searchsorted([100, 250], epochs, side="right"), rtol=1e-12
    )
    np.testing.assert_allclose(rates("0.9 every tenth", 300), 0.9 ** (epochs // 30), rtol=1e-12)
    assert (rates("0.9 every tenth", 3) == 0.9 ** np.arange(3)).all()
    assert {peer.decay for peer in PEERS.values()} <= set(DECAYS)


def test_a_loss_that_is_no_number_ends_the_training(data):
    with pytest.raises(ValueError, match=r"^the loss is (nan|inf) after epoch \d: training diverged at"):
        fit(
            net(),
            *data,
            Training(epochs=9, learning_rate=1e6, optimizer="sgd"),
            generator=torch.Generator().manual_seed(0),
            progress=False,
        )


def test_on_a_plateau_the_rate_falls_to_a_tenth(data):
    """With a rate of nothing the validation accuracy never rises, so every quarter and one epoch the rate falls."""
    model = net()
    training = Training(epochs=8, learning_rate=1e-6, optimizer="sgd", decay="tenth on plateau")
    optimizer = torch.optim.SGD(model.parameters(), lr=0)
    rates = []
    fit(
        model,
        *data,
        training,
        validation=data,
        optimizer=optimizer,
        generator=torch.Generator().manual_seed(0),
        progress=lambda: rates.append(optimizer.param_groups[0]["lr"]),
    )
    assert rates == pytest.approx([1e-6] * 4 + [1e-7] * 3 + [1e-8])


def test_augmentation_flips_and_turns_every_second_window():
    x = torch.arange(9.0).reshape(1, 1, 3, 3).expand(4000, 1, 3, 3)
    moved = _augmented(x, torch.Generator().manual_seed(0))
    kinds, counts = torch.unique(moved.flatten(1), dim=0, return_counts=True)
    assert len(kinds) == 6  # as it was, two flips, three turns
    assert sorted(counts.tolist())[:5] == pytest.approx([400] * 5, rel=0.2)
    assert counts.max().item() == pytest.approx(2000, rel=0.1)
    assert torch.equal(moved[:, 0, 1, 1], x[:, 0, 1, 1])
    assert torch.equal(x[0, 0], torch.arange(9.0).reshape(3, 3))


def test_batch_normalisation_gets_no_batch_of_one():
    order = torch.arange(33)
    assert [len(part) for part in _batches(nn.Linear(1, 1), order, 16)] == [16, 16, 1]
    assert [len(part) for part in _batches(nn.BatchNorm1d(3), order, 16)] == [16, 17]
    assert torch.equal(torch.cat(_batches(nn.BatchNorm1d(3), order, 16)), order)
    assert [len(part) for part in _batches(nn.BatchNorm1d(3), order[:1], 16)] == [1]


def test_an_unknown_optimizer_lists_the_known():
    with pytest.raises(ValueError, match="optimizer is one of adam, adamw, sgd, not 'lion'"):
        Training(optimizer="lion")


# Studies of peers


def test_a_peer_comes_with_its_own_input_and_recipe():
    study = Study(method="ssftt")
    assert (study.window, study.components, study.epochs, study.batch) == (13, 30, 100, 64)
    assert (study.initial, study.stratified, study.cycles, study.validated) == (0.5, True, 0, 0.1)
    assert study.changes == {}
    assert Study(method="ssftt", epochs=5).changes == {"epochs": 5}
    assert Study(method="gscvit").components == 0
    assert Study().window == 7


def test_a_size_of_cpdgal_is_refused_for_a_peer():
    with pytest.raises(ValueError, match="ssftt does not take dim, which only CPDGAL and its ablations do"):
        Study(method="ssftt", dim=64)


def test_a_peer_s_study_shares_pool_and_holdout_with_cpdgal_and_runs_to_the_bit(tmp_path):
    base = {"scene": "synthetic", "profile": "smoke", "seed": 3, "pool": 0.1, "judged": 1000}
    study = Study(**base, method="ssftt", components=8, window=5, epochs=3)
    records = [cpdgal.run(study, cpdgal.Store(tmp_path / name, packaged=False), progress=False, weights=True) for name in "ab"]
    assert records[0].differences(records[1]) == []
    scene = study.load_scene()
    split, ours = study.make_split(scene), Study(**base).make_split(scene)
    np.testing.assert_array_equal(split.pool, ours.pool)
    assert np.isin(split.holdout, ours.holdout).all()
    assert len(split.holdout) == min(1000, len(ours.holdout)) == records[0].confusion.sum()
    half = Study(**base, cycles=0, initial=0.5, stratified=True)
    same = cpdgal.run(half, cpdgal.Store(tmp_path / "c", packaged=False), progress=False)
    assert set(same.labelled()) == set(records[0].labelled())
    predicted = records[0].map(scene)
    right = predicted[tuple(scene.pixels[split.holdout].T)] - 1 == scene.targets[split.holdout]
    assert 100 * right.mean() == pytest.approx(records[0].final.OA)


def test_a_peer_can_be_put_in_the_loop(tmp_path):
    study = Study(
        scene="synthetic", profile="smoke", method="sprn", window=5, initial=0.05, cycles=2, epochs=2, stratified=False
    )
    record = cpdgal.run(study, cpdgal.Store(tmp_path, packaged=False), progress=False)
    assert record.cycles["labels"].is_monotonic_increasing
    assert len(record.cycles) == 3
