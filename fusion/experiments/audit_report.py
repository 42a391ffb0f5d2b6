"""Page of an audit: conclusions, tables and a picture."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fusion.baselines.models import COUNTS
from fusion.data.expression_samples import ORDINARY, WITHOUT
from fusion.experiments.audit import (
    EXPRESSION,
    LOCATED_SOURCES,
    PERMUTED,
    PERMUTED_SOURCES,
    SOURCES,
    Audit,
)
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.io import write_folder, write_text, write_tsv
from mirnagraph.runs.markdown import bullets, join_blocks, save_figure, section
from mirnagraph.runs.markdown import finite_or_dash as cell
from mirnagraph.runs.markdown import page as markdown_page
from mirnagraph.runs.markdown import table as markdown_table
from mirnagraph.writing.contents import AUDIT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEAR_IDENTICAL = 0.8
"""Jaccard index or phi above which two compartments count as nearly the same label."""

NOTABLE = 0.01
"""Difference of AUC that is worth a remark."""

NOTABLE_AUC = 0.55
"""AUC above which a source that should not predict labels counts as an artefact."""

SHORT = {
    "popularity": "counts",
    "names": "names",
    "popularity_and_name": "counts and names",
    "sequence": "sequence",
    "relatives": "relatives' counts",
    "matching": "kind of match",
    "trees": "full model (trees)",
}


def conclusions(audit: Audit) -> list[str]:
    """Sentences on the values of an audit; every number and judgement is computed."""
    lines = [
        _permutation(audit),
        _counts(audit),
        _few_counts(audit),
        _names(audit),
        _sequence(audit),
        _families(audit),
        *_duplicates(audit),
        _matching(audit),
        _compartments(audit),
        _unannotated(audit),
        _correlations(audit),
        _expression(audit),
        *audit.notes,
    ]
    return [line for line in lines if line]


def _permutation(audit: Audit) -> str:
    bound = 3 * audit.value("permutation", "chance", "standard error of an AUC")
    aucs = {SHORT[name]: _permuted_auc(audit, name) for name in PERMUTED_SOURCES}
    values = ", ".join(f"{name} {cell(auc)}" for name, auc in aucs.items())
    chance = f"chance: 0.5 ± {cell(bound)}"
    if all(abs(auc - 0.5) <= bound for auc in aucs.values()):
        return f"With permuted labels every AUC is at chance ({values}; {chance}): no label leaks."
    return (
        f"**With permuted labels an AUC is not at chance ({values}; {chance}): look for a leak.**"
    )


def _permuted_auc(audit: Audit, name: str) -> float:
    return audit.value("permutation", name, "AUC", split=PERMUTED, rnas="all", compartment=AVERAGE)


def _counts(audit: Audit) -> str:
    counts = audit.auc("popularity")
    full = audit.auc("trees")
    reached = (
        f"The number of partners alone reaches AUC {cell(counts)}, the full model {cell(full)}."
    )
    if not full > 0.5:
        return f"{reached} The full model is not above chance."
    share = (counts - 0.5) / (full - 0.5)
    within = cell(audit.auc("trees", measure="within"))
    return (
        f"{reached} That is {share:.0%} of the full model's AUC above chance. Among RNAs of equal "
        f"popularity the full model has AUC {within}."
    )


def _few_counts(audit: Audit) -> str:
    rows = audit.section("few counts", compartment=AVERAGE, measure="AUC", split="random")
    rows = rows[rows["rnas"] == "all"]
    values = [f"{_kinds(n)} {cell(v)}" for n, v in zip(rows["subject"], rows["value"], strict=True)]
    if not values:
        return ""
    return f"Logistic regression on one or two counts, AUC: {'; '.join(values)}."


def _kinds(name: str) -> str:
    """Kinds of association from the name of a model of `few_counts_names`."""
    return name.removeprefix(COUNTS).replace("+", " and ")


def _names(audit: Audit) -> str:
    names = audit.auc("names")
    counts = audit.auc("popularity")
    both = audit.auc("popularity_and_name")
    values = (
        f"AUC {cell(names)}; added to counts they change the AUC from {cell(counts)} to "
        f"{cell(both)}"
    )
    if names > NOTABLE_AUC or both - counts > NOTABLE:
        return (
            f"Names alone predict labels ({values}). This is an artefact, since a name is no "
            "property of the molecule: no model may read names."
        )
    return f"Names alone do not predict labels ({values})."


def _sequence(audit: Audit) -> str:
    random = audit.auc("sequence")
    family = audit.auc("sequence", "family")
    full = audit.auc("trees")
    line = f"Sequence alone reaches AUC {cell(random)} on random folds"
    if np.isfinite(family):
        line += f" and {cell(family)} on family-grouped folds"
    line += f" (full model, random folds: {cell(full)})."
    if random - family > NOTABLE and random > 0.5:
        share = min(1.0, (random - family) / (random - 0.5))
        line += f" {share:.0%} of its AUC above chance comes from relatives in the training part."
    return line


def _families(audit: Audit) -> str:
    random = audit.auc("trees")
    family = audit.auc("trees", "family")
    if not np.isfinite(family):
        return ""
    random_aupr = audit.auc("trees", measure="AUPR")
    family_aupr = audit.auc("trees", "family", measure="AUPR")
    values = (
        f"AUC {cell(random)} vs {cell(family)}, AUPR {cell(random_aupr)} vs {cell(family_aupr)}"
    )
    if random - family > NOTABLE:
        return (
            f"Random folds overestimate the AUC of the full model by {cell(random - family)} "
            f"compared with family-grouped folds: {values}."
        )
    return f"Random and family-grouped folds give the full model nearly the same AUC: {values}."


def _duplicates(audit: Audit) -> list[str]:
    shared = {
        "sequence": "the same sequence as another id",
        "mature": "a mature sequence in common with another id",
    }
    lines = []
    for name, what in shared.items():
        value = partial(audit.value, "duplicates", name, split="random", rnas="all")
        n_pairs = value("pairs")
        if not n_pairs >= 1:
            continue
        n_apart = value("pairs apart")
        same = value("same labels")
        any_two = value("same labels, any two RNAs")
        line = (
            f"{value('rnas'):.0f} ids have {what} ({n_pairs:.0f} pairs). A random split tests "
            f"{n_apart:.0f} of these pairs ({n_apart / n_pairs:.0%}) in different folds. "
            f"{same:.0%} of them have exactly the same compartments (any two RNAs: {any_two:.0%})"
        )
        lines.append(f"{line}: one id reveals the other." if same > any_two + 0.1 else f"{line}.")
    return lines or ["No two ids share a sequence."]


def _matching(audit: Audit) -> str:
    matching = audit.auc("matching")
    relatives = audit.auc("relatives")
    counts = audit.auc("popularity")
    n_kinds = audit.section("matching")["subject"].nunique()
    judged = "That does not predict labels."
    if matching > NOTABLE_AUC:
        judged = "That predicts labels: a feature that reveals it is an artefact."
    return (
        f"How an id was matched to its sequence ({n_kinds} kinds, with a missing sequence as one) "
        f"reaches AUC {cell(matching)} alone. {judged} The counts of relatives (token "
        f"`relatives`) reach {cell(relatives)} alone, counts {cell(counts)}."
    )


def _compartments(audit: Audit) -> str:
    rows = audit.section("compartments")
    pairs = []
    for subject, part in rows[rows["value"] > NEAR_IDENTICAL].groupby("subject", sort=False):
        measures = zip(part["measure"], part["value"], strict=True)
        values = ", ".join(f"{measure} {cell(value)}" for measure, value in measures)
        pairs.append(f"{subject} ({values})")
    if pairs:
        return (
            f"Nearly the same label: {'; '.join(pairs)}. An average over compartments counts such "
            "a pair twice."
        )
    return (
        "No two compartments are nearly the same label (no Jaccard index or phi above "
        f"{NEAR_IDENTICAL})."
    )


def _unannotated(audit: Audit) -> str:
    n = audit.n_rnas - audit.n_located
    if not n:
        return ""
    line = (
        f"{n} of {audit.n_rnas} RNAs ({n / audit.n_rnas:.0%}) have no annotation and count as "
        "negatives of every compartment."
    )
    changes = []
    for name in LOCATED_SOURCES:
        without = audit.auc(name, rnas="located")
        if np.isfinite(without):
            changes.append(f"{SHORT[name]} {cell(audit.auc(name))} to {cell(without)}")
    if not changes:
        return line
    judged = "they make little difference"
    if audit.auc("trees") - audit.auc("trees", rnas="located") > NOTABLE:
        judged = "they are easy negatives, which raise the AUC"
    return f"{line} Leaving them out changes the AUC: {'; '.join(changes)}: {judged}."


def _correlations(audit: Audit) -> str:
    rows = audit.section("counts")
    rows = rows[np.isfinite(rows["value"])]
    values = [f"{s} {cell(v)}" for s, v in zip(rows["subject"], rows["value"], strict=True)]
    if not values:
        return ""
    return (
        "Rank correlation of an RNA's number of partners with its number of compartments: "
        f"{', '.join(values)}."
    )


def expression_values(audit: Audit, measure: str) -> dict[str, float]:
    """Value of the full model by samples of expression, random folds of all RNAs.

    Empty for a dataset without expression.
    """
    rows = audit.section(EXPRESSION, compartment=AVERAGE, measure=measure)
    values = dict(zip(rows["subject"], rows["value"], strict=True))
    if not values:
        return {}
    without = values.pop(WITHOUT)
    return {WITHOUT: without, ORDINARY: audit.auc("trees", measure=measure), **values}


def _expression(audit: Audit) -> str:
    values = expression_values(audit, "AUC")
    if not values:
        return ""
    without = values.pop(WITHOUT)
    ordinary = values.pop(ORDINARY)
    line = (
        f"Expression changes the AUC of the full model from {cell(without)} to {cell(ordinary)} "
        "(ordinary samples; what published models without expression may be compared with is the "
        "first)."
    )
    if not values:
        return line
    others = "; ".join(f"{name} {cell(auc)}" for name, auc in values.items())
    nearest = max(abs(auc - ordinary) for auc in values.values())
    judged = "the samples near the labels make little difference"
    if nearest > NOTABLE:
        judged = "the samples near the labels matter: keep them out"
    return f"{line} With other samples: {others}: {judged}."


def _expression_table(audit: Audit) -> str:
    """Full model by samples of expression: AUC, AUPR and within."""
    measures = ("AUC", "AUPR", "within")
    columns = [expression_values(audit, measure) for measure in measures]
    if not columns[0]:
        return ""
    rows = []
    for name in columns[0]:
        values = [column.get(name, np.nan) for column in columns]
        rows.append([name, *map(cell, values)])
    about = (
        "The full model (trees) by the samples of expression that it reads, random folds of all "
        "RNAs."
    )
    return join_blocks(about, markdown_table(["samples", *measures], rows))


def _protocols(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Split and RNAs of every protocol, in order."""
    return list(dict.fromkeys(zip(rows["split"], rows["rnas"], strict=True)))


