"""The only client of the world.

Whoever needs something from another machine (channels, keys, directory feeds) goes through
`client.Outbound`. Its rule: an address given by a partner must never let it speak through the hub
to what only the hub can reach. So names are resolved and judged here, the connection goes to the
judged address, redirects and proxies are not followed, and answers are bounded.

Mail goes through `smtp.Post`, to the one relay that the operator names.

What goes wrong out there is a value (`Unreachable`), not an exception: it is ordinary.
"""
