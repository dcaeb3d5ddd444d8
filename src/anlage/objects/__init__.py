"""Objects of label images: found, measured, as surfaces, and what looks wrong in them."""