def _header(first: str, protocols: list[tuple[str, str]]) -> list[str]:
    return [first, *map(", ".join, protocols)]


def source_rows(audit: Audit) -> tuple[list[str], list[list[str]]]:
    """Header and cells: AUC of every source on every protocol."""
    protocols = _protocols(audit.section("sources"))
    rows = []
    for name in SOURCES:
        aucs = [audit.auc(name, split, rnas) for split, rnas in protocols]
        rows.append([SHORT[name], *map(cell, aucs)])
    return _header("source", protocols), rows


def page(audit: Audit) -> str:
    """The whole audit as Markdown."""
    about = (
        "AUC / AUPR: means over folds and compartments; third value: AUC among RNAs of equal "
        "popularity (pooled). `all`: RNAs without any annotation count as negatives; `located`: "
        "they are left out; `family`: family-grouped folds."
    )
    matching = audit.section("matching").pivot_table(
        index="subject", columns="measure", values="value", sort=False
    )
    kinds = [
        [kind, f"{row['n']:.0f}", f"{row['compartments']:.2f}", f"{row['unannotated']:.0%}"]
        for kind, row in matching.iterrows()
    ]
    kinds_header = ["kind", "RNAs", "compartments per RNA", "without any"]
    return markdown_page(
        f"Audit of {audit.dataset}",
        f"{audit.n_rnas} RNAs, {audit.n_located} of them with at least one compartment.",
        section("Conclusions", bullets(conclusions(audit)), "![AUC of each source](audit.png)"),
        section(
            "Metrics of each source alone",
            _source_table(audit),
            about,
            bullets(f"{SHORT[name]}: {what}" for name, what in SOURCES.items()),
        ),
        _few_counts_section(audit),
        join_blocks(audit.leakage, _expression_table(audit)),
        section("Matching of ids to sequences", markdown_table(kinds_header, kinds)),
        "All values are in audit.tsv.",
        synthetic=audit.synthetic,
    )


