"""Models to hand on: export, card, hub, load."""
