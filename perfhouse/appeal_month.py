"""Which month an appeal is about: the one that its text names, such as 2026-09.r1, or none.

The dbt macro `appeal_month` says the same for the models. Standard library only.
"""

from __future__ import annotations

# No colon may stand in it: what Great Expectations runs takes one for a parameter.
_MONTH = "(20[0-9][0-9]-(0[1-9]|1[0-2]))"
_RELEASE = f"{_MONTH}[.]r[1-9]"


def about_sql(text: str) -> str:
    """Return SQL for the month that a text is about, as 2026-09, or null.

    The month of a release as cards print it wins over days beside it; else it is the only month in
    the text. Of two months neither is meant.
    """
    released, named = _first(text, _RELEASE), _first(text, _MONTH)
    return (
        f"case when {released} is not null then {_alone(text, released, _RELEASE)} "
        f"else {_alone(text, named, _MONTH)} end"
    )


def _first(text: str, pattern: str) -> str:
    return f"nullif(regexp_extract({text}, '{pattern}', 1), '')"


def _alone(text: str, month: str, pattern: str) -> str:
    """Return SQL for a month, or null where its text has another one as well."""
    rest = f"replace({text}, {month}, ' ')"
    return f"case when {_first(rest, pattern)} is null then {month} end"
