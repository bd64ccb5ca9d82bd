"""Gates: may this month go on?

Nothing here knows Airflow or a source system.
"""
