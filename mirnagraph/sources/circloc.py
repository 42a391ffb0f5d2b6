"""Benchmark of 1,486 human circRNAs and seven compartments (CircLoc), with its three networks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mirnagraph.dataset import LEFT_OUT_COLUMNS, ONTOLOGY_COLUMNS, PAIR, Dataset
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.reading.schema import is_count
from mirnagraph.reading.table import cell_problems, read_table, repeated_cells
from mirnagraph.sources import mesh
from mirnagraph.sources.assemble import left_out_rows
from mirnagraph.sources.fasta import read_fasta

COMPARTMENTS = (
    "Chromatin",
    "Nucleoplasm",
    "Nucleolus",
    "Membrane",
    "Nucleus",
    "Cytosol",
    "Cytoplasm",
)
"""In the authors' order."""

TARGETING_MIRNA = "targeting_miRNA"
"""Association kind of the miRNAs that bind a circRNA; "miRNA" is the node kind of RNAs."""

NETWORKS = {"disease": "disease", TARGETING_MIRNA: "miRNA", "drug": "drug"}
"""Association kind -> its name in the files."""

LABELS = "circloc/localization_1486.tsv"

SEQUENCES = "circloc/sequences_1486.fa.gz"

MESH = "mesh/mesh2017_tree_C_F03.tsv"

FOLD = "published_repeat73_fold"

PUBLISHED_FOLD = "published_fold"

LONGEST_CELL = 32_767
"""Characters that a cell of a spreadsheet holds; longer sequences are published cut."""

RNA = "circRNA"

DESCRIPTION = (
    "1,486 human circRNAs with seven compartments (RNALocate 3), as released by CircLoc; 177 "
    "diseases, 1,781 binding miRNAs and 190 drugs (published as numbers). Column published_fold: "
    "the authors' ten folds, -1 for RNAs that they never tested."
)


def load(folder: str | Path) -> Dataset:
    """Read the benchmark.

    Columns of ``rnas``: ``sequence``, ``type`` (circRNA for all) and ``published_fold``, a text
    (``"1"`` … ``"10"``, ``"-1"`` never tested), so that it is never an input of a model. Partners
    have ``n``, the number of circRNAs; those of ``disease`` also ``descriptor_ids`` and ``match``
    where the tree of MeSH is there (`sources.mesh.match_terms`).

    Args:
        folder: holds circloc/ and, for the similarity of diseases, mesh/.

    Raises:
        InputError: a file is missing, or does not fit the others: names file, line and column.
    """
    root = Path(folder)
    needed = [LABELS, SEQUENCES]
    for name in NETWORKS.values():
        needed += [_path(name, "columns"), _path(name, "edges")]
    missing = [path for path in needed if not (root / path).is_file()]
    if missing:
        raise InputError(
            "not a folder of the CircLoc benchmark",
            file=root,
            found=f"no {', '.join(missing)}",
            expected="the files of the data set",
        )
    labels, folds = _read_labels(root / LABELS)
    sequences = _read_sequences(root / SEQUENCES, labels.index)
    rnas = pd.DataFrame(
        {"sequence": sequences, "type": RNA, PUBLISHED_FOLD: folds},
        index=labels.index,
        dtype=object,
    )
    partners = {}
    associations = {}
    for kind, name in NETWORKS.items():
        partners[kind] = _read_partners(root / _path(name, "columns"), name)
        edges = root / _path(name, "edges")
        associations[kind] = _read_edges(edges, name, labels.index, partners[kind])
    ontology, unmatched = _match_diseases(root / MESH, partners)
    is_cut = sequences.str.len() >= LONGEST_CELL
    why = f"nucleotides after {LONGEST_CELL:,}, which a spreadsheet cell does not hold"
    cut = left_out_rows("end of a sequence", sequences.index[is_cut], why, Path(SEQUENCES).name)
    return Dataset(
        name="circloc",
        rnas=rnas,
        associations=associations,
        partners=partners,
        labels=labels,
        ontology=ontology,
        left_out=pd.concat([cut, unmatched], ignore_index=True)[LEFT_OUT_COLUMNS],
        description=DESCRIPTION,
    )


def _path(name: str, what: str) -> str:
    return f"circloc/{RNA}_{name}_{what}.tsv"


def _check_numbers(table: pd.DataFrame, column: str, path: Path) -> None:
    """Raise InputError unless a column counts the rows from 0."""
    counted = pd.Series(range(len(table)), index=table.index).astype(str)
    expected = "0, 1, 2, … down the file"
    is_wrong = table[column] != counted
    raise_problems(cell_problems(table, column, is_wrong, "wrong row number", path, expected))


