"""Where any torch module stops learning as its weight decay grows, and how."""
