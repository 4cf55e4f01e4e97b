"""Data beside the page: ``assets/NAME.js``, which the page loads when it is asked for.

A page that is opened as a file may not fetch other files, but it may load scripts: each sidecar is a script of one
call, ``ragsignal.receive(NAME, DATA)``, and ``ragsignal.load(NAME)`` of the page's own script waits for it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

FOLDER = "assets"


def write_sidecar(folder: Path, name: str, data: Any) -> Path:
    """Write ``data`` to ``folder/assets/NAME.js``.

    Parameters
    ----------
    folder : Path
        The report's folder.
    name : str
        Small letters, digits and hyphens, so that it is a file name and a URL as it stands: a symbol is neither.
    data : Any
        What JSON can hold.

    Raises
    ------
    ValueError
        For another name, or for a number that JSON cannot hold.
    """
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise ValueError(f"{name!r} is no name of a sidecar: small letters, digits and hyphens were expected")
    path = folder / FOLDER / f"{name}.js"
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))  # ASCII: no encoding is declared beside a file
    path.write_text(f'ragsignal.receive("{name}",{text});\n', encoding="ascii")
    return path
