"""Many runs at once, stored and on clusters; the order of a transition from measured curves."""
