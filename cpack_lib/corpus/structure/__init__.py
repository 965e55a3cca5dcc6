"""Pages as blocks, and the pairs that their structure offers."""
