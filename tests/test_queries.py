"""Query strategies: one contract for all, and each against a plain reading of what it promises."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import cpdgal
from cpdgal.methods import coordinates_floor
from cpdgal.metrics import entropy_histogram, mean_entropy
from cpdgal.queries import STRATEGIES, Candidates, agreement, certain, overall_uncertainty, select, settled, stopping, strategy

ALL = [*STRATEGIES, "balanced-margin", "balanced-core-set", "balanced-badge", "balanced-typiclust", "balanced-bald"]
FEATURES = ("badge", "core-set", "typiclust")


def candidates(n, m=5, k=4, *, features=None, draws=None, seed=0):
    """Candidates with everything that a strategy may look at, random where it is not given."""
    rng = np.random.default_rng(seed)
    pixels = rng.permutation(np.argwhere(np.ones((12, 12))))[: n + m]
    features = rng.standard_normal((n + m, 6)).astype(np.float32) if features is None else features
    draws = rng.dirichlet(np.ones(k), (8, n)).astype(np.float32) if draws is None else draws
    return Candidates(draws.mean(0), pixels[:n], pixels[n:], lambda: (features[:n], features[n:]), lambda: draws)


def picks(name, known, count, seed=1):
    return select(name, known, count, np.random.default_rng(seed))


SITUATIONS = {
    "many": (candidates(60), 7),
    "a budget beyond the pool": (candidates(6), 9),
    "all, two classes, one labelled pixel": (candidates(20, m=1, k=2), 20),
    "a single candidate": (candidates(1, m=3, k=3), 1),
    "nothing but one of each": (candidates(1, m=1, k=2), 4),
    "no budget": (candidates(8), 0),
    "no candidate": (candidates(0), 3),
    "features all alike": (candidates(12, features=np.ones((17, 6), np.float32)), 12),
    "two kinds of features": (candidates(12, features=np.repeat(np.eye(2, 6, dtype=np.float32), [9, 8], axis=0)), 8),
    "labelled pixels alike": (candidates(9, features=np.concatenate([np.eye(9, 6), np.zeros((5, 6))])), 9),
    "features a rounding apart": (candidates(30, features=np.float32(1) + np.arange(35)[:, None] % 32 * np.float32(1e-7)), 30),
    "certain of everything": (candidates(15, draws=np.eye(4, dtype=np.float32)[np.tile(np.arange(15) % 4, (8, 1))]), 15),
    "certain of one class": (candidates(15, draws=np.eye(4, dtype=np.float32)[np.zeros((8, 15), int)]), 9),
}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", ALL)
def test_every_strategy_keeps_the_contract(name, situation):
    known, count = SITUATIONS[situation]
    n = len(known.probabilities)
    np.random.seed(0)  # noqa: NPY002  the global state is disturbed on purpose
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    chosen = picks(name, known, count)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert chosen.shape == (min(count, n),)
    assert chosen.dtype.kind == "i"
    assert len(np.unique(chosen)) == len(chosen)
    assert np.isin(chosen, np.arange(n)).all()
    np.testing.assert_array_equal(chosen, picks(name, known, count))


@pytest.mark.parametrize("name", ["random", "badge"])
def test_another_seed_asks_for_other_pixels(name):
    assert picks(name, candidates(60), 7, seed=1).tolist() != picks(name, candidates(60), 7, seed=2).tolist()


def test_strategies_ask_for_different_pixels():
    assert len({tuple(picks(name, candidates(60), 7)) for name in ALL}) == len(ALL)


def test_strategies_want_what_they_say():
    p = np.array([[0.98, 0.01, 0.01, 0], [0.45, 0.45, 0.05, 0.05], [0.37, 0.23, 0.2, 0.2], [0.36, 0.32, 0.31, 0.01]])
    order = {name: picks(name, p, 4).tolist() for name in ("margin", "usual-margin", "entropy", "least-confidence")}
    assert order["margin"] == [3, 2, 1, 0]
    assert order["usual-margin"] == [1, 3, 2, 0]
    assert order["entropy"] == [2, 3, 1, 0]
    assert order["least-confidence"] == [3, 2, 1, 0]


@pytest.mark.parametrize("name", ["best", "balanced-best", "balanced-", "balanced-balanced-margin", ""])
def test_an_unknown_strategy_is_named_with_the_known_ones(name):
    known = ", ".join(STRATEGIES)
    with pytest.raises(
        ValueError, match=f"^no query strategy is called '{name}'; known are {known}, and each after balanced-$"
    ):
        select(name, np.ones((1, 2)) / 2, 1, np.random.default_rng(0))


@pytest.mark.parametrize("name", ["core-set", "farthest-first"])
def test_covering_is_the_greedy_k_centre(name):
    known = candidates(60, m=4)
    new, labelled = known.features() if name == "core-set" else (known.pixels, known.labelled_pixels)
    centres, chosen = [*labelled.astype(float)], picks(name, known, 20)
    for pick in chosen:  # every pick is as far from all centres as any candidate: where ties are, any of them will do
        distances = np.min([np.linalg.norm(new - centre, axis=1) for centre in centres], axis=0)
        assert distances[pick] == pytest.approx(distances.max(), rel=1e-6)
        centres.append(new[pick].astype(float))


def test_bald_asks_what_the_draws_disagree_about():
    known = candidates(40, k=5)
    draws = known.draws().astype(float)

    def uncertainty(p):
        return -(p * np.log(p)).sum(-1)

    information = uncertainty(draws.mean(0)) - uncertainty(draws).mean(0)
    np.testing.assert_array_equal(picks("bald", known, 12), np.argsort(-information)[:12])


def test_bald_is_not_moved_by_noise_that_all_draws_share():
    unsure, divided = np.full((8, 1, 2), 0.5), np.where(np.arange(8)[:, None, None] % 2, [[[0.6, 0.4]]], [[[0.4, 0.6]]])
    known = candidates(2, k=2, draws=np.concatenate([unsure, divided], axis=1))
    assert picks("entropy", known, 1) == [0]  # both have the mean 0.5, and the first one wins the tie
    assert picks("bald", known, 1) == [1]


def test_badge_begins_with_the_largest_gradient():
    known = candidates(40)
    p, (new, _) = known.probabilities, known.features()
    gradients = (p - np.eye(4)[p.argmax(1)])[:, :, None] * new[:, None]
    assert picks("badge", known, 5)[0] == np.linalg.norm(gradients.reshape(40, -1), axis=1).argmax()


def test_badge_spreads_over_coinciding_gradients():
    """Three bundles of alike candidates: three questions go to three bundles."""
    features = np.repeat([[5.0, 0], [0, 4.0], [-4.0, -4.0], [0, 0]], [9, 9, 9, 3], axis=0)
    known = candidates(27, m=3, k=2, features=features, draws=np.full((8, 27, 2), [0.6, 0.4]))
    for seed in range(5):
        assert sorted(picks("badge", known, 3, seed) // 9) == [0, 1, 2]


def test_typiclust_asks_for_the_middle_of_clusters_without_a_label():
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [50, 0], [0, 50]])
    features = np.concatenate([centre + rng.normal(scale=2, size=(15, 2)) for centre in centres] + [np.zeros((1, 2))])
    for place, centre in enumerate(centres):
        features[15 * place : 15 * place + 6] = centre + rng.normal(scale=0.1, size=(6, 2))  # a dense middle
    chosen = picks("typiclust", candidates(45, m=1, features=features), 2)
    assert sorted(chosen // 15) == [1, 2]  # the cluster around 0 has the label
    assert (chosen % 15 < 6).all()


@pytest.mark.parametrize("base", ["margin", "least-confidence", "farthest-first"])
def test_balanced_takes_one_pixel_of_every_predicted_class_at_a_time(base):
    known = candidates(50, k=4, seed=3)
    predicted = known.probabilities.argmax(1)
    left, wanted = picks(base, known, 50).tolist(), []
    while left:
        taken = set()
        for pixel in left.copy():
            if predicted[pixel] not in taken:
                taken.add(predicted[pixel])
                wanted.append(pixel)
                left.remove(pixel)
    np.testing.assert_array_equal(picks(f"balanced-{base}", known, 50), wanted)
    np.testing.assert_array_equal(picks(f"balanced-{base}", known, 9), wanted[:9])
    assert set(predicted[wanted[:4]]) == {0, 1, 2, 3}


@pytest.fixture(scope="module")
def windows(scene):
    return cpdgal.Windows(scene, window=3, components=6)


@pytest.fixture(scope="module")
def split(scene):
    return cpdgal.random_split(scene, 0.4, rng=np.random.default_rng(0))


SMALL = replace(cpdgal.protocol("synthetic", "smoke"), pool=0.4, initial=0.1, acquired=0.1, score_every=3)


def loop(model, windows, split, query, seed=3):
    return list(cpdgal.active_learning(model, windows, split, SMALL, query=query, seed=seed, progress=False))


def network(method="cpdgal"):
    return cpdgal.build(method, seed=3, bands=6, window=3, classes=4, dim=16, heads=4, layers=1)


@pytest.mark.parametrize("query", [*STRATEGIES, "balanced-margin"])
def test_the_same_seed_gives_the_same_run_to_the_bit(windows, split, query):
    np.random.seed(0)  # noqa: NPY002  the global states are disturbed on purpose
    torch.manual_seed(0)
    model, again = network(), network()
    cycles = loop(model, windows, split, query)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    repeated = loop(again, windows, split, query)
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    labelled = cycles[-1].labelled
    np.testing.assert_array_equal(labelled, repeated[-1].labelled)
    np.testing.assert_array_equal(cycles[-1].probabilities, repeated[-1].probabilities)
    assert [len(cycle.labelled) for cycle in cycles] == SMALL.label_counts(len(windows))
    assert len(np.unique(labelled)) == len(labelled)
    assert np.isin(labelled, split.pool).all()


def test_another_seed_gives_another_run(windows, split):
    starts = [next(cpdgal.active_learning(network(), windows, split, SMALL, seed=s, progress=False)).labelled for s in (3, 4)]
    assert starts[0].tolist() != starts[1].tolist()


def test_bald_needs_a_network_that_draws(windows, split):
    with pytest.raises(ValueError, match="repeated draws need a network with DGFR; choose another query strategy"):
        loop(network("vit"), windows, split, "bald")


@pytest.mark.parametrize("query", [*FEATURES, "bald"])
def test_a_floor_cannot_be_asked_by_what_it_has_not(windows, split, query):
    with pytest.raises(ValueError, match=r"a floor has no features or draws to choose by; ask it margin, random or farthest"):
        loop(coordinates_floor, windows, split, query)


def test_scikit_activeml_is_imported_only_when_it_is_asked(tmp_path):
    code = "import sys, cpdgal; cpdgal.Study(query='badge'); print([n for n in sys.modules if n.startswith('skactiveml')])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert said.stdout == "[]\n"
    assert strategy("badge").__module__ == "cpdgal.queries"


def test_agreement_is_kappa_and_does_not_ask_which_class_is_which():
    before, after = np.repeat([0, 0, 1, 1], [20, 5, 10, 15]), np.repeat([0, 1, 0, 1], [20, 5, 10, 15])
    by_chance = 0.5 * 0.6 + 0.5 * 0.4  # a half of the pixels each before, three and two fifths of them after
    assert agreement(before, after) == pytest.approx((0.7 - by_chance) / (1 - by_chance))
    assert agreement(after, before) == pytest.approx(agreement(before, after))
    renamed = np.array([7, 3])
    assert agreement(renamed[before], renamed[after]) == pytest.approx(agreement(before, after))
    rng = np.random.default_rng(0)
    assert abs(agreement(*rng.integers(0, 5, (2, 20_000)))) < 0.02


@pytest.mark.parametrize(
    ("before", "after", "kappa"), [([2, 2, 2], [2, 2, 2], 1), ([2, 2, 2], [0, 0, 0], 0), ([1, 0], [1, 0], 1)]
)
def test_agreement_is_known_where_a_map_has_one_class(before, after, kappa):
    assert agreement(np.array(before), np.array(after)) == kappa


def test_predictions_are_settled_once_the_mean_of_three_rounds_exceeds_the_threshold():
    history = np.random.default_rng(0).uniform(0.98, 1, 40)
    wanted = [i >= 2 and sum(history[i - 2 : i + 1]) / 3 > 0.99 for i in range(40)]
    assert settled(history).tolist() == wanted
    assert 0 < sum(wanted) < 38
    assert not settled([0.5, 0.5, 0.5], threshold=0.5).any()  # it has to exceed it
    assert settled([np.nan, 1, 1, 1]).tolist() == [False, False, False, True]
    assert settled([1, 1, 0.9, 1, 1]).tolist() == [False] * 5  # one round with another map is too much for two like it
    assert settled([]).tolist() == []


def test_the_overall_uncertainty_is_the_mean_entropy_of_a_blind_guess_s():
    guess, sure = np.full((3, 7), 1 / 7), np.eye(7)[:1]
    assert overall_uncertainty(guess) == pytest.approx(1)
    assert overall_uncertainty(sure) == 0
    assert overall_uncertainty(np.concatenate([guess, sure])) == pytest.approx(0.75)
    assert overall_uncertainty(np.empty((0, 7))) == 0
    drawn = np.random.default_rng(0).dirichlet(np.full(7, 0.2), 2000)
    assert overall_uncertainty(drawn) == pytest.approx(mean_entropy(entropy_histogram(drawn)), abs=0.05)
    assert certain([0.4, 0.2, 0.3, 0.1], threshold=0.2).tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    ("agreements", "uncertainties", "begins"),
    [
        ([], [0.8], "keep labelling: kappa between successive maps not known yet (stop above 0.99)"),
        ([1.0, 1.0], [0.8, 0.5, 0.3], "keep labelling: kappa between successive maps 1.000, the mean of 2 of 3 rounds"),
        ([0.2, 0.99, 1.0, 1.0], [0.8, 0.5, 0.3, 0.2, 0.1], "one of two rules says stop: kappa between successive maps 0.997"),
        ([0.2, 0.9, 1.0, 1.0], [0.8, 0.5, 0.3, 0.2, 0.009], "one of two rules says stop: kappa between successive maps 0.967"),
        ([1.0, 1.0, 1.0, 0.9], [0.8, 0.009, 0.3, 0.2, 0.1], "keep labelling: "),  # what was met before is not met now
        ([0.2, 0.99, 1.0, 1.0], [0.8, 0.5, 0.3, 0.2, 0.0], "both rules say stop: "),
    ],
)
def test_a_round_is_told_in_one_sentence(agreements, uncertainties, begins):
    said = stopping(agreements, uncertainties)
    assert said.startswith(begins)
    assert said.endswith(f"what is left {uncertainties[-1]:.3f} of 1 (stop at 0.01 or less)")
    assert "\n" not in said
