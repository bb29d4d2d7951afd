"""The exact theory of linear networks: moments of the data, landscapes, transitions. No torch."""
