"""What a sweep says: its table by type of task, effects over seeds, stages shared out, laws, costs."""
