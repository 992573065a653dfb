"""Fig. 6: the Expected Model Improvement of a cycle at three budgets."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ..plots import PALETTE
from ..records import Record
from .common import BUDGETS, curves_by_panel, one_legend, over_seeds, studies_of, sweep
from .verdicts import Verdict, better, combined, mean_over_seeds, not_run, seed_count

STUDIES = sweep(studies_of(BUDGETS, range(3)))
# The paper's EMI of the first cycle at each budget.
FIRST_EMI = {"0.5 %": 0.0214, "1 %": 0.0468, "2 %": 0.0340}


def emi(records: Sequence[Record], first: int, last: int, statistic=np.mean) -> dict[int, float]:
    """The mean EMI over cycles first..last by seed, or another `statistic` of it, in points of OA; runs with fewer cycles, or
    with one of these not scored, are left out."""
    gains = {r.study.seed: 100 * r.cycles.EMI[first : last + 1] for r in records if len(r.cycles) > last}
    return {seed: float(statistic(gain)) for seed, gain in gains.items() if gain.notna().all()}


def emi_first(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On the EMI of the first cycle at the three budgets, means over seeds. "holds" when they stand in the paper's order and
    each is within a factor of 1.5 of the paper's, "holds in part" when one of the two is so, else "does not hold"."""
    measured = {name: emi(groups[name], 1, 1) for name in FIRST_EMI}
    if not all(measured.values()):
        return not_run("The first cycle of all three budgets has to be run first.")
    means = {name: mean_over_seeds(values) / 100 for name, values in measured.items()}
    ordered = sorted(means, key=means.__getitem__) == sorted(FIRST_EMI, key=FIRST_EMI.__getitem__)
    near = sum(FIRST_EMI[name] / 1.5 <= mean <= FIRST_EMI[name] * 1.5 for name, mean in means.items())
    return Verdict(
        ("does not hold", "holds in part", "holds")[ordered + (near == len(means))],
        ", ".join(f"{mean:.4f} at {name}" for name, mean in means.items()),
        f"The order of the budgets is {'the same' if ordered else 'another'}, and {near} of {len(means)} are within "
        "a factor of 1.5 of the paper's.",
    )


def emi_declines(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On "EMI declines": at each budget the mean over cycles 1 to 5 is `better` than that over cycles 11 to 30."""
    return combined(
        {
            f"{name}:": better(
                emi(records, 1, 5), emi(records, 11, 30), (f"{name}, cycles 1 to 5,", "cycles 11 to 30"), "points a cycle"
            )
            for name, records in groups.items()
        }
    )


def emi_stabilises(records: Sequence[Record]) -> Verdict:
    """On "EMI stabilises after the 20th cycle": its standard deviation over cycles 21 to 30 is below that over all cycles
    before, which the early decline raises, and below that over the ten cycles before, each by `better`."""
    late = emi(records, 21, 30, np.std)
    spans = {"cycles 1 to 20": (1, 20), "cycles 11 to 20": (11, 20)}
    return combined(
        {
            f"{name}:": better(emi(records, *span, np.std), late, (f"Deviation over {name}", "cycles 21 to 30"))
            for name, span in spans.items()
        }
    )


def budget_tradeoff(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On "larger batches reduce variance": the standard deviation of EMI over cycles 11 to 30 at 2 % is below that at 0.5 %
    and at 1 %, each by `better`."""
    deviations = {name: emi(groups[name], 11, 30, np.std) for name in BUDGETS}
    return combined(
        {f"{name}:": better(deviations[name], deviations["2 %"], (f"Deviation at {name}", "2 %")) for name in ("0.5 %", "1 %")}
    )


def improvement(groups: dict[str, list[Record]], first: dict[str, float], threshold: tuple[str, float]) -> Figure:
    """EMI over cycles (above) and per label (below), a column a budget, and what the paper says: the value of the `first`
    cycle, and a `threshold` at one budget."""
    panels = {
        f"{name}{of_what} ({seed_count(len(records))})": {"here": over_seeds(records, measure, "cycle")}
        for measure, of_what in {"EMI": " of the pool", "EMI per label": ", per label"}.items()
        for name, records in groups.items()
    }
    y = ["EMI: gain of OA (fraction)"] * len(groups) + ["EMI per label (fraction)"] * len(groups)
    figure = curves_by_panel(panels, "cycle", y, columns=len(groups), share_y="row")
    for axis, name in zip(figure.axes, groups, strict=False):
        axis.plot(1, first[name], "s", ms=8, mfc="none", mew=1.8, color=PALETTE[3], label="the paper, first cycle")
        if name == threshold[0]:
            axis.axhline(threshold[1], color=PALETTE[3], lw=1.5, ls="--", label="the paper, diminishing returns")
    figure.legends[0].remove()
    one_legend(figure, figure.axes, 3)
    return figure
