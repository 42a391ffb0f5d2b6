"""Public benchmark of 1,041 human miRNAs and seven compartments, joined with its databases."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mirnagraph.dataset import BENCHMARK_COMPARTMENTS, LEFT_OUT_COLUMNS, PAIR, Dataset
from mirnagraph.errors import InputError
from mirnagraph.measurements import Measurement
from mirnagraph.names import MirbaseNames
from mirnagraph.reading.table import read_rows, read_table
from mirnagraph.sources import evidence, expression, hmdd, mesh, mirbase, mirtarbase, ncdr
from mirnagraph.sources.assemble import left_out_rows, rna_table
from mirnagraph.sources.delimited import read_binary

NEEDED = {
    "ids": "mirna1041/miRNA_ID_1041.txt",
    "labels": "mirna1041/miRNA_localization.csv",
    "disease": "mirna1041/miRNA_disease.csv",
    "disease names": "mirna1041/disease_names_640.tsv",
    "drug": "mirna1041/miRNA_drug.csv",
    "drug names": "mirna1041/drug_names_130.tsv",
    "mRNA": "mirna1041/miRNA_mRNA_matrix.txt.gz",
    "mRNA names": "mirna1041/mRNA_names_2836.tsv",
    "mRNA compartments": "mirna1041/mRNA_localization.txt",
    "families": "mirbase/miFam_v21.dat",
    "MeSH": "mesh/mesh2017_tree_C_F03.tsv",
    "HMDD": "hmdd/hmdd_v3.2_mir_disease_records.tsv",
    "HMDD types": "hmdd/hmdd_v3.2_typed_TDRC_processed.tsv",
    "miRTarBase": "mirtarbase/mirtarbase_8.0_SE_WR_human.tsv",
    "ncDR": "ncdr/ncdr_curated_miRNA.tsv",
}

TARGET = "target"

NEWER_TARGET = "target_2025"

TARGET_RELEASES = {TARGET: "8.0", NEWER_TARGET: "2025"}
"""Kind -> release of miRTarBase."""

MIRMINE = "mirmine"
EVMIRNA2 = "evmirna2"
VESICLEPEDIA = "vesiclepedia"

MEASURED = {
    "expression": (MIRMINE, expression.read_mirmine),
    "vesicle_expression": (EVMIRNA2, expression.read_evmirna2),
    "vesicle_records": (VESICLEPEDIA, expression.read_vesiclepedia),
}
"""Measurement -> folder beside the benchmark, and its reader."""

NEWER = "mirtarbase/mirtarbase_2025_SE_WR_hsa.tsv"

DESCRIPTION = (
    "1,041 human miRNA ids with seven compartments (RNALocate, as released by PMiSLocMF and used "
    "by MiRLoc, DAmiRLocGNet and GTMALoc), 2,836 target genes (miRTarBase 8.0), 130 drugs (ncDR) "
    "and 640 diseases (HMDD 3.2, MeSH 2017); sequences and families from miRBase 22.1 and 21."
)


def load(folder: str | Path) -> Dataset:
    """Read the benchmark.

    Columns of ``rnas``: see `sources.assemble.rna_table`. Evidence columns of the associations: see
    `sources.evidence`. Partners: ``disease`` has ``descriptor_ids``, ``match``
    (`sources.mesh.match_terms`) and ``merged_names``; ``mRNA`` has ``entrez_id`` and ``loc_1`` …
    ``loc_4`` (compartments of the mRNA, published without names); all have ``n``, the number of
    miRNAs. ``target`` and, if the newer release is present, ``target_2025`` are supporting kinds:
    genes of the mature miRNAs of an id. Measurements, where their folder is present:
    ``expression`` (miRmine), ``vesicle_expression`` (EVmiRNA2) and ``vesicle_records``
    (Vesiclepedia), the last two label-like.

    Args:
        folder: holds mirna1041/, mirbase/, mesh/, hmdd/, mirtarbase/ and ncdr/; and mirmine/,
            evmirna2/ and vesiclepedia/ where these are wanted.

    Raises:
        InputError: a file is missing, or does not fit the others: names file, line and column.
    """
    root = Path(folder)
    paths = {name: root / path for name, path in NEEDED.items()}
    missing = [str(path.relative_to(root)) for path in paths.values() if not path.is_file()]
    if missing:
        raise InputError(
            "not a folder of the 1041-miRNA benchmark",
            file=root,
            found=f"no {', '.join(missing)}",
            expected="the files of the data set",
        )
    ids = [row[0].strip() for row in read_rows(paths["ids"])]
    names = mirbase.read_names(root / "mirbase")
    rnas, left_out = rna_table(ids, names, mirbase.read_families(paths["families"]))
    n_labels = len(BENCHMARK_COMPARTMENTS)
    labels = read_binary(paths["labels"], len(ids), n_labels, columns_are="compartments")
    ontology = mesh.read_mesh(paths["MeSH"])
    kinds = {
        "mRNA": _mrna(paths, ids),
        "drug": _drug(paths, ids),
        "disease": _disease(paths, ids, ontology),
        TARGET: _targets(paths["miRTarBase"], rnas),
    }
    if (root / NEWER).is_file():
        kinds[NEWER_TARGET] = _targets(root / NEWER, rnas)
    measurements, not_measured = _measurements(root, rnas, names)
    unused_tables = [left_out, *(tables.left_out for tables in kinds.values()), *not_measured]
    return Dataset(
        name="mirna1041",
        rnas=rnas,
        associations={kind: tables.associations for kind, tables in kinds.items()},
        partners={kind: tables.partners for kind, tables in kinds.items()},
        labels=pd.DataFrame(labels, index=rnas.index, columns=list(BENCHMARK_COMPARTMENTS)),
        ontology=ontology,
        left_out=pd.concat(unused_tables, ignore_index=True)[LEFT_OUT_COLUMNS],
        description=DESCRIPTION + _target_note(kinds) + _measured_note(measurements, len(ids)),
        supporting=tuple(kind for kind in (TARGET, NEWER_TARGET) if kind in kinds),
        measurements=measurements,
        names=names,
    )


def _measurements(
    root: Path, rnas: pd.DataFrame, names: MirbaseNames
) -> tuple[dict[str, Measurement], list[pd.DataFrame]]:
    """Measurements whose folder is present, and their rows that match no RNA."""
    reasons = dict(expression.LABEL_PMIDS)
    if (root / VESICLEPEDIA).is_dir():
        for pmid in expression.vesiclepedia_pmids(root / VESICLEPEDIA):
            reasons.setdefault(pmid, "in Vesiclepedia")
    measurements = {}
    left_out = []
    for name, (folder, read) in MEASURED.items():
        if (root / folder).is_dir():
            measured = expression.mark_overlap(read(root / folder, names), reasons)
            measurements[name], unmatched = expression.of_rnas(measured, rnas)
            left_out.append(unmatched)
    return measurements, left_out


def _target_note(kinds: Collection[str]) -> str:
    """Part of the description: where the targets of matures are from."""
    releases = [TARGET_RELEASES[kind] for kind in (TARGET, NEWER_TARGET) if kind in kinds]
    return f" Targets of matures from miRTarBase {' and '.join(releases)}."


def _measured_note(measurements: dict[str, Measurement], n_rnas: int) -> str:
    """End of the description: which measurements there are."""
    if "expression" not in measurements:
        return f" No expression: no folder {MIRMINE}/ lies beside the benchmark."
    n_measured = len(measurements["expression"].values)
    return f" Expression of {n_measured} of {n_rnas} ids from miRmine."


class _Tables(NamedTuple):
    """Tables of one association kind."""

    associations: pd.DataFrame
    partners: pd.DataFrame
    left_out: pd.DataFrame


def _pairs(path: Path, ids: list[str], names: list[str], delimiter: str, what: str) -> pd.DataFrame:
    """Pairs of a published 0/1 matrix."""
    matrix = read_binary(path, len(ids), len(names), delimiter=delimiter, columns_are=what)
    rows, columns = matrix.nonzero()
    rnas = pd.Index(ids, dtype=object)[rows]
    partners = pd.Index(names, dtype=object)[columns]
    return pd.DataFrame({"rna_id": rnas, "partner_id": partners}, dtype=object)


def _counted(partners: pd.DataFrame, associations: pd.DataFrame) -> pd.DataFrame:
    """Add the number of miRNAs of each partner."""
    counts = associations["partner_id"].value_counts()
    partners["n"] = counts.reindex(partners.index, fill_value=0).astype(int)
    return partners


def _mrna(paths: dict[str, Path], ids: list[str]) -> _Tables:
    names = read_table(paths["mRNA names"], ["gene_symbol", "entrez_id"])
    flags = read_binary(
        paths["mRNA compartments"],
        len(names),
        4,
        delimiter="\t",
        rows_are="mRNAs",
        columns_are="compartments of mRNAs",
    )
    associations = _pairs(paths["mRNA"], ids, list(names["gene_symbol"]), "\t", "mRNAs")
    used = evidence.use_mirtarbase(mirtarbase.read_mirtarbase(paths["miRTarBase"]), ids)
    partners = names.set_index("gene_symbol")[["entrez_id"]].rename_axis("partner_id")
    partners[["loc_1", "loc_2", "loc_3", "loc_4"]] = flags
    return _Tables(
        evidence.mrna_evidence(associations, used),
        _counted(partners, associations),
        evidence.unused(used, "mRNA", paths["miRTarBase"].name),
    )


def _drug(paths: dict[str, Path], ids: list[str]) -> _Tables:
    names = list(read_table(paths["drug names"], ["drug"])["drug"])
    associations = _pairs(paths["drug"], ids, names, ",", "drugs")
    used = evidence.use_ncdr(ncdr.read_ncdr(paths["ncDR"]), ids)
    partners = pd.DataFrame(index=pd.Index(names, name="partner_id", dtype=object))
    return _Tables(
        evidence.drug_evidence(associations, used),
        _counted(partners, associations),
        evidence.unused(used, "drug", paths["ncDR"].name),
    )


def _targets(path: Path, rnas: pd.DataFrame) -> _Tables:
    """Targets of the mature miRNAs of each id: a supporting kind, not a published network.

    The benchmark joins by name alone, which leaves half of the ids without any.
    """
    records = mirtarbase.read_mirtarbase(path)
    is_human = records["gene_species"] == evidence.HUMAN
    matures = pd.Series(rnas["mature_ids"].astype(str).str.split(";"), name="mirna").explode()
    rna_of = matures[matures != ""].rename_axis("rna_id").reset_index()
    used = records[is_human & ~evidence.is_weak(records)].merge(rna_of, on="mirna")
    used = used.rename(columns={"gene": "partner_id"}).assign(reason="")
    associations = used[PAIR].drop_duplicates().reset_index(drop=True).astype(object)
    names = pd.Index(associations["partner_id"].unique(), name="partner_id", dtype=object)
    return _Tables(
        evidence.target_evidence(associations, used),
        _counted(pd.DataFrame(index=names), associations),
        pd.DataFrame(columns=LEFT_OUT_COLUMNS),
    )


def disease_columns(path: str | Path) -> dict[str, str]:
    """Read the columns of the benchmark's disease matrix and the HMDD names merged in each.

    Returns:
        Disease as HMDD writes it -> column.

    Raises:
        InputError: a missing column, or a disease that is part of two columns.
    """
    columns = ["anchor_hmdd_disease", "other_merged_hmdd_names"]
    table = read_table(path, columns)[columns]
    column_of: dict[str, str] = {}
    for line, anchor, others in table.itertuples(name=None):
        for name in filter(None, (anchor, *others.split("|"))):
            if name in column_of:
                raise InputError(
                    "a disease is part of two columns",
                    file=path,
                    line=line,
                    column="anchor_hmdd_disease",
                    found=name,
                )
            column_of[name] = anchor
    return column_of


def _disease(paths: dict[str, Path], ids: list[str], ontology: pd.DataFrame) -> _Tables:
    column_of = disease_columns(paths["disease names"])
    names = list(dict.fromkeys(column_of.values()))
    associations = _pairs(paths["disease"], ids, names, ",", "diseases")
    used = evidence.use_hmdd(hmdd.read_records(paths["HMDD"]), ids, column_of)
    matched = mesh.match_terms(names, ontology)
    partners = matched.rename(columns={"how": "match"}).rename_axis("partner_id")
    partners["merged_names"] = [
        ";".join(name for name, column in column_of.items() if column == anchor != name)
        for anchor in names
    ]
    why = "no MeSH descriptor of that name in branches C and F03"
    source = paths["MeSH"].name
    unmatched = left_out_rows("disease term", matched.index[matched["how"] == ""], why, source)
    not_used = evidence.unused(used, "disease", paths["HMDD"].name)
    typed = hmdd.read_typed(paths["HMDD types"])
    return _Tables(
        evidence.disease_evidence(associations, used, typed, column_of),
        _counted(partners, associations),
        pd.concat([not_used, unmatched], ignore_index=True),
    )
