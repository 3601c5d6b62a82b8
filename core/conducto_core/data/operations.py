"""The operations on the data of pipelines and users."""

from conducto_core.api.operation import Bytes, LinkClass, Permission, act, read, send
from conducto_core.run.model import params as p
from conducto_core.run.model.responses import ChangedData, DataEntry, DataList, Deleted

#: Maximum bytes of a data file uploaded through the API; commands may write larger ones.
MAX_DATA_FILE = 4 << 30

DATA = read(
    "list_data",
    "/pipelines/{id}/data",
    p.ListDataParams,
    DataList,
    "List a directory of a pipeline's data.",
    link_class=LinkClass.READ,
)
CHANGED_DATA = read(
    "list_changed_data",
    "/pipelines/{id}/data/changed",
    p.ChangedDataParams,
    ChangedData,
    "List the files of a pipeline's data that were written within a time range.",
    link_class=LinkClass.READ,
)
DATA_FILE = read(
    "read_data",
    "/pipelines/{id}/data/file",
    p.DataParams,
    Bytes,
    "Download a file of a pipeline's data.",
    link_class=LinkClass.READ,
)
PUT_DATA = send(
    "write_data",
    "PUT /pipelines/{id}/data/file",
    p.DataParams,
    Bytes,
    DataEntry,
    Permission.WRITE_DATA,
    "Write a file of a pipeline's data.",
    link_class=LinkClass.AUTHOR,
    max_body=MAX_DATA_FILE,
)
DELETE_DATA = act(
    "delete_data",
    "DELETE /pipelines/{id}/data/file",
    p.DataParams,
    Deleted,
    Permission.WRITE_DATA,
    "Delete a file or directory of a pipeline's data.",
    link_class=LinkClass.AUTHOR,
)
USER_DATA = read(
    "list_user_data",
    "/data",
    p.ListUserDataParams,
    DataList,
    "List a directory of the user's data.",
    link_class=LinkClass.READ,
)
USER_DATA_FILE = read(
    "read_user_data",
    "/data/file",
    p.UserDataParams,
    Bytes,
    "Download a file of the user's data.",
    link_class=LinkClass.READ,
)
PUT_USER_DATA = send(
    "write_user_data",
    "PUT /data/file",
    p.UserDataParams,
    Bytes,
    DataEntry,
    Permission.WRITE_DATA,
    "Write a file of the user's data.",
    link_class=LinkClass.AUTHOR,
    max_body=MAX_DATA_FILE,
)
DELETE_USER_DATA = act(
    "delete_user_data",
    "DELETE /data/file",
    p.UserDataParams,
    Deleted,
    Permission.WRITE_DATA,
    "Delete a file or directory of the user's data.",
    link_class=LinkClass.AUTHOR,
)
