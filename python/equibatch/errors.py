"""What can go wrong, by kind. The words are those of the server or of the engine."""


class Error(Exception):
    """Any error of this package."""


class RequestError(Error, ValueError):
    """The server or the engine refuses the request, or an argument is invalid."""


class UnreachableError(Error, ConnectionError):
    """No server can be reached, or the last one was lost and did not come back."""


class AccessError(Error, PermissionError):
    """Authentication failed, or the server's certificate cannot be verified."""


class LimitError(Error):
    """A limit is reached: on streams, connections, memory or threads."""


class DataError(Error):
    """The files cannot be used: too many are broken, a folder cannot be read, or servers have different files."""


class ProtocolError(Error):
    """The answer is not that of an Equibatch server of a compatible version."""


class WaitTimeoutError(Error, TimeoutError):
    """No batch came within the loader's timeout."""


class ForkError(Error, RuntimeError):
    """A forked child uses a stream of its parent."""
