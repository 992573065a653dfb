"""The quickstart: the loop with two query strategies, and one training with blocks apart."""

from ..splits import portion
from ..study import Study

QUERIES = ("margin", "random")
PIXELS = 10_249  # labelled pixels of Indian Pines


def once_on_blocks(study: Study, pixels: int) -> Study:
    """One training on as many labels as the loop of `study` ends with on a scene of so many labelled pixels, drawn at random
    from every class, with blocks apart."""
    share = study.protocol.label_counts(pixels)[-1] / portion(study.pool, pixels)
    return study.but(split="block", query="random", initial=share, cycles=0, stratified=True)


STUDIES = {Study(profile="quick", query=query): True for query in QUERIES}
STUDIES[once_on_blocks(Study(profile="quick"), PIXELS)] = False
