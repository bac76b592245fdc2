"""A door: the RESTful API of FHIR R4, for systems.

http://hl7.org/fhir/R4/http.html

A request goes `http` (bytes, headers, token) -> `dispatch` (which interaction is it) -> `answering`
(may the token, what became of it, audit) -> one module of `interactions/`, named as the
specification names it -> an `Answer`, back through `http`. Entries of a batch or transaction take
the same way from `dispatch` on.

The rule of this package: it decides nothing about content. Every write is `record.commit`, every
read goes through a Viewer, and what was stored is answered as it is stored: Bundles are put
together from the stored texts, nothing is serialised again.

Words: *Asked* (one interaction as asked for, whatever it came in), *Answer* (status, body, what it
is about), *Target* (what an address names).
"""
