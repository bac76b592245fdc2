"""One module per interaction of the RESTful API; they do not know each other."""
