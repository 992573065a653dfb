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


class _Once(yaml.SafeLoader):
    """YAML whose names stand once: of two alike, the first would be lost without a word."""

    def construct_mapping(self, node, deep=False):
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := {str(name) for name in names if names.count(name) > 1}:
            raise ValueError(f"it has {', '.join(sorted(twice))} twice")
        return super().construct_mapping(node, deep)


def studies(path: Path) -> dict[Study, bool]:
    """Every study of a sweeps file and whether its weights are kept; ``ValueError`` says which sweep is wrong."""
    try:
        listed = yaml.load(Path(path).read_text(encoding="utf-8"), _Once)  # a safe loader
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:150]
        raise ValueError(f"{path} cannot be read as YAML: {reason}") from error
    if not isinstance(listed, dict) or not all(isinstance(sweeps, list) for sweeps in listed.values()):
        raise ValueError(f"{path} lists no sweeps; it needs names, each with a list of sweeps below")
    found: dict[Study, bool] = {}
    for name, sweeps in listed.items():
        for sweep in sweeps:
            try:
                for study, keep in _expanded(sweep):
                    found[study] = found.get(study, False) or keep
            except ValueError as error:
                raise ValueError(f"{path}, sweep {name}: {error}") from error
    return found


def _expanded(sweep) -> list[tuple[Study, bool]]:
    """The studies of one sweep and whether their weights are kept; ``ValueError`` for a sweep of another form."""
    if not isinstance(sweep, dict) or not all(isinstance(name, str) for name in sweep):
        raise ValueError(f"a sweep is values of a study by name, not {str(sweep)[:60]!r}")
    weights, variants = sweep.get("weights", []), sweep.get("variants", [])
    if not (isinstance(weights, list) and isinstance(variants, list) and all(isinstance(each, dict) for each in variants)):
        raise ValueError("weights is a list of seeds, and variants a list of values by name")
    lists = {n: v if isinstance(v, list) else [v] for n, v in sweep.items() if n not in ("weights", "variants")}
    if empty := [name for name, values in lists.items() if not values]:
        raise ValueError(f"{', '.join(empty)} lists no value, so nothing would be run")
    combinations = [dict(zip(lists, values, strict=True)) for values in product(*lists.values())]
    expanded = [Study(**{**values, **variant}) for variant in [{}, *variants] for values in combinations]
    if unknown := [str(seed) for seed in weights if seed not in {study.seed for study in expanded}]:
        raise ValueError(f"weights names seed {', '.join(unknown)[:60]}, which no study of the sweep has")
    return [(study, study.seed in weights) for study in expanded]
