"""One study of a batch: the notebook `run` is executed with its parameters, and the store has its record then.

    python workflow/job.py PARAMETERS NOTEBOOK

PARAMETERS are those of the notebook as JSON, and NOTEBOOK is where the executed one goes, also of a run that failed. What was
wrong is printed as one sentence.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import papermill

from cpdgal import Store, Study
from cpdgal.runner import bound
from cpdgal.study import named_values
from cpdgal.writing import write

RUN = Path(__file__).resolve().parents[1] / "notebooks" / "run.ipynb"


def keep(given: dict) -> None:
    """Copy the study's record to where the batch waits for it, where `run` found it elsewhere: among those of the package, or
    under the name of another file with the same data."""
    names = ("labels_path", "method", "split", "query", "profile", "seed")
    study = Study(scene=given["scene_name"], **{name: given[name] for name in names}, **named_values(given["changes"]))
    store = Store(given["store"])
    path = store.folder / f"{study.name}.json"
    if path.exists():
        return
    study = bound(study)
    if record := store.get(study, given["weights"]):
        if record.weights:
            write(path.with_suffix(".safetensors"), record.weights.read_bytes())
        store.save(replace(record, study=study))


if __name__ == "__main__":
    given, notebook = json.loads(sys.argv[1]), sys.argv[2]
    try:
        papermill.execute_notebook(RUN, notebook, given, cwd=".", progress_bar=False)
        keep(given)
    except Exception as error:  # whatever it was, the others go on
        name, said = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", str(error))
        print(f"{Path(notebook).stem}: {name}: {' '.join(said.split())}")
        sys.exit(1)
