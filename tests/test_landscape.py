"""Loss landscapes and Hessian spectra, against what can be computed exactly."""

from copy import deepcopy

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call, grad, jacrev

import cpdgal
from cpdgal.book import landscape
from cpdgal.book import loss_landscape as page
from cpdgal.book.landscape import Spectrum, Surface

SMALL = {"bands": 3, "window": 3, "classes": 4, "dim": 4, "heads": 2, "layers": 1, "steps": 5, "ffn_ratio": 2}


def data(count=40, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 3, 3, 3, generator=generator, dtype=dtype)
    return x, torch.randint(0, 4, (count,), generator=generator)


@pytest.fixture(scope="module", params=["cpdgal", "vit"])
def network(request):
    return cpdgal.build(request.param, seed=1, **SMALL).double().train()


class Perceptron(torch.nn.Module):
    """One hidden layer: 516 parameters, whose Hessian has a broad spectrum."""

    def __init__(self):
        super().__init__()
        self.hidden, self.head = torch.nn.Linear(27, 16), torch.nn.Linear(16, 4)
        generator = torch.Generator().manual_seed(2)
        for weight in self.parameters():
            torch.nn.init.normal_(weight, std=0.3, generator=generator)

    def forward(self, x):
        features = self.hidden(x.flatten(1)).tanh()
        return cpdgal.Output(self.head(features), None, None, None, features)


def exact_eigenvalues(network, count=40):
    """Of the whole Hessian, without the rows of DGFR's parameters: the loss in evaluation does not depend on them."""
    x, y = data(count)
    held = {name: weight.detach() for name, weight in network.named_parameters()}
    names = [name for name in held if not name.startswith("dgfr.")]
    sizes = [held[name].numel() for name in names]

    def loss(flat):
        parts = zip(names, flat.split(sizes), strict=True)
        weights = {**held, **{name: part.view_as(held[name]) for name, part in parts}}
        return F.cross_entropy(functional_call(network.eval(), weights, (x,)).logits, y)

    values = torch.linalg.eigvalsh(jacrev(grad(loss))(torch.cat([held[name].flatten() for name in names]))).numpy()
    network.train()
    return values


@pytest.fixture(scope="module")
def exact(network):
    return exact_eigenvalues(network)


def grid(function, size=101, reach=1.0):
    steps = np.linspace(-reach, reach, size)
    return Surface(steps, function(*np.meshgrid(steps, steps, indexing="ij")), 0.0)


def plane(network):
    return [landscape.random_direction(network, seed) for seed in (3, 4)]


def test_a_direction_has_the_norm_of_every_filter(network):
    direction = landscape.random_direction(network, 3)
    for name, weight in network.named_parameters():
        if weight.ndim < 2:
            assert not direction[name].any(), name
        else:
            norms = [tensor.detach().flatten(1).norm(dim=1) for tensor in (direction[name], weight)]
            torch.testing.assert_close(*norms)


def test_two_networks_get_the_same_directions_and_two_seeds_do_not():
    ours, twin = cpdgal.build("cpdgal", **SMALL), cpdgal.build("vit", **SMALL)
    left, right = landscape.random_direction(ours, 3), landscape.random_direction(twin, 3)
    other = landscape.random_direction(twin, 4)
    for name in right:
        if right[name].any():
            cosine = F.cosine_similarity(left[name], right[name], dim=1)
            torch.testing.assert_close(cosine, torch.ones_like(cosine))
            assert not torch.equal(right[name], other[name])


def loaded_losses(network, x, y, first, second, steps):
    """The loss at every point of a grid by loading every weight set."""
    weights = {name: weight.clone() for name, weight in network.state_dict().items()}
    other, losses = deepcopy(network).eval(), np.empty((len(steps), len(steps)))
    with torch.no_grad():
        for i, a in enumerate(steps):
            for j, b in enumerate(steps):
                other.load_state_dict({name: weight + a * first[name] + b * second[name] for name, weight in weights.items()})
                losses[i, j] = F.cross_entropy(other(x).logits, y)
    return losses


