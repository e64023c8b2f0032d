"""What the parameters of a model are, beside what their places ask for."""
