"""Groups of related RNAs, for folds that keep families together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirnagraph.names.spelling import number
from mirnagraph.reading.arguments import checked

if TYPE_CHECKING:
    import pandas as pd


@checked
def family_groups(resolved: pd.DataFrame) -> pd.Series:
    """Group related RNAs for family-grouped folds.

    Groups are connected components over miRBase family, mature sequence and number: hsa-mir-98
    joins the let-7 group through its family, hsa-let-7a-1 joins hsa-let-7a through the mature they
    share, an unknown hsa-mir-467d joins hsa-mir-467 through the number.

    Args:
        resolved: from `resolve`.

    Returns:
        Group of each RNA, named after its first member in alphabetical order; index as `resolved`.
    """
    # Imported here, so that a name can be normalised without them.
    import numpy as np
    import pandas as pd
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    rows = []
    columns: list[str] = []
    table = resolved[["family_ids", "mature_sequences"]]
    for row, (name, families, sequences) in enumerate(table.itertuples(name=None)):
        shared = [f"name {name}"]
        if number(name):
            shared.append(f"number {number(name)}")
        shared += [f"family {family}" for family in families.split(";") if family]
        shared += [f"mature {sequence}" for sequence in sequences.split(";") if sequence]
        rows += [row] * len(shared)
        columns += shared
    codes, values = pd.factorize(np.array(columns, dtype=object))
    shape = (len(resolved), len(values))
    has_value = sparse.csr_array((np.ones(len(rows)), (rows, codes)), shape=shape)
    component = connected_components(has_value @ has_value.T, directed=False)[1]
    names = pd.Series(resolved.index, index=resolved.index, dtype=object, name="family")
    return names.groupby(component).transform("min").astype(object)