def test_the_surface_is_what_every_weight_set_gives_when_it_is_loaded(network):
    x, y = data()
    (ours,) = landscape.surface(network, x, y, *plane(network), size=7, reach=0.05, nodes=17, batch=16)
    np.testing.assert_allclose(ours.loss, loaded_losses(network, x, y, *plane(network), ours.steps), rtol=1e-7)
    assert network.training


def test_interpolation_converges_and_says_how_far_it_is_off():
    x, y = data(10)
    network = cpdgal.build("cpdgal", **{**SMALL, "dim": 16}).double()
    exact = loaded_losses(network, x, y, *plane(network), np.linspace(-0.5, 0.5, 5))
    errors = []
    for nodes in (4, 8, 16):
        (ours,) = landscape.surface(network, x, y, *plane(network), size=5, reach=0.5, nodes=nodes, checks=25)
        errors.append(np.abs(ours.loss / exact - 1).max())
        assert ours.error == pytest.approx(errors[-1], rel=1e-6, abs=1e-13)
    assert errors[0] > 4 * errors[1] > 16 * errors[2]
    assert errors[2] < 1e-5


def test_convexity():
    assert landscape.convexity(grid(lambda a, b: a**2 + 3 * b**2 + a * b).loss) == 1
    assert landscape.convexity(grid(lambda a, b: a**2 - b**2).loss) == 0
    assert landscape.convexity(grid(lambda a, b: a**2 + b**2 + 3 * a * b).loss) == 0  # only the mixed derivative tells
    wave = landscape.convexity(grid(lambda a, b: -np.cos(np.pi * a) + b**2).loss)  # convex where |a| < 1/2
    assert wave == pytest.approx(0.5, abs=0.01)


def test_barriers():
    def wells(a, b):
        return (a**2 - 0.25) ** 2 + 0.05 * a + b**2

    at = np.sort(np.roots([4, 0, -1, 0.05]).real)  # where its slope along a is 0: a minimum, the pass, a minimum
    expected = wells(at[1], 0) - wells(at[2], 0)
    (barrier,) = landscape.barriers(grid(wells, size=201).loss)
    assert barrier == pytest.approx(expected, rel=1e-3)
    assert landscape.barriers(grid(lambda a, b: a**2 + b**2).loss).size == 0
    assert landscape.barriers(grid(lambda a, b: a).loss).size == 0  # falls towards the border
    # The straight way from the well at the right to the one at the left is blocked; the path around is lower.
    walled = np.array([[9, 9, 9, 9, 9, 9, 9], [9, 3, 3, 3, 3, 3, 9], [9, 0, 9, 9, 9, 1, 9], [9, 9, 9, 9, 9, 9, 9.0]])
    np.testing.assert_array_equal(landscape.barriers(walled), [2])
    flat = np.full((5, 9), 5.0)
    flat[2, 2:7] = [0, 3, 1, 3, 1]
    np.testing.assert_array_equal(landscape.barriers(flat), [2, 2])


def test_the_width_of_a_basin():
    circle = grid(lambda a, b: 1 + (a**2 + b**2) / 0.16, size=401)
    assert landscape.basin_width(circle) == pytest.approx(0.8, rel=5e-3)
    ellipse = grid(lambda a, b: 1 + a**2 / 0.16 + b**2 / 0.04, size=401)
    assert landscape.basin_width(ellipse) == pytest.approx(2 * np.sqrt(0.4 * 0.2), rel=5e-3)
    apart = grid(lambda a, b: 1 + np.minimum((a - 0.5) ** 2 / 0.01, 0.1 + (a + 0.5) ** 2 / 0.04) + b**2 / 0.01, size=401)
    assert landscape.basin_width(apart) == pytest.approx(0.2, rel=1e-2)


def test_the_density_is_that_of_the_exact_hessian():
    perceptron = Perceptron().double()
    exact = exact_eigenvalues(perceptron, 200)
    found = landscape.spectrum(perceptron, *data(200), iterations=120, runs=4)
    assert found.parameters == len(exact) == 516
    at = np.linspace(exact[0], exact[-1], 2001)
    middles = found.weights.cumsum() - found.weights / 2
    shares = np.interp(at, found.values, middles, left=0, right=1)
    assert np.abs(shares - np.searchsorted(exact, at, side="right") / len(exact)).max() < 0.1


