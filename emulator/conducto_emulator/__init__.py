"""An emulator of the cloud on one machine: moto for AWS, containers for ECS tasks, and the app."""
