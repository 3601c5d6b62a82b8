"""The ports of the cloud target to AWS; `fakes.cloud` has a fake for each.

The journal of a pipeline is its list of `Entry`. Entry number *n* can be written once; a writer
that loses this race rereads the journal and decides again, so any number of Lambdas can serve one
pipeline concurrently. The definition and the journal determine the state of a pipeline
(`chalicelib.domain.pipeline.CloudPipeline`); all other records exist for fast reads.
"""
