"""Everything that mirnagraph writes: files, folders, locks, tables, and where they go."""
