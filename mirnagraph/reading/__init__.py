"""Reading of what others wrote: text, tables, JSON, arguments; each checked where it is read."""
