"""Words that go into the ledger and into releases for good: they may name a cause, and nobody.

Refuses before anything is written; it may not write the ledger itself.
"""

from __future__ import annotations

import logging

from perfhouse import contacts, roster_names
from perfhouse.errors import ConfigError
from perfhouse.restatement import Reason
from perfhouse.settings import Home

_log = logging.getLogger(__name__)


def require(home: Home, said: Reason) -> None:
    """Refuse a reason that names somebody, and contacts; warn where `by` names somebody.

    Who decides may sign with their own name, and should know that analysts will read it.

    Raises:
        ConfigError: what is to be said otherwise, without the name (operator).
    """
    problems = [
        f"--{field}: expected no mail address and no telephone number; whoever reads releases "
        "reads this, for good"
        for field, words in (("reason", said.reason), ("by", said.by))
        if contacts.has_contact(words)
    ]
    names = roster_names.known(home)
    if roster_names.names_somebody(said.reason, names):
        problems.append(
            "--reason: expected words that name nobody (a cause, the number of a case), got the "
            "name of somebody in the roster; whoever reads releases reads this, for good"
        )
    if problems:
        raise ConfigError(problems)
    if roster_names.names_somebody(said.by, names):
        _log.warning(
            "--by: this names somebody in the roster, and whoever reads releases reads it for "
            "good: an office would do"
        )
