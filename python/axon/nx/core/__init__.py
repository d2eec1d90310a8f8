"""What a tensor is and what an op is: rows stand on this."""
