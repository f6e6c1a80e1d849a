# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Makes ``ansible_collections.clusterset.dns`` this checkout, wherever it lies, so that plain ``pytest`` works."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def _collections_root() -> Path:
    """The directory that holds ``ansible_collections/``: the checkout's own if it stands in such a tree, else one with a link to it."""
    if CHECKOUT.parts[-3:] == ("ansible_collections", "clusterset", "dns"):
        return CHECKOUT.parents[2]
    root = Path(tempfile.mkdtemp(prefix="clusterset-dns-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    namespace = root / "ansible_collections" / "clusterset"
    namespace.mkdir(parents=True)
    (namespace / "dns").symlink_to(CHECKOUT, target_is_directory=True)
    return root


sys.path.insert(0, str(_collections_root()))
