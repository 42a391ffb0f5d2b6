"""Machine code that numba keeps beside the kernels' sources, thrown away when any of them has changed."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

STAMP = "kernels.sha256"


def forget_other_sources(folder: Path = Path(__file__).parent) -> None:
    """Delete kept machine code that was made from other sources than those of now.

    Numba makes a function anew when its own file is another, but not when a function that it calls stands in another file: after a change
    of `seqtower.cpu.lanes` alone, kept kernels would go on with what it said before.

    Args:
        folder: of the sources; what cannot be written stays as it is.
    """
    kept = folder / "__pycache__"
    print_of = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))).hexdigest()
    with contextlib.suppress(OSError):
        if (kept / STAMP).is_file() and (kept / STAMP).read_text(encoding="utf-8") == print_of:
            return
        for path in [*kept.glob("*.nbi"), *kept.glob("*.nbc")]:
            path.unlink(missing_ok=True)
        kept.mkdir(exist_ok=True)
        (kept / STAMP).write_text(print_of, encoding="utf-8")
