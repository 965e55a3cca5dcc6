"""What is asked: tasks of C-MTEB, of MTEB and of local folders, all as mteb runs them."""
