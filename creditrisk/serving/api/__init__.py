"""What answers over HTTP: decisions, pages, the description of the API and its figures."""
