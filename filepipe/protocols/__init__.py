"""Other people's wire formats: text in, values out, no sockets and no waiting."""
