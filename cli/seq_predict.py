"""`mirnagraph seq predict`: compartments of sequences by a sequence tower."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from cli.common import (
    DeviceOption,
    IupacOption,
    LanguageModelOption,
    QuietOption,
    SchedulerOption,
    WorkersOption,
)
from cli.messages import is_bar_shown, progress_bars, say
from cli.predict import (
    CompartmentOption,
    DataOption,
    FormatOption,
    OutOption,
    TopOption,
    check_format,
    open_dataset,
    predict_dataset,
    predict_fasta,
    say_counts,
    write_rows,
)

if TYPE_CHECKING:
    from seqtower.saved import SavedTower

EPILOG = "Example: `mirnagraph seq predict --run runs/lncrna --fasta mine.fa --out mine.tsv`"

RunOption = Annotated[
    Path | None,
    Option(
        help="Finished run of `seq train`, or a model exported from one.",
        show_default="the newest run of `seq train` under ./runs",
    ),
]

_FASTA = Option(
    help="FASTA file, plain or gzip, T or U; - for the standard input; or a Parquet file with the "
    "columns id and sequence."
)

FastaOption = Annotated[Path, _FASTA]

FastaOrNoneOption = Annotated[Path | None, _FASTA]

RnaTypeOption = Annotated[
    str | None,
    Option(
        help="RNA type of all RNAs, e.g. lncRNA, for a tower conditioned on the RNA type.",
        show_default="no RNA types",
    ),
]


def predict(
    fasta: FastaOrNoneOption = None,
    data: DataOption = None,
    run: RunOption = None,
    compartment: CompartmentOption = None,
    top: TopOption = None,
    out: OutOption = None,
    format_: FormatOption = None,
    rna_type: RnaTypeOption = None,
    iupac: IupacOption = "error",
    language_model: LanguageModelOption = None,
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = None,
    device: DeviceOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """Predict the compartments of sequences with the final model of a run.

    Needs a finished run of `seq train` and sequences (--fasta or --data).

    The table is that of `predict`, and of each RNA its length, the nucleotides that the tower read,
    and the number of windows it read them in. A FASTA file may be of any size.
    """
    from fusion.explain.ranking import newest_run
    from fusion.streaming import StreamCounts
    from mirnagraph.errors import ConfigError
    from seqtower.saved import FORMAT

    if (fasta is None) == (data is None):
        raise ConfigError("expected --fasta FILE or --data DATASET, one of them")
    format_ = check_format(format_, out)
    folder = run or newest_run(model=FORMAT)
    model = open_chosen_tower(folder, rna_type, language_model)
    dataset = None if data is None else open_dataset(data)
    counts = StreamCounts()
    with progress_bars(shown=is_bar_shown(out)) as progress:
        options: dict[str, Any] = {"workers": workers, "progress": progress}
        if fasta is not None:
            parts = predict_fasta(model, fasta, counts, iupac=iupac, **options)
        elif dataset is not None:
            parts = predict_dataset(model, dataset, counts, **options)
        write_rows(model, parts, out, format_, compartments=compartment, top=top)
    say_counts(model, counts, folder)
    if out is not None:
        say(f"Written to {out}")


def open_chosen_tower(run: Path, rna_type: str | None, language_model: str | None) -> SavedTower:
    """Open the tower of a run, conditioned on the type of the RNAs where one is given."""
    from fusion.export.load import open_tower

    model = open_tower(run, language_model=language_model)
    return model if rna_type is None else model.of_type(rna_type)
