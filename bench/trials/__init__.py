"""Long trials behind claims of the documents: each prints its figure, interval and target."""
