"""HTTP in, real broker, real worker processes, rows out."""
