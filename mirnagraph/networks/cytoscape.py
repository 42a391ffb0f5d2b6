"""Style file for Cytoscape: nodes by kind and degree, and one style per compartment."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from mirnagraph.io import write_file
from mirnagraph.networks.attributes import KNOWN, PROBABILITY

STYLE = "cytoscape-style.xml"
"""Name of the style file beside the GraphML files."""

KINDS = {
    "miRNA": ("#0072B2", "ELLIPSE"),
    "disease": ("#D55E00", "DIAMOND"),
    "drug": ("#009E73", "ROUND_RECTANGLE"),
    "mRNA": ("#E69F00", "TRIANGLE"),
}
"""Kind of node -> colour (Okabe and Ito, told apart by colour-blind eyes) and shape."""

OTHER = "#999999"

LEAST, MOST = "#FFFFFF", "#0072B2"
"""Colours of the probabilities 0 and 1."""

SIZES = {1: 20, 10: 35, 100: 70, 1000: 110}
"""Degree -> size of a node; Cytoscape interpolates in between."""


def write_style(path: str | Path, compartments: Sequence[str], *, predicted: bool) -> Path:
    """Write the styles, to be read with File > Import > Styles from File.

    Args:
        path: of the file.
        compartments: a style each: a thick border for RNAs annotated there.
        predicted: whether nodes have probabilities, which then colour them.
    """
    root = ET.Element("vizmap", documentVersion="3.0", id="mirnagraph")
    node = _style(root, "mirnagraph")
    colours = {kind: colour for kind, (colour, _) in KINDS.items()}
    _discrete(node, "NODE_FILL_COLOR", OTHER, ("kind", "string"), colours)
    for name in compartments:
        node = _style(root, f"mirnagraph: {name}")
        if predicted:
            _continuous(
                node, "NODE_FILL_COLOR", OTHER, (PROBABILITY + name, "double"), {0: LEAST, 1: MOST}
            )
        else:
            _discrete(node, "NODE_FILL_COLOR", OTHER, ("kind", "string"), colours)
        _discrete(node, "NODE_BORDER_WIDTH", "1.0", (KNOWN + name, "boolean"), {"true": "6.0"})
    ET.indent(root)
    with write_file(path) as part:
        ET.ElementTree(root).write(part, encoding="utf-8", xml_declaration=True)
    return Path(path)


def _style(root: ET.Element, name: str) -> ET.Element:
    """Add a style; its element of nodes, which has shapes, sizes and labels already."""
    style = ET.SubElement(root, "visualStyle", name=name)
    network = ET.SubElement(style, "network")
    _property(network, "NETWORK_BACKGROUND_PAINT", "#FFFFFF")
    node = ET.SubElement(style, "node")
    ET.SubElement(node, "dependency", name="nodeSizeLocked", value="true")
    _property(node, "NODE_BORDER_PAINT", "#000000")
    shapes = {kind: shape for kind, (_, shape) in KINDS.items()}
    _discrete(node, "NODE_SHAPE", "ELLIPSE", ("kind", "string"), shapes)
    sizes = {degree: str(float(size)) for degree, size in SIZES.items()}
    _continuous(node, "NODE_SIZE", "20.0", ("degree", "long"), sizes)
    label = _property(node, "NODE_LABEL", "")
    ET.SubElement(label, "passthroughMapping", attributeName="name", attributeType="string")
    edge = ET.SubElement(style, "edge")
    _property(edge, "EDGE_STROKE_UNSELECTED_PAINT", OTHER)
    _continuous(edge, "EDGE_WIDTH", "1.0", ("weight", "double"), {0: "0.5", 1: "3.0"})
    return node


def _property(parent: ET.Element, name: str, default: str) -> ET.Element:
    return ET.SubElement(parent, "visualProperty", name=name, default=default)


def _discrete(
    parent: ET.Element,
    name: str,
    default: str,
    attribute: tuple[str, str],
    values: dict[str, str],
) -> None:
    """Map values of an attribute, given by its name and type."""
    element = _property(parent, name, default)
    column, kind = attribute
    mapping = ET.SubElement(element, "discreteMapping", attributeName=column, attributeType=kind)
    for key, value in values.items():
        ET.SubElement(mapping, "discreteMappingEntry", attributeValue=key, value=value)


def _continuous(
    parent: ET.Element,
    name: str,
    default: str,
    attribute: tuple[str, str],
    values: dict[int, str],
) -> None:
    """Map numbers of an attribute, with values in between interpolated."""
    element = _property(parent, name, default)
    column, kind = attribute
    mapping = ET.SubElement(element, "continuousMapping", attributeName=column, attributeType=kind)
    for number, value in values.items():
        ET.SubElement(
            mapping,
            "continuousMappingPoint",
            attrValue=str(float(number)),
            lesserValue=value,
            equalValue=value,
            greaterValue=value,
        )
