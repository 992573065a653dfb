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
    ours = landscape.surface(network, x, y, *plane(network), size=7, reach=0.05, nodes=17, batch=16)
    np.testing.assert_allclose(ours.loss, loaded_losses(network, x, y, *plane(network), ours.steps), rtol=1e-7)
    assert network.training


def test_interpolation_converges_and_says_how_far_it_is_off():
    x, y = data(10)
    network = cpdgal.build("cpdgal", **{**SMALL, "dim": 16}).double()
    exact = loaded_losses(network, x, y, *plane(network), np.linspace(-0.5, 0.5, 5))
    errors = []
    for nodes in (4, 8, 16):
        ours = landscape.surface(network, x, y, *plane(network), size=5, reach=0.5, nodes=nodes, checks=25)
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


def test_the_density_and_the_trace_are_those_of_the_exact_hessian():
    perceptron = Perceptron().double()
    exact = exact_eigenvalues(perceptron, 200)
    found = landscape.spectrum(perceptron, *data(200), iterations=120, runs=4, probes=3000)
    assert found.parameters == len(exact) == 516
    assert found.trace == pytest.approx(exact.sum(), rel=0.02)
    at = np.linspace(exact[0], exact[-1], 2001)
    middles = found.weights.cumsum() - found.weights / 2
    shares = np.interp(at, found.values, middles, left=0, right=1)
    assert np.abs(shares - np.searchsorted(exact, at, side="right") / len(exact)).max() < 0.1


def test_the_extreme_eigenvalues_are_those_of_the_exact_hessian(network, exact):
    found = landscape.spectrum(network, *data(), iterations=30, probes=1)
    assert found.parameters == len(exact)
    assert (found.values[0], found.values[-1]) == pytest.approx((exact[0], exact[-1]), rel=0.01)


def test_nothing_is_left_behind_and_a_seed_decides(network):
    x, y = data()
    state, mode = torch.random.get_rng_state(), network.training
    needed = [weight.requires_grad for weight in network.parameters()]
    ours, again, other = (landscape.spectrum(network, x, y, iterations=5, probes=2, seed=seed) for seed in (7, 7, 8))
    assert np.array_equal(ours.values, again.values)
    assert ours.trace == again.trace
    assert not np.array_equal(ours.values, other.values)
    landscape.surface(network, x, y, *plane(network), size=3, nodes=3)
    assert torch.equal(state, torch.random.get_rng_state())
    assert network.training == mode
    assert [weight.requires_grad for weight in network.parameters()] == needed
    assert all(weight.grad is None for weight in network.parameters())


def test_the_summary_of_a_density():
    known = Spectrum(np.array([-0.2, 0.0, 1.0]), np.array([0.25, 0.5, 0.25]), 0.0, 4)
    assert known.largest == 1
    assert known.negative() == 0.25
    assert known.negative(0.5) == 0
    values = np.array([-0.2, 0, 0, 1])
    centred = values - values.mean()
    assert known.skewness == pytest.approx((centred**3).mean() / (centred**2).mean() ** 1.5)


def spectrum_of(*values):
    return Spectrum(np.sort(np.array(values, dtype=float)), np.full(len(values), 1 / len(values)), 0.0, len(values))


def would(verdict) -> str:
    """What one training of each network says: it decides nothing."""
    assert (verdict.word, verdict.seeds) == ("undecided", 1)
    says = verdict.sentence.split("it would ")[1].rstrip(".")
    return {"hold": "holds", "hold in part": "holds in part", "not hold": "does not hold"}[says]


def test_the_verdicts_follow_their_rules():
    bowl, egg_box = (grid(f, size=41).loss for f in (lambda a, b: a**2 + b**2, lambda a, b: np.cos(9 * a) + np.cos(9 * b) + a))
    for losses, word in (
        ((bowl, egg_box), "holds"),
        ((bowl, bowl), "holds in part"),
        ((egg_box, egg_box), "holds in part"),
        ((egg_box, bowl), "does not hold"),
    ):
        assert would(page.verdict_convex(*([loss] * 3 for loss in losses))) == word
    for widths, word in ((([3, 4], [1, 2]), "holds"), (([2, 4], [1, 3]), "holds in part"), (([1, 2], [3, 4]), "does not hold")):
        assert would(page.verdict_flat(*widths)) == word
    left, even, right = spectrum_of(-9, 0, 0, 0), spectrum_of(-1, 0, 1.1), spectrum_of(9, 0, 0, 0)
    for spectra, word in (((even, left), "holds"), ((even, right), "holds in part"), ((right, even), "does not hold")):
        assert would(page.verdict_skew(*spectra)) == word
    for spectra, word in (
        ((right, even), "holds"),
        ((right, spectrum_of(2, 0)), "holds in part"),
        ((even, right), "does not hold"),
    ):
        assert would(page.verdict_magnitude(*spectra)) == word
    assert page.verdict_magnitude(right, even)[1] == "largest magnitude 9 for CPDGAL and 1.1 for ViT"


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
