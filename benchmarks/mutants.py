"""Single changes of numeric code, and an import hook that loads a module with one of them.

A mutant turns one sign (+ and -, * and /), changes one constant, turns axis 0 and 1, removes one
log, exp or root, moves one bound (> and >=, < and <=) or swaps one minimum and maximum. Messages,
annotations, paths and tolerances are left alone.
"""

from __future__ import annotations

import ast
import copy
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

TOLERANCE = 1e-6
"""Constants other than 0 that are not larger are tolerances; so are bounds moved by them."""
OPERATORS: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
BOUNDS: dict[type, type] = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt}
REMOVED = {"log", "log1p", "log2", "log10", "exp", "expm1", "sqrt"}
LOWER = ("min", "minimum", "argmin", "nanmin", "fmin", "idxmin", "amin")
HIGHER = ("max", "maximum", "argmax", "nanmax", "fmax", "idxmax", "amax")
SWAPPED = dict(zip(LOWER + HIGHER, HIGHER + LOWER, strict=True))
NOT_NUMERIC = {"annotation", "returns", "decorator_list"}


@dataclass(frozen=True, eq=False)
class Mutant:
    """One change of one module.

    Attributes:
        module: its name.
        path: its file.
        function: the function or class that holds the change, "" for the module itself.
        before, after: the changed expression with what is around it.
        tree: syntax tree of the module, unchanged.
        node: the node that is replaced.
        instead: what replaces it.
    """

    module: str
    path: Path
    function: str
    before: str
    after: str
    tree: ast.Module
    node: ast.AST
    instead: ast.AST

    @property
    def line(self) -> int:
        """Line of the change, 0 for a module as it is."""
        return getattr(self.node, "lineno", 0)

    @property
    def change(self) -> str:
        """Before and after, in one line."""
        return f"{self.before} -> {self.after}"

    def code(self) -> CodeType:
        """Compile the module with this change."""
        tree = _Swap(self.node, self.instead).visit(self.tree)
        code = compile(tree, str(self.path), "exec")
        _Swap(self.instead, self.node).visit(tree)
        return code


class _Swap(ast.NodeTransformer):
    def __init__(self, node: ast.AST, instead: ast.AST) -> None:
        self.node = node
        self.instead = instead

    def visit(self, node: ast.AST) -> ast.AST:
        return self.instead if node is self.node else self.generic_visit(node)


class ImportHook(MetaPathFinder, SourceFileLoader):
    """Loads the mutated module in place of the file's."""

    def __init__(self, mutant: Mutant) -> None:
        SourceFileLoader.__init__(self, mutant.module, str(mutant.path))
        self.mutant = mutant

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.mutant.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self.mutant.path, loader=self)

    def get_code(self, fullname: str) -> CodeType:
        return self.mutant.code()


