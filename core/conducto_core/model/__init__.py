"""The contract: what every part of Conducto says to every other.

Records are frozen pydantic models (`conducto_core.model.base.Record`). Nothing here reads a
clock, a file or an environment variable, and nothing here decides a policy: policies live in
`conducto_core.semantics`. `conducto.wire.fields` is standard library only, because the author API
checks values with it inside users' images.
"""
