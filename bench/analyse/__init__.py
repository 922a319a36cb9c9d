"""From slices to verdicts. Reads what the store hands over; never measures."""
