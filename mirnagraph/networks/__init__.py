"""Networks: from a Dataset to similarity and association networks, their statistics and exports."""