def _read_labels(path: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Labels and published folds, both with the index ``rna_id``."""
    table = read_table(path, ["row0", RNA, *COMPARTMENTS, FOLD])
    if table.empty:
        raise InputError("no circRNA", file=path, expected="one line per circRNA")
    problems = repeated_cells(table, RNA, "duplicate id", path, "an id not seen before")
    problems += cell_problems(table, RNA, table[RNA] == "", "empty id", path)
    for name in COMPARTMENTS:
        is_wrong = ~table[name].isin(["0", "1"])
        problems += cell_problems(table, name, is_wrong, "not a label", path, "0 or 1")
    is_wrong = ~table[FOLD].str.fullmatch("-1|[1-9][0-9]*")
    expected = "-1, 1, 2, …"
    problems += cell_problems(table, FOLD, is_wrong, "not a fold number", path, expected)
    raise_problems(problems, by_line=True)
    _check_numbers(table, "row0", path)
    table = table.set_index(table[RNA].rename("rna_id"))
    return table[list(COMPARTMENTS)].astype("int8"), table[FOLD]


def _read_sequences(path: Path, rnas: pd.Index) -> pd.Series:
    """Sequences in the order of the RNAs."""
    table = read_fasta(path)
    if len(table) != len(rnas):
        raise InputError(
            "the sequences do not fit the labels",
            file=path,
            found=f"{len(table)} sequences",
            expected=f"{len(rnas)}, one per line of {Path(LABELS).name}",
        )
    is_other = table["id"].to_numpy() != rnas.to_numpy()
    if is_other.any():
        row = int(is_other.argmax())
        raise InputError(
            "the sequences are in another order than the labels",
            file=path,
            line=int(table["line"].iloc[row]),
            found=table["id"].iloc[row],
            expected=rnas[row],
        )
    return pd.Series(table["sequence"].to_numpy(dtype=object), index=rnas)


def _read_partners(path: Path, name: str) -> pd.DataFrame:
    """Partners in the order of the published matrix, with the number of circRNAs of each."""
    table = read_table(path, ["col0", name, "n_circRNA"])
    expected = "a name not seen before"
    problems = repeated_cells(table, name, f"a {name} is duplicated", path, expected)
    problems += cell_problems(table, name, table[name].str.strip() == "", "empty name", path)
    is_wrong = ~is_count(table["n_circRNA"])
    problems += cell_problems(table, "n_circRNA", is_wrong, "not a number", path, "0, 1, 2, …")
    raise_problems(problems, by_line=True)
    _check_numbers(table, "col0", path)
    counts = {"n": pd.to_numeric(table["n_circRNA"]).astype(int).to_numpy()}
    return pd.DataFrame(counts, index=pd.Index(table[name], name="partner_id", dtype=object))


def _read_edges(path: Path, name: str, rnas: pd.Index, partners: pd.DataFrame) -> pd.DataFrame:
    """Associations of one network; numbers and names of each line must agree."""
    table = read_table(path, ["row0", RNA, "col0", name])
    problems = []
    for number, column, ids in (("row0", RNA, rnas), ("col0", name, partners.index)):
        places = pd.Series(range(len(ids)), index=ids).astype(str)
        is_unknown = ~table[column].isin(ids)
        problems += cell_problems(table, column, is_unknown, "unknown id", path, f"a {column}")
        is_wrong = ~is_unknown & (table[number] != table[column].map(places))
        expected = f"the number of the {column} on the line"
        problems += cell_problems(table, number, is_wrong, "another row", path, expected)
    for line, rna, partner in table.loc[table.duplicated([RNA, name]), [RNA, name]].itertuples():
        found = f"{rna} - {partner}"
        problems.append(InputError("a duplicate association", file=path, line=line, found=found))
    raise_problems(problems, by_line=True)
    counts = table[name].value_counts().reindex(partners.index, fill_value=0)
    is_other = (counts != partners["n"]).to_numpy()
    if is_other.any():
        row = int(is_other.argmax())
        raise InputError(
            "the associations do not fit the columns of the network",
            file=path,
            column=name,
            found=f"{counts.iloc[row]} of {counts.index[row]}",
            expected=f"{partners['n'].iloc[row]}, as in {path.name.replace('edges', 'columns')}",
        )
    pairs = table[[RNA, name]].reset_index(drop=True)
    return pairs.set_axis(PAIR, axis=1).astype(object)


def _match_diseases(path: Path, partners: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, ...]:
    """Add MeSH descriptors to the diseases; return the ontology and the diseases without one."""
    if not path.is_file():
        return pd.DataFrame(columns=ONTOLOGY_COLUMNS), pd.DataFrame(columns=LEFT_OUT_COLUMNS)
    ontology = mesh.read_mesh(path)
    matched = mesh.match_terms(partners["disease"].index, ontology)
    partners["disease"]["descriptor_ids"] = matched["descriptor_ids"].to_numpy()
    partners["disease"]["match"] = matched["how"].to_numpy()
    why = "no MeSH descriptor of that name in branches C and F03"
    without = matched.index[matched["how"] == ""]
    return ontology, left_out_rows("disease term", without, why, path.name)
