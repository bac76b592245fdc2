"""Who is calling, and as whom.

A request becomes a `Caller`: a client, the organization it acts for, what its token allows. From
the Caller comes the `Viewer`, the only thing that `store` reads for. A scope narrows, never widens:
it takes types and interactions away from what visibility would give.

Words: *client* (software), *organization* (on whose behalf), *scope* (`system/Task.u`), *Viewer*.
"""
