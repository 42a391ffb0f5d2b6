"""Sections of runs of sequence towers: health, groups, explained RNAs, motifs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fusion.report.blocks import LINES, LOGO, Block, Chart, Section, Text, chart_data, make_table
from fusion.report.experiments import folders_with
from fusion.report.run_data import ReportRun
from mirnagraph.errors import MissingExtraError, import_extra
from mirnagraph.io import read_table
from mirnagraph.reading.text import read_bytes, read_text
from mirnagraph.runs.markdown import finite_or_dash
from seqtower.data.kmers import LETTERS
from seqtower.data.motifs import Motif, read_meme

HEALTH = "health.tsv"
GROUPS = "groups.tsv"
LEFT_OUT = "left_out.tsv"
ATTRIBUTION = "attribution.tsv"
ZIPCODES = "zipcodes.bed"
MOTIFS = "motifs.meme"
MATCHES = "motif_matches.tsv"

N_LOGOS = 9
"""Motifs that are drawn."""

SIMILAR = 0.05
"""q-value below which a motif resembles a known one."""

MOST_TRACKS = 6
"""Explained RNAs that are shown."""

N_BINS = 400
"""Most points of one track; longer RNAs are shown in bins of nucleotides."""

NOT_EXPLAINED = (
    "No attributions in this run folder: mirnagraph seq explain computes them; name its folder "
    "with --include."
)


def health_section(run: ReportRun) -> Section:
    """Health of the towers, and the groups that folds keep together."""
    blocks: list[Block] = []
    path = run.folder / HEALTH
    if path.is_file():
        table = read_table(path, ["tower", "status", "reason", "sd", "score", "best_epoch"])
        rows = []
        for row in table.to_dict("records"):
            numbers = pd.to_numeric(pd.Series([row["sd"], row["score"]]), errors="coerce")
            sd, score = map(finite_or_dash, numbers)
            rows.append([row["tower"], row["status"], row["reason"], sd, score, row["best_epoch"]])
        header = ["tower", "health", "reason", "SD", "training score", "best epoch"]
        caption = (
            "SD: of the predictions over the validation RNAs, the largest of the compartments. A "
            "tower that learned nothing has an SD near 0 and a training AUC near 0.5."
        )
        blocks.append(make_table(header, rows, caption))
        failed = [row["tower"] for row in table.to_dict("records") if row["status"] != "healthy"]
        if failed:
            blocks.append(Text(f"Not healthy: {', '.join(failed)}. Read the metrics with care."))
    else:
        blocks.append(Text("This run stores no health of its towers."))
    path = run.folder / GROUPS
    if path.is_file():
        sizes = read_table(path, ["rna_id", "group"])["group"].value_counts()
        n_several = int((sizes > 1).sum())
        blocks.append(
            Text(
                f"Groups of similar sequences kept in one fold: {len(sizes)}, of which "
                f"{n_several} have two RNAs or more (largest: {int(sizes.max())})."
            )
        )
    path = run.folder / LEFT_OUT
    if path.is_file():
        reasons = read_table(path, ["id", "reason"])["reason"].value_counts()
        if len(reasons):
            rows = [[reason, n] for reason, n in reasons.items()]
            blocks.append(make_table(["reason", "RNAs left out"], rows))
    return Section("Health of the towers", tuple(blocks))


def attribution_sections(folders: Sequence[Path], *, is_run: bool = True) -> list[Section]:
    """Tracks, zipcodes and motif matches of explained RNAs.

    Args:
        folders: a run folder, or folders that were named.
        is_run: whether to say that nothing was found.
    """
    found = folders_with(ATTRIBUTION, folders)
    if not found and is_run:
        return [Section("Attributions", (Text(NOT_EXPLAINED),))]
    return [_attribution_section(folder) for folder in found]


def _attribution_section(folder: Path) -> Section:
    path = folder / ATTRIBUTION
    table = read_table(path, ["rna_id", "position", "letter"])
    compartments = [str(name) for name in table.columns[3:]]
    numbers = ["position", *compartments]
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
    rnas = list(table["rna_id"].unique())
    chart = Chart(
        "attribution",
        "Attribution tracks",
        LINES,
        attribution_data(table, rnas[:MOST_TRACKS], compartments),
        "nucleotide, 5' to 3'",
        "attribution (logit)",
        "Above 0 a nucleotide speaks for the compartment, below 0 against it. Of a long RNA each "
        "point is the strongest nucleotide of a stretch.",
        n_columns=1,
    )
    blocks: list[Block] = [chart]
    if len(rnas) > MOST_TRACKS:
        blocks.append(Text(f"The first {MOST_TRACKS} of {len(rnas)} RNAs; all: {path}"))
    zipcodes = _zipcode_rows(folder / ZIPCODES)
    if zipcodes:
        header = ["RNA", "from", "to", "compartment", "change when masked", "q"]
        blocks.append(make_table(header, zipcodes, "Zipcodes: stretches whose masking matters."))
    else:
        blocks.append(Text("No zipcode: no masked stretch changes a prediction significantly."))
    return Section("Attributions", tuple(blocks))


def attribution_data(
    table: pd.DataFrame, rnas: Sequence[str], compartments: Sequence[str]
) -> pd.DataFrame:
    """Tracks: a panel per RNA, a series per compartment.

    Args:
        table: of ``attribution.tsv``: ``rna_id``, ``position`` from 0, one column per compartment.
        rnas: to show.
        compartments: columns.

    Returns:
        See `chart_data`; ``x`` counts nucleotides from 1. RNAs of more than `N_BINS` nucleotides
        have one point a bin: the value of largest size in it.
    """
    tables = []
    for rna_id in rnas:
        track = table[table["rna_id"] == rna_id]
        width = int(np.ceil(len(track) / N_BINS))
        bins = np.arange(len(track)) // max(width, 1)
        for name in compartments:
            values = track[name].to_numpy(dtype=float)
            strongest = pd.Series(np.abs(values)).groupby(bins).idxmax().to_numpy()
            places = track["position"].to_numpy()[strongest] + 1
            points = {"panel": rna_id, "series": name, "x": places, "y": values[strongest]}
            tables.append(pd.DataFrame(points))
    return chart_data(pd.concat(tables, ignore_index=True) if tables else [])


def motif_sections(folders: Sequence[Path]) -> list[Section]:
    """Logos of the motifs in folders, and the known motifs that they resemble."""
    return [_motif_section(folder) for folder in folders_with(MOTIFS, folders)]


def _motif_section(folder: Path) -> Section:
    title = "Motifs of the filters"
    path = folder / MOTIFS
    if not any(line.startswith("MOTIF") for line in read_text(path).splitlines()):
        return Section(title, (Text("No filter has enough sites for a motif."),))
    motifs = read_meme(path)
    names = [motif.name for motif in motifs]
    matches = _matches(folder / MATCHES)
    is_similar = matches["q_value"] < SIMILAR
    first = matches[is_similar].drop_duplicates("motif")
    closest = dict(zip(first["motif"], first["known"], strict=True))
    blocks: list[Block] = []
    try:
        import_extra("logomaker", "interpret", "the logos of motifs")
    except MissingExtraError as error:
        blocks.append(Text(f"Logos are not drawn: {error}"))
    else:
        blocks.append(
            Chart(
                "logos",
                "Motifs of first-layer filters",
                LOGO,
                logo_data(motifs, closest),
                "position",
                "bits",
                f"The {min(N_LOGOS, len(names))} of {len(names)} motifs with most information "
                "above that of as many random sites. Height of a nucleotide: its frequency at the "
                "sites of the filter times the information of the position, of at most 2 bits "
                "(Schneider and Stephens 1990), without correction for few sites.",
            )
        )
    if closest:
        header = ["motif", "known motif", "p", "q"]
        rows = []
        for row in matches[is_similar].to_dict("records"):
            p_value = f"{row['p_value']:.2g}"
            rows.append([row["motif"], row["known"], p_value, f"{row['q_value']:.2g}"])
        blocks.append(make_table(header, rows, f"Known motifs that they resemble, q < {SIMILAR}."))
    elif len(matches):
        blocks.append(Text(f"No motif resembles one of the known motifs (q < {SIMILAR})."))
    else:
        blocks.append(Text("Not compared with known motifs: mirnagraph seq explain --motifs FILE."))
    return Section(title, tuple(blocks))


def _matches(path: Path) -> pd.DataFrame:
    """Pairs of motif and known motif, lowest p-value first; empty without a file."""
    columns = ["motif", "known", "p_value", "q_value"]
    if not path.is_file():
        return pd.DataFrame(columns=columns)
    table = read_table(path, columns)
    table[columns[2:]] = table[columns[2:]].apply(pd.to_numeric, errors="coerce")
    return table.sort_values("p_value", kind="stable")


def information(frequencies: np.ndarray) -> np.ndarray:
    """Heights of the nucleotides of a logo: frequency times information of the position, bits.

    Schneider and Stephens 1990, doi:10.1093/nar/18.20.6097, against equal frequencies and without
    correction for few sites.

    Args:
        frequencies: shape (width, 4), rows sum to 1.

    Returns:
        Same shape; a row sums to 2 minus the entropy of its frequencies.
    """
    logarithms = np.log2(frequencies, out=np.zeros_like(frequencies), where=frequencies > 0)
    entropy = -(frequencies * logarithms).sum(axis=1, keepdims=True)
    return np.asarray(frequencies * (np.log2(len(LETTERS)) - entropy))


def by_chance(n_sites: int) -> float:
    """Information of a position that n random sites are expected to have, about, in bits."""
    return (len(LETTERS) - 1) / (2 * np.log(2) * n_sites)


def logo_data(motifs: Sequence[Motif], closest: Mapping[str, str]) -> pd.DataFrame:
    """Logos of the motifs with most information above `by_chance`, a series per nucleotide.

    Args:
        motifs: to draw.
        closest: name of a motif -> the known one that it resembles most.

    Returns:
        See `chart_data`; ``x`` counts positions from 1.
    """
    heights = [information(motif.frequencies) for motif in motifs]
    surplus = []
    for motif, of_motif in zip(motifs, heights, strict=True):
        surplus.append(of_motif.sum() - len(of_motif) * by_chance(motif.sites))
    order = np.argsort(-np.array(surplus), kind="stable")[:N_LOGOS]
    tables = []
    for number in order:
        motif = motifs[number]
        known = f", like {closest[motif.name]}" if motif.name in closest else ""
        panel = f"{motif.name} ({motif.sites} sites){known}"
        places = np.arange(1, len(motif.frequencies) + 1)
        for letter, values in zip(LETTERS, heights[number].T, strict=True):
            points = {"panel": panel, "series": letter, "x": places, "y": values}
            tables.append(pd.DataFrame(points))
    return chart_data(pd.concat(tables, ignore_index=True))


def _zipcode_rows(path: Path) -> list[list[str]]:
    """RNA, first and last nucleotide from 1, compartment, change, q of every zipcode."""
    if not path.is_file() or not read_bytes(path).strip():  # a file without zipcodes is empty
        return []
    rows = []
    for line in read_text(path).splitlines():
        cells = line.split("\t")
        if len(cells) >= 8:
            start = str(int(cells[1]) + 1)
            rows.append([cells[0], start, cells[2], cells[3], cells[6], cells[7]])
    return rows
