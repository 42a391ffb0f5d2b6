"""A folder of small sources: miRBase of four hairpins, records of every format, a recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mirnagraph.recipes.build import Built, build_dataset
from mirnagraph.recipes.recipe import read_recipe
from mirnagraph.sources.mirbase import JOINED_COLUMNS

HAIRPINS = """>hsa-mir-1 MI0000001 Homo sapiens miR-1 stem-loop
ACGUACGUAC
>hsa-mir-2-1 MI0000002 Homo sapiens miR-2-1 stem-loop
CCCCGGGGAA
>hsa-mir-2-2 MI0000003 Homo sapiens miR-2-2 stem-loop
GGGGCCCCAA
>hsa-mir-9 MI0000009 Homo sapiens miR-9 stem-loop
UUUUUAAAAA
"""

JOINED = f"""{" ".join(JOINED_COLUMNS)}
MI0000001 hsa-mir-1 MIPF1 f1 MIMAT0000001 hsa-miR-1-3p experimental ACGU
MI0000002 hsa-mir-2-1 MIPF2 f2 MIMAT0000002 hsa-miR-2-5p experimental CCCC
MI0000003 hsa-mir-2-2 MIPF2 f2 MIMAT0000002 hsa-miR-2-5p experimental CCCC
MI0000009 hsa-mir-9 - - MIMAT0000009 hsa-miR-9-5p experimental UUUU
"""

TARGETS = """miRTarBase ID|miRNA|Species (miRNA)|Target Gene|Target Gene (Entrez ID)|Species (Target Gene)|Experiments|Support Type|References (PMID)
MIRT1|hsa-miR-1-3p|Homo sapiens|B|20|Homo sapiens|Luciferase reporter assay//Western blot|Functional MTI|11
MIRT2|hsa-miR-2-5p|Homo sapiens|A|10|Homo sapiens|Luciferase reporter assay|Non-Functional MTI|12
MIRT3|hsa-miR-1|Homo sapiens|A|10|Homo sapiens|qRT-PCR|Functional MTI|13
MIRT4|hsa-miR-2|Homo sapiens|C|30|Homo sapiens|qRT-PCR|Functional MTI (Weak)|14
MIRT5|mmu-miR-2|Mus musculus|C|30|Homo sapiens|qRT-PCR|Functional MTI|15
MIRT6|hsa-miR-77|Homo sapiens|C|30|Homo sapiens|qRT-PCR|Functional MTI|16
MIRT7|hsa-miR-2-5p|Homo sapiens|B|20|Homo sapiens|Western blot|Functional MTI|11
"""  # noqa: E501  a row a line

FILES = {
    "mirbase/hsa_hairpin_v22.1.fa": HAIRPINS,
    "mirbase/hsa_hairpin_mature_family_v22.1.tsv": JOINED.replace(" ", "\t").replace("-\t-", "\t"),
    "mirbase/hsa_aliases_v22.1.tsv": "MI0000001\thsa-mir-1;hsa-mir-1a\n",
    "ids.txt": "hsa-mir-2-2\nhsa-mir-1\nhsa-mir-2-1\nhsa-mir-8\n",
    "targets.tsv": TARGETS.replace("|", "\t"),
    "hmdd.tsv": "category\tmir\tdisease\tpmid\tdescription\n"
    "genetics\thsa-mir-2-1\tFlu\t1\tx\ntarget gene\thsa-mir-1\tFlu, Bird\t2\tx\n"
    "genetics\thsa-mir-1\tCold\t3\tx\ngenetics\thsa-mir-5\tCold\t3\tx\n",
    "ncdr.tsv": "PMID\tmiRNA_ID\tDrug\tmiRNA_expression\tDrug_effect\n"
    "1\thsa-mir-1\tX\tUP\tResistant\n2\thsa-mir-1\tX\tDOWN\tSensitive\n3\t\tY\t\t\n",
    "mesh.tsv": "tree_number\tdescriptor_ui\tterm\nC01\tD1\tFlu\nC02\tD2\tBird Flu\n"
    "C03\tD3\tGout\n",
    "located.tsv": "RNA Symbol\tSpecies\tSubcellular Localization\n"
    "hsa-miR-1-3p\tHomo sapiens\tCytoplasm\nhsa-miR-2-5p\tHomo sapiens\tNucleus;Exosome\n"
    "mmu-miR-9\tMus musculus\tNucleus\nhsa-mir-7\t\tNucleus\nhsa-mir-1\t\tcytoplasm\n"
    "hsa-mir-8\t\tNA\n",
}

RECIPE = """
name = "small"
species = "hsa"
[rnas]
from = "list"
file = "ids.txt"
[labels]
format = "rnalocate"
file = "located.tsv"
[[associations]]
kind = "mRNA"
format = "mirtarbase"
file = "targets.tsv"
[[associations]]
kind = "drug"
format = "ncdr"
file = "ncdr.tsv"
[[associations]]
kind = "disease"
format = "hmdd3"
file = "hmdd.tsv"
[mesh]
file = "mesh.tsv"
"""

Build = Callable[..., Built]


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the small sources; no other data."""
    monkeypatch.delenv("MIRNAGRAPH_DATA", raising=False)
    monkeypatch.setenv("MIRNAGRAPH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "sources"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def build(sources: Path) -> Build:
    """Function that builds a recipe, with files of other contents: ``build(text, files)``."""

    def made(recipe: str = RECIPE, files: dict[str, str] | None = None) -> Built:
        for name, text in (files or {}).items():
            (sources / name).write_text(text, encoding="utf-8")
        path = sources / "recipe.toml"
        path.write_text(recipe, encoding="utf-8")
        return build_dataset(read_recipe(path))

    return made
