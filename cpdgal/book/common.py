"""What pages of the book share: the paper's figures, stored values, runs by method and by budget, tables over seeds, plots."""

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from ..plots import PALETTE, draw_mean, line_styles, name_curves, not_run, one_legend, panels
from ..records import Record
from ..study import Study
from . import figures
from .verdicts import Verdict

figures.use()

# What the paper reports, in percent: OA, AA and kappa by scene and method (Table 1, which has no supervised ViT), and OA of
# each setting on Botswana (Tables 2 to 6). Beside them the labelled pixels of each class in the public ground truths.
PAPER = json.loads(files(__package__).joinpath("paper.json").read_text(encoding="utf-8"))
# By how many points CPDGAL is above the best other method of Table 1, by scene and score.
GAINS = {
    scene: {
        score: round(rows["cpdgal"][at] - max(own[at] for name, own in rows.items() if name != "cpdgal"), 2)
        for at, score in enumerate(("OA", "AA", "kappa"))
    }
    for scene, rows in PAPER["table_1"].items()
}
# The methods that pages compare, by the values of `Study`. Floors take random labels, or labels spread over the map.
COMPARED = {
    "CPDGAL": {"method": "cpdgal"},
    "ViT": {"method": "vit"},
    "CPDGAL, random queries": {"method": "cpdgal", "query": "random"},
    "coordinates only (1-NN)": {"method": "coordinates", "query": "random"},
    "coordinates, spread out": {"method": "coordinates", "query": "farthest-first"},
    "spectrum only (SVM)": {"method": "spectra", "query": "random"},
}
RANDOM = "CPDGAL, random queries"
# CPDGAL's network with the labels that the peers have.
NO_LOOP = {"cycles": 0, "initial": 0.5, "stratified": True}
PLACE = {name: COMPARED[name] for name in ("coordinates only (1-NN)", "coordinates, spread out")}
# Figures 6 and 7: what a cycle asks for, of the remaining pool.
BUDGETS = {"0.5 %": {"acquired": 0.005}, "1 %": {"acquired": 0.01}, "2 %": {"acquired": 0.02}}

# What the parameters of pages may be that are no values of a `Study`: whole numbers, or texts; all others are true or false.
COUNTS = {
    "seeds": range(1, 1001),
    "pixel": range(10**9),
    "rounds": range(1, 101),
    "count": range(1, 10**6),
    "grid": range(3, 1000, 2),
    "nodes": range(3, 101),
    "iterations": range(6, 1001),
}
TEXTS = ("other_scene",)


def check_parameters(**given) -> None:
    """Raise ``ValueError`` for a parameter of a page that is of another type, as papermill's text is, or out of its range."""
    for name, value in given.items():
        counts, shown = COUNTS.get(name), f"{value!r:.80}"
        if counts is None and type(value) is not (str if name in TEXTS else bool):
            raise ValueError(f"{name} takes {'a text' if name in TEXTS else 'true or false'}, not {shown}")
        if counts is not None and (type(value) is not int or value not in counts):
            raise ValueError(f"{name} is one of {counts[0]}, {counts[1]}, ..., {counts[-1]}, not {shown}")


def glue(name: str, value) -> None:
    """Store a number, a text or a figure of a notebook for other pages; without myst-nb, do nothing."""
    try:
        from myst_nb import glue as store
    except ImportError:  # a hosted notebook service
        return
    store(name, value.item() if isinstance(value, np.generic) else value, display=False)


def answer(key: str, verdict: Verdict) -> str:
    """The verdict as Markdown; what the tables of claims show of it is stored under `key`."""
    shown = {"verdict": verdict.word, "here": verdict.here, "seeds": verdict.seeds_shown, "interval": verdict.interval}
    for part, text in shown.items():
        glue(f"{key}-{part}", text or "-")
    return f"**{verdict.word}**. {verdict.sentence[:1].upper()}{verdict.sentence[1:]}"


def not_yet(what: str) -> None:
    """Show a line in the place of a part that lacks `what`, with a link to what was run and what was not."""
    from IPython.display import Markdown, display

    display(Markdown(f"*Not run here: {what} on record yet ([what was run, and what is missing](../book/status.md)).*"))


def sweep(*groups: Mapping[str, Iterable[Study]], weights: Iterable[int] = ()) -> dict[Study, bool]:
    """The studies of groups in their order, and whether the trained weights are kept: those of the seeds in `weights`."""
    return {study: study.seed in weights for group in groups for studies in group.values() for study in studies}


def studies_of(changes: Mapping[str, dict], seeds: Iterable[int], without: Sequence[str] = (), **values) -> dict:
    """Lists of studies, one a seed, by the names of `changes`, which are values of `Study`, but for those named in `without`;
    other `values` are shared by all and override a change of the same name."""
    wanted = {name: change for name, change in changes.items() if name not in without}
    return {name: [Study(seed=seed, **{**change, **values}) for seed in seeds] for name, change in wanted.items()}


