"""Every method by its name: CPDGAL, its ablations, the peers, two floors, and what other packages bring.

Another package joins by an entry point of the group ``cpdgal.methods``: the method's name, and a `Method` or a peer's `Recipe`.
"""

import inspect
import warnings
from collections import UserDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import entry_points
from typing import NamedTuple

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .model import CPDGAL
from .peers import PEERS
from .peers.recipe import Recipe
from .scenes import Scene

# Classes (n,) of pixels from (scene, labelled, asked), both as positions of labelled pixels, without a network.
Floor = Callable[[Scene, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to classify pixels, and what a study of it takes where it says nothing else.

    A network maps windows (b, c, w, w) to logits (b, k), or to an output that has them as ``logits`` and may have
    ``features`` (b, d) for query strategies that look at them. Where its ``forward`` takes a ``generator``, all its
    randomness comes from there. It may have a ``loss(x, y, generator)`` of its own in place of the cross-entropy, and
    ``drawn_logits(x, draws, generator)`` (draws, b, k) for strategies that look at repeated draws.
    """

    title: str
    build: Callable  # the network, from bands, window and classes; or the `Floor` itself
    kind: str = "network"  # or "floor", below which an accuracy says nothing
    window: int = 7
    components: int = 15  # principal components; 0 takes the scene's bands
    scaling: str = "band standard"  # a name of `cpdgal.windows.SCALINGS`
    padding: str = "zero"  # a name of `cpdgal.windows.PADDINGS`
    takes: tuple[str, ...] = ()  # the values of a study that the network is built with
    by_place: bool = False  # a floor that looks at no cube
    recipe: Recipe | None = None  # a peer's own training, without the loop; None trains by the study's profile

    def __post_init__(self):
        if self.kind not in ("network", "floor"):
            raise ValueError(f"a method is a network or a floor, not {self.kind!r}")

    @classmethod
    def of(cls, recipe: Recipe) -> "Method":
        """The method of a peer."""
        shared = ("title", "window", "components", "scaling", "padding")
        return cls(build=recipe.network, recipe=recipe, **{name: getattr(recipe, name) for name in shared})


def coordinates_floor(scene: Scene, labelled: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Classes (len(asked),) from nothing but place: that of the nearest labelled pixel by row and column."""
    neighbours = NearestNeighbors(n_neighbors=1).fit(scene.pixels[labelled])
    return scene.targets[labelled][neighbours.kneighbors(scene.pixels[asked], return_distance=False)[:, 0]]


def spectra_floor(scene: Scene, labelled: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Classes (len(asked),) from single spectra, without any neighbourhood: a support vector machine, RBF kernel."""
    spectra = scene.cube[tuple(scene.pixels.T)]
    if len(np.unique(scene.targets[labelled])) == 1:
        return np.full(len(asked), scene.targets[labelled[0]])
    classifier = make_pipeline(StandardScaler(), SVC(C=100)).fit(spectra[labelled], scene.targets[labelled])
    return classifier.predict(spectra[asked])


class _Methods(UserDict):
    """Methods by name. Those of other packages are loaded at the first look, when they can import cpdgal."""

    def __init__(self, own: dict[str, Method]):
        self._own = own

    @cached_property
    def data(self) -> dict[str, Method]:  # type: ignore[override]  # computed once, where UserDict has it set
        return {**self._own, **_plugged_in(self._own)}


def _plugged_in(taken: Mapping[str, Method]) -> dict[str, Method]:
    """What other packages bring; a warning for each that cannot be used."""
    found = {}
    for point in entry_points(group="cpdgal.methods"):
        try:
            if point.name in taken or point.name in found:
                raise ValueError("there is a method of this name already")
            brought = point.load()
            if not isinstance(brought, (Method, Recipe)):
                raise TypeError(f"a {type(brought).__name__} is neither a Method nor a Recipe")
            found[point.name] = brought if isinstance(brought, Method) else Method.of(brought)
        except Exception as error:  # whatever other packages do, this one works without them
            warnings.warn(f"the method {point.name!r} of {point.value} is left out: {error}", stacklevel=2)
    return found


_ABLATIONS = {
    "cpdgal": ("CPDGAL", {}),
    "vit": ("ViT", {"use_dgfr": False, "use_masking": False}),
    "cpdgal-no-dgfr": ("CPDGAL without DGFR", {"use_dgfr": False}),
    "cpdgal-no-masking": ("CPDGAL without CM", {"use_masking": False}),
}
_FIXED = ("bands", "window", "classes", "use_dgfr", "use_masking")
_TAKEN = tuple(name for name in inspect.signature(CPDGAL).parameters if name not in _FIXED)

METHODS: Mapping[str, Method] = _Methods(
    {
        **{name: Method(title=title, build=partial(CPDGAL, **off), takes=_TAKEN) for name, (title, off) in _ABLATIONS.items()},
        **{name: Method.of(recipe) for name, recipe in PEERS.items()},
        "coordinates": Method(title="coordinates only (1-NN)", build=coordinates_floor, kind="floor", by_place=True),
        "spectra": Method(title="spectrum only (SVM)", build=spectra_floor, kind="floor"),
    }
)


def build(name: str, *, seed: int = 0, **options) -> nn.Module:
    """A network by the name of its method, its weights a function of ``seed`` alone.

    `options` go to the network: ``bands``, ``window``, ``classes`` and whatever else it takes. torch's global random state
    is left as it was. Raises ``ValueError`` for a name or a size that does not exist.
    """
    method = _network(name)
    if small := [f"{each} of {options[each]}" for each in ("bands", "window", "classes") if options.get(each, 1) < 1]:
        raise ValueError(f"{name} takes no {', '.join(small)}; give 1 or more")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return method.build(**options)


class Size(NamedTuple):
    """What a network weighs, in parameters, and what one window costs it."""

    parameters: int  # all
    used: int  # those that the logits depend on
    counted: int  # of the layers that a forward pass calls: what common counters see, which skip bare parameters
    multiply_adds: int


def size(name: str, **options) -> Size:
    """The size of a network by the name of its method, without building it in memory.

    `options` as for `build`; input that they do not name is the method's own, with 200 bands where it takes the scene's.
    """
    method = _network(name)
    options = {"bands": method.components or 200, "window": method.window, **options}
    with torch.device("meta"):
        network = build(name, **options)
        two = torch.zeros(2, options["bands"], options["window"], options["window"])
    called = {}
    for module in network.modules():
        if not any(module.children()):
            module.register_forward_hook(
                lambda module, *_: called.update({module: sum(p.numel() for p in module.parameters())})
            )
    out = network.train()(two)
    getattr(out, "logits", out).sum().backward()
    with FlopCounterMode(display=False) as flops:
        network.eval()(two[:1])
    everything = list(network.parameters())
    used = sum(p.numel() for p in everything if p.grad is not None)
    return Size(sum(p.numel() for p in everything), used, sum(called.values()), flops.get_total_flops() // 2)


def _network(name: str) -> Method:
    networks = {each: method for each, method in METHODS.items() if method.kind == "network"}
    if name not in networks:
        raise ValueError(f"no network is called {name!r}; known are {', '.join(networks)}")
    return networks[name]
