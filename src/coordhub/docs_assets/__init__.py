"""The page at /docs, which needs no internet: Swagger UI and its licences, as files (README.md)."""
