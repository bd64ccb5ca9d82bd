"""The PostgreSQL mart: what is published, for BI tools and many people, each with their rights.

It shows releases that stand; it may not build, judge or change one.
"""
