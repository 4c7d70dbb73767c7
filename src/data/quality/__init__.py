"""The data gate: what one decoding tells of a picture, and what a set of pictures may not hold."""
