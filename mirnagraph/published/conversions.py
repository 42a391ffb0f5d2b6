"""Published files of another layout, turned into the tables that the readers take."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from mirnagraph.io import to_rna

HUMAN = "Homo sapiens"

RNALIGHT_CLASSES = ("cytoplasmic", "nuclear")

CLDP_COMPARTMENTS = ("Exosome", "Nucleus", "Cytosol", "Membrane", "Cytoplasm")

JOINED_COLUMNS = (
    "hairpin_acc", "hairpin_id", "family_acc", "family_id", "hairpin_len", "mature_acc",
    "mature_id", "mature_start", "mature_end", "mature_evidence", "mature_seq",
)  # fmt: skip

_FIELD = re.compile(r'/(\w+)="?([^"\n]*)"?')
_FEATURE = re.compile(r"^FT\s+miRNA\s+(\d+)\.\.(\d+)\s*\n((?:FT\s+/.*\n?)*)", flags=re.MULTILINE)


def human_lines(text: str) -> str:
    """Filter the lines that name a human entry."""
    return "".join(f"{line}\n" for line in text.splitlines() if "hsa-" in line)


def disease_branches(text: str) -> str:
    """Filter the tree numbers of branches C (diseases) and F03 (mental disorders); add a header."""
    lines = [line for line in text.splitlines()[1:] if line.startswith(("C", "F03"))]
    return "\n".join(["tree_number\tdescriptor_ui\tterm", *lines]) + "\n"


def numbered_records(text: str) -> str:
    """Turn lines ``miRNA;disease`` into a table with a record number."""
    lines = [line.replace(";", "\t", 1) for line in text.splitlines() if line]
    rows = [f"{number}\t{line}" for number, line in enumerate(lines)]
    return "\n".join(["record0\tmir\tdisease", *rows]) + "\n"


def _rnalight_rows(texts: Sequence[str]) -> list[list[str]]:
    """Rows ``id, name, sequence, class`` of RNAlight's tables: cytoplasmic, then nuclear."""
    rows = []
    for text, label in zip(texts, RNALIGHT_CLASSES, strict=True):
        rows += [[*line.split("\t"), label] for line in text.splitlines()[1:]]
    return rows


def rnalight_fasta(*texts: str) -> str:
    """Turn RNAlight's tables into FASTA."""
    rows = _rnalight_rows(texts)
    return "".join(f">{rna} {name}\n{sequence}\n" for rna, name, sequence, _ in rows)


def rnalight_labels(*texts: str) -> str:
    """Turn RNAlight's tables into a table of classes."""
    rows = [(rna, name, label) for rna, name, _, label in _rnalight_rows(texts)]
    return _table([("ensembl_transcript_id", "name", "class"), *rows])


def ncdr_table(text: str) -> str:
    """Turn the CSV of ncDR into a table without the column SMILES."""
    rows = list(csv.reader(io.StringIO(text)))
    dropped = rows[0].index("SMILES")
    return _table([*row[:dropped], *row[dropped + 1 :]] for row in rows)


def mirtarbase_human(text: str) -> str:
    """Filter the whole rows of a CSV of miRTarBase with a human miRNA and a human target."""
    header, *rows = csv.reader(io.StringIO(text))
    species = [column for column, name in enumerate(header) if name.startswith("Species")]
    kept = [
        row
        for row in rows
        if len(row) == len(header) and all(row[column] == HUMAN for column in species)
    ]
    return _table([header, *kept])


def mirbase_hairpins(text: str) -> str:
    """Turn ``miRNA.dat`` (EMBL) into FASTA of the human hairpins."""
    records = []
    for record in _human_records(text):
        about = re.search(r"^DE\s+(.*)$", record, flags=re.MULTILINE)
        accession, name, sequence = _entry(record)
        description = about.group(1).strip() if about else ""
        records.append(f">{name} {accession} {description}\n{sequence}\n")
    return "".join(records)


def mirbase_joined(text: str, families: str) -> str:
    """Join the human hairpins and matures of ``miRNA.dat`` with the families of ``miFam.dat``."""
    family_of = _families(families)
    rows: list[Sequence[object]] = [JOINED_COLUMNS]
    for record in _human_records(text):
        accession, name, sequence = _entry(record)
        hairpin = (accession, name, *family_of.get(accession, ("", "")), len(sequence))
        for start, end, block in _FEATURE.findall(record):
            about = dict(_FIELD.findall(block))
            evidence = about.get("evidence", "")
            mature = sequence[int(start) - 1 : int(end)]
            ids = (about["accession"], about["product"])
            rows.append((*hairpin, *ids, start, end, evidence, mature))
    return _table(rows)


def _human_records(text: str) -> list[str]:
    records = re.split(r"^//[ \t]*$", text.replace("\r\n", "\n"), flags=re.MULTILINE)
    return [record for record in records if re.search(r"^ID\s+hsa-", record, flags=re.MULTILINE)]


