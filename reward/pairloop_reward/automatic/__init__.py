"""The reward model that chooses among reward models by how they predicted votes before they had seen them."""
