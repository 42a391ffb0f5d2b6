"""Expression and vesicle evidence: miRmine, EVmiRNA2, Vesiclepedia, any table of RNA x sample."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from mirnagraph.dataset import LEFT_OUT_COLUMNS
from mirnagraph.errors import InputError
from mirnagraph.measurements import (
    ARMS,
    BODY_FLUID,
    ISOLATED_FRACTION,
    Measurement,
    read_samples,
    read_values,
)
from mirnagraph.names import MirbaseNames, normalise
from mirnagraph.reading.table import read_table

MIRMINE_ROW = ("mature_name", "accession", "precursor_name")

MIRMINE_RUN = (
    "run", "sra_study", "pmid", "tissue", "cell_line", "compartment_fraction", "body_fluid",
)  # fmt: skip

LABEL_PMIDS: Mapping[str, str] = {
    "23302638": "exosomes of saliva, cited by RNALocate",
    "24183674": "mitochondria of 143B cells, cited by RNALocate",
}
"""PMID -> why its samples may be the very source of labels."""

HUMAN = "Homo sapiens"


def read_measurement_table(
    path: str | Path,
    samples: str | Path | None = None,
    *,
    unit: str = "RPM",
    rna_ids: Collection[str] | None = None,
    is_label_like: bool = False,
    source: str = "",
) -> Measurement:
    """Read any table of RNAs x samples, plain or gzip TSV.

    Args:
        path: first column: RNA ids; then one column of numbers per sample. ``NA``: not measured.
        samples: table of the samples, first column their names, any of the columns ``study``,
            ``pmid``, ``tissue``, ``kind`` (empty, ``isolated fraction`` or ``body fluid``),
            ``overlap``. None: all samples are ordinary.
        unit: ``"RPM"``, ``"CPM"``, ``"TPM"`` or ``"count"`` (0 or more), or the name of another
            unit, whose numbers are not put on a log scale.
        rna_ids: ids that the rows must have; None accepts any.
        is_label_like: whether the numbers are nearly the labels.
        source: database; by default the file name.

    Raises:
        InputError: see `mirnagraph.measurements.read_values` and `read_samples`; or a row whose id
            is not among `rna_ids`.
    """
    values = read_values(path, unit)
    if rna_ids is not None:
        known = set(rna_ids)
        unknown = [name for name in values.index if name not in known]
        if unknown:
            raise InputError(
                "rows of unknown RNAs",
                file=path,
                column=1,
                found=f"{len(unknown)} of {len(values)}, the first {unknown[0]}",
                expected="ids of the dataset",
            )
    table = pd.DataFrame(index=values.columns)
    if samples is not None:
        table = read_samples(samples, list(values.columns))
    return Measurement(values, table, unit, is_label_like, source or Path(path).name)


def read_mirmine(folder: str | Path, names: MirbaseNames | None = None) -> Measurement:
    """Read miRmine: RPM of human mature miRNAs in small-RNA-seq runs.

    The table has a row per mature and locus; reads of a mature with several loci are counted at
    each, so the largest value is taken. Runs of an isolated compartment are samples of kind
    ``isolated fraction``, other runs of plasma, serum, saliva or semen of kind ``body fluid``.

    Args:
        folder: holds ``expression.tsv.gz`` and ``runs.tsv``.
        names: miRBase; matures get the current name of their accession. Without it, or where the
            accession is withdrawn, they keep the name of miRBase 21.

    Returns:
        Rows are matures (see `of_rnas`). The tissue of a cell line is its name.

    Raises:
        InputError: a missing column, a cell that is no number of 0 or more, or runs that differ
            between the two files.

    References:
        Panwar et al. 2017, doi:10.1093/bioinformatics/btx019.
    """
    folder = Path(folder)
    path = folder / "expression.tsv.gz"
    rows = read_table(path, MIRMINE_ROW)
    runs = read_table(folder / "runs.tsv", MIRMINE_RUN)
    kind = runs["body_fluid"].map(lambda fluid: BODY_FLUID if fluid else "")
    runs["kind"] = kind.mask(runs["compartment_fraction"] != "", ISOLATED_FRACTION)
    runs["tissue"] = runs["tissue"].mask(runs["tissue"] == "", runs["cell_line"])
    samples = runs.rename(columns={"sra_study": "study"})
    matures = current_matures(rows["mature_name"], rows["accession"], names)
    return Measurement(
        _numbers(rows.drop(columns=list(MIRMINE_ROW)), path).groupby(matures.to_numpy()).max(),
        _in_order(samples, "run", list(rows.columns[len(MIRMINE_ROW) :]), folder / "runs.tsv"),
        unit="RPM",
        source="miRmine",
    )


def _numbers(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Text cells as float64; InputError for anything but a number of 0 or more."""
    numbers = table.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    is_bad = ~((numbers >= 0) & np.isfinite(numbers))
    for row, column in np.argwhere(is_bad.to_numpy()).tolist():
        raise InputError(
            "not a measured value",
            file=path,
            line=int(table.index[row]),
            column=str(table.columns[column]),
            found=table.iloc[row, column],
            expected="a number of 0 or more",
        )
    return numbers


