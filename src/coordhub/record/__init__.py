"""The one way in: every write of every door, and of the hub itself, is `commit`.

`commit(hub, caller, operations)` checks the documents, opens the transaction, finds what they name,
applies the rules of the types that carry referrals, decides who may see what, and writes it all in
one statement: versions, index, grants, projections, timers, audit and change rows. What is written
*is* the event; there is no state "stored but never routed".

A transaction is opened where something is to be locked: what is updated, the referral it belongs
to, what criteria name. A create locks nothing and is that one statement.

`apply` is the same inside a transaction that the caller has opened: only the routing worker has one.

A Consent (`consents`) takes effect in its own commit, and so does what it ends (`withdrawal`).

Words: *operation* (Create, Update, Delete: what someone asks), *Written* (what became of it),
*batch* (the rows of one commit).
"""
