"""Files of users: what is in them is checked before it is believed."""