def by_folds(changes: Mapping[str, dict], seeds: Iterable[int], folds: int = 4, **values) -> dict[str, list[Study]]:
    """As `studies_of`, a study for every fold of every seed."""
    each = [studies_of(changes, [seed], fold=fold, **values) for seed in seeds for fold in range(folds)]
    return {name: [studies[name][0] for studies in each] for name in changes}


def pooled(records: Iterable[Record], score: str = "OA") -> dict[int, float]:
    """OA or AA in percent over the confusions of all folds together, by seed: every labelled pixel is tested once. A seed that
    lacks a fold is left out."""
    by_seed: dict[int, list[Record]] = {}
    for record in records:
        by_seed.setdefault(record.study.seed, []).append(record)
    sums = {
        seed: np.sum([each.confusion for each in own], 0) for seed, own in by_seed.items() if len(own) == own[0].study.folds
    }
    if score == "OA":
        return {seed: float(100 * np.trace(confusion) / confusion.sum()) for seed, confusion in sums.items()}
    return {seed: float(100 * np.mean(np.diag(confusion) / confusion.sum(1))) for seed, confusion in sums.items()}


# The headline's runs, which its page and the leakage audit show.
REFERENCE = sweep(
    studies_of(COMPARED, range(5), [RANDOM]),
    studies_of(COMPARED, range(3)),
    studies_of(COMPARED, range(3), [RANDOM], split="block"),
    weights=[0],
)


def on_shared_seeds(groups: Mapping[str, Sequence[Record]]) -> dict[str, list[Record]]:
    """The records of the seeds that every group with records has: where a split has few blocks, methods can be compared on the
    same ones only. Without such a seed, all records."""
    ran = [{record.study.seed for record in records} for records in groups.values() if records]
    shared = set.intersection(*ran) if ran else set()
    return {
        name: [record for record in records if not shared or record.study.seed in shared] for name, records in groups.items()
    }


def over_seeds(records: Sequence[Record], column: str = "OA", index: str = "labels") -> pd.DataFrame:
    """A column of the cycles of records, by seed (columns), over another column of the cycles (rows); unscored cycles are left
    out."""
    return pd.DataFrame({record.study.seed: record.cycles.set_index(index)[column].dropna() for record in records})


def to_level(left: Sequence[Record], right: Sequence[Record], index: str = "labels") -> tuple[dict, dict]:
    """Where over `index`, a column of the cycles, OA first is at most one point below the lower of the two ends, by seed."""
    looks = [over_seeds(records, index=index) for records in (left, right)]
    if any(each.empty for each in looks):
        return {}, {}
    levels = pd.concat([each.ffill().iloc[-1] for each in looks], axis=1, join="inner").min(axis=1) - 1
    first, second = ((each[levels.index] >= levels).idxmax() for each in looks)
    return first.to_dict(), second.to_dict()


def curves_by_panel(
    curves: dict[str, dict[str, pd.DataFrame]],
    x: str | list[str],
    y: str | list[str],
    *,
    columns=2,
    log=False,
    share_y=True,
    named=True,
) -> Figure:
    """Panels by title with curves by name: the mean over seeds, and a band of one standard deviation.

    A curve is a table with a row for each x (its index) and a column for each seed; a legend says which are empty. `x` and `y`
    name the axes, all alike or one a panel; `log` puts x on a logarithmic scale. Curves have their names at their ends, or with
    ``named=False`` none, for a caller that adds marks and a legend.
    """
    width, height = {1: (8, 5.2), 2: (9, 3.8)}.get(columns, (10, 2.6))
    figure, axes = panels(width, height, len(curves), columns, sharey=share_y)
    styles = line_styles(dict.fromkeys(name for panel in curves.values() for name in panel))
    for number, (axis, (title, panel)) in enumerate(zip(axes, curves.items(), strict=True)):
        for name, runs in panel.items():
            if runs.empty:
                elsewhere = any(name in other and not other[name].empty for other in curves.values())
                not_run(axis, f"{name}, {title}" if elsewhere else name)
            else:
                draw_mean(axis, runs, label=name, ms=5 if columns < 3 else 3, **styles[name])
        axis.set(title=title, xlabel=x if isinstance(x, str) else x[number], ylabel=y if isinstance(y, str) else y[number])
        if log:
            axis.set_xscale("log")
            ticks = sorted({round(at) for runs in panel.values() for at in runs.index})
            axis.set_xticks(ticks, map(str, ticks))
            axis.minorticks_off()
        else:
            axis.locator_params(axis="x", nbins=5)
    if named:
        name_curves(figure, axes)
    return figure


