"""What to decide: pure functions over the model. No I/O, no clock: times come in as arguments."""