def _in_order(table: pd.DataFrame, key: str, names: Sequence[str], path: Path) -> pd.DataFrame:
    """Rows of a sample table in the order of the columns of the values."""
    listed = list(table[key])
    if sorted(listed) != sorted(names):
        differing = sorted(set(listed) ^ set(names))
        raise InputError(
            "the samples are not those of the table of values",
            file=path,
            column=key,
            found=f"{len(listed)} samples, {len(differing)} of them in one table only",
            expected=f"{len(names)} samples, each once",
        )
    return table.set_index(key).reindex(list(names)).rename_axis("sample")


def current_matures(
    matures: pd.Series, accessions: pd.Series, names: MirbaseNames | None
) -> pd.Series:
    """Current names of matures by their accession; where it is unknown, the name as given."""
    if names is None:
        return matures
    current = names.matures.drop_duplicates("accession").set_index("accession")["mature_id"]
    return accessions.map(current).fillna(matures)


def read_evmirna2(folder: str | Path, names: MirbaseNames | None = None) -> Measurement:
    """Read EVmiRNA2: abundance of human matures in extracellular vesicles, mean CPM per project.

    Nearly the labels of vesicle compartments, so label-like.

    Args:
        folder: holds ``project_mean_log2cpm.tsv.gz``, ``projects.tsv`` and ``mirna_summary.tsv``.
        names: see `read_mirmine`.

    Returns:
        Rows are matures. Values are 2^x - 1 of the published means x of log2(1 + CPM), so that
        `Measurement.log_values` gives the published numbers. ``tissue`` of a sample is its source.
    """
    folder = Path(folder)
    path = folder / "project_mean_log2cpm.tsv.gz"
    rows = read_table(path, ["mirna"])
    summary = read_table(folder / "mirna_summary.tsv", ["mirna", "accession"])
    projects = read_table(folder / "projects.tsv", ["project", "pmid", "source_group"])
    accession = summary.set_index("mirna")["accession"]
    matures = current_matures(rows["mirna"], rows["mirna"].map(accession).fillna(""), names)
    values = _numbers(rows.drop(columns="mirna"), path).groupby(matures.to_numpy()).max()
    projects = projects[projects["project"].isin(values.columns)]
    samples = projects.assign(study=projects["project"], tissue=projects["source_group"])
    cpm = values.rpow(2.0) - 1
    return Measurement(
        cpm,
        _in_order(samples, "project", list(values.columns), folder / "projects.tsv"),
        unit="CPM",
        is_label_like=True,
        source="EVmiRNA2",
    )


def read_vesiclepedia(folder: str | Path, names: MirbaseNames | None = None) -> Measurement:
    """Read Vesiclepedia: numbers of records of human miRNAs in vesicles, up to 2020.

    Nearly the labels of vesicle compartments, so label-like.

    Args:
        folder: holds ``mirna_records_to_2020.tsv.gz``.
        names: see `read_mirmine`. Records without an accession keep their name, with ``hsa-``.

    Returns:
        Rows are matures or names as recorded. Per type of vesicle the numbers of experiments, PMIDs
        and records: three samples, with the type as their tissue. 0 where none names the miRNA.
    """
    columns = ["mirna", "mimat", "species", "experiment_id", "pmid", "vesicle_type"]
    records = read_table(Path(folder) / "mirna_records_to_2020.tsv.gz", columns)
    records = records[records["species"] == HUMAN]
    by_name = records["mirna"].map(normalise)
    records["mature"] = current_matures(by_name, records["mimat"], names)
    tables = {}
    tissue = {}
    for what, column in (("experiments", "experiment_id"), ("PMIDs", "pmid"), ("records", "")):
        counted = records
        if column:
            counted = records.drop_duplicates(["mature", "vesicle_type", column])
        counts = pd.crosstab(counted["mature"], counted["vesicle_type"])
        for vesicle in counts.columns:
            tables[f"{vesicle}, {what}"] = counts[vesicle]
            tissue[f"{vesicle}, {what}"] = vesicle
    values = pd.DataFrame(tables).astype(np.float64)
    samples = pd.DataFrame({"tissue": pd.Series(tissue)}).rename_axis("sample")
    return Measurement(values, samples, "count", is_label_like=True, source="Vesiclepedia")


