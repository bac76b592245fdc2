"""What FHIR R4 says: reading documents, their structure, their references, their search parameters.

No I/O. A *document* is a resource as it came, as plain dicts and lists whose numbers keep their
digits (`document`); it is checked (`structure`), looked into (`reference`, `extract`, `compartment`)
and searched for (`search`) without being turned into another model. What the hub itself writes is
built as typed resources (`typed`, the only module that imports fhir.resources).
"""
