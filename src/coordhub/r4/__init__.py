"""What FHIR R4 says, without I/O: values in, values out.

http://hl7.org/fhir/R4/

The rule of this package: it knows the specification and nothing of this hub. It reads no clock, no
settings and no network; the only files it opens are its own data under `spec/`, which scripts of
the project make from HL7's definitions (4.0.1).

A *document* is a resource as it was sent: dicts, lists, strings, booleans and numbers that keep
their spelling (`document`). There is no second model of Patient or Task. `structure` checks a
document against the definitions and returns every *issue* with the FHIRPath of the element at
fault; `outcome` writes issues as an OperationOutcome.
"""
