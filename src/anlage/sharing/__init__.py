"""Several processes, on one computer or many, that work in one folder."""
