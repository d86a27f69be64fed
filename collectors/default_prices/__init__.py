"""Example price lists, copied into a lake by `muniment init`."""
