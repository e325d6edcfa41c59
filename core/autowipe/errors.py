"""The errors AutoWipe raises on purpose: each says what, where and what to do, and knows its exit code.

AutoWipeError            code, text, hint, exit_code
├─ JobError          2   the request is wrong; also a plan that does not fit its source
├─ MediaError        3   a file cannot be read or written
├─ WeightsError      4   a weight is missing, damaged or of another version
├─ DeviceError       5   the device is missing or out of memory
├─ EngineLinkError   6   the adapter at the other end of the link is gone or speaks another protocol
├─ BatchError        7   a batch is through, but not all of its clips are clean
└─ Cancelled       130   the user asked to stop
"""


class AutoWipeError(Exception):
    """A failure that a person can act on: `text` says what and where, `hint` what to do."""

    exit_code = 1

    def __init__(self, text: str, *, code: str, hint: str = "") -> None:
        super().__init__(text)
        self.code, self.text, self.hint = code, text, hint


class JobError(AutoWipeError):
    """The request is wrong: an option, a job file, a plan, a combination of them."""

    exit_code = 2

    def __init__(self, text: str, *, code: str = "job", hint: str = "") -> None:
        super().__init__(text, code=code, hint=hint)


class MediaError(AutoWipeError):
    """A media file cannot be read or written as asked."""

    exit_code = 3

    def __init__(self, text: str, *, code: str = "media", hint: str = "") -> None:
        super().__init__(text, code=code, hint=hint)


class WeightsError(AutoWipeError):
    """A weight file is missing, damaged or of another version."""

    exit_code = 4

    def __init__(self, text: str, *, code: str = "weights", hint: str = "") -> None:
        super().__init__(text, code=code, hint=hint)


class DeviceError(AutoWipeError):
    """The computing device is missing or out of memory."""

    exit_code = 5

    def __init__(self, text: str, *, code: str = "device", hint: str = "") -> None:
        super().__init__(text, code=code, hint=hint)


class EngineLinkError(AutoWipeError):
    """The adapter that started the engine is gone or speaks another protocol."""

    exit_code = 6

    def __init__(self, text: str, *, code: str = "link", hint: str = "") -> None:
        super().__init__(text, code=code, hint=hint)


class BatchError(AutoWipeError):
    """A batch is through, but clips failed or are missing."""

    exit_code = 7

    def __init__(self, text: str, *, code: str = "batch", hint: str = "") -> None:
        super().__init__(text, code=code, hint=hint)


class Cancelled(AutoWipeError):
    """The user asked to stop; what is done so far is kept for `--resume`."""

    exit_code = 130

    def __init__(self, text: str = "Cancelled.", *, hint: str = "Run it again with --resume to go on.") -> None:
        super().__init__(text, code="cancelled", hint=hint)


def said(err: Exception) -> str:
    """What an exception says, without the number and the path that the system's own carry."""
    return getattr(err, "strerror", None) or str(err)
