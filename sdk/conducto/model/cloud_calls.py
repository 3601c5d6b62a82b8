"""What the cloud's API has over the local one: bodies that are too large for API Gateway."""

from conducto.model.calls import Operation
from conducto.model.params import NoParams
from conducto.model.worker import UploadAnswer

#: Header with the key under which the body of a request was put; the request's own is empty.
BODY_KEY = "Conducto-Body"
#: Bytes of a body, or of an answer, that go through the API; a Lambda takes 6 MB.
MAX_DIRECT = 4 << 20

UPLOAD_BODY = Operation[NoParams, None, UploadAnswer](
    "upload_body", "POST", "/uploads", NoParams, None, UploadAnswer, kept=False
)