def _entry(record: str) -> tuple[str, str, str]:
    """Accession, id and sequence of a record of ``miRNA.dat``; ValueError without one of them."""
    name = re.search(r"^ID\s+(\S+)", record, flags=re.MULTILINE)
    accession = re.search(r"^AC\s+([^;\s]+);", record, flags=re.MULTILINE)
    body = re.search(r"^SQ.*\n((?:[ \t]+.*\n?)*)", record, flags=re.MULTILINE)
    if not (name and accession and body):
        raise ValueError("not a record of miRNA.dat")
    return accession.group(1), name.group(1), to_rna(re.sub(r"[\s\d]", "", body.group(1)))


def _families(text: str) -> dict[str, tuple[str, str]]:
    """Accession of a hairpin -> accession and name of its family."""
    family_of = {}
    family = ("", "")
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["AC"]:
            family = (words[1], "")
        elif words[:1] == ["ID"]:
            family = (family[0], words[1])
        elif words[:1] == ["MI"]:
            family_of[words[1]] = family
    return family_of


def _cldp_rows(texts: Sequence[str]) -> list[dict[str, str]]:
    """Distinct genes of the tables of CLDP-lncLoc, by the text of their ids."""
    rows: dict[str, dict[str, str]] = {}
    for text in texts:
        for row in csv.DictReader(io.StringIO(text)):
            rows.setdefault(row["Gene_ID"], row)
    return [rows[gene] for gene in sorted(rows)]


def cldp_fasta(*texts: str) -> str:
    """Join the tables of CLDP-lncLoc, one per cell line, and turn them into FASTA."""
    rows = _cldp_rows(texts)
    return "".join(f">{row['Refseq_ID']} {row['Gene_ID']}\n{row['Sequence']}\n" for row in rows)


def cldp_labels(*texts: str) -> str:
    """Join the tables of CLDP-lncLoc, one per cell line, and turn them into 0/1 columns."""
    columns = ("Refseq_ID", "Gene_ID", "Gene_Name", "Species", *CLDP_COMPARTMENTS)
    header = ("refseq_id", "gene_id", "symbol", "species", *CLDP_COMPARTMENTS)
    return _table([header, *([row[name] for name in columns] for row in _cldp_rows(texts))])


def _table(rows: Iterable[Sequence[object]]) -> str:
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


MERGED: Mapping[str, str] = MappingProxyType(
    {
        "Breast Neoplasms": "Carcinoma, Breast|Hereditary Breast Carcinoma",
        "Lung Neoplasms": "Carcinoma, Lung",
        "Neoplasms": "Malignant Neoplasms",
        "Pituitary Neoplasms": "Pituitary Adenoma",
        "Thyroid Neoplasms": "Carcinoma, Thyroid|Heart Transplant Rejection",
        "Leukemia, Myeloid, Chronic": "Leukemia, Myelogenous, Chronic, BCR-ABL Positive",
        "Urinary Bladder Cancer": "Bladder Neoplasms|Carcinoma, Bladder",
        "Prostate Neoplasms": "Carcinoma, Prostate",
        "Multiple Myeloma": "Myeloma",
        "Gastric Neoplasms": "Carcinoma, Gastric|Adenocarcinoma, Gastric",
        "Polycystic Kidney Disease": "Autosomal Dominant Polycystic Kidney Disease",
        "Crohn Disease": "Crohn Colitis",
        "Carcinoma, Esophageal": "Esophageal Neoplasms",
        "Coronary Artery Disease": "Coronary Atherosclerosis",
        "Cholangiocarcinoma": "Intrahepatic Cholangiocarcinoma",
        "Carotid Artery Diseases": "Carotid Atherosclerosis",
        "Leukemia, Lymphoblastic, Acute": "Leukemia, Lymphoblastic, Acute, Childhood",
        "Ischemic Diseases": "Ischemia",
        "Heart Diseases": "Chronic Heart Failure",
        "Head And Neck Neoplasms": "Carcinoma, Head And Neck",
        "Carcinoma, Rectal": "Rectal Neoplasms",
        "Acute Kidney Failure": "Kidney Injury",
        "Liver Cirrhosis": "Liver Fibrosis",
        "Endometrial Neoplasms": "Carcinoma, Endometrial",
        "Lymphoma, Large B-Cell, Diffuse": "Lymphoma, Large B-Cell",
        "Germ Cell Tumor": "Central Nervous System Embryonal Tumor",
        "Focal Segmental Glomerulosclerosis": "Glomerulosclerosis",
        "Macroglobulinemia": "Waldenstrom Macroglobulinemia",
        "Carcinoma, Cervical": "Cervical Neoplasms",
        "Tuberculosis": "Mycobacterium tuberculosis Infection",
        "Angiosarcoma": "Hemangiosarcoma",
        "Myotonic Dystrophy Type 1": "Myotonic Muscular Dystrophy",
        "Age-Related Macular Degeneration": "Macular Degeneration",
        "Carcinoma, Lung, Small-Cell": "Early-Stage Small-Cell Lung Carcinoma",
        "Hepatitis": "Chronic Hepatitis",
        "Neurilemmoma": "Malignant Peripheral Nerve Sheath Tumor",
        "Vascular Disease": "Aneurysm",
        "Graves Ophthalmopathy": "Thyroid-Associated Ophthalmopathy",
        "Sarcoma": "Soft Tissue Sarcoma",
        "Carcinoma, Endometrioid Endometrial": "Adenocarcinoma, Endometrial",
        "Intracranial Aneurysm": "Cerebral Aneurysm",
        "Carcinoma, Laryngeal": "Laryngeal Neoplasms",
        "Uterine Leiomyoma": "Leiomyoma",
        "Astrocytoma": "Anaplastic Astrocytoma",
        "Carcinoma, Salivary Adenoid Cystic": "Carcinoma, Adenoid Cystic",
        "Alopecia": "Androgenetic Alopecia",
        "Chordoma": "Spinal Chordoma",
        "Keratitis": "Fungal Keratitis",
        "Acute Brucellosis": "Chronic Brucellosis",
        "Non-Traumatic Osteonecrosis": "Osteonecrosis",
        "Sickle Cell Anemia": "Sickle Cell Disease",
    }
)
"""Diseases of HMDD that the benchmark's authors merged with others: the first -> the others."""


