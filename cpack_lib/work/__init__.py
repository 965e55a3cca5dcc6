"""Room `work`: parameters, run folders, launching, figures and reports; imports no other room."""
