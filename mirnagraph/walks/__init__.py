"""Random walks on sparse networks: checked and stored networks, compiled steps, pieces."""
