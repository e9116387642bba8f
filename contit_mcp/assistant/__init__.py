"""Ask, start, status, response: a question becomes a run, and a run becomes an answer."""