def test_the_extreme_eigenvalues_are_those_of_the_exact_hessian(network, exact):
    found = landscape.spectrum(network, *data(), iterations=30)
    assert found.parameters == len(exact)
    assert (found.values[0], found.values[-1]) == pytest.approx((exact[0], exact[-1]), rel=0.01)


def test_nothing_is_left_behind_and_a_seed_decides(network):
    x, y = data()
    state, mode = torch.random.get_rng_state(), network.training
    needed = [weight.requires_grad for weight in network.parameters()]
    ours, again, other = (landscape.spectrum(network, x, y, iterations=5, seed=seed) for seed in (7, 7, 8))
    assert np.array_equal(ours.values, again.values)
    assert not np.array_equal(ours.values, other.values)
    landscape.surface(network, x, y, *plane(network), size=3, nodes=3)
    assert torch.equal(state, torch.random.get_rng_state())
    assert network.training == mode
    assert [weight.requires_grad for weight in network.parameters()] == needed
    assert all(weight.grad is None for weight in network.parameters())


def test_the_summary_of_a_density():
    known = Spectrum(np.array([-0.2, 0.0, 1.0]), np.array([0.25, 0.5, 0.25]), 4)
    assert known.largest == 1
    values = np.array([-0.2, 0, 0, 1])
    centred = values - values.mean()
    assert known.skewness == pytest.approx((centred**3).mean() / (centred**2).mean() ** 1.5)


def spectrum_of(*values):
    return Spectrum(np.sort(np.array(values, dtype=float)), np.full(len(values), 1 / len(values)), len(values))


def test_a_temperature_brings_the_loss_to_what_is_wanted():
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, 4, (50,), generator=generator)
    logits = 6 * F.one_hot(y, 4) + torch.randn(50, 4, generator=generator)
    before = F.cross_entropy(logits.double(), y).item()
    for wanted in (before, 0.1, 0.7, 1.38):
        temperature = landscape.matching_temperature(logits, y, wanted)
        assert temperature >= 1
        assert F.cross_entropy(logits.double() / temperature, y).item() == pytest.approx(wanted, abs=1e-6)
    for impossible in (before / 2, np.log(4) + 0.01):
        with pytest.raises(ValueError, match="no temperature from 1 on"):
            landscape.matching_temperature(logits, y, impossible)


class Surer(torch.nn.Module):
    """A network with its logits multiplied."""

    def __init__(self, network, times):
        super().__init__()
        self.network, self.times = network, times

    def forward(self, x):
        out = self.network(x)
        return out._replace(logits=self.times * out.logits)


def fitted(x):
    """A network in evaluation and the classes that it gives."""
    network = Perceptron().double().eval()
    return network, network(x).logits.argmax(1)


def test_matched_networks_are_one_network_where_they_differ_by_a_factor_alone():
    x, _ = data()
    network, y = fitted(x)
    pair = {"CPDGAL": network, "ViT": Surer(network, 3.0).eval()}
    assert page.temperatures(pair, x, y) == pytest.approx({"CPDGAL": 1, "ViT": 3})
    assert page.temperatures({"ViT": pair["ViT"], "CPDGAL": pair["CPDGAL"]}, x, y) == pytest.approx({"CPDGAL": 1, "ViT": 3})
    assert page.temperatures({"CPDGAL": network}, x, y) == page.temperatures({}, x, y) == {}
    assert page.temperatures(pair, x, (y + 1) % 4) == {}  # worse than a guess
    spectra = page.spectra(pair, x, y, iterations=20)
    assert spectra["ViT, matched"].largest == pytest.approx(spectra["CPDGAL"].largest)
    assert spectra["ViT"].largest != pytest.approx(spectra["CPDGAL"].largest, rel=0.05)
    assert spectra["CPDGAL, matched"] is spectra["CPDGAL"]
    surfaces = page.surfaces(pair, x, y, size=5, nodes=9)
    table = page.measured({7: surfaces}, {7: spectra})
    at = table["loss at the weights"].xs(7, level=1)
    exact = F.cross_entropy(network(x).logits, y).item()
    assert at["ViT"] < exact
    assert at[["CPDGAL", "CPDGAL, matched", "ViT, matched"]].tolist() == pytest.approx([exact] * 3, rel=1e-3)
    assert table.loc[("ViT, matched", 7), "temperature"] == pytest.approx(3)
    assert [*page.surfaces({"CPDGAL": network}, x, y, size=3, nodes=3)] == ["CPDGAL"]