def _source_table(audit: Audit) -> str:
    """AUC / AUPR and within of every source on every protocol."""
    protocols = _protocols(audit.section("sources"))
    header, rows = source_rows(audit)
    for name, row in zip(SOURCES, rows, strict=True):
        for column, (split, rnas) in enumerate(protocols, 1):
            if row[column] != "-":
                aupr = cell(audit.auc(name, split, rnas, "AUPR"))
                within = cell(audit.auc(name, split, rnas, "within"))
                row[column] = f"{row[column]} / {aupr} · {within}"
    return markdown_table(header, rows)


def _few_counts_section(audit: Audit) -> str:
    """Metrics of logistic regression on the counts of one or two kinds of association."""
    table = audit.section("few counts", compartment=AVERAGE)
    if table.empty:
        return ""
    protocols = _protocols(table)
    rows = []
    for name in table["subject"].unique():
        value = partial(audit.value, "few counts", name, compartment=AVERAGE)
        cells = [
            f"{cell(value('AUC', split=split, rnas=rnas))} / "
            f"{cell(value('AUPR', split=split, rnas=rnas))}"
            for split, rnas in protocols
        ]
        rows.append([_kinds(name), *cells])
    about = "Logistic regression on an RNA's number of partners, AUC / AUPR."
    return section(
        "Models of one or two counts", about, markdown_table(_header("counts of", protocols), rows)
    )


