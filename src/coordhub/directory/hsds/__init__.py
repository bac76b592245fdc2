"""The Human Services Data Specification of Open Referral, in and out: feeds of who serves what, where.

https://docs.openreferral.org/en/latest/hsds/schema_reference.html
http://hl7.org/fhir/us/hsds (how Organization, HealthcareService and Location say the same)

reading: files of a source -> rows, with what could not be read. withheld: which of them are about victim
service providers, of whom nothing is taken. entries: rows -> documents of the directory, each with a key
that stays the same. schedules: when a service is open. exporting: the directory -> HSDS again.

Nothing here does I/O: `record.feeds` writes, `routing.feeding` fetches.

Words: *feed* (a source with a name), *row* (of one of its tables), *entry* (what a row becomes here),
*fault* (what of a row could not be taken, and what to do about it).
"""
