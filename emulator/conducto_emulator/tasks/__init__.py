"""Emulates ECS, ECR and CodeBuild with containers."""
