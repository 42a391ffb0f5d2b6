"""Embeddings of networks: node2vec, k-hop proximity with SVD, graph transformer."""
