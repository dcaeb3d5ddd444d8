"""The steps of the dock. They never import each other: they meet in the Session."""
