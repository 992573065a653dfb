"""The studies that a sweeps file of one's own lists, in its order.

    a name:
      - {method: [cpdgal, vit], seed: [0, 1], weights: [0]}
      - {seed: 0, variants: [{epochs: 50}, {window: 9}]}

A sweep takes every combination of its lists; a name is that of a value of `cpdgal.Study`. `weights` lists the seeds whose
trained weights are kept; with `variants`, each entry is run beside the plain study.
"""

from itertools import product
from pathlib import Path

import yaml

from cpdgal import Study


def studies(path: Path) -> dict[Study, bool]:
    """Every study of a sweeps file and whether its weights are kept; ``ValueError`` says which sweep is wrong."""
    try:
        listed = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(listed, dict) or not all(isinstance(sweeps, list) for sweeps in listed.values()):
        raise ValueError(f"{path} lists no sweeps; it needs names, each with a list of sweeps below")
    found = {}
    for name, sweeps in listed.items():
        for sweep in sweeps:
            try:
                for study, keep in _expanded(dict(sweep)):
                    found[study] = found.get(study, False) or keep
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path}, sweep {name}: {error}") from error
    return found


def _expanded(sweep: dict) -> list[tuple[Study, bool]]:
    weights, variants = sweep.pop("weights", []), [{}, *sweep.pop("variants", [])]
    lists = {name: value if isinstance(value, list) else [value] for name, value in sweep.items()}
    combinations = [dict(zip(lists, values, strict=True)) for values in product(*lists.values())]
    return [(Study(**values, **variant), values.get("seed", 0) in weights) for variant in variants for values in combinations]
