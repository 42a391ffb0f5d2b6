"""Recipes as settings: what is read, what is refused, the template and the shipped ones."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.recipes import recipe as settings
from mirnagraph.recipes.places import Places, species_of
from mirnagraph.recipes.recipe import parse_recipe, read_recipe, shipped, shipped_text

SMALLEST = 'name = "x"\nspecies = "hsa"\n[rnas]\nfrom = "mirbase hairpins"\n'
LIST = 'name = "x"\nspecies = "hsa"\n[rnas]\nfrom = "list"\nfile = "a"\n'


def parse(text: str) -> settings.Recipe:
    return parse_recipe(text, "r.toml", None)


def test_the_smallest_recipe_has_no_labels_and_no_associations() -> None:
    recipe = parse(SMALLEST)
    assert recipe.rnas.origin == "mirbase hairpins"
    assert recipe.rnas.uses_mirbase
    assert recipe.labels is None
    assert recipe.associations == recipe.expression == ()
    assert recipe.text == SMALLEST
    assert parse(LIST).rnas.uses_mirbase
    assert not parse(LIST + 'sequences = "s.fa"\n').rnas.uses_mirbase


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALLEST + "[label]\n", r"r.toml: unknown setting 'label'; did you mean 'labels'\?"),
        (SMALLEST + 'fille = "x"\n', r"r.toml, \[rnas\]: unknown setting 'fille'; did you mea"),
        (SMALLEST + 'origin = "list"\n', r"\[rnas\]: unknown setting 'origin'"),
        (SMALLEST + 'file = "x"\n', "setting 'file' is 'x', expected nothing with from = "),
        (SMALLEST.replace("mirbase hairpins", "mirbase"), "setting 'from' is 'mirbase', expected"),
        (SMALLEST.replace('from = "mirbase hairpins"', ""), "the setting 'from' is missing"),
        (LIST.replace('file = "a"', ""), "setting 'file' is '', expected the file of a list"),
        (SMALLEST.replace('name = "x"', "name = 3"), "setting 'name' is 3, expected a text"),
        (SMALLEST.replace('"x"', '"../x"'), r"setting 'name' is '../x', expected letters"),
        (SMALLEST.replace('species = "hsa"', ""), "the setting 'species' is missing"),
        (LIST + '[labels]\nfile = "l"\n', r"\[labels\]: the setting 'format' is missing"),
        (LIST + '[labels]\nfile = "l"\nformat = "tabel"\n', "setting 'format' is 'tabel', expe"),
        (LIST + '[labels]\nfile = "l"\nformat = "matrix"\n', "setting 'compartments' is"),
        (
            LIST + '[labels]\nfile = "l"\nformat = "table"\ncolumns = { rnaa = "x" }\n',
            r"\[labels\]: setting 'columns' names 'rnaa'; did you mean 'rna'\?",
        ),
        (LIST + 'columns = { name = "x" }\n', "setting 'columns' is .*, expected a name 'rna'"),
        (SMALLEST + 'columns = { rna = "x" }\n', "expected nothing but with from = "),
        (LIST + '[associations]\nkind = "a"\n', r"found \[associations\], expected \[\[associa"),
        (
            LIST + '[[associations]]\nkind = "a"\nformat = "table"\nfile = "f"\n'
            'match = "published"\n',
            r"\[\[associations\]\] number 1: setting 'match' is 'published', expected name, exact",
        ),
        (
            LIST + '[[associations]]\nkind = "a"\nformat = "table"\nfile = "f"\n'
            'columns = {rna = "A", partner = "A"}\n',
            r"number 1: setting 'columns\.rna' is 'A', expected a column of its own",
        ),
        (
            LIST + 'columns = {rna = "A", sequence = "A"}\n',
            r"\[rnas\]: setting 'columns\.rna' is 'A', expected a column of its own",
        ),
        (
            LIST + '[labels]\nformat = "table"\nfile = "f"\ncompartments = ["N", "n"]\n',
            r"\[labels\]: setting 'compartments' is \['N', 'n'\], expected each name once",
        ),
        (
            LIST + '[[associations]]\nkind = "a"\nformat = "ncdr"\nfile = "f"\n' * 2,
            "kind = 'a' is there twice",
        ),
        (
            LIST + '[[associations]]\nkind = "a"\nformat = "ncdr"\nfile = "f"\nevidence = ["n"]\n',
            "setting 'evidence' is",
        ),
        (
            LIST + '[[associations]]\nkind = "a"\nformat = "ncdr"\nfile = 3\n',
            r"number 1.file: found 3 \(int\), expected a value of type str",
        ),
        (LIST + '[mesh]\nfile = "m"\n', "setting 'kind' is 'disease', expected a kind .*there is"),
    ],
)  # fmt: skip
def test_wrong_settings_are_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_recipes_are_found_by_name_or_path(tmp_path: Path) -> None:
    assert read_recipe("circloc").name == "circloc"
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALLEST.encode())  # byte order mark of an editor
    assert read_recipe(path).folder == tmp_path
    with pytest.raises(InputError, match="no such recipe; found neither a name nor a file"):
        read_recipe(tmp_path / "mirna1042")
    with pytest.raises(InputError, match="no such recipe; found a folder"):
        read_recipe(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_recipe(tmp_path / "none.toml")
    path.write_text("name = ", encoding="utf-8")
    with pytest.raises(InputError, match="not a TOML file"):
        read_recipe(path)


def test_every_shipped_recipe_and_the_template_are_read() -> None:
    names = ["cefra", "circloc", "circrna", "cldp", "mirna1041", "mouse", "rnalight"]
    assert shipped() == names
    for name in shipped():
        assert read_recipe(name).name == name
    template = parse(shipped_text("new"))
    assert template.rnas.origin == "list"
    assert template.labels is None


def test_every_example_of_the_template_is_a_recipe_too() -> None:
    """The lines that are commented out, taken together, are read; every key is in them."""
    lines = shipped_text("new").splitlines()
    is_example = [line.startswith(("# [", "# name", "# format", "# file")) for line in lines]
    assert sum(is_example) > 20
    examples = []
    for line in lines:
        inner = line.removeprefix("# ")
        is_setting = line.startswith("# ") and (" = " in inner or inner.startswith("["))
        examples.append(inner if is_setting else "")
    head = '\nname = "x"\nspecies = "hsa"\n[rnas]\nfrom = "list"\nfile = "ids"\n'
    first = next(number for number, line in enumerate(examples) if line.startswith("columns"))
    text = head + "\n".join(examples[first:])
    recipe = parse(text)
    assert [part.kind for part in recipe.associations] == ["mRNA", "disease", "drug", "protein"]
    assert recipe.rnas.columns == {"rna": "Name"}
    given = tomllib.loads(text)
    parts = {
        settings.RnasPart: given["rnas"],
        settings.LabelsPart: given["labels"],
        settings.MeshPart: given["mesh"],
    }
    rare = {"iupac", "cut_at", "match"}
    for kind, values in parts.items():
        known = {"from" if item.name == "origin" else item.name for item in fields(kind)}
        assert known - rare <= set(values), kind


def test_species_by_prefix_or_latin_name(tmp_path: Path) -> None:
    places = Places((tmp_path,))
    assert species_of("MMU", places, in_mirbase=True).latin == "Mus musculus"
    assert species_of("mus  musculus", places, in_mirbase=True).prefix == "mmu"
    assert species_of("Danio rerio", places, in_mirbase=False).prefix == ""
    with pytest.raises(InputError, match=r"unknown species; found Danio rerio.*organisms"):
        species_of("Danio rerio", places, in_mirbase=True)
    (tmp_path / "mirbase_all").mkdir()
    table = "prefix\tname\tn_hairpin\ndre\tDanio rerio\t3\nxyz\tXenia yzma\t0\n"
    (tmp_path / "mirbase_all/organisms.tsv").write_text(table, encoding="utf-8")
    assert species_of("Danio rerio", places, in_mirbase=True).prefix == "dre"
    assert species_of("zebrafish", places, in_mirbase=True).latin == "Danio rerio"
    with pytest.raises(InputError, match=r"found Dani reri, expected such as dre \(Danio rerio\)$"):
        species_of("Dani reri", places, in_mirbase=True)
    with pytest.raises(InputError, match="a species without an entry in miRBase; found xyz"):
        species_of("xyz", places, in_mirbase=True)
    with pytest.raises(InputError, match="'species' of the recipe: unknown species; found Elvish"):
        species_of("Elvish", places, in_mirbase=True)
