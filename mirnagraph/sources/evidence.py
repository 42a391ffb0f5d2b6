"""Evidence of association pairs, counted over the records of a database and joined to the pairs by id."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from mirnagraph.sources.hmdd import EVIDENCE_GROUPS
from mirnagraph.sources.mirtarbase import ASSAYS
from mirnagraph.sources.ncdr import EFFECTS
from mirnagraph.sources.rebuild import pairs

_KEY = ["rna_id", "partner_id"]


def mrna_evidence(associations: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    """Pairs with ``n_records``, ``n_strong`` (reporter assays and western blots, over all records), the assays, and ``pmids``."""
    kept = pairs(used)
    return _joined(associations, kept, _assays(kept), pmid="pmid")


def target_evidence(associations: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    """As `mrna_evidence`, and how many records name the 5' and the 3' arm: ``n_5p``, ``n_3p``."""
    counts = _assays(used) | {"n_5p": used["mirna"].str.endswith("-5p"), "n_3p": used["mirna"].str.endswith("-3p")}
    return _joined(associations, used, counts, pmid="pmid")


def _assays(used: pd.DataFrame) -> dict[str, pd.Series]:
    return {name: used[name] for name in ("n_strong", *(f"n_{assay}" for assay in ASSAYS)) if name in used.columns}


def drug_evidence(associations: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    """Pairs with ``n_records``, ``n_resistant``, ``n_sensitive``, ``n_associated``, ``n_up``, ``n_down`` (expression) and ``pmids``."""
    kept = pairs(used)
    counts = {f"n_{effect.lower()}": kept["effect"] == effect for effect in EFFECTS}
    counts |= {f"n_{way}": kept["expression"].str.lower() == way for way in ("up", "down")}
    return _joined(associations, kept, counts, pmid="pmid")


def disease_evidence(
    associations: pd.DataFrame, used: pd.DataFrame, typed: pd.DataFrame | None = None, column_of: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Pairs with ``n_records``, ``first_record`` (0-based, -1 where none), ``n_circulation`` … (one per evidence group), ``pmids``, ``reports``.

    HMDD 3.2 as it is passed on has no PMIDs. Its records stand in the order in which papers were read, so a run of records
    of one disease is taken for one report; ``reports`` holds the numbers of those runs (the PMIDs where there are any).

    Args:
        used: from `sources.rebuild.use_hmdd`.
        typed: pairs with the type of their evidence, for releases whose records have no category; each pair and type counts 1.
        column_of: disease as HMDD writes it -> partner, for `typed`.
    """
    kept = pairs(used)
    counts = {f"n_{group}": kept["group"] == group for group in EVIDENCE_GROUPS}
    result = _joined(associations, kept, counts, pmid="pmid")
    first = kept.groupby(_KEY, sort=False)["record"].min().rename("first_record").reset_index()
    merged = result.merge(first, on=_KEY, how="left")
    result.insert(3, "first_record", merged["first_record"].fillna(-1).astype(int))
    run = (used["disease"] != used["disease"].shift()).cumsum().astype(str)
    reports = used["pmid"] if (used["pmid"] != "").any() else run
    result["reports"] = _distinct(result, kept.assign(report=reports.loc[kept.index]), "report")
    if typed is not None:
        partner = typed["disease"] if column_of is None else typed["disease"].map(column_of)
        table = pd.DataFrame({"rna_id": typed["mir"], "partner_id": partner, "type": typed["type"]}).dropna()
        wide = table.assign(one=1).pivot_table(index=_KEY, columns="type", values="one", aggfunc="sum", fill_value=0).reset_index()
        merged = result[_KEY].merge(wide, on=_KEY, how="left")
        for group in EVIDENCE_GROUPS:
            if group in merged.columns:
                result[f"n_{group}"] += merged[group].fillna(0).astype(int)
    return result


def _joined(associations: pd.DataFrame, kept: pd.DataFrame, counts: Mapping[str, pd.Series], pmid: str) -> pd.DataFrame:
    """`associations` with the number of records of each pair, the sums of `counts`, and the distinct PMIDs in file order."""
    table = kept[_KEY].assign(n_records=1, **{name: values.astype(int) for name, values in counts.items()})
    sums = table.groupby(_KEY, sort=False).sum().reset_index()
    result = associations[_KEY].merge(sums, on=_KEY, how="left")
    numbers = ["n_records", *counts]
    result[numbers] = result[numbers].fillna(0).astype(int)
    result["pmids"] = _distinct(result, kept, pmid)
    return result


def _distinct(associations: pd.DataFrame, kept: pd.DataFrame, column: str) -> pd.Series:
    """Distinct texts of a column of the records per pair, in file order, ``;``-separated; empty where there is none."""
    cited: dict[tuple[str, str], dict[str, None]] = {}
    for rna, partner, source in kept.loc[kept[column] != "", [*_KEY, column]].itertuples(index=False):
        cited.setdefault((rna, partner), {})[source] = None
    cells = [";".join(cited.get(pair, ())) for pair in zip(associations["rna_id"], associations["partner_id"], strict=True)]
    return pd.Series(cells, index=associations.index, dtype=object)
