"""Who changes what is kept raises its number: earlier versions read it by these very keys."""

from __future__ import annotations

from dataclasses import fields

import pytest

from perfhouse import formats, lake, ledger

# By format: the keys that its readers know, of what they read strictly.
MANIFEST = {
    1: {
        *("source", "connector", "month", "mapping_sha256", "archive_sha256", "archive"),
        *("streams", "landed_at", "key_fingerprint", "manifest_sha256", "unchanged"),
    }
}
STREAM = {
    1: {
        *("files", "rows_read", "outside_window", "rows_in", "landed", "duplicates"),
        *("quarantined", "unknown", "undeclared_fields", "late_rows", "quarantine_file"),
        *("reasons", "content_sha256", "refused"),
    }
}
FILE = {1: {"name", "sha256", "bytes", "streams", "format"}}
RECEIPT = {1: {"source", "month", "sha256", "extracted_at", "files"}}
ENTRY = {
    1: {
        *("sequence", "month", "number", "as_of", "path", "release_sha256", "previous_sha256"),
        *("entry_sha256", "reason", "by", "merkle_root", "signature"),
    }
}
RECORD = {
    1: {
        *("sequence", "kind", "what", "who", "why", "previous_sha256", "entry_sha256", "at"),
        "signature",
    }
}


@pytest.mark.parametrize(
    ("kept", "known", "number"),
    [
        (lake.Manifest, MANIFEST, formats.LAKE),
        (lake.StreamLanding, STREAM, formats.LAKE),
        (lake.ArchivedFile, FILE, formats.LAKE),
        (lake.Receipt, RECEIPT, formats.LAKE),
        (ledger.Entry, ENTRY, formats.LEDGER),
        (ledger.Record, RECORD, formats.LEDGER),
    ],
)
def test_a_key_that_earlier_versions_do_not_know_has_a_new_number(
    kept: type, known: dict[int, set[str]], number: int
) -> None:
    assert {field.name for field in fields(kept)} == known[number], (
        "write the new keys under a new number, raise it in perfhouse/formats.py, write it with "
        "what is kept, and tell of it in docs/upgrading.md"
    )


@pytest.mark.parametrize("said", [{}, {"format": 1}, {"format": 2}])
def test_what_is_known_is_read(said: dict[str, object]) -> None:
    assert formats.too_new("a file", said, 2) is None


@pytest.mark.parametrize("number", [3, "2", None])
def test_what_is_not_known_is_refused_by_name(number: object) -> None:
    told = formats.too_new("a file", {"format": number}, 2)
    assert told is not None
    assert told.startswith(f"a file: it is of format {number}, and this perfhouse knows 2")