def disease_names(matrix: str, ids: str, records: str) -> str:
    """Name the columns of the benchmark's matrix of diseases by the records of HMDD.

    The columns are in the order in which diseases first appear in HMDD, and the miRNAs of a column
    are those of its disease: so a column is the first disease not yet named that has its miRNAs,
    after the disease before it where there is one. Merged columns are the union of `MERGED`.

    Args:
        matrix: 0/1, comma-separated, a line per miRNA.
        ids: of the miRNAs, one a line.
        records: lines ``miRNA;disease``.

    Raises:
        ValueError: a column with the miRNAs of no disease.
    """
    rnas_of = _rnas_of_diseases(ids.split(), records)
    place = {disease: number for number, disease in enumerate(rnas_of)}
    alike: dict[frozenset[int], list[str]] = {}
    for disease, rnas in rnas_of.items():
        alike.setdefault(rnas, []).append(disease)
    unions = {}
    for first, others in MERGED.items():
        names = [name for name in (first, *others.split("|")) if name in rnas_of]
        unions[frozenset[int]().union(*(rnas_of[name] for name in names))] = first
    rows: list[Sequence[object]] = [("anchor_hmdd_disease", "other_merged_hmdd_names")]
    named: set[str] = set()
    last = -1
    for rnas in _columns(matrix):
        same = [disease for disease in alike.get(rnas, []) if disease not in named]
        later = [disease for disease in same if place[disease] > last]
        disease = next(iter(later or same), unions.get(rnas, ""))
        if not disease:
            raise ValueError("a column of no disease")
        named.add(disease)
        last = place[disease]
        rows.append((disease, MERGED.get(disease, "") if not same else ""))
    return _table(rows)


def _rnas_of_diseases(ids: Sequence[str], records: str) -> dict[str, frozenset[int]]:
    """Rows of the miRNAs of each disease, in the order of the records."""
    row_of = {name: row for row, name in enumerate(ids)}
    rnas: dict[str, set[int]] = {}
    for line in records.splitlines():
        name, _, disease = line.partition(";")
        rows = rnas.setdefault(disease.strip(), set())
        if name in row_of:
            rows.add(row_of[name])
    return {disease: frozenset(rows) for disease, rows in rnas.items()}


def _columns(matrix: str) -> list[frozenset[int]]:
    """Rows with a 1, per column of a matrix."""
    columns: list[set[int]] = []
    for row, line in enumerate(matrix.split()):
        cells = line.split(",")
        columns = columns or [set() for _ in cells]
        for column, cell in zip(columns, cells, strict=True):
            if cell == "1":
                column.add(row)
    return [frozenset(column) for column in columns]


CONVERSIONS: Mapping[str, Callable[..., str]] = MappingProxyType(
    {
        "human_lines": human_lines,
        "disease_branches": disease_branches,
        "numbered_records": numbered_records,
        "rnalight_fasta": rnalight_fasta,
        "rnalight_labels": rnalight_labels,
        "ncdr_table": ncdr_table,
        "mirtarbase_human": mirtarbase_human,
        "mirbase_hairpins": mirbase_hairpins,
        "mirbase_joined": mirbase_joined,
        "disease_names": disease_names,
        "cldp_fasta": cldp_fasta,
        "cldp_labels": cldp_labels,
    }
)
"""Name in the catalog -> conversion of the texts of one download or several."""
