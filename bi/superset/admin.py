"""Makes Superset's administrator, or gives it the password of the environment; runs there."""

from __future__ import annotations

import os


def main() -> None:
    """Make the administrator of PERFHOUSE_BI_ADMIN and PERFHOUSE_BI_ADMIN_PASSWORD."""
    from superset.app import create_app

    with create_app().app_context():
        from superset import db, security_manager

        name = os.environ["PERFHOUSE_BI_ADMIN"]
        secret = os.environ["PERFHOUSE_BI_ADMIN_PASSWORD"]
        user = security_manager.find_user(username=name)
        if user is None:
            role = security_manager.find_role("Admin")
            made = security_manager.add_user(
                name, "perfhouse", "admin", f"{name}@localhost", role, secret
            )
            if not made:
                raise SystemExit("the administrator could not be made")
        else:
            security_manager.reset_password(user.id, secret)
        db.session.commit()


if __name__ == "__main__":
    main()
