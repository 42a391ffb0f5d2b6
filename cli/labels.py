"""`mirnagraph read-labels`: the label table of a dataset from localization records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from cli.common import OverwriteOption, QuietOption, dataset_title, show_table
from cli.data import DataOption
from cli.messages import say
from mirnagraph.errors import counted

if TYPE_CHECKING:
    import pandas as pd

EPILOG = (
    "Example: `mirnagraph read-labels rnalocate1.tsv --data mirna1041 --out earlier.tsv`, then "
    "`mirnagraph train --temporal earlier.tsv`"
)

RecordsArgument = Annotated[
    Path,
    Argument(
        help="Table of RNAs and compartments, such as a release of RNALocate: one line per pair, "
        "columns mirna and location, or as RNALocate calls them."
    ),
]

LabelsOption = Annotated[
    Path,
    Option(help="Output table: rna_id and the dataset's compartments, 0/1."),
]

MirbaseOption = Annotated[
    Path | None,
    Option(
        help="Folder of miRBase tables, for arms and older names.",
        show_default="that of the dataset mirna1041",
    ),
]

SpeciesOption = Annotated[
    str, Option(help="Species of the records used; those without a species are used too.")
]


def read_labels(
    records: RecordsArgument,
    data: DataOption = "mirna1041",
    out: LabelsOption = Path("earlier.tsv"),
    mirbase: MirbaseOption = None,
    species: SpeciesOption = "Homo sapiens",
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Read localization records into a label table of a dataset, e.g. for `train --temporal`.

    Needs a table of records, and the tables of miRBase.

    Mature names (-5p, -3p, * or -star) count for their hairpins, older names through miRBase's
    aliases, and one molecule with several ids for all of them.
    """
    from mirnagraph import catalog
    from mirnagraph.errors import InputError
    from mirnagraph.io import write_tsv
    from mirnagraph.recipes.opening import load_dataset
    from mirnagraph.sources.mirbase import read_names
    from mirnagraph.sources.rnalocate import label_table, read_rnalocate
    from mirnagraph.writing.targets import check_outputs

    left_out = out.with_name(f"{out.stem}_left_out.tsv")
    for path in (out, left_out):
        if path.exists() and not overwrite:
            raise InputError(
                "the output table exists", file=path, hint="name another, or pass --overwrite"
            )
    check_outputs({"--out": out, "the table of what is left out": left_out}, {"RECORDS": records})
    table = read_rnalocate(records)
    dataset = load_dataset(data)
    names = read_names(mirbase or catalog.find("mirna1041") / "mirbase")
    ids = list(dataset.index.ids)
    labels, unused = label_table(table, ids, dataset.compartments, names, species)
    if not labels.to_numpy().any():
        raise InputError(
            "no record has an RNA and a compartment of the dataset",
            file=records,
            found=_reasons(unused),
            expected=f"e.g. {ids[0]}, {dataset.compartments[0]}",
        )
    write_tsv(labels.reset_index(), out)
    write_tsv(unused, left_out)
    title = dataset_title(dataset.name, synthetic=dataset.synthetic)
    n_used = len(table) - len(unused)
    n_records = counted(len(table), "record")
    say(f"{title}: {n_used} of {n_records} used; left out: {_reasons(unused)}")
    rows = [[str(name), str(int(n))] for name, n in labels.sum().items()]
    n_labelled = int(labels.to_numpy().any(axis=1).sum())
    rows.append(["RNAs with a compartment", str(n_labelled)])
    show_table(["compartment", "RNAs"], rows, "Labels")
    say(f"Written to {out}; the records left out, with the reason, to {left_out}")


def _reasons(unused: pd.DataFrame) -> str:
    """Numbers of records by reason, with the number of distinct names where the RNA is unknown."""
    parts = []
    for reason, part in unused.groupby("reason", sort=False):
        n_names = counted(part["rna"].nunique(), "name")
        parts.append(f"{reason}: {len(part)} ({n_names})")
    return "; ".join(parts) or "none"
