"""The backend of the book: a file a page, with its runs (`STUDIES`), tables and figures, and what pages share.

Nothing outside of this package imports it, but the notebooks, the workflow and the tests. Its pages need the extra "pages".
"""

from importlib import import_module

from ..methods import METHODS
from ..study import Study

# The pages with runs, in the order in which the sweep takes them: verdicts gained an hour decide it.
PAGES = (
    "low_label",
    "loss_landscape",
    "query_strategies",
    "ablations",
    "open_decisions",
    "model_improvement",
    "entropy",
    "comparison",
    "leakage_audit",
    "embeddings",
    "method",
    "quickstart",
    "run",
)


def studies() -> dict[Study, bool]:
    """Every run behind the book and whether its trained weights are kept: floors first, which are cheap, then page by page;
    last those on the old block split, which folds replace."""
    found: dict[Study, bool] = {}
    for page in PAGES:
        for study, weights in import_module(f".{page}", __name__).STUDIES.items():
            found[study] = found.get(study, False) or weights
    return dict(sorted(found.items(), key=lambda each: (METHODS[each[0].method].kind != "floor", each[0].split == "block")))
