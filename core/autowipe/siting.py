"""Where a stream says that its chroma samples lie.

PyAV does not tell, but FFmpeg's Matroska muxer writes it down: so a header is made in memory and read.
"""

from __future__ import annotations

import io

import av

from .planes import Siting

# Elements of RFC 9559, 5.1.4.1.28: Colour, ChromaSitingHorz and ChromaSitingVert, the two of one byte each.
_COLOUR, _ACROSS, _DOWN = b"\x55\xb0", b"\x55\xb7\x81", b"\x55\xb8\x81"
_SITINGS: dict[tuple[int, int], Siting] = {(1, 2): "left", (2, 2): "center", (1, 1): "topleft"}


def siting_said(stream: av.VideoStream) -> Siting | None:
    """What an open stream says; None when it says nothing, or something that is not known here."""
    header = io.BytesIO()
    container = av.open(header, "w", format="matroska")
    try:
        container.add_stream_from_template(stream, opaque=True)
        container.start_encoding()
    except (av.FFmpegError, ValueError):
        return None  # Matroska does not hold this codec
    _, _, colour = header.getvalue().partition(_COLOUR)
    across, down = (colour.partition(name)[2][:1] for name in (_ACROSS, _DOWN))
    return _SITINGS.get((across[0], down[0])) if across and down else None
