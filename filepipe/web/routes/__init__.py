"""One file for each protocol, and for what the daemon says of itself."""
