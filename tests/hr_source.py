"""The `[[sources]]` of a roster in a CSV file a month, for the company files of tests."""

from __future__ import annotations

_HEAD = """\
[[sources]]
id = "hr"
connector = "files"
owner = "HR"
[[sources.streams]]
stream = "hr_roster"
path = "%s"
[sources.streams.columns]
"""
_COLUMNS = {
    "snapshot_date": '"day"',
    "valid_from": '{ value = "2020-01-01" }',
    "employee_id": '"id"',
    "department_id": '{ value = "d" }',
    "manager_employee_id": '"manager"',
    "job_family": '{ from = "job" }',
    "employment_status": '{ value = "active" }',
    "hire_date": '{ value = "2020-01-01" }',
}


def hr_source(path: str = "hr_{month}.csv", **columns: str) -> str:
    """Return TOML of the source `hr`; `columns` are TOML values that differ or come on top."""
    mapped = {**_COLUMNS, **columns}
    return _HEAD % path + "".join(f"{name} = {value}\n" for name, value in mapped.items())
