"""Draw docs/architecture.png from the imports of the code: `python docs/draw_rooms.py`."""

from __future__ import annotations

import ast
from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx
from matplotlib.patches import FancyBboxPatch

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("cli", "fusion", "seqtower", "mirnagraph")
COLOURS = {"cli": "#f4d9c6", "fusion": "#dde8f4", "seqtower": "#e3f0db", "mirnagraph": "#efe4f3"}


def module_names() -> dict[str, Path]:
    """Module name -> file."""
    names = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            names[".".join(part for part in parts if part != "__init__")] = path
    return names


def room_of(name: str) -> str:
    """Subfolder of a module; the package itself for modules in the package's folder."""
    parts = name.split(".")
    is_room = (ROOT / Path(*parts[:2])).is_dir()
    return ".".join(parts[:2]) if is_room and len(parts) > 1 else parts[0]


def room_graph(names: dict[str, Path]) -> nx.DiGraph:
    """Rooms and imports between them; the attribute ``modules`` counts the modules of a room."""
    graph = nx.DiGraph()
    for name, path in names.items():
        room = room_of(name)
        n_modules = graph.nodes.get(room, {}).get("modules", 0)
        graph.add_node(room, modules=n_modules + (path.name != "__init__.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                target = whole if whole in names else node.module
                if target in names and room_of(target) != room:
                    graph.add_edge(room, room_of(target))
    return graph


def depths(graph: nx.DiGraph, package: str) -> dict[str, int]:
    """Column of each room of a package: rooms that import others lie left of them."""
    rooms = [room for room in graph if room.split(".")[0] == package and room != package]
    inner = graph.subgraph(rooms)
    order = {room: number for number, room in enumerate(rooms)}
    columns: dict[str, int] = {}
    for room in reversed(list(nx.lexicographical_topological_sort(inner, key=order.get))):
        columns[room] = 1 + max((columns[other] for other in inner.successors(room)), default=-1)
    return columns


def draw(graph: nx.DiGraph) -> plt.Figure:
    """Rooms as boxes, one band per package, imports between rooms of a package as arrows."""
    figure, axis = plt.subplots(figsize=(12, 8.5), layout="constrained")
    top = 0.0
    for package in PACKAGES:
        columns = depths(graph, package)
        n_columns = 1 + max(columns.values(), default=0)
        stacks: dict[int, list[str]] = {}
        for room in sorted(columns):
            stacks.setdefault(columns[room], []).append(room)
        height = 0.6 + 0.75 * max((len(stack) for stack in stacks.values()), default=1)
        box = FancyBboxPatch((0, top - height), 10, height, boxstyle="round,pad=0.05")
        box.set(facecolor=COLOURS[package], edgecolor="0.5")
        axis.add_patch(box)
        n_modules = graph.nodes[package]["modules"]
        axis.text(0.1, top - 0.25, f"{package}/   {n_modules} modules", weight="bold", va="center")
        places = {}
        for column, stack in stacks.items():
            for row, room in enumerate(stack):
                x = 9.0 - 8.0 * column / max(1, n_columns - 1) if n_columns > 1 else 5.0
                places[room] = (x, top - 0.75 - 0.75 * row)
        for room, (x, y) in places.items():
            for other in graph.successors(room):
                if other in places:
                    arrow = {"arrowstyle": "->", "color": "0.55", "shrinkA": 22, "shrinkB": 22}
                    axis.annotate("", places[other], (x, y), arrowprops=arrow)
        for room, (x, y) in places.items():
            text = f"{room.split('.')[1]}\n{graph.nodes[room]['modules']}"
            style = {"boxstyle": "round", "facecolor": "white", "edgecolor": "0.4"}
            axis.text(x, y, text, ha="center", va="center", fontsize=9, bbox=style)
        top -= height + 0.35
    axis.set(xlim=(-0.2, 10.2), ylim=(top, 0.2))
    axis.axis("off")
    axis.set_title("Imports go down and to the right (cli, fusion, seqtower, mirnagraph)")
    return figure


if __name__ == "__main__":
    target = ROOT / "docs" / "architecture.png"
    draw(room_graph(module_names())).savefig(target, dpi=110, metadata={"Software": None})
