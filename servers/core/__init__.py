"""What all models share, so that nothing but the concurrency model differs between them."""
