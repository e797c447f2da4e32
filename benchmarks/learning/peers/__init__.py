"""Other libraries as variants of the learning benchmark; none of them is a dependency of the project."""
