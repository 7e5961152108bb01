"""The texts of errors that say what to do: the advice of the code table (codes.py) and of lost connections."""

SOMETHING_ELSE = "Check the connection's host or region: something else may answer."
CHECK_HOST = "Check the connection's host or region."
CHECK_KEY = (
    "Check the profile key in the connection's password: it stands on the tenant's Tenant Settings page, "
    "and the connection's region or host must be that tenant's."
)
CHECK_ALL = (
    "Check the profile key in the connection's password, that the tenant's allow list names this machine's outgoing "
    "address, and the connection's host or region."
)
ALLOW_LIST = (
    "Put the outgoing addresses of all machines that send requests (this one, workers, triggerers) on the allow list, "
    "in the tenant's Tenant Settings."
)
COMPARE_RECORDS = "Compare the records with the vendor's reference."
TRY_LATER = "Try again later."
CHECK_APP_ID = "Check app_id: it is the id of the tenant's app asset, for example a_636035705699961900."
ASK_SUPPORT = "Ask the vendor's support."
ADD_ATTRIBUTE = "Have it added to the tenant."
LOWER_BATCH_SIZE = "Lower batch_size, so that each request holds fewer records."
SET_LIMIT = "Set requests_per_second."
STRICT_FINDS_IT = "strict=True finds it first."
LOOK_IT_UP = "Look it up in the vendor's reference, or check the connection's host: something else may answer."
