"""What all kinds of databases have in common."""
