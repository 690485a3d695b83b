"""The SUSY data set: its schema, a loader for the real rows and a synthetic stand-in.

Import from the modules: `schema`, `errors`, `loader` and `synthetic`.
"""
