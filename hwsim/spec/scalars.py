"""What a plain YAML scalar means, by the core schema of YAML 1.2.2, section 10.3.2.

PyYAML's own loader follows YAML 1.1, which reads ``1e9`` as text, ``1:30`` as 90, ``010`` as 8 and
``no`` as false.
"""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")

#: Plain scalars that start otherwise are text; saves the regular expressions for most of them.
_FIRST = frozenset("0123456789+-.~ntfNTF")


def resolve_scalar(text: str) -> Scalar:
    """Return the value of a plain (unquoted) scalar.

    Raises
    ------
    ValueError
        If it is an integer with more digits than Python converts (``sys.get_int_max_str_digits``).
    """
    if text and text[0] not in _FIRST:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return _resolve_rare(text)


def _resolve_rare(text: str) -> Scalar:
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    if _INF.fullmatch(text) or _NAN.fullmatch(text):
        return float(text.replace(".", ""))
    return text
