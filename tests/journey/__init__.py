"""Tests that drive a whole running Freehold from outside, as people, programs and browsers do."""