def vesiclepedia_pmids(folder: str | Path) -> list[str]:
    """PMIDs of Vesiclepedia, each once, as text."""
    records = read_table(Path(folder) / "mirna_records_to_2020.tsv.gz", ["pmid"])
    return [str(pmid) for pmid in records["pmid"].unique() if pmid]


def mark_overlap(measurement: Measurement, reasons: Mapping[str, str]) -> Measurement:
    """Note the samples whose publication may be a source of the labels.

    Args:
        measurement: with PMIDs of its samples.
        reasons: PMID -> why.
    """
    overlap = measurement.samples["pmid"].map(reasons).fillna("")
    return replace(measurement, samples=measurement.samples.assign(overlap=overlap))


def of_rnas(
    measurement: Measurement,
    rnas: pd.DataFrame,
    rnas_of: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> tuple[Measurement, pd.DataFrame]:
    """Turn rows of matures into rows of RNAs.

    A row belongs to the RNAs that list the mature in ``mature_ids`` (``;``-separated names,
    compared without case), or else to the RNA of the row's own name. Of several rows of an RNA the
    largest value is taken, for all and for those of each arm (by the end -5p or -3p of the name;
    not of a label-like measurement).

    Args:
        measurement: of a reader of matures.
        rnas: table of the dataset.
        rnas_of: name of a row -> RNAs, for rows that belong to none by the rule above.

    Returns:
        The measurement with its arms, and rows of `Dataset.left_out` for what matches no RNA.

    Raises:
        InputError: no row matches an RNA.
    """
    own = pd.Series(rnas.index, index=rnas.index, dtype=object)
    listed = rnas.get("mature_ids", own).fillna("").astype(str).str.split(";").explode()
    pairs = pd.concat([listed[listed != ""], own[~own.index.isin(listed[listed != ""].index)]])
    pairs = pairs.map(normalise).rename("key").rename_axis("rna_id").reset_index()
    row_of = pd.Series(measurement.values.index, name="row").to_frame()
    row_of["key"] = row_of["row"].map(normalise)
    matched = pairs.merge(row_of, on="key")
    others = row_of[~row_of["row"].isin(matched["row"])]
    others = others.assign(rna_id=others["row"].map(lambda row: rnas_of.get(row, ())))
    others = others.explode("rna_id").dropna(subset="rna_id")
    matched = pd.concat([matched, others[matched.columns]], ignore_index=True)
    if matched.empty:
        raise InputError(
            "no row of the measurement is of an RNA of the dataset",
            file=measurement.source,
            found=f"{len(row_of)} names, the first {row_of['row'].iloc[0]}",
            expected="names of matures, or ids of the dataset",
        )
    arms = {}
    for arm in ARMS:
        of_arm = matched[matched["key"].str.endswith(f"-{arm}")]
        if len(of_arm) and not measurement.is_label_like:
            arms[arm] = _largest(measurement, of_arm, rnas.index)
    joined = Measurement(
        _largest(measurement, matched, rnas.index),
        measurement.samples,
        measurement.unit,
        measurement.is_label_like,
        measurement.source,
        arms,
    )
    unmatched = row_of.loc[~row_of["row"].isin(matched["row"]), "row"]
    reason = "measured, but not a mature of an RNA of the dataset"
    rows = [("measurement", name, reason, measurement.source) for name in unmatched]
    return joined, pd.DataFrame(rows, columns=LEFT_OUT_COLUMNS)


def _largest(measurement: Measurement, matched: pd.DataFrame, ids: pd.Index) -> pd.DataFrame:
    """Largest value per RNA and sample, RNAs in the order of the dataset."""
    table = measurement.values.loc[matched["row"]].groupby(matched["rna_id"].to_numpy()).max()
    return table.reindex([name for name in ids if name in table.index])
