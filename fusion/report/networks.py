"""Sections that read the networks of a run: new predictions, degrees, neighbourhoods; the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from fusion.explain.ranking import networks_of_run, rank, read_run
from fusion.models.reference import ARRAYS, TABLE
from fusion.report.blocks import (
    LINES,
    SCATTER,
    Block,
    Chart,
    Neighbourhoods,
    Pmids,
    Section,
    Text,
    chart_data,
    make_table,
)
from fusion.report.run_data import ReportRun
from fusion.report.style import HOLLOW
from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.io import read_table
from mirnagraph.networks.network import NetworkSet, describe
from mirnagraph.runs.arrays import load_arrays
from mirnagraph.seeds import child_seed

N_RANKED = 10
"""New predictions shown per compartment."""

N_NEAREST = 5
"""Nodes of each network in a picture of a neighbourhood."""

MOST_RNAS = 3000
"""Most RNAs with a picture of their neighbourhood, and on a map by t-SNE."""

EMBEDDINGS = (("svd:", "svd_similarity:"), ("weighted:", "co_reported:", "profile:"), ("kmer",))
"""Prefixes of the tokens of the map, the first group that a model has: none reads a label."""

NOT_AT_HAND = (
    "The ranked new predictions and the networks are left out: the networks of this run are not at "
    "hand. Name their folder with --networks."
)


def networks_at_hand(run: ReportRun, folder: str | Path | None) -> NetworkSet | None:
    """The networks of a run, or None where they are not at hand.

    Args:
        run: of `mirnagraph train`.
        folder: of networks; None: ``./networks``, or the demo for a run on the demo.

    Raises:
        InputError: the folder holds no networks.
    """
    has_default = Path("networks", "networks.json").is_file() or run.about.get("synthetic")
    if folder is None and not has_default:
        return None
    try:
        return networks_of_run(run.folder, folder)
    except CheckpointError:
        return None


def networks_hash(run: ReportRun) -> str:
    """Hash of the networks that a run was made from; empty for a run without."""
    return str(run.about.get("inputs", {}).get("networks", ""))


def check_networks_used(
    runs: Sequence[ReportRun], folder: Path, found: Mapping[str, NetworkSet]
) -> None:
    """Raise CheckpointError where networks that were named belong to none of the runs."""
    if not found:
        raise CheckpointError(
            "the networks belong to none of the runs",
            file=folder,
            expected=f"those of {runs[0].about.get('dataset', 'the data set')}",
            hint="name the folder the run was trained on, or leave --networks away",
        )


def ranking_section(run: ReportRun, networks: NetworkSet) -> Section:
    """The strongest predictions without an annotation, with their publications."""
    title = "New predictions"
    try:
        table = rank(read_run(run.folder, networks), top=N_RANKED)
    except (ConfigError, InputError) as error:
        return Section(title, (Text(f"Left out: {error}"),))
    kinds = list(networks.dataset.associations)
    blocks: list[Block] = [
        Text(
            "RNAs without the annotation, ordered by the score of the run, as by mirnagraph rank. "
            "Probabilities are out-of-fold. PMIDs are the latest of the RNA's associations, not "
            "of its compartment."
        )
    ]
    header = ["rank", "RNA", "score", "probability", "call", *kinds, "publications", "latest PMIDs"]
    for name, part in table.groupby("compartment", sort=False):
        rows = []
        for record in part.to_dict("records"):
            pmids = Pmids(tuple(pmid for pmid in str(record["pmids"]).split(";") if pmid))
            counts = [record[f"n_{kind}"] for kind in kinds]
            numbers = [f"{record['score']:.3f}", f"{record['probability']:.3f}"]
            call = "yes" if record["call"] else "no"
            first = [record["rank"], record["rna_id"], *numbers, call]
            rows.append([*first, *counts, record["n_pmids"], pmids])
        blocks.append(make_table(header, rows, title=f"{name}: {rows[0][1]} first"))
    return Section(title, tuple(blocks))


def network_section(networks: NetworkSet) -> Section:
    """Sizes of the networks, degree distributions, and the neighbourhood of a chosen RNA."""
    table = describe(networks)
    columns = ["network", "rnas", "partners", "edges", "isolated_rnas", "density", "mean_degree"]
    rows = []
    for record in table[columns].to_dict("records"):
        shares = [f"{record['density']:.4f}", f"{record['mean_degree']:.1f}"]
        rows.append([*[record[name] for name in columns[:5]], *shares])
    header = ["network", "RNAs", "partners", "edges", "RNAs without an edge", "density",
              "mean degree"]  # fmt: skip
    chart = Chart(
        "degrees",
        "Degrees",
        LINES,
        degree_data(networks),
        "number of edges",
        "share with so many or more",
        "Cumulative degree distributions of the RNAs, both axes logarithmic; RNAs without an edge "
        "are in the table.",
        log=True,
    )
    blocks: list[Block] = [make_table(header, rows), chart]
    if len(networks.dataset.index) <= MOST_RNAS:
        blocks.append(neighbourhoods(networks))
    else:
        blocks.append(Text(f"Neighbourhoods are shown for up to {MOST_RNAS} RNAs."))
    return Section("Networks", tuple(blocks))


def degree_data(networks: NetworkSet) -> pd.DataFrame:
    """Share of the RNAs with at least x edges, for every degree x of 1 or more that occurs.

    Returns:
        See `chart_data`; a panel per network.
    """
    rows = []
    for name, network in networks.networks.items():
        degree = np.diff(network.matrix.indptr)
        for value in np.unique(degree[degree > 0]).tolist():
            share = float((degree >= value).mean())
            rows.append({"panel": name, "series": "", "x": value, "y": share})
    return chart_data(rows)


def neighbourhoods(networks: NetworkSet) -> Neighbourhoods:
    """The strongest `N_NEAREST` edges of every RNA in every network; ties in column order."""
    names = list(networks.dataset.index.ids)
    n_rnas = len(names)
    edges: list[list[float]] = [[] for _ in names]
    n_edges = np.zeros(n_rnas, dtype=int)
    for kind, network in enumerate(networks.networks.values()):
        place_of: dict[int, int] = {}
        matrix = sparse.csr_array(network.matrix)
        n_edges += np.diff(matrix.indptr)
        for row in range(n_rnas):
            part = slice(matrix.indptr[row], matrix.indptr[row + 1])
            columns = matrix.indices[part]
            weights = matrix.data[part]
            order = np.lexsort((columns, -weights))[:N_NEAREST]
            for column, weight in zip(columns[order].tolist(), weights[order], strict=True):
                node = column
                if network.partners is not None:
                    if column not in place_of:
                        place_of[column] = len(names)
                        names.append(network.partners.ids[column])
                    node = place_of[column]
                edges[row] += [kind, node, round(float(weight), 3)]
    start = names[int(np.argmax(n_edges))] if n_rnas else ""
    flat = tuple(tuple(row) for row in edges)
    return Neighbourhoods(start, tuple(networks.networks), tuple(names), n_rnas, flat)


def map_section(run: ReportRun) -> Section:
    """A 2-D map of the tokens of the RNAs, coloured by compartment."""
    title = "Map of the RNAs"
    folder = run.folder / "model"
    if not (folder / ARRAYS).is_file() or not (folder / TABLE).is_file():
        return Section(title, (Text("Left out: the run keeps no model with its RNAs."),))
    ids = read_table(folder / TABLE, ["rna_id"])["rna_id"].tolist()
    arrays = load_arrays(folder / ARRAYS)
    values, used = embedding_of(arrays)
    if not used or len(ids) < 10:
        return Section(title, (Text("Left out: the model has no node embeddings."),))
    places, method = two_dimensions(values, run.seed)
    chart = Chart(
        "map",
        "Map",
        SCATTER,
        map_data(run, ids, places),
        "",
        "",
        f"{method} of the model's tokens {', '.join(used)}, which read no label. RNAs that are "
        "near have similar associations; axes and distances between groups mean nothing.",
        bare=True,
    )
    return Section(title, (chart,))


def embedding_of(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Tokens of a model side by side, each column standardised and each token of equal weight.

    Args:
        arrays: of `ARRAYS`: tokens are ``token.NAME``.

    Returns:
        Shape (n_rnas, n_numbers), and the names of the tokens: the first group of `EMBEDDINGS` of
        which there are any.
    """
    for prefixes in EMBEDDINGS:
        used = sorted(
            name.removeprefix("token.")
            for name in arrays
            if name.startswith("token.") and name.removeprefix("token.").startswith(prefixes)
        )
        if used:
            blocks = [_standardised(arrays[f"token.{name}"]) for name in used]
            return np.concatenate(blocks, axis=1), used
    return np.zeros((0, 0)), []