def ends_of(axes: Iterable[Axes], where: str = "at the end", form: str = "{:.1f} %") -> str:
    """Which curve is highest and which is lowest at its end in each of the panels, for a caption."""
    said = []
    for axis in axes:
        drawn = {str(line.get_label()): np.asarray(line.get_ydata(), dtype=float) for line in axis.lines}
        ends = {
            name: y[np.isfinite(y)][-1]
            for name, y in drawn.items()
            if np.isfinite(y).any() and not name.startswith(("_", "the paper"))
        }
        ranked = [f"{name} ({form.format(ends[name])})" for name in sorted(ends, key=lambda name: -ends[name])]
        if len(ranked) > 1:
            text = f"{where}, {ranked[0]} is highest and {ranked[-1]} lowest"
        else:
            text = f"{where}, {ranked[0]}" if ranked else "no run is on record yet"
        title = axis.get_title()
        text = f"{title}: {text}" if title else text
        said.append(f"{text[:1].upper()}{text[1:]}.")
    return " ".join(said)


def extremes(values: pd.DataFrame, what: str, form: str = "{:.2f} %") -> str:
    """Which of the rows has the highest mean over its columns, the seeds, and which the lowest, for a caption."""
    means = values.mean(axis=1).dropna().sort_values()
    if means.empty:
        return "No run is on record yet."
    low, *_, high = [f"{name} ({form.format(mean)})" for name, mean in [*means.items()][:1] + [*means.items()][-1:]]
    return f"{what} is highest for {high} and lowest for {low}." if len(means) > 1 else f"{what}: {high}."


def seeds_by_row(
    measures: dict[str, pd.DataFrame], rows: str, *, intervals=None, published=None, highlighted=None, noise=0.0, ordered=True
) -> Figure:
    """Names by row, called `rows`, and measures by panel: seeds as dots, their mean as a diamond.

    A measure is a table with a row for each name and a column for each seed (NaN: not run). `intervals` are tables by measure
    as `t_intervals` makes them; `published` are the paper's values by name, shown in the first panel; `highlighted` are colours
    by name; `noise` is half the width of a grey band around zero. Rows are in the order of their means in the first panel, the
    highest above, or with ``ordered=False`` as they are.
    """
    means = next(iter(measures.values())).mean(axis=1)
    order = means.sort_values().index if ordered else means.index[::-1]
    width, height = 10 if len(measures) > 1 else 8, 0.36 * len(order) + 1.6
    figure, axes = panels(width, height, len(measures), sharey=True)
    at, colours = np.arange(len(order)), [(highlighted or {}).get(name, PALETTE[0]) for name in order]
    for axis, (measure, table) in zip(axes, measures.items(), strict=True):
        table = table.reindex(order)
        if noise:
            axis.axvspan(-noise, noise, color="#DDDDDD", lw=0, label="one standard error of the default")
        if (table < 0).any(axis=None):
            axis.axvline(0, color="#000000", lw=1)
        if intervals:
            interval = intervals[measure].reindex(order)
            axis.hlines(at, interval.low, interval.high, color=colours, lw=2, label="95 % interval")
        for seed in table:
            axis.scatter(table[seed], at, s=18, c=colours, alpha=0.5, label="one seed")
        axis.scatter(table.mean(axis=1), at, marker="D", s=40, c=colours, zorder=3, label="mean")
        axis.set_xlabel(measure)
    if published:
        paper = pd.Series(published, dtype=float).reindex(order)
        axes[0].scatter(paper, at, marker="s", s=60, facecolors="none", edgecolors="#000000", zorder=4, label="the paper")
    axes[0].set_yticks(at, order)
    axes[0].set(ylim=(-0.6, len(order) - 0.4), ylabel=rows)
    one_legend(figure, axes, 5, above=True)
    return figure


def scores_by_cost(table: pd.DataFrame, score: str, costs: Mapping[str, str], paper: str = "") -> Figure:
    """A column of scores over columns of costs, on logarithmic scales: a number marks a row, and the legend names it.

    `costs` names the axes by column. The column `paper`, where there is one, stands beside the scores as hollow squares.
    """
    figure, axes = panels(10, 5.6, len(costs), sharey=True)
    for axis, (cost, label) in zip(axes, costs.items(), strict=True):
        for number, (name, row) in enumerate(table.iterrows(), 1):
            colour = PALETTE[3] if name.startswith("CPDGAL") else PALETTE[0]
            axis.plot(row[cost], row[score], "o", ms=15, color=colour, alpha=0.35)
            axis.plot([], [], ls="", marker=f"${number}$", ms=9, mfc="none", color="#000000", label=name)
            for column in filter(None, (score, paper)):
                axis.annotate(str(number), (row[cost], row[column]), ha="center", va="center", fontsize=9)
        if paper:
            axis.plot(table[cost], table[paper], "s", ms=13, mfc="none", color="#000000", label="the paper")
        axis.set(xscale="log", xlabel=label)
        axis.margins(0.08)
    axes[0].set_ylabel(score)
    one_legend(figure, axes, 4)
    return figure


def t_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """The 95 % interval of each row's mean over seeds by Student's t, `low` and `high`; NaN for fewer than three seeds."""
    count = table.count(axis=1)
    reach = stats.t.ppf(0.975, (count - 1).where(count > 2)) * table.std(axis=1) / np.sqrt(count)
    return pd.DataFrame({"low": table.mean(axis=1) - reach, "high": table.mean(axis=1) + reach})
