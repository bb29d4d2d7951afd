"""Networks in batches and what trains them, on any device."""
