"""A double of Stripe: the resources that Conducto uses, its hosted pages, and its webhooks.

The client is Stripe's own library with another address. Every request is validated by the types
that this library generates from Stripe's API description.
"""
