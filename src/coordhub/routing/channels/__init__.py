"""Ways out of the hub, one module per Endpoint.connectionType.

`channel` says what every channel takes and gives. A channel sends one message once, with no
transaction open, and tells what came of it as a value; it neither chooses recipients nor repeats.
Channels do not know one another.
"""
