"""Whether a text holds somebody's contact: a mail address, or a mobile or landline number.

Goes by the form of addresses and numbers, in any width and with separators. Standard library
only; what is done about one is decided elsewhere.
"""

from __future__ import annotations

import re
import unicodedata

# A dot of a domain may be typed as the full stop of Chinese; dashes and spaces come in many kinds.
_SAME = str.maketrans({"。": ".", "｡": ".", **dict.fromkeys("‐‑‒–—−－", "-")})
_NAME = r"[^\s@<>()\[\]{}\"'`,;:|\\/=&#]{1,64}"
_MAIL = re.compile(
    rf"{_NAME}@(?:[^\W_](?:[\w-]*[^\W_])?\.)+(?:xn--[a-z0-9-]+|[^\W\d_]{{2,}})", re.IGNORECASE
)
_BEGIN = r"(?<![0-9A-Za-z_])(?<![0-9][.,:])(?<![0-9a-f]{4}-)"  # nor within a UUID
_END = r"(?![0-9A-Za-z_])(?![.,:][0-9])"
_CHINA = r"(?:\(?(?:\+|00)?\(?86\)?[ -]?)"
_MOBILE = rf"{_CHINA}?1[3-9][0-9][ -]?[0-9]{{4}}[ -]?[0-9]{{4}}"
_AREA = r"(?:10|2[0-57-9]|[3-9][0-9]{2})"
# What looks like a day, 20260901, is none's number.
_OWN = r"(?!(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9](?![0-9]))[1-9][0-9]{2,3}[ -]?[0-9]{4}"
_LANDLINE = (
    rf"(?:\(0{_AREA}\)[ -]?|0{_AREA}-|\+86[ -]?0?{_AREA}[ -]?){_OWN}"
    rf"|0{_AREA} (?=[2-8])(?:[0-9]{{4}} [0-9]{{4}}|{_OWN})"
)
_PARTS = r"(?=(?:[ -]?\(?[0-9]\)?){9,14}(?![0-9]))[0-9]{0,2}(?:[ -]\(?[0-9]{2,5}\)?){2,5}"
_ABROAD = rf"\+[1-9](?:[0-9]{{9,14}}|{_PARTS})"
_NUMBER = re.compile(f"{_BEGIN}(?:{_MOBILE}|{_LANDLINE}|{_ABROAD}){_END}")


def has_contact(text: str) -> bool:
    """Say whether a text holds a mail address or a telephone number."""
    said = unicodedata.normalize("NFKC", text).translate(_SAME)
    if not said.isascii():
        said = "".join(c for c in said if unicodedata.category(c) != "Cf")
    return bool("@" in said and _MAIL.search(said)) or bool(_NUMBER.search(said))


def may_have_contact_sql(column: str) -> str:
    """Return SQL for texts that could hold a contact: all that `has_contact` finds, and more."""
    digits = f"length(regexp_replace({column}, '[^\\p{{N}}]', '', 'g'))"
    at = " or ".join(f"contains({column}, '{sign}')" for sign in "@＠﹫")
    return f"({at} or {digits} >= 10)"