def test_a_surface_of_a_temperature_is_that_of_the_divided_logits(network):
    x, y = data()
    sizes = {"size": 3, "reach": 0.05, "nodes": 9}
    both = landscape.surface(network, x, y, *plane(network), temperatures=(1.0, 2.0), **sizes)
    halved = landscape.surface(
        Surer(network, 0.5), x, y, *({f"network.{n}": d for n, d in each.items()} for each in plane(network)), **sizes
    )
    np.testing.assert_allclose(both[1].loss, halved[0].loss, rtol=1e-9)
    assert [each.temperature for each in both] == [1, 2]


def bowl(seed, curvature=1.0, floor=0.05):
    """A convex surface with its lowest point off the middle by the seed."""
    return grid(lambda a, b: floor + curvature * ((a - 0.05 * seed) ** 2 + b**2), size=41)


def rugged(seed):
    """A surface of many minima, in other places for every seed: any two of three seeds are equally unlike."""
    phase = 2 * np.pi * seed / 3
    return grid(lambda a, b: 2.5 + np.cos(4 * np.pi * a + phase) + np.cos(4 * np.pi * b + phase) + 0.1 * a, size=41)


SMOOTH, SKEWED = spectrum_of(-1, 0, 1.2), spectrum_of(-0.1, 0, 0, 0)


def planted(cpdgal, vit, seeds=3):
    """Surfaces by seed and network, matched ones as they are."""
    each = {seed: {"CPDGAL": cpdgal(seed), "ViT": vit(seed)} for seed in range(seeds)}
    return {seed: found | {f"{name}, matched": one for name, one in found.items()} for seed, found in each.items()}


def verdicts(cpdgal, vit, seeds=3, one=SMOOTH, other=SKEWED):
    """Every verdict by claim; two seeds of the network with the first spectrum give the same answers."""
    surfaces = planted(cpdgal, vit, seeds)
    table = page.measured(surfaces, planted(lambda seed: one, lambda seed: other, seeds))
    same, apart = (lambda seed: np.zeros(60)), (lambda seed: (np.arange(60) + seed) % 4)
    answers = planted(*((same, apart) if one is SMOOTH else (apart, same)), seeds)
    tabled = {name: getattr(page, f"verdict_{name}")(table) for name in ("convex", "flat", "skew", "magnitude")}
    return tabled | {"invariant": page.verdict_invariant(page.likenesses(surfaces, answers), seeds)}


def words(found):
    return {name: each.word for name, each in found.items()}


def test_verdicts_on_what_is_planted():
    found = verdicts(bowl, rugged)
    assert set(words(found).values()) == {"holds"}
    assert {each.seeds for each in found.values()} == {3}
    assert "3 seeds" in found["flat"].sentence
    assert "interval" in found["flat"].sentence
    assert found["magnitude"].here == "as trained: 12 times; at matched loss: 12 times"
    turned = verdicts(rugged, bowl, one=SKEWED, other=SMOOTH)
    assert set(words(turned).values()) == {"does not hold"}
    assert set(words(verdicts(bowl, rugged, 1)).values()) == {"undecided"}
    assert set(words(verdicts(bowl, rugged, 2)).values()) == {"undecided"}
    assert set(words(verdicts(bowl, rugged, 0)).values()) == {"not run here"}


def test_a_claim_holds_in_part_where_a_part_does():
    two_bowls = verdicts(bowl, bowl)
    assert two_bowls["convex"].word == "holds in part"  # convex, with one minimum, but so has the other
    assert two_bowls["flat"].word == "undecided"  # no difference at all
    wide = planted(bowl, lambda seed: bowl(seed, 4.0))
    for each in wide.values():
        each["ViT, matched"] = bowl(0, 0.25)
    assert page.verdict_flat(page.measured(wide, {})).word == "holds in part"
    del wide[1]["ViT"]  # a seed of one network: the other two are too few
    assert page.verdict_flat(page.measured(wide, {})).word == "undecided"
    assert (
        verdicts(bowl, rugged, other=spectrum_of(-0.9, 0, 0, 0))["magnitude"].word == "does not hold"
    )  # larger, not five times


