"""Files that stand for others which Git LFS has not fetched."""

from __future__ import annotations

#: How such a file begins, and what a message says of it.
LFS_POINTER = b"version https://git-lfs"
LFS_REFUSAL = "is a pointer of Git LFS, not the file itself; git lfs pull fetches it (or name config.json)"
