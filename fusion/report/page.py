"""The page: sections of all runs as one HTML file without outside addresses."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fusion.report import interactive
from fusion.report.attention import attention_section
from fusion.report.blocks import Block, Chart, Neighbourhoods, Section, Text
from fusion.report.experiments import MAKERS, experiment_sections
from fusion.report.networks import (
    NOT_AT_HAND,
    check_networks_used,
    map_section,
    network_section,
    networks_at_hand,
    networks_hash,
    ranking_section,
)
from fusion.report.print_figures import svg, write_figures
from fusion.report.run_data import ReportRun, open_run
from fusion.report.sections import (
    baseline_section,
    calibration_section,
    cite_section,
    curve_section,
    headline,
    label_section,
    overview,
    reproduce_section,
    set_section,
    training_section,
)
from fusion.report.sequence import (
    ATTRIBUTION,
    MOTIFS,
    attribution_sections,
    health_section,
    motif_sections,
)
from fusion.report.side_by_side import side_by_side
from mirnagraph.errors import InputError, import_extra
from mirnagraph.io import check_output_folder, file_names, write_text
from mirnagraph.networks.network import NetworkSet
from mirnagraph.parallel import Progress, report
from mirnagraph.writing.contents import FIGURES

TEMPLATE = "report.html.j2"


@dataclass(frozen=True)
class Chapter:
    """All sections of one run, or those on several.

    Attributes:
        title: its heading.
        sections: in order.
    """

    title: str
    sections: tuple[Section, ...]


def write_report(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    networks: str | Path | None = None,
    include: Sequence[str | Path] = (),
    figures: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[Chart]:
    """Write the report of finished runs as one HTML file.

    Args:
        folders: of the runs; several are put side by side first.
        out: the HTML file.
        networks: folder of the networks of the runs; None: ``./networks``, or the demo for runs on
            the demo. Without them rankings and networks are left out.
        include: folders of an ablation, an audit, a search or an explanation of sequences that lie
            outside the run folders.
        figures: folder for SVG, PDF and TSV of every figure; None: not written.
        overwrite: replace the content of `figures`.
        progress: called after each chapter and each figure.

    Returns:
        The charts in the order of the page.

    Raises:
        InputError: not a finished run, a damaged file in it, a folder of `include` without one of
            these, or `figures` is not empty.
        CheckpointError: `networks` belong to none of the runs.
        MissingExtraError: a package of the extra ``report`` is not installed.
    """
    interactive.check_extra()
    if figures is not None:
        check_output_folder(figures, overwrite=overwrite, content=FIGURES)
    runs = open_runs(folders)
    chapters = make_chapters(runs, networks, [Path(folder) for folder in include], progress)
    charts = charts_of(chapters)
    write_text(out, render(chapters, runs))
    if figures is not None:
        write_figures(charts, figures, overwrite=overwrite, progress=progress)
    return charts


def open_runs(folders: Sequence[str | Path]) -> list[ReportRun]:
    """Runs with names of their own: those of their folders, or their paths where these repeat."""
    runs = [open_run(folder) for folder in folders]
    names = [run.name for run in runs]
    if len(set(names)) == len(names):
        return runs
    return [
        replace(run, name=str(path) if names.count(run.name) > 1 else run.name)
        for run, path in zip(runs, folders, strict=True)
    ]


def make_chapters(
    runs: list[ReportRun],
    networks: str | Path | None,
    include: list[Path],
    progress: Progress | None = None,
) -> list[Chapter]:
    """Runs side by side where there are several, each run, what was included, citations."""
    chapters = []
    if len(runs) > 1:
        chapters.append(Chapter("Side by side", tuple(side_by_side(runs))))
    at_hand = _networks_by_hash(runs, networks)
    for number, run in enumerate(runs):
        report(progress, "runs", number, len(runs))
        found = at_hand.get(networks_hash(run))
        sections = run_sections(run, found, has_included=bool(include))
        chapters.append(Chapter(f"Run {run.name}", tuple(sections)))
    report(progress, "runs", len(runs), len(runs))
    for found in at_hand.values():
        title = f"Networks of {found.dataset.name}"
        chapters.append(Chapter(title, (network_section(found),)))
    if include:
        chapters.append(Chapter("Experiments", tuple(_included(include))))
    chapters.append(Chapter("Citation", (cite_section(runs),)))
    return with_names(chapters)


def _networks_by_hash(runs: list[ReportRun], networks: str | Path | None) -> dict[str, NetworkSet]:
    """Hash of the networks -> networks, of the runs whose networks are at hand."""
    first = {networks_hash(run): run for run in reversed(runs) if not run.is_sequence}
    loaded = {name: networks_at_hand(run, networks) for name, run in first.items()}
    at_hand = {name: found for name, found in loaded.items() if found is not None}
    if networks is not None:
        check_networks_used(runs, Path(networks), at_hand)
    return at_hand


def run_sections(
    run: ReportRun, networks: NetworkSet | None = None, *, has_included: bool = False
) -> list[Section]:
    """Sections of one run.

    Args:
        run: the run.
        networks: of the run, if at hand.
        has_included: whether experiments outside the run folder are shown elsewhere.
    """
    sections = [overview(run), headline(run), curve_section(run)]
    if not run.is_fraction:
        sections += [calibration_section(run), label_section(run)]
    sections.append(baseline_section(run))
    by_set = set_section(run)
    if by_set is not None:
        sections.append(by_set)
    if run.is_sequence:
        sections.append(health_section(run))
        sections += attribution_sections([run.folder], is_run=not has_included)
        sections += motif_sections([run.folder])
    else:
        sections += experiment_sections([run.folder], is_run=not has_included)
        sections.append(attention_section(run))
        if networks is None:
            sections.append(Section("New predictions and networks", (Text(NOT_AT_HAND),)))
        else:
            sections.append(ranking_section(run, networks))
        sections.append(map_section(run))
    training = training_section(run)
    if training is not None:
        sections.append(training)
    sections.append(reproduce_section(run))
    return sections


def _included(folders: list[Path]) -> list[Section]:
    sections = []
    for folder in folders:
        found = experiment_sections([folder], is_run=False)
        found += attribution_sections([folder], is_run=False)
        found += motif_sections([folder])
        if not found:
            raise InputError(
                "nothing to include in this folder",
                file=folder,
                expected=f"one of {', '.join([*MAKERS, ATTRIBUTION, MOTIFS])}",
            )
        sections += found
    return sections


def with_names(chapters: Sequence[Chapter]) -> list[Chapter]:
    """Chapters whose charts have names of their own, which are file names.

    A name that several chapters use has that of the run in front.
    """
    charts = charts_of(chapters)
    taken = [chart.name for chart in charts]
    wanted = []
    for chapter in chapters:
        prefix = chapter.title.removeprefix("Run ")
        for chart in charts_of([chapter]):
            is_shared = taken.count(chart.name) > 1
            wanted.append(f"{prefix}.{chart.name}" if is_shared else chart.name)
    names = dict(zip(map(id, charts), file_names(wanted), strict=True))

    def renamed(block: Block) -> Block:
        return replace(block, name=names[id(block)]) if isinstance(block, Chart) else block

    result = []
    for chapter in chapters:
        sections = []
        for section in chapter.sections:
            blocks = tuple(renamed(block) for block in section.blocks)
            sections.append(replace(section, blocks=blocks))
        result.append(replace(chapter, sections=tuple(sections)))
    return result


def charts_of(chapters: Sequence[Chapter]) -> list[Chart]:
    """All charts in the order of the page."""
    blocks = _blocks(chapters)
    return [block for block in blocks if isinstance(block, Chart)]


def _blocks(chapters: Sequence[Chapter]) -> list[Block]:
    found: list[Block] = []
    for chapter in chapters:
        for section in chapter.sections:
            found += section.blocks
    return found


def render(chapters: Sequence[Chapter], runs: Sequence[ReportRun]) -> str:
    """The HTML of chapters; every text in it is escaped."""
    jinja2 = import_extra("jinja2", interactive.EXTRA, interactive.WHY)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fusion.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["figure"] = _marked(interactive.to_json)
    environment.filters["address"] = picture_address
    environment.filters["network"] = _marked(_network_json)
    environment.filters["cited"] = lambda cell: getattr(cell, "links", None)
    source, _, _ = environment.loader.get_source(environment, "page.js")
    scripts = [interactive.library(), source]
    return str(
        environment.get_template(TEMPLATE).render(
            title=", ".join(run.name for run in runs),
            chapters=chapters,
            scripts=[_markup(script) for script in scripts],
            hashes=[_hash(script) for script in scripts],
            written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    )


def picture_address(chart: Chart) -> str:
    """A chart drawn by matplotlib as the address of an image that holds its data itself."""
    encoded = base64.b64encode(svg(chart).encode()).decode()
    return f"data:image/svg+xml;base64,{encoded}"


def _hash(script: str) -> str:
    """Hash of a script as the content security policy of the page lists it."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _markup(text: str) -> object:
    """Text of our own that is not escaped: scripts."""
    return import_extra("markupsafe", interactive.EXTRA, interactive.WHY).Markup(text)


def _marked(function: Callable[[Any], str]) -> Callable[[Any], object]:
    """A filter whose result is JSON that `interactive.script_json` made safe."""
    return lambda value: _markup(function(value))


def _network_json(block: Neighbourhoods) -> str:
    names = [interactive.plain(name) for name in block.names]
    kinds = [interactive.plain(name) for name in block.kinds]
    entries = {"kinds": kinds, "names": names, "edges": block.edges}
    return interactive.script_json(entries)
