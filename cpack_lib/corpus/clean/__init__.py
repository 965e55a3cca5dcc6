"""Repairs and rules: what is mended in a text, what is set aside, and the funnel that counts both."""
