"""The page an audit writes: conclusions in plain words computed from its figures, tables, and one picture."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fusion.baselines.models import COUNTS
from fusion.experiments.audit import PERMUTED, SOURCES, Audit
from mirnagraph.io import write_folder, write_text, write_tsv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEARLY_SAME = 0.8

WORTH_SAYING = 0.01

SHORT = {
    "popularity": "counts", "names": "names", "popularity_and_name": "counts and names", "sequence": "sequence", "relatives": "relatives' counts",
    "matching": "kind of match", "trees": "full model (trees)",
}  # fmt: skip


def conclusions(audit: Audit) -> list[str]:
    """What the figures say, one sentence or two each; every number and every judgement is computed."""
    lines = [
        _permutation(audit),
        _counts(audit),
        _fewer_counts(audit),
        _names(audit),
        _sequence(audit),
        _families(audit),
        *_duplicates(audit),
        _matching(audit),
    ]
    lines += [_compartments(audit), *_unannotated(audit), _correlations(audit), *audit.notes]
    return [line for line in lines if line]


def _permutation(audit: Audit) -> str:
    uncertainty = audit.value("permutation", "chance", "standard error of an AUC")
    found = {
        n: audit.value("permutation", n, "AUC", split=PERMUTED, rnas="all", compartment="average")
        for n in ("trees", "sequence", "popularity")
    }
    said = ", ".join(f"{SHORT[name]} {_f(value)}" for name, value in found.items())
    fell = all(abs(value - 0.5) <= 3 * uncertainty for value in found.values())
    if fell:
        return f"With the labels shuffled over the RNAs every AUC falls to chance ({said}; .5 ± {_f(3 * uncertainty)} is chance), as it must: no label leaks."
    return f"**With the labels shuffled over the RNAs an AUC does not fall to chance ({said}; .5 ± {_f(3 * uncertainty)} is chance): look for a leak.**"


def _share(part: float, whole: float) -> float:
    """Share of what a model knows above chance that a part of it knows."""
    return (part - 0.5) / (whole - 0.5) if whole > 0.5 else float("nan")


def _counts(audit: Audit) -> str:
    counts = audit.auc("popularity")
    full = audit.auc("trees")
    share = _share(counts, full)
    known = f"Counting an RNA's partners, and nothing else, reaches AUC {_f(counts)}; the full model reaches {_f(full)}."
    inside = f" Among equally well studied RNAs the full model has an AUC of {_f(audit.auc('trees', measure='within'))}."
    if not np.isfinite(share):
        return f"{known} The full model is not above chance."
    much = "Most" if share > 0.75 else "A good part" if share > 0.4 else "Little"
    return f"{known} {much} of what the model knows above chance ({share:.0%}) is how well studied an RNA is.{inside}"


def _fewer_counts(audit: Audit) -> str:
    made = audit.figures[
        (audit.figures["section"] == "few counts")
        & (audit.figures["compartment"] == "average")
        & (audit.figures["measure"] == "AUC")
    ]
    made = made[(made["split"] == "random") & (made["rnas"] == "all")]
    said = [
        f"{_kinds(name)} {_f(value)}"
        for name, value in zip(made["subject"], made["value"], strict=True)
    ]
    return f"Logistic regression on a few counts, AUC: {'; '.join(said)}." if said else ""


def _kinds(name: str) -> str:
    return name.removeprefix(COUNTS).replace("+", " and ")


def _names(audit: Audit) -> str:
    names = audit.auc("names")
    counts = audit.auc("popularity")
    both = audit.auc("popularity_and_name")
    added = f"added to counts they change the AUC from {_f(counts)} to {_f(both)}"
    if names > 0.55 or both - counts > WORTH_SAYING:
        return f"Names alone predict labels (AUC {_f(names)}; {added}): an artefact, since a name is no property of the molecule. No model may read names."
    return f"Names alone say next to nothing (AUC {_f(names)}; {added})."


def _sequence(audit: Audit) -> str:
    random = audit.auc("sequence")
    family = audit.auc("sequence", "family")
    full = audit.auc("trees")
    apart = f", {_f(family)} with families kept apart" if np.isfinite(family) else ""
    lost = np.isfinite(family) and random - family > WORTH_SAYING and random > 0.5
    same_type = (
        f" {min(1.0, (random - family) / (random - 0.5)):.0%} of what it knows above chance comes from relatives in the training part."
        if lost
        else ""
    )
    return f"Sequence alone reaches AUC {_f(random)}{apart} (full model {_f(full)}).{same_type}"


def _families(audit: Audit) -> str:
    random = audit.auc("trees")
    family = audit.auc("trees", "family")
    if not np.isfinite(family):
        return ""
    figures = f"AUC {_f(random)} on random folds and {_f(family)} with families kept apart (AUPR {_f(audit.auc('trees', measure='AUPR'))} and "
    figures += f"{_f(audit.auc('trees', 'family', measure='AUPR'))})"
    if random - family > WORTH_SAYING:
        return f"Keeping families apart costs the full model {_f(random - family)} AUC: {figures}. Random folds flatter a model by that much."
    return f"Keeping families apart costs the full model nothing to speak of: {figures}."


def _duplicates(audit: Audit) -> list[str]:
    lines = []
    for name, what in (
        ("sequence", "the same sequence as another id"),
        ("mature", "a mature sequence in common with another id"),
    ):
        rnas, pairs, apart, same, usual = (
            audit.value("duplicates", name, m, split="random", rnas="all")
            for m in ("rnas", "pairs", "pairs apart", "same labels", "same labels, any two RNAs")
        )
        if not pairs >= 1:
            continue
        line = f"{rnas:.0f} ids have {what} ({pairs:.0f} pairs); a random split tests {apart:.0f} of these pairs in different folds ({apart / pairs:.0%})."
        alike = (
            f" {same:.0%} of them have exactly the same compartments (any two RNAs: {usual:.0%})"
        )
        lines.append(
            f"{line}{alike}{', so one id gives the other away.' if same > usual + 0.1 else '.'}"
        )
    return lines or ["No two ids share a sequence."]


def _matching(audit: Audit) -> str:
    matching = audit.auc("matching")
    relatives = audit.auc("relatives")
    counts = audit.auc("popularity")
    kinds = int((audit.figures["section"] == "matching").sum() // 3)
    judged = (
        "That predicts labels, so a feature that shows it is an artefact."
        if matching > 0.55
        else "That says next to nothing."
    )
    line = f"How an id was matched to its sequence ({kinds} kinds, a missing sequence among them) reaches AUC {_f(matching)} alone. {judged}"
    more = f" The counts of relatives (the token `relatives`) reach {_f(relatives)} alone, counts {_f(counts)}."
    return line + more


def _compartments(audit: Audit) -> str:
    pairs = audit.figures[
        (audit.figures["section"] == "compartments") & (audit.figures["value"] > NEARLY_SAME)
    ]
    named = []
    for subject, part in pairs.groupby("subject", sort=False):
        named.append(
            f"{subject} ({', '.join(f'{m} {_f(v)}' for m, v in zip(part['measure'], part['value'], strict=True))})"
        )
    if named:
        return f"Nearly the same label: {'; '.join(named)}. A score over compartments counts such a pair twice."
    return f"No two compartments are nearly the same label (no Jaccard index or phi above {NEARLY_SAME})."


def _unannotated(audit: Audit) -> list[str]:
    n = audit.n_rnas - audit.n_located
    if not n:
        return []
    line = f"{n} of {audit.n_rnas} RNAs ({n / audit.n_rnas:.0%}) have no annotation at all and count as negatives of every compartment"
    changes = [
        (name, audit.auc(name), audit.auc(name, rnas="located"))
        for name in ("trees", "popularity", "popularity_and_name")
    ]
    known = [
        f"{SHORT[name]} {_f(one)} to {_f(other)}"
        for name, one, other in changes
        if np.isfinite(other)
    ]
    if not known:
        return [f"{line}."]
    loss = changes[0][1] - changes[0][2]
    judged = (
        "they are easy negatives, and whoever counts them looks better"
        if loss > WORTH_SAYING
        else "they make no difference to speak of"
    )
    return [f"{line}. Leaving them out changes the AUC: {'; '.join(known)}: {judged}."]


def _correlations(audit: Audit) -> str:
    rows = audit.figures[audit.figures["section"] == "counts"]
    known = [
        f"{subject} {_f(value)}"
        for subject, value in zip(rows["subject"], rows["value"], strict=True)
        if np.isfinite(value)
    ]
    return (
        f"Rank correlation of an RNA's number of partners with its number of compartments: {', '.join(known)}."
        if known
        else ""
    )


def source_rows(audit: Audit) -> tuple[list[str], list[list[str]]]:
    """Header and cells: AUC of every source on every protocol."""
    made = audit.figures[audit.figures["section"] == "sources"]
    protocols = list(dict.fromkeys(zip(made["split"], made["rnas"], strict=True)))
    rows = [
        [SHORT[name], *(_f(audit.auc(name, split, rnas)) for split, rnas in protocols)]
        for name in SOURCES
    ]
    return ["source", *(f"{split}, {rnas}" for split, rnas in protocols)], rows


def page(audit: Audit) -> str:
    """The whole audit as Markdown."""
    lines = [f"# Audit of {audit.dataset}", ""]
    if audit.synthetic:
        lines += [
            "**Made-up data**: this page shows how the audit works. Its figures say nothing about biology.",
            "",
        ]
    lines += [
        f"{audit.n_rnas} RNAs, {audit.n_located} of them with at least one compartment.",
        "",
        "## In plain words",
        "",
    ]
    lines += [f"- {line}" for line in conclusions(audit)]
    lines += ["", "![AUC of each source](audit.png)", "", "## What each source alone reaches", ""]
    header, rows = _measured(audit)
    lines += [
        "| " + " | ".join(header) + " |",
        "|---|" + "---|" * (len(header) - 1),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]
    lines += [
        "AUC / AUPR as means over folds and compartments · AUC among equally well studied RNAs (pooled). `all`: RNAs without any annotation"
    ]
    lines += [
        "count as negatives; `located`: they are left out; `family`: relatives are never on both sides of a split.",
        "",
    ]
    lines += [f"- {SHORT[name]}: {what}" for name, what in SOURCES.items()]
    lines += ["", *_few_counts(audit)]
    kinds = audit.figures[audit.figures["section"] == "matching"].pivot_table(
        index="subject", columns="measure", values="value", sort=False
    )
    lines += [
        "",
        "## How ids were matched to sequences",
        "",
        "| kind | RNAs | compartments per RNA | without any |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {kind} | {row['n']:.0f} | {row['compartments']:.2f} | {row['unannotated']:.0%} |"
        for kind, row in kinds.iterrows()
    ]
    lines += ["", "Every figure stands in audit.tsv.", ""]
    return "\n".join(lines)


def _few_counts(audit: Audit) -> list[str]:
    """Table: how far logistic regression gets on the counts of one or two kinds of association."""
    made = audit.figures[
        (audit.figures["section"] == "few counts") & (audit.figures["compartment"] == "average")
    ]
    if made.empty:
        return []
    protocols = list(dict.fromkeys(zip(made["split"], made["rnas"], strict=True)))
    lines = [
        "## How far a few counts go",
        "",
        "Logistic regression on how many partners an RNA has, AUC / AUPR.",
        "",
    ]
    lines += [
        "| counts of | " + " | ".join(f"{split}, {rnas}" for split, rnas in protocols) + " |",
        "|---|" + "---|" * len(protocols),
    ]
    for name in made["subject"].unique():
        value = partial(audit.value, "few counts", name, compartment="average")
        cells = [
            f"{_f(value('AUC', split=split, rnas=rnas))} / {_f(value('AUPR', split=split, rnas=rnas))}"
            for split, rnas in protocols
        ]
        lines.append(f"| {_kinds(name)} | " + " | ".join(cells) + " |")
    return lines


def _measured(audit: Audit) -> tuple[list[str], list[list[str]]]:
    header, rows = source_rows(audit)
    protocols = [tuple(cell.split(", ")) for cell in header[1:]]
    for row, name in zip(rows, SOURCES, strict=True):
        for k, (split, rnas) in enumerate(protocols, 1):
            if row[k] != "-":
                row[k] += (
                    f" / {_f(audit.auc(name, split, rnas, 'AUPR'))} · {_f(audit.auc(name, split, rnas, 'within'))}"
                )
    return header, rows


def draw(audit: Audit) -> Figure:
    """AUC of every source, on random folds and with families kept apart."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axis = figure.subplots()
    names = list(SOURCES)
    place = np.arange(len(SOURCES))
    for split, marker, label in (
        ("random", "o", "random folds"),
        ("family", "s", "families kept apart"),
    ):
        values = np.array([audit.auc(name, split) for name in names])
        if np.isfinite(values).any():
            axis.plot(values, place, marker, label=label)
    permuted = audit.value(
        "permutation", "trees", "AUC", split=PERMUTED, rnas="all", compartment="average"
    )
    axis.plot([permuted], [names.index("trees")], "x", color="0.4", label="labels shuffled")
    axis.axvline(0.5, color="0.6", linestyle=":")
    axis.set(
        xlabel="AUC, mean over folds and compartments",
        yticks=place,
        yticklabels=[SHORT[name] for name in names],
        xlim=(0.4, 1.0),
    )
    axis.invert_yaxis()
    figure.legend(fontsize="small", loc="outside upper center", ncols=3)
    return figure


def write_audit(audit: Audit, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write ``audit.md``, ``audit.tsv`` and ``audit.png``, all or nothing.

    Raises:
        InputError: the folder holds something, and `overwrite` is not set.
    """
    with write_folder(folder, overwrite=overwrite) as out:
        write_text(out / "audit.md", page(audit))
        write_tsv(audit.figures, out / "audit.tsv")
        draw(audit).savefig(out / "audit.png", format="png", dpi=110, metadata={"Software": None})


def _f(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "-"
