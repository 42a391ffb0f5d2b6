"""Extension of griffe: examples of docstrings (>>>) are shown as code."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"(?:^>>> .*\n?(?:^(?!>>> )\S.*\n?)*)+", re.MULTILINE)


class Doctests(griffe.Extension):
    """Puts fences around the examples of every docstring."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None and ">>> " in obj.docstring.value:
            text = griffe.Docstring(obj.docstring.value).value
            obj.docstring.value = EXAMPLE.sub(fenced, text)


def fenced(match: re.Match[str]) -> str:
    """Return the example as a block of Python."""
    return f"\n```python\n{match.group(0).rstrip()}\n```\n"