def _parsed(path: Path) -> ast.Module:
    """A module whose numba functions are compiled anew: a cache knows the file, not the change."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        for decorator in getattr(function, "decorator_list", ()):
            for node in ast.walk(decorator):
                if isinstance(node, ast.keyword) and node.arg == "cache":
                    node.value = ast.copy_location(ast.Constant(False), node.value)
    return tree


def unchanged(module: str, path: Path) -> Mutant:
    """A module as it is, loaded as a mutant is: its tests must pass."""
    tree = _parsed(path)
    return Mutant(module, path, "", "", "", tree, tree, tree)


def mutants_of(module: str, path: Path) -> list[Mutant]:
    """All single changes of a module, in the order of its lines."""
    tree = _parsed(path)
    found = []
    for node, above in _numeric_nodes(tree, ()):
        for instead in _changes(node):
            before, after = _texts(node, instead, above)
            found.append(Mutant(module, path, _function(above), before, after, tree, node, instead))
    return sorted(found, key=lambda mutant: (mutant.line, getattr(mutant.node, "col_offset", 0)))


def _numeric_nodes(
    node: ast.AST, above: tuple[ast.AST, ...]
) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...]]]:
    """Nodes that may carry a number, each with those above it; an axis as a whole."""
    yield node, above
    if _is_axis(node):
        return
    for name, value in ast.iter_fields(node):
        if name in NOT_NUMERIC:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_message(child):
                yield from _numeric_nodes(child, (*above, node))


def _function(above: tuple[ast.AST, ...]) -> str:
    return ".".join(node.name for node in above if isinstance(node, ast.FunctionDef | ast.ClassDef))


def _texts(node: ast.AST, instead: ast.AST, above: tuple[ast.AST, ...]) -> tuple[str, str]:
    """The expression around a change, before and after it."""
    around = next(one for one in reversed(above) if not isinstance(one, ast.UnaryOp))
    if isinstance(around, ast.arguments):
        name = _argument(around, node)
        return f"{name}={ast.unparse(node)}", f"{name}={ast.unparse(instead)}"
    if not isinstance(around, ast.expr | ast.keyword | ast.Assign | ast.AnnAssign):
        return ast.unparse(node), ast.unparse(instead)
    before = ast.unparse(around)
    _Swap(node, instead).visit(around)
    after = ast.unparse(around)
    _Swap(instead, node).visit(around)
    return before, after


def _argument(arguments: ast.arguments, default: ast.AST) -> str:
    """Name of the argument that has this default."""
    positional = [*arguments.posonlyargs, *arguments.args][-len(arguments.defaults) :]
    pairs = [*zip(arguments.defaults, positional, strict=False)]
    pairs += zip(arguments.kw_defaults, arguments.kwonlyargs, strict=True)
    return next(argument.arg for value, argument in pairs if value is default)


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """What replaces a node in its mutants."""
    if _has_no_number(node):
        return
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
        yield _with(node, op=OPERATORS[type(node.op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand
    elif isinstance(node, ast.Compare):
        yield from _moved_bounds(node)
    elif _is_axis(node):
        value = ast.Constant(int(node.value.value == 0))
        yield _with(node, value=ast.copy_location(value, node.value))
    elif isinstance(node, ast.Call) and _name(node.func) in REMOVED:
        if node.args:
            yield node.args[0]
        elif isinstance(node.func, ast.Attribute):
            yield node.func.value
    elif isinstance(node, ast.Attribute) and node.attr in SWAPPED:
        yield _with(node, attr=SWAPPED[node.attr])
    elif isinstance(node, ast.Name) and node.id in SWAPPED:
        yield _with(node, id=SWAPPED[node.id])
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield _with(node, value=node.value + 1)
    elif isinstance(node, ast.Constant) and type(node.value) is float:
        yield _with(node, value=node.value * 2 or 1.0)


def _moved_bounds(node: ast.Compare) -> Iterator[ast.AST]:
    for place, operator in enumerate(node.ops):
        if type(operator) in BOUNDS:
            moved = BOUNDS[type(operator)]()
            yield _with(node, ops=[*node.ops[:place], moved, *node.ops[place + 1 :]])


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _has_no_number(node: ast.AST) -> bool:
    """Whether a node is a tolerance, or an operation on one or on text."""
    if isinstance(node, ast.BinOp | ast.Compare):
        children = list(ast.iter_child_nodes(node))
        return any(_is_tolerance(child) or _is_text(child) for child in children)
    return _is_tolerance(node)


def _is_tolerance(node: ast.AST) -> bool:
    """Whether a node is a tiny constant, or a number moved by one."""
    if isinstance(node, ast.BinOp):
        return any(_is_tolerance(child) for child in ast.iter_child_nodes(node))
    is_float = isinstance(node, ast.Constant) and isinstance(node.value, float)
    return is_float and 0 < abs(node.value) <= TOLERANCE


def _is_text(node: ast.AST) -> bool:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return is_text or isinstance(node, ast.JoinedStr)


def _is_axis(node: ast.AST) -> bool:
    is_axis = isinstance(node, ast.keyword) and node.arg == "axis"
    return is_axis and isinstance(node.value, ast.Constant)


def _is_message(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise | ast.JoinedStr):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = _name(node.func)
    return name.endswith("Error") or name == "warn"


def _name(node: ast.AST) -> str:
    return getattr(node, "attr", "") or getattr(node, "id", "")
