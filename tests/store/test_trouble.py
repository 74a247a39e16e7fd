"""Which errors of the database pass by themselves."""

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoneFreeError

from service.store.trouble import is_passing

CUT = Exception("server closed the connection unexpectedly")


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        pytest.param(OperationalError("COMMIT", None, CUT), True, id="the connection was cut"),
        pytest.param(InterfaceError("SELECT", None, CUT), True, id="the connection is closed"),
        pytest.param(DBAPIError("COMMIT", None, CUT, connection_invalidated=True), True, id="cut, by whatever name"),
        pytest.param(NoneFreeError("QueuePool limit"), True, id="no connection free"),
        pytest.param(DBAPIError("SELECT", None, CUT), False, id="something else"),
        pytest.param(IntegrityError("INSERT", None, CUT), False, id="a row refused"),
        pytest.param(ProgrammingError("SELECT", None, CUT), False, id="wrong SQL"),
        pytest.param(ValueError(), False, id="a fault of ours"),
    ],
)
def test_what_passes(error: Exception, passes: bool) -> None:
    assert is_passing(error) is passes
