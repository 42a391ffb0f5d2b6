"""`mirnagraph atlas`: predictions of every miRNA of miRBase."""

from __future__ import annotations

from cli.common import QuietOption, SchedulerOption, WorkersOption
from cli.messages import is_bar_shown, progress_bars, say
from cli.predict import FormatOption, OutOption, RunOption, check_format, say_counts, write_rows

EPILOG = "Example: `mirnagraph atlas --out atlas.tsv`"


def atlas(
    run: RunOption = None,
    out: OutOption = None,
    format_: FormatOption = None,
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = None,
    quiet: QuietOption = False,
) -> None:
    """Predict every hairpin and mature of miRBase: probabilities, 95 % intervals, calls.

    Needs nothing: without a run, the model that ships answers for human miRNAs.

    The column `source` says what answers: `out-of-fold` for a miRNA that the model was trained on
    (by a model that was not), `final model` for one of the networks without a label, `sequence
    alone` for all others.
    """
    from fusion.atlas import atlas as rows_of
    from fusion.default_model import default_model
    from fusion.explain.run import open_fusion_model
    from fusion.models.saved import FORMAT
    from fusion.streaming import StreamCounts

    format_ = check_format(format_, out)
    folder = run or default_model(["hsa"], model=FORMAT)
    model = open_fusion_model(folder)
    counts = StreamCounts()
    with progress_bars(shown=is_bar_shown(out)) as progress:
        parts = rows_of(model, counts, workers=workers, progress=progress)
        write_rows(model, parts, out, format_)
    say_counts(model, counts, folder)
    if out is not None:
        say(f"Written to {out}")
