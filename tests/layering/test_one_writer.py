"""No module goes around the writer: what makes, changes or removes files is in one room."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("mirnagraph", "seqtower", "fusion", "cli")
ROOM = ROOT / "mirnagraph" / "writing"

# Blocks that yield a temporary place, in which a library may write by itself.
BLOCKS = {"write_file", "write_folder", "open_output"}

# Calls by name, whatever they are called on.
REMOVES = {
    "rmtree", "unlink", "rmdir", "removedirs", "rename", "renames", "symlink_to", "hardlink_to",
    "touch", "mkdir", "makedirs", "copyfile", "copytree", "copy2", "move", "link", "symlink",
    "truncate",
}  # fmt: skip
WRITES = {
    "write_bytes", "savefig", "print_png", "save_file", "savez", "savez_compressed", "savetxt",
    "to_parquet", "to_feather", "to_pickle", "to_hdf", "to_excel", "write_graphml", "mkstemp",
    "NamedTemporaryFile", "download_url_to_file", "tofile",
}  # fmt: skip

ALLOWED = {
    "mirnagraph/catalog.py": "downloads grow in the user's cache, to go on after an interruption",
    "seqtower/encoders/pretrained.py": "torch downloads into its own cache, as a whole",
    "mirnagraph/runs/table_file.py": "pandas appends to a stream that the writer opened",
}


def calls_of(tree: ast.AST, *, in_block: bool = False) -> Iterator[ast.Call]:
    """Calls outside the blocks of the writer."""
    for node in ast.iter_child_nodes(tree):
        inside = in_block
        if isinstance(node, ast.With):
            opened = [item.context_expr for item in node.items]
            inside = inside or any(
                isinstance(call, ast.Call) and name_of(call) in BLOCKS for call in opened
            )
        if isinstance(node, ast.Call) and not in_block:
            yield node
        yield from calls_of(node, in_block=inside)


def name_of(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def module_of(call: ast.Call) -> str:
    value = getattr(call.func, "value", None)
    return getattr(value, "id", "")


def mode_of(call: ast.Call, place: int) -> str:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    given += call.args[place : place + 1]
    value = given[0] if given else None
    return str(value.value) if isinstance(value, ast.Constant) else ""


def goes_around(call: ast.Call) -> bool:
    """Whether a call makes, changes or removes a file by itself."""
    name = name_of(call)
    is_method = isinstance(call.func, ast.Attribute)
    if name == "open":
        is_function = not is_method or module_of(call) in ("gzip", "bz2", "lzma", "io")
        return bool(set(mode_of(call, 1 if is_function else 0)) & set("wax+"))
    if name in WRITES:
        return is_method or name in ("save_file", "mkstemp")
    if module_of(call) in ("os", "shutil"):
        return name in REMOVES | {"replace", "remove", "copy", "open"}
    if name == "write_text":
        return is_method  # of a Path; the function of the writer is called by its name
    if name == "to_csv":
        return bool(call.args)
    return is_method and name in REMOVES - {"rename", "copy2", "move", "link", "truncate"}


def offenders(path: Path, tree: ast.AST) -> list[str]:
    name = path.relative_to(ROOT).as_posix()
    return [f"{name}:{call.lineno}" for call in calls_of(tree) if goes_around(call)]


def test_the_rule_sees_what_goes_around() -> None:
    """The rule itself: each line is seen, and none inside a block of the writer."""
    path = ROOT / "mirnagraph" / "example.py"
    lines = (
        'open(p, "w")', 'open(p, mode="ab")', 'p.open("x")', 'gzip.open(p, "wt")',
        'p.write_text("a")', "p.write_bytes(b)", "shutil.rmtree(p)", "os.replace(a, b)",
        "os.remove(p)", "p.unlink()", "p.mkdir()", "figure.savefig(p)", "save_file(a, p)",
        "np.savez(p)", "table.to_parquet(p)", "table.to_csv(p)", "p.touch()",
    )  # fmt: skip
    for line in lines:
        assert offenders(path, ast.parse(line)) == ["mirnagraph/example.py:1"], line
        block = f"with write_folder(out) as p:\n    {line}\n"
        assert offenders(path, ast.parse(block)) == [], line
    for line in (
        "open(p)",
        'open(p, "rb")',
        "table.to_csv()",
        'write_text(p, "a")',
        "t.replace(a)",
    ):
        assert offenders(path, ast.parse(line)) == [], line


def test_no_module_goes_around_the_writer() -> None:
    found: list[str] = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if ROOM in path.parents or path.relative_to(ROOT).as_posix() in ALLOWED:
                continue
            found += offenders(path, ast.parse(path.read_text(encoding="utf-8")))
    assert found == []


def test_what_is_allowed_is_still_needed() -> None:
    for name in ALLOWED:
        path = ROOT / name
        assert offenders(path, ast.parse(path.read_text(encoding="utf-8"))), name
