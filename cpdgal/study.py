"""Studies: everything that decides a run's numbers, and the key that a study is known by."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, dataclass, fields
from functools import cached_property
from importlib.resources import files
from pathlib import Path, PurePath
from types import UnionType
from typing import Any, get_args, get_origin

import numpy as np
import torch
from pandas import Interval

from .active import Protocol, protocol
from .methods import METHODS, build
from .queries import strategy
from .readers import SceneError, read_array
from .scenes import Scene
from .sources import SCENES, disjoint_mask, known_checksum, load_scene, load_truth
from .splits import Split, block_split, draw, fold_split, given_split, mask_split, random_split
from .training import DECAYS, OPTIMIZERS
from .windows import PADDINGS, SCALINGS, Windows

NAMES = ("scene", "method", "split", "query", "profile", "seed")
READING = ("cube_key", "labels_key", "unlabelled", "no_data", "bands", "scale", "crs")
# Values at the time of the first records: keys compare with these, so that a default that changes later is part of the keys of
# new studies and leaves the old ones alone. A field added to Study gets its first default here; nothing else ever changes.
KEY_DEFAULTS = json.loads(files("cpdgal").joinpath("key_defaults.json").read_text(encoding="utf-8"))

_IN_RANGE = {
    "seed": Interval(0, 2**63 - 1, "both"),
    "pool initial": Interval(0, 1, "neither"),
    "acquired validated": Interval(0, 1, "left"),
    "static_masking alpha_range alpha_clip": Interval(0, 1, "both"),
    "per_class judged cycles gap fold components": Interval(0, 10**6, "both"),
    "epochs batch score_every window patch dim heads layers steps ffn_ratio draws block folds": Interval(1, 10**6, "both"),
    "learning_rate scale": Interval(0, 10**6, "right"),
    "unlabelled": Interval(-(2**31), 2**32, "both"),
    "no_data": Interval(-1e39, 1e39, "both"),
    "weight_decay cw_mse_weight unmasked_weight beta": Interval(0, 10**6, "both"),
}
RANGES = {name: interval for names, interval in _IN_RANGE.items() for name in names.split()}


@dataclass(frozen=True, kw_only=True, init=False)
class Study(Protocol):
    """Everything that decides a run's numbers.

    Two studies with equal values give the same numbers on the same machine and versions. What is not named is taken from the
    scene's protocol at the profile and from the method's own input and recipe. `but` makes another study of it.

    Args:
        scene, labels_path: as for `load_scene`.
        cube_key, labels_key, unlabelled, no_data, bands, scale, crs: how the files of a cube of one's own are read, as for
            `Scene.from_files` and `Scene`.
        method: a name of `cpdgal.methods.METHODS`. A peer comes with its own input and training recipe; it has 5 % of the
            labelled pixels as labels (half of the pool, from every class) and no loop, unless said so.
        split: "random" (the paper's); "block" (blocks of pixels apart, with a gap); "folds", of which ``fold`` is tested
            (blocks dealt into folds, with a gap); "disjoint" (a published training mask, where the scene has one);
            "given" (masks of one's own); or "validation": the pool of the random split, dealt into halves, one to query and one
            to score on.
        train_path, train_key, test_path, test_key: of the given masks: two files, two variables of one file, or one raster of
            1 for training and 2 for test pixels. Without a test mask all other labelled pixels are tested.
        query: a strategy of `cpdgal.queries.STRATEGIES`.
        profile: the protocol's values: "paper", "tuned", "ablation", "quick" or "smoke".
        seed: decides the split, the first labels, the weights, the order of batches, and all noise.
        pool, initial, per_class, acquired, cycles, epochs, batch, ..., judged: as for `Protocol`.
        window, components, scaling, padding: what the network sees, as for `Windows`.
        patch, dim, heads, layers, steps, ffn_ratio, beta, static_masking: the network's sizes, as for `CPDGAL`.
        cw_mse_weight, ..., block, gap: what the paper leaves open, by the names of the arguments it goes to; ``pca`` fits on
            the whole "scene" or on the "pool", ``stratified_pool`` goes to `random_split`.
        checksum: of the scene's data; filled in by `run`, and no part of the key.

    Raises ``ValueError`` for a value of the wrong type or outside its range, and for a name that does not exist.
    """

    scene: str = "indian_pines"
    labels_path: str = ""
    method: str = "cpdgal"
    split: str = "random"
    query: str = "margin"
    profile: str = "paper"
    seed: int = 0

    window: int = 7
    components: int = 15
    scaling: str = "band standard"
    padding: str = "zero"
    patch: int = 1
    dim: int = 32
    heads: int = 8
    layers: int = 6
    steps: int = 100
    ffn_ratio: int = 4
    beta: float = 2.0
    static_masking: float | None = None

    cw_mse_weight: float = 0.1
    unmasked_weight: float = 1.2
    detach_target: bool = False
    masked_above: str = "mean"
    refined_after_norm: bool = True
    alpha_range: tuple[float, float] = (0.99, 0.5)
    alpha_clip: tuple[float, float] = (0.01, 0.99)
    alpha_form: str = "clamp"
    conditioned: bool = True
    residual_blocks: bool = False
    residual_denoiser: bool = True
    refinement: str = "identity"
    draws: int = 8
    mask_at_inference: bool = True
    pooling: str = "mean"
    stratified_pool: bool = True
    pca: str = "scene"
    whiten: bool = True
    block: int = 15
    gap: int | None = None
    folds: int = 4
    fold: int = 0

    cube_key: str = ""
    labels_key: str = ""
    unlabelled: int | None = None
    no_data: float | str | None = None  # or "nan", which unlike the number is equal to itself, and JSON
    bands: str = ""
    scale: float = 1.0
    crs: str = ""
    train_path: str = ""
    train_key: str = ""
    test_path: str = ""
    test_key: str = ""

    checksum: str = ""

    def __init__(self, **given):
        if "checksum" in given:  # as `dataclasses.replace` does, which would keep the values of the old scene and method
            raise ValueError("a study is changed by its method `but`, as in study.but(seed=1), which takes defaults anew")
        self._fill(given)

    def _fill(self, given: Mapping) -> None:
        """Take the values given, and the defaults of what is not; `ValueError` for one that cannot be."""
        declared = {each.name: each for each in fields(self)}
        check_names(given)
        plain: dict[str, Any] = {name: each.default for name, each in declared.items()}
        for name in ("scene", "method", "profile"):
            plain[name] = _checked(declared[name], given.get(name, plain[name]))
        plain |= _own_values(plain["scene"], plain["method"], plain["profile"])
        values = plain | {name: value for name, value in given.items() if value is not None or name in NAMES}
        for name, value in values.items():
            object.__setattr__(self, name, _checked(declared[name], value))
        strategy(self.query)
        if self.fold >= self.folds:
            raise ValueError(f"fold counts from 0, so of {self.folds} folds the last is {self.folds - 1}, not {self.fold}")
        low, high = self.alpha_clip
        if low >= high:
            raise ValueError(f"alpha_clip takes a low and a higher end, not {self.alpha_clip}")
        method = METHODS[self.method]
        foreign = [name for name in METHODS["cpdgal"].takes if name not in method.takes and getattr(self, name) != plain[name]]
        if foreign and method.kind == "network":
            raise ValueError(f"{self.method} does not take {', '.join(foreign)[:150]}, which only CPDGAL and its ablations do")

    def but(self, **changes) -> "Study":
        """The study with these values and else the same names and `changes`: what was not named is a default again, so that
        protocol, input and recipe follow."""
        named = {name: getattr(self, name) for name in NAMES} | self.changes
        other = Study(**{**named, **{name: value for name, value in changes.items() if name != "checksum"}})
        same_data = all(getattr(other, name) == getattr(self, name) for name in ("scene", "labels_path", *READING))
        object.__setattr__(other, "checksum", changes.get("checksum", self.checksum if same_data else ""))
        return other

    @property
    def form(self) -> dict:
        """All values, ready for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_form(cls, form: Mapping) -> "Study":
        """The study of a `form`; ``ValueError`` for a value that this version does not know."""
        study = cls.__new__(cls)
        study._fill(form)
        return study

    @cached_property
    def changes(self) -> dict:
        """The values that differ from the defaults for this scene, method and profile; what names the study left out."""
        plain = Study(scene=self.scene, method=self.method, profile=self.profile).form
        return self._without_names(plain)

    @cached_property
    def key(self) -> str:
        """Ten hexadecimal digits of the SHA-256 of the study's names and of what differs from `KEY_DEFAULTS`."""
        frozen = KEY_DEFAULTS["values"] | KEY_DEFAULTS["scenes"].get(self.scene, {})
        frozen |= KEY_DEFAULTS["profiles"].get(self.profile, {})
        if recipe := KEY_DEFAULTS["methods"].get(self.method):
            frozen |= recipe | (KEY_DEFAULTS["smoke"] if self.profile == "smoke" else {})
        names = {name: getattr(self, name) for name in NAMES}
        canonical = json.dumps({**names, **self._without_names(frozen)}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:10]

    def _without_names(self, plain: Mapping) -> dict:
        return {name: value for name, value in self.form.items() if name not in (*NAMES, "checksum") and value != plain[name]}

    @property
    def name(self) -> str:
        """The name of the record's file without its ending: readable, and safe whatever the scene's path."""
        words = (Path(self.scene).stem, self.method, self.split, self.query, self.profile, str(self.seed), self.key)
        return "-".join(re.sub(r"[^a-z0-9]+", "_", word.lower())[:40] for word in words)

    @property
    def protocol(self) -> Protocol:
        """The protocol alone."""
        return Protocol(**{each.name: getattr(self, each.name) for each in fields(Protocol)})

    def load_scene(self) -> Scene:
        """The scene; `SceneError` where its data are not those of `checksum`, or all labelled pixels are of one class."""
        scene = load_truth(self.scene) if self._by_place else self.read_scene()
        if self.checksum and scene.checksum != self.checksum:
            raise SceneError(other_data(scene, self.checksum, "the study was made for data"))
        if not scene.classes:
            raise SceneError(f"{scene.name} has no ground truth; a study needs one, as labels_path")
        if scene.classes < 2:
            raise SceneError(f"{scene.name}: all labelled pixels are {scene.class_names[0]}; a study needs two classes or more")
        return scene

    def read_scene(self) -> Scene:
        """The scene as its files are read, which may have no ground truth; `SceneError` as for `cpdgal.load_scene`."""
        if self.reading and self.scene in ("synthetic", *SCENES):
            raise SceneError(f"{self.scene} is read as it is; leave {', '.join(self.reading)} out")
        return load_scene(self.scene, self.labels_path or None, **self.reading)

    @property
    def reading(self) -> dict:
        """How the scene's files are read, where it is said: options of `load_scene`."""
        plain = {each.name: each.default for each in fields(self)}
        return {name: value for name in READING if (value := getattr(self, name)) != plain[name]}

    @property
    def _by_place(self) -> bool:
        """Whether a ground truth alone is enough; the scenes whose checksum is on file come whole, as in the first records."""
        return METHODS[self.method].by_place and self.scene in SCENES and known_checksum(self.scene) is None

    def make_split(self, scene: Scene) -> Split:
        """The pool and the test pixels."""
        rng = np.random.default_rng(self.seed)
        split = self._split(scene, rng)
        if not self.judged or self.judged >= len(split.holdout):
            return split
        return Split(split.pool, draw(split.holdout, scene.targets, self.judged, stratified=True, rng=rng))

    def _split(self, scene: Scene, rng: np.random.Generator) -> Split:
        gap, side = self.window - 1 if self.gap is None else self.gap, max(scene.labels.shape)
        if self.split in ("block", "folds") and max(self.block, gap) > side:
            raise ValueError(f"{scene.name} has {side} pixels a side; blocks of {self.block} and a gap of {gap} do not fit")
        blocks: dict[str, Any] = {"block": self.block, "window": self.window, "gap": self.gap, "rng": rng}
        if self.split == "block":
            return block_split(scene, self.pool, **blocks)
        if self.split == "folds":
            return fold_split(scene, self.pool, fold=self.fold, folds=self.folds, **blocks)
        if self.split == "given":
            return given_split(scene, *self._given_masks())
        if self.split == "disjoint":
            return mask_split(scene, disjoint_mask(self.scene), self.pool, gap=self.gap or 0, rng=rng)
        split = random_split(scene, self.pool, stratified=self.stratified_pool, rng=rng)
        if self.split == "random":
            return split
        queried = draw(split.pool, scene.targets, len(split.pool) // 2, stratified=True, rng=rng)
        return Split(queried, np.setdiff1d(split.pool, queried))

    def masks_checksum(self) -> str:
        """SHA-256 of the given masks as they are read now; "" for any other split."""
        found = hashlib.sha256()
        for mask in self._given_masks() if self.split == "given" else ():
            found.update(b"" if mask is None else repr(mask.shape).encode() + np.asarray(mask).astype(np.int64).tobytes())
        return found.hexdigest() if self.split == "given" else ""

    def _given_masks(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The training mask, and the test mask where there is one."""
        if not self.train_path:
            raise ValueError("a given split needs a training mask; give its file as train_path")
        train = read_array(Path(self.train_path).expanduser(), self.train_key or None, 2)
        if not (self.test_path or self.test_key):
            return train, None
        return train, read_array(Path(self.test_path or self.train_path).expanduser(), self.test_key or None, 2)

    def make_windows(self, scene: Scene, split: Split, device: str = "cpu") -> Windows:
        """The windows the network sees, projected as the study says."""
        fit_on = split.pool if self.pca == "pool" else None
        scaled: dict[str, Any] = {"whiten": self.whiten, "scaling": self.scaling, "padding": self.padding}
        return Windows(scene, self.window, self.components, **scaled, fit_on=fit_on, device=device)

    def make_network(self, scene: Scene) -> torch.nn.Module:
        """The untrained network for a scene; ``ValueError`` for a floor."""
        return self.network(self.components or scene.bands, scene.classes)

    def network(self, bands: int, classes: int) -> torch.nn.Module:
        """The untrained network for windows of so many bands or components."""
        method = METHODS[self.method]
        own = {name: getattr(self, name) for name in method.takes}
        own |= method.recipe.options.get(self.scene, {}) if method.recipe else {}
        return build(self.method, seed=self.seed, bands=bands, window=self.window, classes=classes, **own)


def named_values(text: str | Mapping) -> dict:
    """Values of a study by name, from JSON or from a mapping as YAML gives it; ``ValueError`` for anything else."""
    try:
        values = json.loads(text) if isinstance(text, str) else text
        return dict(values)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f'values of a study are given as JSON, such as {{"epochs": 50}}, not {str(text)[:80]!r}') from error


def check_names(given: Iterable[str]) -> None:
    """Raise ``ValueError`` for a name that no value of a study has."""
    if unknown := sorted(set(given) - set(Study.__dataclass_fields__)):
        named = ", ".join(map(repr, unknown))[:120]
        raise ValueError(f"a study has no {named}; its values are those of `help(cpdgal.Study)`")


def other_data(scene: Scene, checksum: str, what: str) -> str:
    """The sentence for a scene whose data are not the ones of a checksum."""
    return f"{what} with checksum {checksum[:12]}, and {scene.name} has {scene.checksum[:12]}; bring the data back"


def _own_values(scene: str, method: str, profile: str) -> dict:
    """What a study takes where it says nothing: the scene's protocol at the profile, and the method's input and recipe."""
    chosen = METHODS[method]
    values = asdict(protocol(scene, profile))
    values |= {name: getattr(chosen, name) for name in ("window", "components", "scaling", "padding")}
    if chosen.recipe is None:
        return values
    own = {name: getattr(chosen.recipe, name) for name in values if hasattr(chosen.recipe, name)}
    small = {"pool": 0.01, "epochs": 1, "judged": 100} if profile == "smoke" else {}  # some take seconds a window
    return values | own | {"validated": 0.1, "initial": 0.5, "stratified": True, "cycles": 0} | small


def _checked(declared: Field, value):
    """`value` as the type that a field declares and within its range; numbers may come as whole ones, and pairs as lists."""
    name, shown = declared.name, _shown(value)
    value = value.item() if isinstance(value, np.generic) else str(value) if isinstance(value, PurePath) else value
    kind, *others = get_args(declared.type) if isinstance(declared.type, UnionType) else (declared.type,)
    if value is None and others:
        return None
    if name == "no_data" and str(value).lower() == "nan":
        return "nan"
    pair = get_origin(kind) is tuple
    accepted = (int, float) if pair or kind is float else kind
    parts = [value] if not pair else value if isinstance(value, (list, tuple)) and len(value) == 2 else [None]
    parts = [part.item() if isinstance(part, np.generic) else part for part in parts]
    if not all(
        isinstance(part, accepted)
        and (kind is bool) == isinstance(part, bool)
        and (not isinstance(part, float) or math.isfinite(part))
        for part in parts
    ):
        wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}.get(kind, "a pair of numbers")
        raise ValueError(f"{name} takes {wanted}, not {shown}")
    if name in RANGES and not all(part in RANGES[name] for part in parts):
        raise ValueError(f"{name} lies in {RANGES[name]}, not at {shown}")
    known = _choices().get(name, (value,))
    if value not in known:
        raise ValueError(f"{name} is one of {', '.join(known)}, not {shown}")
    return tuple(float(part) or 0.0 for part in value) if pair else kind(value) or kind()  # no -0.0, of another key


def _shown(value) -> str:
    try:
        return " ".join(repr(value)[:80].split())
    except ValueError:  # Python writes no number of so many digits
        return "a number of thousands of digits"


def _choices() -> dict[str, tuple[str, ...]]:
    return {
        "method": tuple(METHODS),
        "split": ("random", "block", "folds", "disjoint", "given", "validation"),
        "pca": ("scene", "pool"),
        "masked_above": ("mean", "half"),
        "alpha_form": ("clamp", "sigmoid", "fixed"),
        "refinement": ("identity", "last", "average"),
        "pooling": ("mean", "centre"),
        "decay": tuple(DECAYS),
        "optimizer": tuple(OPTIMIZERS),
        "scaling": tuple(SCALINGS),
        "padding": tuple(PADDINGS),
    }
