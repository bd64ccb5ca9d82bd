"""Superset as code: its dashboards, made from the KPI definitions, and what starts and fills it.

Not part of the distribution; Superset itself lives in an environment of its own and is only
spoken to.
"""
