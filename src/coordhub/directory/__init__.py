"""Who serves what, where: the public directory, written by its steward and seen by everyone.

A recipient may be addressed as an Organization, a HealthcareService, a PractitionerRole, a Location or
a CareTeam; here it is told which Organization that is and through which Endpoints it is reached.

services: from an address to the organization behind it. matching: who could help with what is asked for,
and why the others cannot. unlisted: what is told of a victim service provider.
"""
