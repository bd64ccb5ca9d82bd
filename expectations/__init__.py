"""Gates: may this month go on?

Nothing here knows Airflow or a source system.
"""

# what a company may set under [gates.<gate>]; test_company.py holds it against the suites
THRESHOLDS = {
    "raw": frozenset(
        {
            "allow_empty",
            "ambiguous_share",
            "duplicate_share",
            "quarantine_share",
            "unmatched_share",
            "unmatched_warning_share",
            "vanished_share",
            "volume_drop",
        }
    ),
    "scorecards": frozenset({"insufficient_share", "uncredited_share"}),
    "exports": frozenset[str](),
}
