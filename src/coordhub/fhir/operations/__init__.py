"""Operations: what FHIR's interactions do not say. One module each, named by the operation."""
