"""Methods by name: networks and floors, their sizes, and those that other packages bring."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import Tensor, nn

import cpdgal
from cpdgal import runner
from cpdgal.methods import METHODS, Method, Size, size
from cpdgal.peers import PEERS


def test_every_peer_is_a_method_with_its_own_input():
    assert [*METHODS][:4] == ["cpdgal", "vit", "cpdgal-no-dgfr", "cpdgal-no-masking"]
    assert [name for name, method in METHODS.items() if method.recipe] == [*PEERS]
    assert {"coordinates", "spectra"} <= {name for name, method in METHODS.items() if method.kind == "floor"}
    assert (METHODS["ssftt"].window, METHODS["ssftt"].components) == (13, 30)
    assert len({method.title for method in METHODS.values()}) == len(METHODS)


def test_the_weights_are_a_function_of_the_seed_alone():
    options = {"bands": 4, "window": 3, "classes": 3, "dim": 8, "heads": 2, "layers": 1}
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (cpdgal.build("vit", seed=seed, **options).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(first["head.weight"], other["head.weight"])


@pytest.mark.parametrize("name", ["resnet", "coordinates"])
def test_what_is_no_network_lists_the_networks(name):
    for what in (cpdgal.build, size):
        with pytest.raises(ValueError, match=rf"no network is called '{name}'; known are cpdgal, vit, .*, {[*PEERS][-1]}$"):
            what(name)


def test_sizes_are_the_published_ones():
    assert size("cpdgal", classes=14)[:2] == (87_539, 87_539)
    assert size("ssftt") == Size(153_224, 153_224, 148_488, 11_647_264)
    assert size("gscvit")[:2] == (638_480, 564_624)
    assert size("gscvit", bands=204, heads=1, groups=16).used == 105_168
    assert size("dctn").used == 45_318_442  # Table 1 has 45.32 million


def test_the_floors(indian_pines):
    split = cpdgal.random_split(indian_pines, 0.05, rng=np.random.default_rng(0))
    truth = indian_pines.targets[split.holdout]
    place = cpdgal.scores(truth, cpdgal.coordinates_floor(indian_pines, split.pool, split.holdout))["OA"]
    spectra = cpdgal.scores(truth, cpdgal.spectra_floor(indian_pines, split.pool, split.holdout))["OA"]
    assert 94 < place < 97  # the design measured 95.2 +- 0.4 %
    assert 65 < spectra < 85
    one_class = split.pool[indian_pines.targets[split.pool] == 3]
    assert set(cpdgal.spectra_floor(indian_pines, one_class, split.holdout)) == {3}


# Networks behind one face


class Seen(NamedTuple):
    logits: Tensor
    features: Tensor


class Foreign(nn.Module):
    """Logits alone, with dropout."""

    def __init__(self, bands=6, window=3, classes=4):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(bands * window**2, 8), nn.ReLU())
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        return self.head(self.body(x))


class Seeing(Foreign):
    """Features too, a generator that goes to its forward, a loss of its own, and repeated draws."""

    def forward(self, x, generator=None):
        noise = torch.zeros(()) if generator is None else torch.randn(x.shape, generator=generator) / 10
        features = self.body[2:](torch.flatten(x + noise, 1))
        return Seen(self.head(features), features)

    def loss(self, x, y, generator):
        return 2 * nn.functional.cross_entropy(self(x).logits, y)

    def drawn_logits(self, x, draws, generator):
        return torch.stack([self(x, generator).logits for _ in range(draws)])


def trained(network, scene, query):
    torch.manual_seed(0)
    model, windows = network(), cpdgal.Windows(scene, window=3, components=6)
    protocol = replace(cpdgal.protocol("synthetic", "smoke"), pool=0.4, initial=0.1, acquired=0.1)
    split = cpdgal.random_split(scene, 0.4, rng=np.random.default_rng(0))
    return [*cpdgal.active_learning(model, windows, split, protocol, query=query, progress=False)]


@pytest.mark.parametrize("query", ["margin", "badge", "bald"])
def test_the_loop_takes_any_network_for_what_it_offers(scene, query):
    first, again = (trained(Seeing, scene, query) for _ in range(2))
    assert not np.array_equal(first[-1].probabilities, trained(Seeing, scene, "random")[-1].probabilities)
    assert first[-1].losses == again[-1].losses
    np.testing.assert_array_equal(first[-1].labelled, again[-1].labelled)


@pytest.mark.parametrize(("query", "said"), [("badge", "gives no features"), ("bald", "draws nothing in evaluation")])
def test_logits_alone_do_for_strategies_that_need_no_more(scene, query, said):
    assert len(trained(Foreign, scene, "margin")) == 3
    with pytest.raises(ValueError, match=f"this network {said}; choose a query strategy that needs no"):
        trained(Foreign, scene, query)


def test_a_loss_of_its_own_takes_the_place_of_the_cross_entropy():
    x, y = torch.randn(8, 6, 3, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 4
    model = Seeing()
    expected = 2 * nn.functional.cross_entropy(model(x).logits, y).item()
    losses = cpdgal.fit(
        model, x, y, cpdgal.training.Training(epochs=1, batch=8), generator=torch.Generator().manual_seed(1), progress=False
    )
    assert losses == [pytest.approx(expected)]


# Methods of other packages


@pytest.mark.parametrize(
    ("method", "own"),
    [
        ("cpdgal", set()),
        ("ssftt", {"ssftt.py"}),
        ("vit_hong", {"vit_hong.py", "spectralformer.py"}),
        ("theirs", {"test_methods.py"}),
    ],
)
def test_the_code_that_decides_a_run_is_the_method_s_too(monkeypatch, method, own):
    monkeypatch.setitem(METHODS.data, "theirs", Method(title="theirs", build=Seeing, window=3, components=4))
    read = []
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or b"")
    runner.code_digest(cpdgal.Study(method=method))
    assert set(read) == {f"{name}.py" for name in runner.DECIDING} | own


PACKAGE = """
import numpy as np
from torch import nn

