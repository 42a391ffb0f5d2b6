"""Suggestions of names while one is typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from fusion.export.load import Model
from fusion.models.saved import SavedModel
from mirnagraph.names import normalise, suggest
from mirnagraph.names.spelling import natural_key

MAX_TYPED = 60
"""Characters of a text that is looked up; a longer one is no beginning of a name."""

LEAST_TYPED = 4
"""Characters from which misspelt names are looked for."""


@dataclass(frozen=True)
class Suggested:
    """A name that the model answers, and what it is."""

    name: str
    about: str


@dataclass(frozen=True, eq=False)
class Suggestions:
    """Names that a model answers, in natural order.

    Attributes:
        entries: names, each once.
        keys: the same in their normal form.
        species: prefixes that a typed name may lack.
    """

    entries: tuple[Suggested, ...]
    keys: tuple[str, ...]
    species: tuple[str, ...]

    @classmethod
    def of(cls, model: Model) -> Self:
        """Names of the reference RNAs of a model, and of the miRBase that it carries."""
        if not isinstance(model, SavedModel) or model.reference is None:
            return cls((), (), ())
        about = dict.fromkeys(model.reference.index.ids, "reference RNA")
        names = model.reference.names
        if names is not None and model.cold_start is not None:
            for name, accession in names.hairpins["accession"].items():
                about.setdefault(str(name), f"hairpin, {accession}")
        if names is not None:
            columns = zip(
                names.matures["mature_id"],
                names.matures["accession"],
                names.matures["hairpin_id"],
                strict=True,
            )
            for name, accession, hairpin in columns:
                about.setdefault(str(name), f"mature of {hairpin}, {accession}")
        species = model.reference.resolver.reference.species
        key_of = {name: normalise(name, species[0]) for name in about}
        # Upper case sorts first: hairpins (mir) come before their matures (miR).
        ordered = sorted(about, key=lambda name: (natural_key(key_of[name]), name.swapcase()))
        entries = tuple(Suggested(name, about[name]) for name in ordered)
        return cls(entries, tuple(key_of[name] for name in ordered), species)

    def like(self, text: str, n: int = 8) -> list[Suggested]:
        """Names that begin with a text, else contain it, else are spelt alike.

        Args:
            text: as typed so far; the prefix of the species may be missing.
            n: most names to return.
        """
        typed = text.strip()
        if not self.keys or not typed or len(typed) > MAX_TYPED:
            return []
        forms = {normalise(typed, name) for name in self.species} | {normalise(typed, "")}
        beginning = tuple(form for form in forms if form)
        rows = [row for row, key in enumerate(self.keys) if key.startswith(beginning)]
        if len(rows) < n:
            inside = [row for row, key in enumerate(self.keys) if any(f in key for f in beginning)]
            rows = list(dict.fromkeys([*rows, *inside]))
        if not rows and len(typed) >= LEAST_TYPED:
            near = set(suggest(normalise(typed, self.species[0]), self.keys, n))
            rows = [row for row, key in enumerate(self.keys) if key in near]
        return [self.entries[row] for row in rows[:n]]