def _standardised(values: np.ndarray) -> np.ndarray:
    values = np.nan_to_num(np.asarray(values, dtype=float).reshape(len(values), -1))
    sd = values.std(axis=0)
    centred = (values - values.mean(axis=0)) / np.where(sd > 0, sd, 1.0)
    return np.asarray(centred / np.sqrt(values.shape[1]))


def two_dimensions(values: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    """Places of the rows in two dimensions, and the name of the method.

    t-SNE on the first 30 principal components, started from the first two; the components alone
    for more than `MOST_RNAS` rows.

    Args:
        values: shape (n, n_numbers).
        seed: of the run.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    state = child_seed(seed, "report", "map") % 2**32
    n_components = min(30, *values.shape)
    components = PCA(n_components, svd_solver="full").fit_transform(values)
    if len(values) > MOST_RNAS or n_components < 2:
        return components[:, :2], "Principal components"
    perplexity = min(30.0, (len(values) - 1) / 3)
    model = TSNE(2, perplexity=perplexity, init="pca", random_state=state, max_iter=500)
    return np.asarray(model.fit_transform(components), dtype=float), "t-SNE"


def map_data(run: ReportRun, ids: list[str], places: np.ndarray) -> pd.DataFrame:
    """Data of the map: a panel per compartment, pale where the RNA is not annotated there.

    RNAs without a known label are pale too.
    """
    result = run.result
    row_of = {rna_id: row for row, rna_id in enumerate(result.index.ids)}
    tables = []
    labels = result.labels.astype(float)
    for column, name in enumerate(result.compartments):
        is_annotated = np.array(
            [rna_id in row_of and labels[row_of[rna_id], column] == 1 for rna_id in ids]
        )
        table = pd.DataFrame({"panel": name, "x": places[:, 0], "y": places[:, 1], "label": ids})
        table["series"] = np.where(is_annotated, "annotated", HOLLOW)
        tables.append(table.iloc[np.argsort(is_annotated, kind="stable")])
    return chart_data(pd.concat(tables, ignore_index=True))
