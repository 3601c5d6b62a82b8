"""The contract between the parts of Conducto: records, requests and responses.

Records are frozen pydantic models (`conducto_core.model.base.Record`). Nothing here reads a clock,
a file or an environment variable, and nothing here decides a policy: policies live in
`conducto_core.semantics`. `conducto.wire.fields` uses the standard library only, because the author
API checks values with it inside users' images.
"""
