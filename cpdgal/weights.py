"""The file of a trained network: weights, the projection that goes with them, and what they were trained on."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .scenes import Scene, SceneError
from .study import Study, other_data
from .training import State, part, under
from .windows import Projection
from .writing import RecordError

# What foreign tensors make safetensors, torch and scikit-learn raise.
FOREIGN = (SafetensorError, OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError)


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network by itself, of a `trained_file`: what a map takes of a record, without one."""

    study: Study
    scene: dict = field(repr=False)  # as for `Record.training_scene`
    digest: str
    path: Path

    @classmethod
    def read(cls, path: Path) -> "Trained":
        """The network of a file; `RecordError` where it holds none."""
        try:
            about = json.loads(opened(path)[1]["about"])
            study, digest = Study.from_form(about.pop("study")), hashlib.sha256(path.read_bytes()).hexdigest()
            len(about["classes"]), about["label_values"], about["palette"], about["band_centers_nm"]
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            reason = " ".join((getattr(error, "strerror", None) or str(error)).split())[:90]
            raise RecordError(
                f"{path} holds no trained network ({reason}); give a record, or what cpdgal label keeps"
            ) from error
        return cls(study, about, digest, path)

    def trained(self) -> tuple[torch.nn.Module, Projection]:
        """The network and the projection that goes with it; `RecordError` where the file does not hold them."""
        try:
            return restored(self.path, self.study, len(self.scene["classes"]))
        except FOREIGN as error:
            raise RecordError(f"{self.path} holds no trained network that can be used; train it again") from error

    def training_scene(self) -> dict:
        """As for a `Record`."""
        return self.scene

    def check(self, scene: Scene) -> None:
        """Raise `SceneError` for a scene with other data than it was trained on, where that is known."""
        if self.study.checksum and scene.checksum != self.study.checksum:
            raise SceneError(other_data(scene, self.study.checksum, f"{self.path} was trained on data"))


def restored(path: Path, study: Study, classes: int) -> tuple[torch.nn.Module, Projection]:
    """The network of a study and its projection, from a `trained_file`; one of `FOREIGN` where that holds others."""
    tensors = opened(path)[0]
    projection = Projection(study.components, whiten=study.whiten, scaling=study.scaling)
    projection.restore(part(tensors, "projection"))
    scores = projection.pipeline.transform(np.zeros((1, projection.bands), dtype=np.float32))
    network = study.network(scores.shape[1], classes)
    network.load_state_dict(part(tensors, "network"))
    return network.eval(), projection


def opened(path: Path) -> tuple[State, dict[str, str]]:
    """The tensors of a safetensors file, and its metadata."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}


def trained_file(study: Study, scene: Scene, projection: Projection, network: State) -> bytes:
    """A trained network as one file that can be applied: weights, projection, the study they came from, and of its scene the
    classes and the wavelengths."""
    centers = None if scene.band_centers_nm is None else scene.band_centers_nm.tolist()
    of_scene = {"classes": scene.class_names, "label_values": scene.label_values, "palette": scene.palette.tolist()}
    about = json.dumps({"study": study.form, **of_scene, "band_centers_nm": centers})  # one entry: several have no fixed order
    return save({**under("network", network), **under("projection", projection.state())}, {"about": about})
