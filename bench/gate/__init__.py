"""The gate: is head slower than base? Plan of the process pairs, and the decision on them."""
