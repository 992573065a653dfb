"""Records of an older cpdgal, brought up to date."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError

from .records import FORMAT, Record, content_of
from .sources import SCENES, known_checksum
from .study import Study
from .training import part
from .weights import opened, trained_file
from .writing import RecordError, write


def migrate(folder: Path) -> Iterator[tuple[str, str]]:
    """Bring the records and weights of a folder to this format; each by its name, with what was in the way, else "".

    Records that have the format are left alone, and numbers stay. A record of format 1 gets the checksum of its data as read,
    where its scene is at hand, and stored weights the projection that goes with them and their digest.
    """
    for path in sorted(folder.glob("*.json")):
        with suppress(RecordError):  # what is no record is none of ours; a listing says so
            content = content_of(path)
            if content["format"] == FORMAT:
                continue
            problem = ""
            try:
                _migrate(path, content)
            except (ValueError, TypeError, KeyError, OSError, RecordError, SafetensorError) as error:
                problem = " ".join(str(error).split())[:200]
            yield path.name, problem


def _migrate(path: Path, content: dict) -> None:
    if content["format"] != 1:
        raise RecordError(f"it is of format {content['format']}, and this cpdgal knows 1 and {FORMAT}")
    study = Study.from_form({**content["study"], "checksum": ""})
    if study.scene in SCENES:  # it was the checksum of the scene's files
        checksum = known_checksum(study.scene) or study.load_scene().checksum
        content["study"]["checksum"] = content["provenance"]["checksum"] = checksum
    study = study.but(checksum=content["study"]["checksum"])
    content |= {"format": FORMAT, "study": study.form, "weights": None}
    weights, trained = path.with_suffix(".safetensors"), None
    if weights.is_file():
        tensors, scene = opened(weights)[0], study.load_scene()
        windows = study.make_windows(scene, study.make_split(scene))
        trained = trained_file(study, scene, windows.projection, part(tensors, "network") or tensors)
        content["weights"] = hashlib.sha256(trained).hexdigest()
    text = Record.of(path, content).to_json()  # it is a record, or nothing is written
    if trained:
        write(weights, trained, "")
    write(path, text.encode(), "")
