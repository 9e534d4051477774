"""Charts of results: arrays in, the bytes of a picture out. The same figures give the same bytes."""
