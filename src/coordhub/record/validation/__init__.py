"""Whether what was sent may be stored at all: the structure of R4, and references that lead somewhere.

Structure is checked before a transaction is opened, references inside it, because only there what
they name stands still.
"""
