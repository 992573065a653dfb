"""The quickstart: the loop with two query strategies, and one training on the block split."""

from collections.abc import Mapping

import numpy as np

from ..records import Record
from ..scenes import Scene
from ..splits import portion
from ..study import Study

QUERIES = ("margin", "random")
PIXELS = 10_249  # labelled pixels of Indian Pines


def once_on_blocks(study: Study, pixels: int) -> Study:
    """One training on as many labels as the loop of `study` ends with on a scene of so many labelled pixels, drawn at random
    from every class, on the block split."""
    share = study.protocol.label_counts(pixels)[-1] / portion(study.pool, pixels)
    return study.but(split="block", query="random", initial=share, cycles=0, stratified=True)


STUDIES = {Study(profile="quick", query=query): True for query in QUERIES}
STUDIES[once_on_blocks(Study(profile="quick"), PIXELS)] = False


def block_sentence(scene: Scene, record: Record, tested: np.ndarray, guessed: Mapping[str, np.ndarray]) -> str:
    """What a run on the block split did with the largest class of its hold-out, beside other classifiers, in words.

    `tested` (n,) are the hold-out's positions among the labelled pixels, `guessed` the classes (n,) that others predict for
    them, by name.
    """
    truth = scene.targets[tested]
    counts, labels = np.bincount(truth, minlength=scene.classes), record.classes.labels.to_numpy()
    largest = int(counts.argmax())
    row = np.asarray(record.confusion)[largest]
    taken = int(np.delete(row, largest).argmax())
    taken += taken >= largest
    correct = {"the network": row[largest] / row.sum()}
    correct |= {name: (classes[truth == largest] == largest).mean() for name, classes in guessed.items()}
    listed = ", ".join(f"{name} {100 * share:.0f} %" for name, share in correct.items())
    return (
        f"AA is the mean over the {(counts > 0).sum()} of {scene.classes} classes that have test pixels. The largest of them, "
        f"{scene.class_names[largest]}, is {100 * counts[largest] / len(truth):.0f} % of the test pixels and "
        f"{labels[largest]} of the {labels.sum()} labels. The share of its pixels classified correctly: {listed}. The network "
        f"predicts {scene.class_names[taken]}, which has {labels[taken]} labels, for {100 * row[taken] / row.sum():.0f} %."
    )


STUDIES[Study(profile="tuned")] = True  # the run that the page's moving views show
