"""Credit risk on the German credit data: what the notebooks, the servers and the tests share."""
