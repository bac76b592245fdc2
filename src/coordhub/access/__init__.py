"""Who is calling, and as whom.

A request becomes a `Caller`: a client, the organization it acts for, what its token allows. From
the Caller comes the `Viewer`, the only thing that `store` reads for. A scope narrows, never widens:
it takes types and interactions away from what visibility would give.

What a patient allows is said by Consents. `consent` reads one as rules, `provision` one of its
provisions, `reach` keeps what of it surely and what possibly is meant; all pure. The rules are
written by `record.consents` and looked up by `store.visibility`.

Words: *client* (software), *organization* (on whose behalf), *scope* (`system/Task.u`), *Viewer*.
"""
