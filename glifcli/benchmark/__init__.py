"""How fast this machine runs the neurons and the networks, and how fast it could. Nothing here prints."""