def test_counts_are_judged_seed_by_seed():
    def of(*counts):
        return page.on_every_seed(dict(enumerate(counts)), lambda count: count == 0, "Minima", "0")

    assert [of(*counts).word for counts in ((0, 0, 0), (1, 1, 1), (0, 1, 0), (0, 0), ())] == [
        "holds",
        "does not hold",
        "undecided",
        "undecided",
        "not run here",
    ]
    assert of(0, 2, 0).sentence == "Minima, 3 seeds: 0, 2, 0; the claim needs this on every seed: 0."


def test_pseudo_values_are_the_jackknife_of_pairs():
    pairs = {(0, 1): 3.0, (0, 2): 5.0, (1, 2): 1.0}
    assert page.pseudo_values(pairs) == pytest.approx({0: 9 - 2 * 1, 1: 9 - 2 * 5, 2: 9 - 2 * 3})
    assert page.pseudo_values({(2, 5): 4.0}) == {2: 4, 5: 4}
    assert page.pseudo_values({}) == {}
    drawn = {
        seed: np.random.default_rng(seed).normal() for seed in range(6)
    }  # a mean of two: the jackknife gives the seeds back
    of_means = {(i, j): (drawn[i] + drawn[j]) / 2 for i in drawn for j in drawn if i < j}
    assert page.pseudo_values(of_means) == pytest.approx(drawn)


def test_the_summary_shows_means_and_deviations_over_seeds():
    surfaces = {seed: {"CPDGAL": bowl(0, floor=floor)} for seed, floor in ((0, 0.1), (1, 0.3))}
    shown = page.summary(page.measured(surfaces, {}))
    assert shown["CPDGAL"][["seeds", "lowest loss", "further minima"]].tolist() == ["2", "0.2 ± 0.14", "0 ± 0"]
    assert "skewness" not in shown.index
    assert page.summary(page.measured({}, {})).empty


def test_the_figures_are_labelled_and_true_to_their_data():
    bowl = grid(lambda a, b: 1 + (a - 0.5) ** 2 + (b + 0.25) ** 2, size=9)
    contours = page.loss_contours({"CPDGAL": bowl, "ViT": bowl})
    spectra = page.hessian_spectra({"CPDGAL": spectrum_of(-1, *range(20)), "ViT": spectrum_of(-2, *range(20))})
    for axes in (*contours.axes[:2], *spectra.axes):
        assert axes.get_xlabel()
        assert axes.get_ylabel()
    assert [line.get_xydata().tolist() for line in contours.axes[0].lines] == [[[0.5, -0.25]]]
    assert [bar.get_height() for bar in spectra.axes[1].patches[:6]] == [-1, 0, 1, 2, 3, 4]
    html = page.loss_surfaces({"CPDGAL": bowl, "ViT": bowl}).data
    assert len(html) < 50_000  # without the library
    assert 'src="../_static/plotly.min.js"' in html
    assert "Plotly.newPlot" in html
    plt.close("all")


def test_captions_tell_the_convex_points_and_the_outer_eigenvalues():
    half = grid(lambda a, b: 2 + np.sign(a) * a**2 + b**2, size=11)  # convex where a > 0
    said = page.convex_points({"CPDGAL, seed 0": bowl(0), "CPDGAL, seed 1": half, "ViT, seed 0": bowl(0)})
    share = (100 + 100 * landscape.convexity(half.loss)) / 2
    assert said == f"The share of convex points is {share:.0f} % for CPDGAL and 100 % for ViT."
    assert 60 < share < 90
    said = page.outer_eigenvalues({"CPDGAL": SMOOTH, "ViT": SKEWED})
    assert said == "Eigenvalues reach from -1 to 1.2 for CPDGAL and from -0.1 to 0 for ViT."
