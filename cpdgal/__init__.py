"""cpdgal: context-aware masking and diffusion-guided refinement for hyperspectral image classification, reproduced."""

from .active import Cycle, Protocol, active_learning, protocol
from .mapping import write_map
from .methods import build, coordinates_floor, spectra_floor
from .metrics import class_accuracies, scores
from .model import CPDGAL, DGFR, ContextualMasking, EncoderBlock, Output, PatchEmbedding, cw_mse
from .queries import margin
from .records import Record, Store
from .runner import run, side_by_side
from .scenes import Scene, SceneError
from .sources import load_scene
from .splits import Split, block_split, random_split
from .study import Study
from .suggestions import suggest
from .training import Training, fit, predict
from .windows import Windows
from .writing import RecordError

__all__ = ["Scene", "SceneError", "Split", "Windows", "block_split", "load_scene", "random_split"]
__all__ += ["CPDGAL", "DGFR", "ContextualMasking", "EncoderBlock", "Output", "PatchEmbedding", "cw_mse"]
__all__ += ["Training", "build", "class_accuracies", "coordinates_floor", "fit", "predict", "scores", "spectra_floor"]
__all__ += ["Cycle", "Protocol", "active_learning", "margin", "protocol", "suggest"]
__all__ += ["Record", "RecordError", "Store", "Study", "run", "side_by_side", "write_map"]
__version__ = "0.1.0"
