"""Do the engines agree? Random cases, and what they are made of."""
