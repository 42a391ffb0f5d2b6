"""`mirnagraph predict`: compartments of reference and new RNAs."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from cli.common import (
    DeviceOption,
    FastaOption,
    IupacOption,
    LanguageModelOption,
    QuietOption,
    SchedulerOption,
    WorkersOption,
    show_table,
)
from cli.limits import LONGEST
from cli.messages import is_bar_shown, progress_bars, say
from mirnagraph.errors import counted

if TYPE_CHECKING:
    from fusion.export.load import Model
    from fusion.streaming import StreamCounts
    from mirnagraph.dataset import Dataset
    from mirnagraph.runs.prediction_table import PredictionRows

EPILOG = "Example: `mirnagraph predict hsa-mir-21 hsa-let-7a --out two.tsv`"

TABLE = "table"

MAX_SHOWN = 1_000
"""Most rows of a table in a terminal."""

MAX_NAMED = 10
"""Most unknown names in a message."""

MAX_LETTERS = 100
"""Most letters of a name in a message."""

RunOption = Annotated[
    Path | None,
    Option(
        help="Finished run of `train` or `seq train`, model folder, hf://OWNER/NAME, or shipped.",
        show_default="the newest run under ./runs, else the model that ships",
    ),
]

NamesArgument = Annotated[
    list[str] | None,
    Argument(
        metavar="NAME",
        help="Names of reference RNAs.",
        show_default="all reference RNAs",
    ),
]

IdsOption = Annotated[
    Path | None,
    Option(
        help="Table whose first column names reference RNAs: TSV or CSV, header or none; - for "
        "the standard input."
    ),
]

DataOption = Annotated[
    str | None,
    Option(help="Dataset whose RNAs are predicted by their sequences: a name, or a folder."),
]

RnaOption = Annotated[
    list[str] | None, Option(help="Name of a reference RNA; repeatable; the same as NAME.")
]

OutOption = Annotated[
    Path | None,
    Option(help="Output file; thresholds go to FILE.thresholds.json.", show_default="the terminal"),
]

FormatOption = Annotated[
    str | None,
    Option(
        "--format",
        help="tsv, csv, jsonl, json, parquet, or table (for a terminal).",
        show_default="by the suffix of --out; tsv when piped, table in a terminal",
    ),
]

CompartmentOption = Annotated[
    list[str] | None,
    Option(help="Compartment to write; repeatable.", show_default="all"),
]

TopOption = Annotated[
    int | None,
    Option(
        min=1,
        max=LONGEST,
        help="Number of RNAs to write, those of the largest probability (in --compartment) first.",
        show_default="all, in the order of the input",
    ),
]

StrictOption = Annotated[
    bool,
    Option("--strict", help="End with exit code 3 where a name is unknown, and write nothing."),
]

RnaTypeOption = Annotated[
    str | None,
    Option(
        help="RNA type of all new RNAs, for a model of several types (`seq train` or "
        "`train --sets`)."
    ),
]


def predict(
    names: NamesArgument = None,
    run: RunOption = None,
    fasta: FastaOption = None,
    ids: IdsOption = None,
    data: DataOption = None,
    rna: RnaOption = None,
    compartment: CompartmentOption = None,
    top: TopOption = None,
    out: OutOption = None,
    format_: FormatOption = None,
    strict: StrictOption = False,
    rna_type: RnaTypeOption = None,
    language_model: LanguageModelOption = None,
    iupac: IupacOption = "error",
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = None,
    device: DeviceOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """Predict the compartments of RNAs: probability, 95 % interval, call, evidence, warning.

    Needs nothing: without a run, the model that ships answers for human miRNAs. A model of `seq
    train` needs --fasta or --data.

    RNAs of the networks get their out-of-fold prediction. A new sequence is predicted from its
    similarity to the reference RNAs; a FASTA file may be of any size.
    """
    from fusion.default_model import default_model
    from fusion.export.load import load
    from fusion.models.saved import FORMAT
    from fusion.streaming import StreamCounts, stream_names
    from mirnagraph.errors import ConfigError
    from mirnagraph.reading.text import file_title
    from mirnagraph.sources.name_list import place_of_names, read_name_lines

    several = [*(names or ()), *(rna or ())] or None
    if sum(given is not None for given in (fasta, ids, data, several)) > 1:
        raise ConfigError("--fasta, --ids, --data and names (or --rna) exclude each other")
    format_ = check_format(format_, out)
    place = None
    dataset = None if data is None else open_dataset(data)
    if dataset is not None:
        several = [str(name) for name in dataset.index]
    if ids is not None:
        lines = read_name_lines(ids)
        several = [name for _, name in lines]
        place = partial(place_of_names, lines=lines, file=file_title(ids))
    is_fasta = fasta is not None
    kind = None if is_fasta else FORMAT
    folder = run or default_model(several, sequences=is_fasta, model=kind)
    model = load(folder, language_model=language_model)
    counts = StreamCounts()
    options: dict[str, Any] = {"rna_type": rna_type, "workers": workers}
    with progress_bars(shown=is_bar_shown(out)) as progress:
        options["progress"] = progress
        if fasta is not None:
            parts = predict_fasta(model, fasta, counts, iupac=iupac, **options)
        elif dataset is not None:
            parts = predict_dataset(model, dataset, counts, **options)
        else:
            parts = stream_names(model, several, counts, strict=strict, place=place, **options)
        write_rows(model, parts, out, format_, compartments=compartment, top=top)
    say_counts(model, counts, folder, place)
    if out is not None:
        say(f"Written to {out}")


def predict_fasta(
    model: Model, fasta: Path, counts: StreamCounts, *, iupac: str, **options: Any
) -> Iterator[PredictionRows]:
    """Predict the sequences of a file, checked as a whole first unless it is a stream."""
    from fusion.streaming import stream_predictions
    from mirnagraph.reading.text import STDIN
    from mirnagraph.sources.fasta import count_fasta, stream_fasta

    is_stream = str(fasta) == STDIN or not fasta.is_file()
    n_records = 0 if is_stream else count_fasta(fasta, iupac=iupac)
    records = stream_fasta(fasta, iupac=iupac)
    yield from stream_predictions(model, records, counts, n_records=n_records, **options)


def open_dataset(name: str) -> Dataset:
    """Open a dataset to predict on, and report the RNAs without a sequence.

    Raises:
        ConfigError, InputError: see `load_dataset`; no RNA has a sequence.
    """
    from mirnagraph.errors import InputError
    from mirnagraph.recipes.opening import load_dataset

    dataset = load_dataset(name)
    n_without = int(dataset.rnas["sequence"].isna().sum())
    if n_without == len(dataset.index):
        raise InputError("no RNA of the dataset has a sequence", file=name)
    if n_without:
        say(f"{counted(n_without, 'RNA')} of {name} without a sequence left out")
    return dataset


def predict_dataset(
    model: Model, dataset: Dataset, counts: StreamCounts, **options: Any
) -> Iterator[PredictionRows]:
    """Predict the RNAs of a dataset that have a sequence, in its order."""
    from fusion.streaming import stream_predictions
    from mirnagraph.sources.fasta import FastaRecord

    sequences = dataset.rnas["sequence"].dropna()
    records = [FastaRecord(str(name), "", text, 0) for name, text in sequences.items()]
    yield from stream_predictions(model, records, counts, n_records=len(records), **options)


def check_format(format_: str | None, out: Path | None) -> str:
    """Resolve the format of the output.

    Raises:
        ConfigError: an unknown format, or a table for a file.
    """
    from mirnagraph.errors import ConfigError
    from mirnagraph.runs.table_file import FORMATS, format_of

    if format_ is None:
        return TABLE if out is None and sys.stdout.isatty() else format_of(out)
    if format_ not in (*FORMATS, TABLE):
        raise ConfigError(f"--format is {format_!r}, expected {', '.join(FORMATS)} or {TABLE}")
    if format_ == TABLE and out is not None:
        raise ConfigError("--format table is for a terminal: omit --out, or choose another format")
    return format_


def write_rows(
    model: Model,
    parts: Iterable[PredictionRows],
    out: Path | None,
    format_: str,
    *,
    compartments: Sequence[str] | None = None,
    top: int | None = None,
) -> None:
    """Write predictions as they come; with `top` only the strongest, at the end.

    Raises:
        ConfigError: an unknown compartment.
        InputError: the file cannot be written.
    """
    from fusion.streaming import thresholds_of
    from mirnagraph.runs.prediction_table import compartment_columns, strongest
    from mirnagraph.runs.table_file import table_file

    columns = compartment_columns(compartments or model.compartments, model.compartments)
    chosen = [model.compartments[column] for column in columns]

    def selected() -> Iterator[PredictionRows]:
        best: list[PredictionRows] = []
        for rows in parts:
            rows = rows.select(chosen)
            if top is None:
                yield rows
            else:
                best = [strongest([*best, rows], top)]
        yield from best

    if format_ == TABLE:
        _show(list(selected()))
        return
    with table_file(out, format_, thresholds_of(model, chosen)) as write:
        for rows in selected():
            write(rows)


def say_counts(
    model: Model,
    counts: StreamCounts,
    folder: Path | str,
    place: Callable[[list[str]], str] | None = None,
) -> None:
    """Report numbers of RNAs by the model that predicted them, of warnings and unknown names.

    Args:
        model: that predicted.
        counts: of its predictions.
        folder: of the model, as messages name it.
        place: where some names are in a file; None without one.
    """
    from fusion.streaming import counts_in_words, model_remarks

    for remark in model_remarks(model, counts):
        say(remark)
    say(f"Model of {folder}: {counts_in_words(counts)}")
    if counts.unanswered:
        where = f" ({place(list(counts.unanswered))})" if place is not None else ""
        say(f"{_unanswered(counts)}{where}")


def _unanswered(counts: StreamCounts) -> str:
    """Names without a prediction, the first of them in full."""
    names = list(counts.unanswered)
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    first = ", ".join(
        name if len(name) <= MAX_LETTERS else f"{name[:MAX_LETTERS]}…" for name in names[:MAX_NAMED]
    )
    return f"{counted(len(names), 'name')} without a prediction: {first}{more}"


def _show(parts: list[PredictionRows]) -> None:
    """Show rows in a terminal: probability and interval, marked where called."""
    from mirnagraph.runs.prediction_table import join_rows

    rows = join_rows(parts)
    n_rows = len(rows)
    low, high = rows.interval()
    lines = []
    for number in range(min(n_rows, MAX_SHOWN)):
        ids = rows.ids.iloc[number]
        name = str(ids["query"])
        if ids["rna_id"] not in ("", name):
            name += f" ({ids['rna_id']})"
        called = [False] * len(rows.compartments)
        if rows.called is not None:
            called = rows.called[number].tolist()
        values = zip(rows.probabilities[number], low[number], high[number], called, strict=True)
        cells = [_cell(*value) for value in values]
        about = rows.details.iloc[number]
        details = [str(about[column]) for column in ("source", "modalities", "warning")]
        lines.append([name, *cells, *details])
    header = ["RNA", *rows.compartments, "predicted by", "modalities", "warning"]
    show_table(header, lines)
    if n_rows > MAX_SHOWN:
        say(f"{n_rows - MAX_SHOWN} more rows: --out FILE holds all of them")


def _cell(probability: float, low: float, high: float, is_called: bool) -> str:
    if math.isnan(probability):
        return "-"
    text = f"{probability:.2f}"
    if not math.isnan(low):
        text += f" [{low:.2f}, {high:.2f}]"
    return f"{text} *" if is_called else text
