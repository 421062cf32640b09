"""How bytes move between parties, without HTTP: channels, their states, and who may find them."""
