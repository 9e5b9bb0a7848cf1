"""One file per kind of order; each turns an order into verbs and a result."""
