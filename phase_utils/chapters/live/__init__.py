"""Live figures: for each a Python and a JavaScript module of one name, on a shared frame."""
