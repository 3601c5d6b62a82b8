"""Machine classes: kinds of machines that an administrator declares, besides Fargate."""
