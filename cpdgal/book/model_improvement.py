"""Fig. 6: the Expected Model Improvement of a cycle at three budgets."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ..plots import PALETTE
from ..records import Record
from .common import BUDGETS, curves_by_panel, one_legend, over_seeds, studies_of, sweep
from .verdicts import Verdict, above, better, combined, near, seed_count

STUDIES = sweep(studies_of(BUDGETS, range(3)))
# The paper's EMI of the first cycle at each budget.
FIRST_EMI = {"0.5 %": 0.0214, "1 %": 0.0468, "2 %": 0.0340}


def emi(records: Sequence[Record], first: int, last: int, statistic=np.mean) -> dict[int, float]:
    """The mean EMI over cycles first..last by seed, or another `statistic` of it, in points of OA; runs with fewer cycles, or
    with one of these not scored, are left out."""
    gains = {r.study.seed: 100 * r.cycles.EMI[first : last + 1] for r in records if len(r.cycles) > last}
    return {seed: float(statistic(gain)) for seed, gain in gains.items() if gain.notna().all()}


def mean_emi(records: Sequence[Record], first: int, last: int) -> str:
    """The mean EMI over cycles first..last and seeds, as a fraction with its sign, or "not run"."""
    means = list(emi(records, first, last).values())
    return f"{np.mean(means) / 100:+.4f}" if means else "not run"


def first_and_last(groups: Mapping[str, Sequence[Record]]) -> str:
    """The mean EMI of the first cycle and of cycles 21 to 30 at each budget, for a caption."""
    listed = (f"{name}: {mean_emi(runs, 1, 1)} and {mean_emi(runs, 21, 30)}" for name, runs in groups.items())
    return f"Mean EMI of the first cycle and of cycles 21 to 30: {'; '.join(listed)}."


def emi_first(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On the EMI of the first cycle, which is no merit: at each budget, in points, it is `near` the paper's."""
    return combined(
        {name: near(100 * value, emi(groups[name], 1, 1), "EMI of the first cycle") for name, value in FIRST_EMI.items()}
    )


def emi_declines(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On "EMI declines": at each budget the mean over cycles 1 to 5 is `better` than that over cycles 11 to 30."""
    spans, unit = ("Mean EMI of cycles 1 to 5", "of cycles 11 to 30"), "points per cycle"
    return combined({name: better(emi(runs, 1, 5), emi(runs, 11, 30), spans, unit, 0.0) for name, runs in groups.items()})


def emi_stabilises(records: Sequence[Record]) -> Verdict:
    """On "EMI stabilises after the 20th cycle": it varies less over cycles 21 to 30 than over the ten before, which are as many
    and come after the early decline. The measure is its standard deviation."""
    before, after = (emi(records, *span, np.std) for span in ((11, 20), (21, 30)))
    return better(before, after, ("Standard deviation over cycles 11 to 20", "over cycles 21 to 30"), margin=0.0)


def budget_tradeoff(groups: Mapping[str, Sequence[Record]]) -> Verdict:
    """On "larger batches reduce variance": the standard deviation of EMI over cycles 11 to 30 at 2 % is below that at 0.5 %
    and at 1 %, each by `better`."""
    deviations = {name: emi(groups[name], 11, 30, np.std) for name in BUDGETS}
    names = {name: (f"Standard deviation at {name}", "at 2 %") for name in ("0.5 %", "1 %")}
    return combined({name: better(deviations[name], deviations["2 %"], said, margin=0.0) for name, said in names.items()})


def emi_small(records: Sequence[Record]) -> Verdict:
    """On the sentences about 0.5 %: EMI "peaks in the first cycle" (it is above that of every later cycle), has "a minor spike
    near the 7th cycle (>0.010)" (over cycles 6 to 8 it is above one point), and "after the 10th cycle oscillates around a
    diminishing-returns threshold" (the mean over cycles 11 to 30 is below a tenth of the first)."""
    first, rest = emi(records, 1, 1), emi(records, 11, 30)
    tenth = {seed: value / 10 for seed, value in first.items()}
    return combined(
        {
            "peak": better(first, emi(records, 2, 30, np.max), ("EMI of the first cycle", "the highest later one"), margin=0.0),
            "spike": above(1.0, emi(records, 6, 8, np.max), "The highest EMI of cycles 6 to 8", margin=0.0),
            "threshold": better(tenth, rest, ("A tenth of the first EMI", "the mean of cycles 11 to 30"), margin=0.0),
        }
    )


def emi_middle(records: Sequence[Record]) -> Verdict:
    """On the sentences about 1 %: EMI "drops sharply" (the second cycle has less than half of the first) and "fluctuates
    between the 5th and 10th cycles" (its standard deviation there is above that over cycles 11 to 20)."""
    half = {seed: value / 2 for seed, value in emi(records, 1, 1).items()}
    around, after = (emi(records, *span, np.std) for span in ((5, 10), (11, 20)))
    return combined(
        {
            "drop": better(half, emi(records, 2, 2), ("Half of the first EMI", "the second"), margin=0.0),
            "fluctuation": better(
                around, after, ("Standard deviation over cycles 5 to 10", "over cycles 11 to 20"), margin=0.0
            ),
        }
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
    figure = curves_by_panel(panels, "cycle", y, columns=len(groups), share_y="row", named=False)
    for axis, name in zip(figure.axes, groups, strict=False):
        axis.plot(1, first[name], "s", ms=8, mfc="none", mew=1.8, color=PALETTE[3], label="the paper, first cycle")
        if name == threshold[0]:
            axis.axhline(threshold[1], color=PALETTE[3], lw=1.5, ls="--", label="the paper: a spike near cycle 7 above")
    one_legend(figure, figure.axes, 3)
    return figure
