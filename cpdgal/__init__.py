"""cpdgal: context-aware masking and diffusion-guided refinement for hyperspectral image classification, reproduced."""

from .active import Cycle, Protocol, active_learning, protocol
from .methods import build, coordinates_floor, spectra_floor
from .metrics import class_accuracies, scores
from .model import CPDGAL, DGFR, ContextualMasking, EncoderBlock, Output, PatchEmbedding, cw_mse
from .queries import margin
from .records import Record, RecordError, Store
from .runner import run, side_by_side
from .scenes import Scene, SceneError
from .sources import load_scene
from .splits import Split, block_split, random_split
from .study import Study
from .training import Training, fit, predict
from .windows import Windows

__all__ = [
    "CPDGAL",
    "DGFR",
    "ContextualMasking",
    "Cycle",
    "EncoderBlock",
    "Output",
    "PatchEmbedding",
    "Protocol",
    "Record",
    "RecordError",
    "Scene",
    "SceneError",
    "Split",
    "Store",
    "Study",
    "Training",
    "Windows",
    "active_learning",
    "block_split",
    "build",
    "class_accuracies",
    "coordinates_floor",
    "cw_mse",
    "fit",
    "load_scene",
    "margin",
    "predict",
    "protocol",
    "random_split",
    "run",
    "scores",
    "side_by_side",
    "spectra_floor",
]
__version__ = "0.1.0"
