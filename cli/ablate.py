"""`mirnagraph ablate`: ablation of the parts of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from cli.common import (
    ConfigOption,
    FoldOption,
    NetworksOption,
    OverwriteOption,
    PresetOption,
    ProtocolOption,
    QuietOption,
    ResamplesOption,
    RnasOption,
    SchedulerOption,
    SeedOption,
    SplitOption,
    WorkersOption,
    open_networks,
    show_table,
)
from cli.limits import MOST_SEEDS
from cli.messages import progress_bars, say

EPILOG = (
    "Example: `mirnagraph ablate --networks networks --preset default "
    "--only without-disease --only trees-alone`"
)

RepeatsOption = Annotated[
    int,
    Option(
        min=1, max=MOST_SEEDS, help="Number of seeds; more can be added later to the same folder."
    ),
]

OnlyOption = Annotated[
    list[str] | None,
    Option(
        help="Variant to train with the full model, e.g. without-disease; repeatable.",
        show_default="all",
    ),
]

OutOption = Annotated[
    Path | None,
    Option(
        help="Output folder; finished runs in it are kept.",
        show_default="runs/NAME-ablation, NAME as of train",
    ),
]


def ablate(
    networks: NetworksOption = None,
    preset: PresetOption = "gtmaloc",
    config: ConfigOption = None,
    fold: FoldOption = None,
    split: SplitOption = None,
    protocol: ProtocolOption = None,
    rnas: RnasOption = None,
    repeats: RepeatsOption = 3,
    only: OnlyOption = None,
    resamples: ResamplesOption = 2000,
    seed: SeedOption = None,
    out: OutOption = None,
    workers: WorkersOption = 2,
    scheduler: SchedulerOption = None,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure what each part of a model contributes, over several seeds on the same folds.

    Needs nothing: without --networks it uses ./networks, else the synthetic demo.

    Variants: without each network, kind of association or measurement (and the tokens that read
    it), without the graph transformer (node2vec alone), without attention, trees alone, attention
    alone, and 2, 4 and 8 heads. Of a fusion of two towers also: without each tower, relation and
    part, without sequence or expression; its neural part is scored alone too. Variants that do not
    apply to the model are listed with the reason. Differences to the full model come with two 95 %
    intervals: over RNAs and over seeds.
    """
    from fusion.config import experiment_config
    from fusion.experiments.ablation import run_ablation
    from fusion.experiments.ablation_report import SHOWN, ablation_tables, part_variants, shown_rows
    from fusion.experiments.train import run_name

    settings = experiment_config(
        preset, config, n_folds=fold, split=split, protocol=protocol, rnas=rnas, seed=seed
    )
    loaded, cache = open_networks(networks)
    target = out or Path("runs") / f"{run_name(loaded.dataset.name, settings)}-ablation"
    with progress_bars() as progress:
        ablation = run_ablation(
            loaded,
            settings,
            target,
            repeats=repeats,
            only=only or (),
            cache=cache,
            workers=workers,
            overwrite=overwrite,
            progress=progress,
        )
        table, neural = ablation_tables(ablation, n_resamples=resamples, progress=progress)
    title = f"Ablation of preset {settings.preset}, mean ± SD over {repeats} seeds"
    show_table(
        SHOWN, shown_rows(table, ablation.variants), f"{title}, differences with 95 % intervals"
    )
    if neural is not None:
        rows = shown_rows(neural, part_variants(neural, ablation.variants))
        show_table(SHOWN, rows, "The neural part alone")
    files = "ablation.md, ablation.tsv, variants.tsv, ablation.png, variants/"
    say(f"Written to {ablation.folder}: {files}")
