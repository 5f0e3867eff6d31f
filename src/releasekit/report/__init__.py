"""A run told to people: in words, as a table in the terminal, as one HTML file, and as the summary of a CI job.

`words` is what all of them say alike. The terminal: `table` makes the lines, with `columns`, `timeline`, `time_left`;
`look` reads what they are about, `terminal` redraws them. The page: `page` works out what it shows, a `model`, with the
timeline of `gantt`; `graph` draws, `html` writes it down, `write` puts it into a file, once or again and again. CI:
`github`. Nothing is imported here: `status` needs the words and the table only.
"""