from cpdgal.methods import Method
from cpdgal.peers.recipe import Recipe


class Linear(nn.Module):
    def __init__(self, bands, window, classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(bands * window**2, classes))

    def forward(self, x):
        return self.layers(x)


def majority(scene, labelled, asked):
    return np.full(len(asked), np.bincount(scene.targets[labelled]).argmax())


LINEAR = Method(title="Linear", build=Linear, window=3, components=4)
MAJORITY = Method(title="majority", build=majority, kind="floor")
TRAINED = Recipe(
    network=Linear, title="Linear, trained", citation="nobody", evidence="a test", window=5, scaling="none", padding="zero",
    components=6, optimizer="sgd", learning_rate=0.01, epochs=3, batch=16,
)
"""
ENTRIES = {
    "linear": "LINEAR",
    "linear-trained": "TRAINED",
    "majority": "MAJORITY",
    "missing": "NOWHERE",
    "no-method": "Linear",
    "ssftt": "LINEAR",
}
SESSION = """
import json, sys, warnings
import tiny
import cpdgal
from cpdgal.cli import app
from cpdgal.methods import METHODS

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    names = [*METHODS]
from cpdgal.book.comparison import contenders  # its runs are listed as it is imported

runs = {}
for method in ("linear", "linear-trained", "majority"):
    study = cpdgal.Study(scene="synthetic", method=method, profile="smoke")
    record = cpdgal.run(study, cpdgal.Store(sys.argv[1], packaged=False), progress=False)
    runs[method] = [study.window, study.components, study.batch, len(record.cycles), record.final.OA]
table = {title: [study.method, study.cycles] for title, (study,) in contenders([0]).items()}
print(json.dumps([names, [str(each.message) for each in caught], runs, table]))
app(["methods"], standalone_mode=False)
"""


def test_a_package_brings_methods(tmp_path):
    """One that is installed, with a network, a recipe and a floor, and with entries that cannot be used."""
    (tmp_path / "tiny.py").write_text(PACKAGE)
    installed = tmp_path / "tiny-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    entries = [f"{name} = tiny:{value}" for name, value in ENTRIES.items()]
    (installed / "entry_points.txt").write_text("\n".join(["[cpdgal.methods]", *entries]) + "\n")
    path = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-c", SESSION, str(tmp_path / "results")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **path}, check=False)
    assert done.returncode == 0, done.stderr
    said, *listed = done.stdout.splitlines()
    names, warned, runs, table = json.loads(said)
    brought = ["linear", "linear-trained", "majority"]
    assert names == [*METHODS, *brought]
    assert [sentence.split(" is left out: ")[0] for sentence in warned] == [
        f"the method {name!r} of tiny:{ENTRIES[name]}" for name in ("missing", "no-method", "ssftt")
    ]
    assert warned[2].endswith("there is a method of this name already")
    assert runs["linear"][:4] == [3, 4, 32, 3]
    assert runs["linear-trained"][:4] == [5, 6, 16, 1]
    assert runs["majority"][3] == 3
    assert min(run[4] for run in runs.values()) > 10
    assert (table["Linear"], table["Linear, trained"]) == (["linear", 0], ["linear-trained", 0])
    assert "majority" not in table
    assert [line.split()[0] for line in listed[1:]] == names
