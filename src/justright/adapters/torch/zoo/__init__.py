"""The zoo's networks in PyTorch, a file a family; `justright.testing.zoo` lists them."""
