"""What operators do to the hub by hand, each act with its audit row in the same transaction.

An act is said by name (`client-changed`), with the account of the machine that it was done from; its
row belongs to the hub and is shown to nobody through the API.
"""
