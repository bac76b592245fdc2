"""A door for people: pages.

Today it is what a link in a mail opens: one Task of one organization, to be read, accepted or declined
(`opening`, `sheets`, `answering`). A worklist and a way to sign in go beside these.

A page shows what the organization may see, read with its Viewer, and whatever it does is `record.commit` as
that organization: it knows nothing that the FHIR API would not tell it. `routes` alone speaks HTTP; `pages`
renders `templates/`, which need no script; `static/` is what they load.
"""
