"""The measured claims: landing, transforming, the whole pipeline, starting up.

Each is one command, `python -m benchmarks NAME`; nothing in the product may import from here.
"""
