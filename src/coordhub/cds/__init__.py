"""A door: CDS Hooks 2.0, by which an EHR asks while somebody is about to order.

https://cds-hooks.hl7.org/2.0/, docs/cds.md

- `services`   what is offered, for discovery.
- `hooks`      what an EHR sends, read and judged.
- `servers`    its own FHIR server, asked with the token it sends along, where the directory vouches for it.
- `patients`   which Patient of the hub it means: by its own numbers, never by guessing.
- `cards`      what is told, pure: one card an order, or none.
- `todo`       the one card for who opens a chart, pure.
- `answering`  from a call to its cards.
- `feedback`   what became of a card.
- `http`       the only module here that knows the web framework.

What the organization may not see makes no card, and is not told from what is not there.
"""
