"""The JSON shapes of answers: which keys stand where, 0 and 1 for booleans, no key for what is false."""
