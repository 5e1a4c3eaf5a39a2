"""Making the cluster what the database wants, and the database say what the cluster is. Level-triggered, safe to repeat.

Nothing here waits: what is not there yet is looked at again when the observer or the sweep says so.
"""
