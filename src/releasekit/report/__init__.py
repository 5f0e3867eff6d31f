"""A run told to people: in words, and as one HTML file with its graph, its timeline and all that happened.

`words` is what terminal and page say alike. `page` works out what the page shows, a `model`, with the timeline of
`gantt`; `graph` draws, `html` writes it down, `write` puts it into a file, once or again and again. Nothing is
imported here: `status` needs the words only.
"""
