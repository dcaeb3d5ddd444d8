"""From nuclei and probabilities to tracks, and what in them is to be looked at."""
