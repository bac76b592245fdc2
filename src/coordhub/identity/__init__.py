"""Are these two the same person: what is compared, how alike it is, and what may follow from that.

Pure: values in, values out, no SQL and no clock. `normalise` makes of a Patient the traits that can be
compared and the keys by which records worth comparing are found; `likeness` says how alike two names are;
`weights` are the numbers, as data; `match` weighs the traits of two records and gives a grade.

Words: a trait is a value as it is compared; a field (birth, family, given ...) agrees at a level; evidence is
the fields with their levels, without a value; a grade is certain, probable, possible or certainly-not
(http://hl7.org/fhir/R4/valueset-match-grade.html). A link says that two records are of one person.

The rule: a wrong link is worse than a missed one. Only what is certain is linked without a person.
"""