def draw(audit: Audit) -> Figure:
    """AUC of every source, on random and on family-grouped folds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axis = figure.subplots()
    names = list(SOURCES)
    places = np.arange(len(names))
    for split, marker in (("random", "o"), ("family", "s")):
        values = np.array([audit.auc(name, split) for name in names])
        if np.isfinite(values).any():
            axis.plot(values, places, marker, label=f"{split} folds")
    permuted = _permuted_auc(audit, "trees")
    axis.plot([permuted], [names.index("trees")], "x", color="0.4", label="permuted labels")
    axis.axvline(0.5, color="0.6", linestyle=":")
    axis.set(
        xlabel="AUC, mean over folds and compartments",
        yticks=places,
        yticklabels=[SHORT[name] for name in names],
        xlim=(0.4, 1.0),
    )
    axis.invert_yaxis()
    figure.legend(fontsize="small", loc="outside upper center", ncols=3)
    return figure


def write_audit(audit: Audit, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write ``audit.md``, ``audit.tsv`` and ``audit.png``, all or nothing.

    Raises:
        InputError: the folder is not empty, and `overwrite` is not set.
    """
    with write_folder(folder, overwrite=overwrite, content=AUDIT) as out:
        write_text(out / "audit.md", page(audit))
        write_tsv(audit.values, out / "audit.tsv")
        save_figure(draw(audit), out / "audit.png")
