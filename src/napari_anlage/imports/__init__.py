"""Import what was annotated elsewhere, in the dock."""
