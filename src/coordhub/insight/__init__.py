"""What the hub can tell from what it holds: whether what is asked for is there, or under way, already.

To each with its own eyes: what the organization that asks may not see is not known here either.
"""
