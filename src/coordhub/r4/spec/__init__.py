"""HL7's definitions of R4 in compact form, and the scripts that make them (see README.md)."""
