"""What the roles of managers are called on a card, in Chinese and English.

Names only; which manager has which role is said by the packs, the company's rules and the roster.
"""

from __future__ import annotations

from collections.abc import Mapping

ROLE_NAMES: Mapping[str, tuple[str, str]] = {
    "front_line": ("一线经理", "Front-line manager"),
    "technical_support": ("技术支持经理", "Technical-support manager"),
    "team_lead": ("班组长", "Team lead"),
    "manager_of_managers": ("上级经理", "Manager of managers"),
    "cs_manager": ("客服经理", "Customer-service manager"),
    "supervisor": ("客服主管", "Supervisor"),
}


def role_name(role: str | None) -> tuple[str, str] | None:
    """Name a role in both languages; a company's own role is called by its id."""
    return ROLE_NAMES.get(role, (role, role)) if role else None
