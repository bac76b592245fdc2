"""Development mode: a community to try the hub with, and partners that really receive.

Nothing here is part of the hub in service. `simulator` plays the partners that have a FHIR server
of their own: it listens on loopback, keeps what it is sent and shows it, and misbehaves on request,
because a hub is worth what it does while its partners fail.
"""
