"""Emulates API Gateway, CloudFront and the identity provider."""
