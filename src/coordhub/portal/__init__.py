"""A door for people: pages.

Two ways lead in. A link in a mail opens one Task of one organization, to be read and answered (`opening`,
`routes`). Who has an account signs in (`signing_in`, `entering`) and finds what the organization is asked
(`worklist`). What a Task says and what may be done with it is the same behind both (`sheets`, `answering`).

A page shows what the organization may see, read with its Viewer, and whatever it does is `record.commit` as
that organization: it knows nothing that the FHIR API would not tell it. `routes` and the desks that `rooms`
lists alone speak HTTP; `pages` renders `templates/`, which need no script (passkeys have one, and lists
that wait), in the words of `language` and `messages/`; `static/` is what they load.
"""
