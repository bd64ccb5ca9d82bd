"""Gates: may this month go on?

Nothing here knows Airflow or a source system.
"""

from expectations.thresholds import DEFAULTS

# what a company may set under [gates.<gate>]; test_company.py holds it against the suites
THRESHOLDS = {gate: frozenset(found) for gate, found in DEFAULTS.items()}
