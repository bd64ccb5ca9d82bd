"""Connectors: how each kind of source system becomes canonical streams.

Nothing here knows Airflow, dbt or Great Expectations.
"""
