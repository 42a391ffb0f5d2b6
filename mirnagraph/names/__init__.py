"""miRNA names: how they are written, what miRBase knows of them, which RNA of a set they mean."""

from __future__ import annotations

from mirnagraph.names.groups import family_groups
from mirnagraph.names.match import QUERY_KINDS, Match, unanswered
from mirnagraph.names.mirbase import MATCH_KINDS, RESOLVED_COLUMNS, MirbaseNames, resolve
from mirnagraph.names.reference import ReferenceNames
from mirnagraph.names.resolver import NameResolver, match_names
from mirnagraph.names.spelling import (
    hgnc_symbol,
    is_truncated,
    natural_key,
    normalise,
    number,
    species_of,
    stem,
)
from mirnagraph.names.suggest import LEAST_SIMILARITY, suggest

__all__ = [
    "LEAST_SIMILARITY",
    "MATCH_KINDS",
    "QUERY_KINDS",
    "RESOLVED_COLUMNS",
    "Match",
    "MirbaseNames",
    "NameResolver",
    "ReferenceNames",
    "family_groups",
    "hgnc_symbol",
    "is_truncated",
    "match_names",
    "natural_key",
    "normalise",
    "number",
    "resolve",
    "species_of",
    "stem",
    "suggest",
    "unanswered",
]
