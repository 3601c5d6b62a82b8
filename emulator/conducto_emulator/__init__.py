"""The whole cloud side on one machine: AWS by moto, tasks of ECS as containers, events, the app."""
