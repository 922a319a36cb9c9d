"""From verdicts to words, pictures and pages. Draws conclusions from nothing but the analysis."""
